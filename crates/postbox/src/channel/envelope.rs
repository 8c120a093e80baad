//! What precedes a message on its way: who sent it, how long it is, where its body lies.
//!
//! ```text
//! through a kernel object or the overflow          in a slot of the ring
//!   0  kind (8) · epoch (8) · ticket (48)            0  kind (10) · pid (22) · length (32)
//!   8  pid (32) · length (32)                        8  [cell]      if an offer
//!  16  [cell]      if an offer                        …  [position]  if the body lies elsewhere
//!   …  [position]  if the body lies elsewhere         …  the body    otherwise
//!   …  the body    otherwise                        …  or 56 the body   otherwise, by a bit of the kind
//! ```
//!
//! A slot's second line begins at 56. There a body of many lines is copied line by line, and one that its sender
//! makes in place lies apart from the word that its receiver looks at.
//!
//! A packet has a header of its own kind, whose ticket is its first message's and whose length is how
//! many they are; each follows as [length (16)][the body]. Their tickets are consecutive.
//!
//! `cell` is index (16) · generation (27) of a receipt cell, `position` that of a run in the log
//! of bodies. Whoever reads one trusts nothing in it.

use postbox_ring::admission::{TICKET_MASK, Ticket};
pub(crate) use postbox_ring::receipt::CellRef;

/// The offer's cell is to be settled before the application sees the message.
const OFFER: u64 = 1;
/// The body lies in the log of bodies.
const ELSEWHERE: u64 = 2;
/// A try_send to capacity zero: whoever takes it is the receiver that was waiting.
const ENGAGING: u64 = 4;
/// Several messages, one behind the other.
const PACKET: u64 = 8;
/// In a slot: the body begins at the second line.
const NEXT_LINE: u64 = 16;
/// Says that this is an envelope at all.
const MARK: u64 = 0x80;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Envelope {
    /// The low bits of the ticket's epoch. Kernel mechanisms only.
    pub epoch: u8,
    /// Kernel mechanisms only; 48 bits.
    pub ticket: u64,
    pub sender_pid: u32,
    pub len: u32,
    pub cell: Option<CellRef>,
    pub engaging: bool,
    /// Position of the body, when it lies elsewhere.
    pub body: Option<u64>,
}

const PID_BITS: u32 = 22;

/// Bytes of a slot that share a line with its word.
pub(super) const FIRST_LINE: usize = 56;
/// Bytes of a body from which on it is worth a line more that each of its lines is copied at one go.
pub(super) const MANY_LINES: usize = 256;

impl Envelope {
    fn kind(&self) -> u64 {
        let mut kind = MARK;
        if self.cell.is_some() {
            kind |= OFFER;
        }
        if self.body.is_some() {
            kind |= ELSEWHERE;
        }
        if self.engaging {
            kind |= ENGAGING;
        }
        kind
    }

    fn references(&self) -> usize {
        8 * (usize::from(self.cell.is_some()) + usize::from(self.body.is_some()))
    }

    /// Bytes that precede an inline body in a kernel entry.
    pub(crate) const fn entry_overhead(offer: bool) -> usize {
        16 + 8 * offer as usize
    }

    /// Bytes that precede an inline body in a slot.
    pub(crate) const fn slot_overhead(offer: bool) -> usize {
        8 + 8 * offer as usize
    }

    #[inline]
    fn put_references(&self, into: &mut [u8; 32], mut at: usize) -> usize {
        for word in [self.cell.map(CellRef::to_word), self.body].into_iter().flatten() {
            into[at..at + 8].copy_from_slice(&word.to_le_bytes());
            at += 8;
        }
        at
    }

    /// The header of a kernel entry, and its length.
    #[inline]
    pub(crate) fn for_entry(&self) -> ([u8; 32], usize) {
        let mut header = [0; 32];
        let first = self.kind() << 56 | u64::from(self.epoch) << 48 | self.ticket & TICKET_MASK;
        let second = u64::from(self.sender_pid) << 32 | u64::from(self.len);
        header[..8].copy_from_slice(&first.to_le_bytes());
        header[8..16].copy_from_slice(&second.to_le_bytes());
        let end = self.put_references(&mut header, 16);
        (header, end)
    }

