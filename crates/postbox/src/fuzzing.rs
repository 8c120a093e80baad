//! What the fuzzer throws bytes at: a function for each thing that is made of bytes from elsewhere.
//!
//! Each asserts what has to hold of any bytes, beyond that nothing panics: what was decoded comes out
//! of its own encoding as it was, what was let through keeps within its limits. `tests/fuzz` has the
//! targets and their first inputs; the tests below throw those and variations of them.

use crate::channel::envelope::{Envelope, PacketHeader};
use crate::channel::{Channel, End, Role};
use crate::direct::LinkOptions;
use crate::domain::links::LinkTerms;
use crate::domain::protocol::{self, Reply, Request};
use crate::indirect::wire::{MailboxReply, MailboxRequest};
use crate::message::Message;
use crate::{Access, Bytes, Capacity, Mechanism, Name, Policy, Receiver, Sender, WaitStrategy};
use postbox_sys::{eventfd, memfd};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::str::FromStr;
use std::sync::Arc;

/// The header of an entry of a kernel object, that of a slot, and a packet.
pub fn envelope(bytes: &[u8]) {
    if let Some((envelope, at)) = Envelope::from_entry(bytes) {
        let (header, len) = envelope.for_entry();
        assert_eq!(len, at);
        let entry = [&header[..len], &bytes[at..]].concat();
        assert_eq!(Envelope::from_entry(&entry), Some((envelope, at)));
    }
    if let Some((envelope, at)) = Envelope::from_slot(bytes) {
        let (mut header, len) = envelope.for_slot();
        assert!(len == at || at > header.len());
        if at > len {
            let (first, _) = header.split_first_chunk_mut().expect("there is a first word");
            *first = Envelope::at_next_line(*first);
        }
        assert_eq!(Envelope::from_slot(&header[..len]), Some((envelope, at)));
    }
    const LONGEST: usize = 40;
    if let Some(header) = PacketHeader::read(bytes, |len| len <= LONGEST) {
        assert!((1..=PacketHeader::MOST as u32).contains(&header.count));
        assert_eq!(Envelope::from_entry(bytes), None);
        let mut at = PacketHeader::LEN;
        for _ in 0..header.count {
            let message = PacketHeader::message(bytes, at).expect("it is whole");
            assert!(message.len() <= LONGEST);
            at = message.end;
        }
        assert_eq!(at, bytes.len());
        let again = [&header.to_bytes()[..], &bytes[PacketHeader::LEN..]].concat();
        assert_eq!(PacketHeader::read(&again, |_| true), Some(header));
        assert_eq!(PacketHeader::read(&bytes[..at - 1], |_| true), None);
    }
}

/// What is asked of registrars and of those behind them, and what they answer.
pub fn registrar(bytes: &[u8]) {
    let request: Option<protocol::Envelope<Request>> = protocol::decode(bytes);
    if let Some(envelope) = &request {
        same_again::<protocol::Envelope<Request>>(envelope);
        if let Request::Mailbox(inner) = &envelope.request {
            mailbox(inner);
        }
    }
    let reply: Option<Reply> = protocol::decode(bytes);
    if let Some(reply) = &reply {
        same_again::<Reply>(reply);
        if let Reply::Mailbox(inner) = reply {
            mailbox(inner);
        }
    }
    mailbox(bytes);
}

/// What is encoded decodes, to what encodes the same. (It may be too long for a packet.)
fn same_again<T: Serialize + serde::de::DeserializeOwned>(value: &T) {
    let Ok(once) = protocol::encode(value) else { return };
    let again: T = protocol::decode(&once).expect("what was encoded is understood");
    assert_eq!(protocol::encode(&again).ok(), Some(once));
}

fn mailbox(bytes: &[u8]) {
    if let Some(request) = MailboxRequest::unpack(bytes)
        && let Ok(Request::Mailbox(packed)) = request.pack()
    {
        assert_eq!(MailboxRequest::unpack(&packed), Some(request));
    }
    if let Some(reply) = MailboxReply::unpack(bytes) {
        assert_eq!(MailboxReply::unpack(&reply.to_bytes()), Some(reply));
    }
}

/// The terms on which another process wants a link.
pub fn terms(bytes: &[u8]) {
    let Ok((terms, _)) = postcard::take_from_bytes::<LinkTerms>(bytes) else { return };
    assert_eq!(terms.clone().turned().turned(), terms);
    assert!(terms.agree_with(&terms));
    assert!(!terms.to_string().is_empty());
    let Ok(options) = terms.options() else { return };
    let config = options.config();
    if config.check().is_ok() {
        let layout = config.layout();
        for log in layout.front.iter().chain([&layout.overflow, &layout.bodies]) {
            let end = log.bytes_needed().and_then(|bytes| log.offset.checked_add(bytes));
            assert!(end.is_some_and(|end| end <= layout.total));
        }
        let said = |options| LinkTerms::of(&LinkOptions::from(options)).expect("checked");
        let once = said(options);
        assert_eq!(said(once.options().expect("the same mechanism")), once);
    }
}

