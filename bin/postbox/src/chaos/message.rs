//! What travels: who sent it, as which of its messages, and whether it arrived as it was.
//!
//! ```text
//!  0       4       8        16        24
//!  ├ number ┼ mark  ┼ sequence ┼ digest ┼─ filling ──
//!    of the   PROBE    of this    over the filling, seeded
//!    sender   or 0     sender     with number and sequence
//! ```
//!
//! Some messages are empty: nothing but their sender's pid, which Postbox itself reports, tells of
//! them.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Bytes before the filling.
pub const HEADER: usize = 24;
/// The largest message: much more than an entry of any mechanism.
pub const LARGEST: usize = 256 << 10;
/// Marks what the ledger itself sends.
const PROBE: u32 = 1;

/// What a message says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Nothing at all.
    Empty,
    /// A message of the traffic.
    Traffic {
        /// The sender's number.
        sender: u32,
        /// Which of its messages.
        seq: u64,
    },
    /// The ledger's own, which sends the receiver to rest.
    Probe {
        /// Which of them.
        seq: u64,
    },
    /// Not as it was sent.
    Spoilt,
}

/// Makes messages, from one stock of filling.
#[derive(Debug)]
pub struct Maker {
    stock: Vec<u8>,
}

impl Maker {
    /// With a stock for the largest message.
    pub fn new() -> Self {
        let mut rng = fastrand::Rng::with_seed(1);
        Maker { stock: (0..LARGEST).map(|_| rng.u8(..)).collect() }
    }

    /// Makes `into` that message of `len` bytes; less than a header is none at all.
    pub fn traffic(&self, into: &mut Vec<u8>, sender: u32, seq: u64, len: usize) {
        into.clear();
        if len >= HEADER {
            write(into, (sender, 0), seq, &self.stock[..len - HEADER]);
        }
    }
}

/// A message of the ledger itself.
pub fn probe(seq: u64) -> Vec<u8> {
    let mut message = Vec::new();
    write(&mut message, (0, PROBE), seq, &[]);
    message
}

fn write(into: &mut Vec<u8>, (sender, mark): (u32, u32), seq: u64, filling: &[u8]) {
    into.extend(sender.to_le_bytes());
    into.extend(mark.to_le_bytes());
    into.extend(seq.to_le_bytes());
    into.extend(digest(sender, seq, filling).to_le_bytes());
    into.extend(filling);
}

fn digest(sender: u32, seq: u64, filling: &[u8]) -> u64 {
    xxh3_64_with_seed(filling, u64::from(sender) << 32 ^ seq)
}

/// What that message is.
pub fn read(message: &[u8]) -> Content {
    if message.is_empty() {
        return Content::Empty;
    }
    let parse = || {
        let (sender, rest) = message.split_first_chunk()?;
        let (mark, rest) = rest.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let (sum, filling) = rest.split_first_chunk()?;
        let (sender, seq) = (u32::from_le_bytes(*sender), u64::from_le_bytes(*seq));
        let intact = u64::from_le_bytes(*sum) == digest(sender, seq, filling);
        match u32::from_le_bytes(*mark) {
            _ if !intact => None,
            0 => Some(Content::Traffic { sender, seq }),
            PROBE => Some(Content::Probe { seq }),
            _ => None,
        }
    };
    parse().unwrap_or(Content::Spoilt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_what_it_is_and_whether_it_is_whole() {
        let maker = Maker::new();
        let mut message = Vec::new();
        for len in [HEADER, HEADER + 1, 9000, LARGEST] {
            maker.traffic(&mut message, 7, 9, len);
            assert_eq!(
                (message.len(), read(&message)),
                (len, Content::Traffic { sender: 7, seq: 9 })
            );
            for at in [0, 9, 17, len - 1] {
                message[at] ^= 1;
                assert_eq!(read(&message), Content::Spoilt, "byte {at} of {len}");
                message[at] ^= 1;
            }
            assert_eq!(read(&message[..len - 1]), Content::Spoilt);
        }
        maker.traffic(&mut message, 7, 9, 0);
        assert_eq!(read(&message), Content::Empty);
        assert_eq!(read(&probe(3)), Content::Probe { seq: 3 });
    }
}