    /// The whole entry: header, and the message unless it lies elsewhere.
    #[inline]
    pub(crate) fn write_entry(&self, message: &[u8], into: &mut Vec<u8>) {
        let (header, len) = self.for_entry();
        into.clear();
        match len {
            // By far the most, at a known length.
            16 => into.extend_from_slice(&header[..16]),
            _ => into.extend_from_slice(&header[..len]),
        }
        if self.body.is_none() {
            into.extend_from_slice(message);
        }
    }

    /// The whole entry of a message that is no offer and lies in it, at the beginning of `into`.
    #[inline(always)]
    pub(crate) fn write_plain_entry<'b>(
        ticket: Ticket,
        sender_pid: u32,
        message: &[u8],
        into: &'b mut Vec<u8>,
    ) -> &'b [u8] {
        let epoch = u64::from(ticket.epoch as u8);
        let first = MARK << 56 | epoch << 48 | ticket.number & TICKET_MASK;
        let second = u64::from(sender_pid) << 32 | u64::from(message.len() as u32);
        const HEADER: usize = Envelope::entry_overhead(false);
        let len = HEADER + message.len();
        if into.len() < len {
            into.resize(len, 0);
        }
        let entry = &mut into[..len];
        let (header, body) = entry.split_at_mut(HEADER);
        header[..8].copy_from_slice(&first.to_le_bytes());
        header[8..].copy_from_slice(&second.to_le_bytes());
        body.copy_from_slice(message);
        entry
    }

    /// Its ticket (with the low bits of the epoch), its sender and its bytes, if it is such an entry.
    #[inline]
    pub(crate) fn from_plain_entry(entry: &[u8]) -> Option<(Ticket, u32, &[u8])> {
        let (header, message) = entry.split_first_chunk::<16>()?;
        let (first, second) = header.split_first_chunk::<8>()?;
        let first = u64::from_le_bytes(*first);
        let second = u64::from_le_bytes(second.try_into().ok()?);
        let plain = first >> 56 == MARK && message.len() == second as u32 as usize;
        let ticket = Ticket { number: first & TICKET_MASK, epoch: (first >> 48) as u16 & 0xff };
        plain.then_some((ticket, (second >> 32) as u32, message))
    }

    /// The header of a slot, and its length.
    pub(crate) fn for_slot(&self) -> ([u8; 32], usize) {
        let mut header = [0; 32];
        let pid = u64::from(self.sender_pid) & ((1 << PID_BITS) - 1);
        let first = self.kind() << 54 | pid << 32 | u64::from(self.len);
        header[..8].copy_from_slice(&first.to_le_bytes());
        let end = self.put_references(&mut header, 8);
        (header, end)
    }

    /// The header of a slot whose message is no offer and lies in it.
    #[inline]
    pub(crate) fn plain_header(sender_pid: u32, len: u32) -> [u8; 8] {
        let pid = u64::from(sender_pid) & ((1 << PID_BITS) - 1);
        (MARK << 54 | pid << 32 | u64::from(len)).to_le_bytes()
    }

    /// The same header, of a message that begins at the next line.
    #[inline]
    pub(crate) fn at_next_line(header: [u8; 8]) -> [u8; 8] {
        (u64::from_le_bytes(header) | NEXT_LINE << 54).to_le_bytes()
    }

    /// The sender's pid, the length and where the message begins, if it is the header of one that is no offer
    /// and lies in its slot.
    #[inline]
    pub(crate) fn from_plain_header(header: [u8; 8]) -> Option<(u32, u32, usize)> {
        let word = u64::from_le_bytes(header);
        let pid = (word >> 32) as u32 & ((1 << PID_BITS) - 1);
        let kind = word >> 54;
        let begin = if kind & NEXT_LINE == 0 { 8 } else { FIRST_LINE };
        (kind & !NEXT_LINE == MARK).then_some((pid, word as u32, begin))
    }

    /// Reads a kernel entry: the envelope and where an inline body begins. `None` if it is none.
    #[inline]
    pub(crate) fn from_entry(entry: &[u8]) -> Option<(Envelope, usize)> {
        let first = word(entry, 0)?;
        let second = word(entry, 8)?;
        let kind = first >> 56;
        let mut envelope = Envelope {
            epoch: (first >> 48) as u8,
            ticket: first & TICKET_MASK,
            sender_pid: (second >> 32) as u32,
            len: second as u32,
            cell: None,
            engaging: false,
            body: None,
        };
        let end = envelope.take_references(kind, entry, 16)?;
        let inline = if envelope.body.is_some() { 0 } else { envelope.len as usize };
        (entry.len() == end + inline).then_some((envelope, end))
    }

    /// Reads the header of a slot: the envelope and where an inline body begins.
    pub(crate) fn from_slot(header: &[u8]) -> Option<(Envelope, usize)> {
        let first = word(header, 0)?;
        let mut envelope = Envelope {
            epoch: 0,
            ticket: 0,
            sender_pid: (first >> 32) as u32 & ((1 << PID_BITS) - 1),
            len: first as u32,
            cell: None,
            engaging: false,
            body: None,
        };
        let kind = first >> 54;
        let end = envelope.take_references(kind & !NEXT_LINE, header, 8)?;
        Some((envelope, if kind & NEXT_LINE == 0 { end } else { FIRST_LINE }))
    }

    #[inline]
    fn take_references(&mut self, kind: u64, bytes: &[u8], mut at: usize) -> Option<usize> {
        if kind & !(OFFER | ELSEWHERE | ENGAGING) != MARK {
            return None;
        }
        if kind & OFFER != 0 {
            self.cell = Some(CellRef::from_word(word(bytes, at)?));
            at += 8;
        }
        if kind & ELSEWHERE != 0 {
            self.body = Some(word(bytes, at)?);
            at += 8;
        }
        self.engaging = kind & ENGAGING != 0;
        debug_assert_eq!(self.kind(), kind);
        debug_assert!(self.references() <= 16);
        Some(at)
    }
}