/// As many words as a channel's header has, and some of the padding behind it.
const HEADER_WORDS: u64 = 24;

/// Attaching to memory that a hostile owner has made: the bytes are words and where they stand.
///
/// Whoever gets in uses the channel, and gets no more out of it than it allows.
pub fn control_block(bytes: &[u8]) {
    let Some((&kind, header)) = bytes.split_first() else { return };
    let (fds, total) = Channel::honest(kind / 4 % 2 == 1);
    let memory = memfd::create_sealed("postbox-fuzz", total).expect("memory");
    let file = File::from(memory);
    let original = File::from(fds);
    let mut page = [0; 4096];
    original.read_exact_at(&mut page, 0).expect("a header");
    file.write_all_at(&page, 0).expect("a header");
    for patch in header.chunks_exact(11) {
        // Where: the header, the control words, or anywhere; what: 8 bytes.
        let at = u64::from(u16::from_le_bytes([patch[0], patch[1]]));
        let at = match patch[2] % 4 {
            0 => at % HEADER_WORDS * 8,
            1 => 4096 + at % 512 * 8,
            2 => at * 8,
            _ => at.wrapping_mul(total / 65_536) & !7,
        };
        let _ = file.write_all_at(&patch[3..], at);
    }
    let mut fds = vec![OwnedFd::from(file)];
    fds.extend((0..6).map(|_| eventfd::create_rung().expect("a bell")));
    fds.extend(Channel::kernel_object(Mechanism::ALL[usize::from(kind) % 4]));
    let Ok(channel) = Channel::from_fds(fds) else { return };
    assert!(channel.config.check().is_ok() && channel.config.layout().total as u64 <= total);
    let longest = channel.config.fixed_size.unwrap_or(channel.config.max_message);
    let channel = Arc::new(channel);
    let join = |role| End::join(channel.clone(), role, WaitStrategy::Block);
    let (Ok(tx), Ok(rx)) = (join(Role::Sender), join(Role::Receiver)) else { return };
    let (tx, rx) = (Sender::<Bytes>::new(tx), Receiver::<Bytes>::new(rx));
    let _ = tx.try_send_batch([&[1; 10][..], &[], &[2; 30]]);
    for len in [0, 20, 3000] {
        let _ = tx.try_send(&vec![1; len]);
        if let Ok(Some(message)) = rx.try_receive() {
            assert!(message.len() <= longest);
        }
        let _ = (tx.len(), rx.statistics());
    }
}

impl Channel {
    /// The memory of a channel as it should be, of one whose messages share packets or of a ring, and its
    /// size: made once.
    fn honest(packs: bool) -> (OwnedFd, u64) {
        static HONEST: [std::sync::OnceLock<(OwnedFd, u64)>; 2] =
            [const { std::sync::OnceLock::new() }; 2];
        let (memory, total) = HONEST[usize::from(packs)].get_or_init(|| {
            let mechanism = if packs { Mechanism::Pipe } else { Mechanism::SharedMemory };
            let options = crate::Options::new(mechanism)
                .capacity(Capacity::Bounded(3))
                .max_message(4000)
                .byte_cap(1 << 16);
            let mut config = options.config();
            config.packs = packs;
            let channel = Channel::create(config).expect("a channel");
            let total = channel.config.layout().total as u64;
            let mut fds = channel.fds_to_give().expect("its descriptors");
            (fds.remove(0), total)
        });
        (memory.try_clone().expect("a descriptor"), *total)
    }

    /// The descriptors of a new kernel object.
    fn kernel_object(mechanism: Mechanism) -> Vec<OwnedFd> {
        use crate::queue::{KernelQueue, Wanted};
        let wanted = Wanted { depth: 2, entry: 128 };
        let queue = KernelQueue::create(mechanism, wanted).expect("a kernel object");
        queue.map_or(Vec::new(), |queue| queue.fds_to_give().expect("its descriptors"))
    }
}