/// What precedes the messages of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PacketHeader {
    /// The low bits of the epoch of all their tickets.
    pub epoch: u8,
    /// The first one's; 48 bits.
    pub ticket: u64,
    pub sender_pid: u32,
    /// How many there are.
    pub count: u32,
}

impl PacketHeader {
    /// Bytes before the first message.
    pub(crate) const LEN: usize = 16;
    /// Bytes before each message: its length.
    pub(crate) const PREFIX: usize = 2;
    /// A packet has no more messages.
    pub(crate) const MOST: usize = 128;

    pub(crate) fn to_bytes(self) -> [u8; Self::LEN] {
        let kind = MARK | PACKET;
        let first = kind << 56 | u64::from(self.epoch) << 48 | self.ticket & TICKET_MASK;
        let second = u64::from(self.sender_pid) << 32 | u64::from(self.count);
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&first.to_le_bytes());
        bytes[8..].copy_from_slice(&second.to_le_bytes());
        bytes
    }

    /// Reads the header of a packet all of whose messages are whole, are as long as `allows` says, and
    /// leave nothing over. `None` if it is none.
    pub(crate) fn read(entry: &[u8], allows: impl Fn(usize) -> bool) -> Option<PacketHeader> {
        let first = word(entry, 0)?;
        let second = word(entry, 8)?;
        let header = PacketHeader {
            epoch: (first >> 48) as u8,
            ticket: first & TICKET_MASK,
            sender_pid: (second >> 32) as u32,
            count: second as u32,
        };
        let honest =
            first >> 56 == MARK | PACKET && (1..=Self::MOST as u32).contains(&header.count);
        if !honest {
            return None;
        }
        let mut at = Self::LEN;
        for _ in 0..header.count {
            let message = Self::message(entry, at)?;
            if !allows(message.len()) {
                return None;
            }
            at = message.end;
        }
        (at == entry.len()).then_some(header)
    }

    /// Where the message lies whose length stands at `at`, if it is whole.
    pub(crate) fn message(entry: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
        let prefix = entry.get(at..at + Self::PREFIX)?;
        let start = at + Self::PREFIX;
        let end = start + usize::from(u16::from_le_bytes(prefix.try_into().ok()?));
        (end <= entry.len()).then_some(start..end)
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn envelopes()(epoch: u8, ticket in 0..=TICKET_MASK, pid in 1u32..1 << PID_BITS, len: u32,
                       cell: Option<(u16, u32)>, engaging: bool, body: Option<u64>) -> Envelope {
            let cell = cell.map(|(index, generation)| CellRef { index, generation });
            Envelope { epoch, ticket, sender_pid: pid, len, cell, engaging, body }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(mut envelope in envelopes(), body in prop::collection::vec(any::<u8>(), 0..99)) {
            if envelope.body.is_none() {
                envelope.len = body.len() as u32;
            }
            let (header, len) = envelope.for_entry();
            let mut entry = header[..len].to_vec();
            if envelope.body.is_none() {
                entry.extend_from_slice(&body);
            }
            prop_assert_eq!(Envelope::from_entry(&entry), Some((envelope, len)));

            let ticket = Ticket { number: envelope.ticket, epoch: envelope.epoch.into() };
            let plain = len == 16 && !envelope.engaging;
            let read = Envelope::from_plain_entry(&entry);
            prop_assert_eq!(read, plain.then_some((ticket, envelope.sender_pid, &body[..])));
            if plain {
                let mut written = Vec::new();
                let pid = envelope.sender_pid;
                prop_assert_eq!(Envelope::write_plain_entry(ticket, pid, &body, &mut written), entry);
            }

            let (header, len) = envelope.for_slot();
            let expected = Envelope { epoch: 0, ticket: 0, ..envelope };
            prop_assert_eq!(Envelope::from_slot(&header), Some((expected, len)));
        }

        #[test]
        fn a_packet_is_read_back_message_by_message(
            epoch: u8, ticket in 0..=TICKET_MASK, pid in 1u32..1 << PID_BITS,
            bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..9),
        ) {
            let header = PacketHeader { epoch, ticket, sender_pid: pid, count: bodies.len() as u32 };
            let mut entry = header.to_bytes().to_vec();
            for body in &bodies {
                entry.extend_from_slice(&(body.len() as u16).to_le_bytes());
                entry.extend_from_slice(body);
            }
            prop_assert_eq!(PacketHeader::read(&entry, |len| len < 40), Some(header));
            prop_assert_eq!(Envelope::from_entry(&entry), None);
            let mut at = PacketHeader::LEN;
            for body in &bodies {
                let message = PacketHeader::message(&entry, at).unwrap();
                prop_assert_eq!(&entry[message.clone()], &body[..]);
                at = message.end;
            }
            // Shorter, longer, or with a message that may not be: none.
            let longest = bodies.iter().map(Vec::len).max().unwrap();
            prop_assert_eq!(PacketHeader::read(&entry, |len| len < longest), None);
            prop_assert_eq!(PacketHeader::read(&entry[..entry.len() - 1], |_| true), None);
            entry.push(0);
            prop_assert_eq!(PacketHeader::read(&entry, |_| true), None);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = PacketHeader::read(&bytes, |_| true);
            let _ = Envelope::from_entry(&bytes);
            let _ = Envelope::from_plain_entry(&bytes);
            let _ = Envelope::from_slot(&bytes);
        }
    }
}