/// Names, and what else is written as text: by a user, or by another process.
pub fn names(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(name) = Name::new(&text) {
        assert_eq!(name.as_str(), text);
        assert!(!text.is_empty() && text.len() <= Name::MAX && !text.contains(['/', '\0']));
        assert!(!text.starts_with(['.', '-']));
        let encoded = postcard::to_stdvec(&name).expect("it is a string");
        assert_eq!(postcard::from_bytes::<Name>(&encoded), Ok(name));
    }
    said_again::<Capacity>(&text);
    said_again::<Mechanism>(&text);
    said_again::<Policy>(&text);
    said_again::<Access>(&text);
}

fn said_again<T: FromStr + Display + PartialEq + Debug>(text: &str) {
    if let Ok(value) = text.parse::<T>() {
        assert_eq!(value.to_string().parse::<T>().ok(), Some(value));
    }
}

/// A message of every shape that serde knows.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Anything {
    Unit,
    Number(i64, u128, Option<u8>),
    Text { text: String, letter: char },
    Many(Vec<Anything>),
    Map(BTreeMap<String, (Vec<u8>, [u16; 3])>),
    Nothings(Vec<()>),
    Boxed(Box<Option<Anything>>),
}

/// Typed messages, which come from any sender.
pub fn messages(bytes: &[u8]) {
    // Each level of nesting is a level of the stack: what nests without end is not for this.
    if bytes.len() > 512 {
        return;
    }
    let Ok(message) = <Anything as Message>::decode(&mut bytes.to_vec()) else { return };
    let mut scratch = Vec::new();
    let mut encoded = match <Anything as Message>::encode(&message, &mut scratch) {
        Ok(encoded) => encoded.to_vec(),
        Err(error) => panic!("what was decoded is not encoded: {error}"),
    };
    assert!(encoded.len() <= bytes.len());
    assert_eq!(Ok(&encoded), postcard::to_stdvec(&message).as_ref());
    assert_eq!(<Anything as Message>::decode(&mut encoded).ok(), Some(message));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    type Target = fn(&[u8]);

    /// Throws a target's first inputs, and variations of them, for as long as `rounds` lasts.
    fn throw(name: &str, target: Target, rounds: u32) {
        let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
        let files = std::fs::read_dir(corpus.join(name)).expect("a corpus");
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        files.sort();
        let inputs: Vec<_> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
        assert!(!inputs.is_empty(), "{name} has no inputs");
        inputs.iter().for_each(|input| target(input));
        let asked = std::env::var("POSTBOX_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = asked.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 1);
        println!("POSTBOX_SEED={seed}");
        let mut chance = Chance(seed);
        for _ in 0..rounds {
            let mut input = inputs[chance.below(inputs.len())].clone();
            for _ in 0..=chance.below(4) {
                chance.vary(&mut input, &inputs);
            }
            target(&input);
        }
    }

    /// Random numbers (xorshift64*), and variations.
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, end: usize) -> usize {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) as usize % end
        }

        fn vary(&mut self, input: &mut Vec<u8>, others: &[Vec<u8>]) {
            let at = self.below(input.len() + 1);
            match self.below(6) {
                0 => input.truncate(at),
                1 => input.insert(at, self.below(256) as u8),
                2 => {
                    let other = &others[self.below(others.len())];
                    let from = self.below(other.len() + 1);
                    input.truncate(at);
                    input.extend_from_slice(&other[from..]);
                }
                _ if at == input.len() => input.push(self.below(256) as u8),
                3 => input[at] ^= 1 << self.below(8),
                4 => input[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                _ => {
                    let end = (at + 1 + self.below(8)).min(input.len());
                    input[at..end].fill(0xff);
                }
            }
        }
    }

    #[test]
    fn any_bytes_are_an_envelope_or_none() {
        throw("envelope", envelope, 50_000);
    }

    #[test]
    fn any_packet_is_understood_or_not() {
        throw("registrar", registrar, 50_000);
    }

    #[test]
    fn any_terms_are_kept_within_limits() {
        throw("terms", terms, 50_000);
    }

    #[test]
    fn any_memory_is_a_channel_or_none() {
        throw("control_block", control_block, 1_000);
    }

    #[test]
    fn any_text_is_a_name_or_none() {
        throw("names", names, 50_000);
    }

    #[test]
    fn any_bytes_are_a_message_or_none() {
        throw("messages", messages, 5_000);
    }

    /// Writes the first inputs anew, after a format has changed.
    #[test]
    #[ignore = "writes into the source"]
    fn seeds() {
        use crate::domain::links::{Flow, Insists, LinkReply, LinkRequest};
        let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fuzz/corpus");
        let write = |target: &str, inputs: Vec<Vec<u8>>| {
            let folder = corpus.join(target);
            std::fs::create_dir_all(&folder).unwrap();
            for (i, input) in inputs.into_iter().enumerate() {
                std::fs::write(folder.join(format!("{i:02}")), input).unwrap();
            }
        };
        use crate::channel::envelope::CellRef;
        let cell = Some(CellRef { index: 3, generation: 9 });
        let envelopes = [
            (None, None, false),
            (cell, None, true),
            (None, Some(640), false),
            (cell, Some(1 << 40), false),
        ]
        .map(|(cell, body, engaging)| Envelope {
            epoch: 3,
            ticket: 77,
            sender_pid: 4711,
            len: 5,
            cell,
            engaging,
            body,
        });
        let packet = |bodies: &[&[u8]]| {
            let count = bodies.len() as u32;
            let header = PacketHeader { epoch: 3, ticket: 77, sender_pid: 4711, count };
            let mut entry = header.to_bytes().to_vec();
            for body in bodies {
                entry.extend_from_slice(&(body.len() as u16).to_le_bytes());
                entry.extend_from_slice(body);
            }
            entry
        };
        write(
            "envelope",
            envelopes
                .iter()
                .flat_map(|envelope| {
                    let (entry, at) = envelope.for_entry();
                    let (slot, len) = envelope.for_slot();
                    let body: &[u8] = if envelope.body.is_none() { b"hello" } else { b"" };
                    [[&entry[..at], body].concat(), slot[..len].to_vec()]
                })
                .chain([packet(&[b"hello", b"", b"again"]), packet(&[&b""[..]; 128])])
                .collect(),
        );

        let terms = LinkTerms {
            mechanism: 1,
            capacity: Some(64),
            max_message: 1 << 20,
            fixed_size: Some(8),
            byte_cap: 1 << 24,
            schema: Some("job/1".into()),
            flow: Flow::Outward,
        };
        write(
            "terms",
            vec![
                postcard::to_stdvec(&terms).unwrap(),
                postcard::to_stdvec(&LinkTerms {
                    capacity: None,
                    fixed_size: None,
                    ..terms.clone()
                })
                .unwrap(),
            ],
        );

        let name = |text| Name::new(text).unwrap();
        let asks = |request| {
            protocol::encode(&protocol::Envelope { from: Some(name("me")), request }).unwrap()
        };
        let destroy = MailboxRequest::Destroy { which: Some(7) };
        let grant =
            MailboxRequest::Grant { which: None, right: crate::Right::Receive, to: name("you") };
        write(
            "registrar",
            vec![
                asks(Request::Hello),
                asks(Request::Links { first: 3 }),
                asks(Request::Link(LinkRequest::Make {
                    instance: 9,
                    terms,
                    insists: Insists::Yes,
                })),
                asks(destroy.pack().unwrap()),
                asks(grant.pack().unwrap()),
                protocol::encode(&Reply::Hello { caller: Some(name("me")) }).unwrap(),
                protocol::encode(&Reply::Failed { why: "no".into() }).unwrap(),
                protocol::encode(&Reply::Link(LinkReply::Taken { instance: 3 })).unwrap(),
                protocol::encode(&MailboxReply::Done.pack()).unwrap(),
            ],
        );

        let word = |at: u16, place: u8, word: u64| {
            [&at.to_le_bytes()[..], &[place], &word.to_le_bytes()[..]].concat()
        };
        write(
            "control_block",
            (0..4u8)
                .flat_map(|kind| {
                    // Of that mechanism, by the codes of the header; then a word of the control block.
                    let header = [
                        &[kind][..],
                        &word(1, 0, Mechanism::ALL[usize::from(kind)].code()),
                        &word(8, 0, 4096),
                    ]
                    .concat();
                    [
                        header.clone(),
                        [&header[..], &word(0, 1, u64::MAX), &word(9000, 3, 7)].concat(),
                    ]
                })
                .collect(),
        );

        let texts =
            ["sensor.3", "64", "unbounded", "mqueue", "one-at-a-time", "a,b", "members", "../x"];
        write("names", texts.map(|text| text.as_bytes().to_vec()).to_vec());

        let map = BTreeMap::from([("key".to_owned(), (vec![1, 2], [1, 2, 3]))]);
        let anything = [
            Anything::Unit,
            Anything::Number(-3, 1 << 90, Some(7)),
            Anything::Text { text: "text".into(), letter: 'ß' },
            Anything::Many(vec![Anything::Unit, Anything::Map(map)]),
            Anything::Nothings(vec![(); 300]),
            Anything::Boxed(Box::new(Some(Anything::Unit))),
        ];
        write("messages", anything.iter().map(|a| postcard::to_stdvec(a).unwrap()).collect());
    }
}
