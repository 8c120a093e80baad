//! Several messages in one entry of a kernel object, and so in one system call.
//!
//! ```text
//!  gathered   [ room for a header ][length│body][length│body][length│body] …
//!                     ▲            ▲ from                    as many as there are tickets
//!                     └ written in front of what is sent: over what has been sent already
//! ```
//!
//! Messages share a packet only while the channel has one receiver: what that one holds of an opened
//! packet nobody else could take. It is so by construction, from the creation of a channel on to the
//! first clone of its receiver, and for channels that are not links or mailboxes; see [`super::held`].
//!
//! A packet is admitted by a range of tickets, never longer than there is room for, so a gathering may
//! go in several packets. What finds the kernel object full for more than a moment, or others in the overflow, goes
//! there as entries of its own: the overflow knows no packets.

use super::{NotPushed, Outbox};
use crate::channel::end::End;
use crate::channel::envelope::{Envelope, PacketHeader};
use crate::channel::members::{Doing, Statistic};
use crate::channel::{Carrier, Channel};
use crate::queue::{KernelQueue, Refused};
use postbox_ring::admission::Ticket;
use postbox_ring::sync::Ordering::{Acquire, Release};
use postbox_steps::{Step, at};
use postbox_sys::cpu;

/// The word `packing`: messages may share a packet.
pub(super) const PACKING: u64 = 2;
/// They may not, and packets may be left.
pub(super) const STOPPING: u64 = 1;
/// They may not, and none is left.
pub(super) const SINGLY: u64 = 0;

/// Between two tries to push a packet, in breaths of about 32 ns.
const BETWEEN_TRIES: u32 = 8;

/// Messages of one sender on their way in.
#[derive(Default)]
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    /// Where the length of the first one stands that was not sent.
    from: usize,
    left: usize,
}

/// How many messages went, and their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Went {
    pub messages: usize,
    pub bytes: usize,
}

impl Gathered {
    /// None yet.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.bytes.resize(PacketHeader::LEN, 0);
        self.from = PacketHeader::LEN;
        self.left = 0;
    }

    /// One more, if a packet of at most `limit` bytes has room for it.
    pub(crate) fn add(&mut self, message: &[u8], limit: usize) -> bool {
        let len = PacketHeader::PREFIX + message.len();
        let fits = self.bytes.len() + len <= limit && self.left < PacketHeader::MOST;
        if let (true, Ok(prefix)) = (fits, u16::try_from(message.len())) {
            self.bytes.extend_from_slice(&prefix.to_le_bytes());
            self.bytes.extend_from_slice(message);
            self.left += 1;
            return true;
        }
        false
    }

    /// How many have not been sent.
    pub(crate) fn left(&self) -> usize {
        self.left
    }

    /// The first one that was not sent.
    pub(crate) fn first(&self) -> &[u8] {
        // What was added is whole.
        PacketHeader::message(&self.bytes, self.from).map_or(&[], |range| &self.bytes[range])
    }

    /// The first one is done with.
    fn pass(&mut self) {
        self.from += PacketHeader::PREFIX + self.first().len();
        self.left -= 1;
    }

    /// A packet of the first ones, and the bytes of their messages.
    fn packet(&mut self, header: PacketHeader) -> (&[u8], usize) {
        let start = self.from - PacketHeader::LEN;
        self.bytes[start..self.from].copy_from_slice(&header.to_bytes());
        let count = header.count as usize;
        for _ in 0..count {
            self.pass();
        }
        let packet = &self.bytes[start..self.from];
        (packet, packet.len() - PacketHeader::LEN - count * PacketHeader::PREFIX)
    }

    /// As if they had not been sent.
    fn back_to(&mut self, from: usize, left: usize) {
        (self.from, self.left) = (from, left);
    }
}

impl Channel {
    /// There will be one receiver, and no more unless it is cloned: from now on messages may share
    /// packets, in a channel that is for that.
    pub(crate) fn starts_packing(&self) {
        if self.config.packs {
            // Pairs with the load in `packs`.
            self.block.control.packing.store(PACKING, Release);
        }
    }

    /// Whether messages may share packets now.
    #[inline]
    pub(crate) fn packs(&self) -> bool {
        // Pairs with the store in `stop_packing`.
        self.config.packs && self.block.control.packing.load(Acquire) == PACKING
    }

    /// Sends the first of what was gathered, as many as there is room for. A packet that finds the object full is tried
    /// again that often before its messages overflow.
    pub(crate) fn push_gathered(
        &self,
        end: &End,
        outbox: &Outbox,
        gathered: &mut Gathered,
        tries: u32,
    ) -> Result<Went, NotPushed> {
        let Carrier::Kernel(queue) = &self.carrier else { return Err(NotPushed::Full) };
        let member = end.member();
        member.begin_packing();
        // Whoever stops packing has the barrier for both, and waits until this operation is over.
        self.barrier_after_store();
        let went = if self.packs() && gathered.left() > 1 {
            self.push_packet(queue, end, outbox, gathered, tries)
        } else {
            self.push_singly(queue, end, outbox, gathered, 1)
        };
        member.end(Doing::Idle);
        end.mend();
        went
    }

    fn push_packet(
        &self,
        queue: &KernelQueue,
        end: &End,
        outbox: &Outbox,
        gathered: &mut Gathered,
        mut tries: u32,
    ) -> Result<Went, NotPushed> {
        let most = gathered.left();
        let admission = self.block.control.admission();
        let tickets = admission.admit_many(self.window, &outbox.limit, most as u64);
        let (first, count) = tickets.ok_or(NotPushed::Full)?;
        // The overflow is looked at after the tickets were taken, as by a single message.
        if count == 1 || !self.overflow.is_empty() {
            return self.put_singly(queue, end, outbox, gathered, first, count);
        }
        let before = (gathered.from, gathered.left);
        let (packet, bytes) = gathered.packet(PacketHeader {
            epoch: first.epoch as u8,
            ticket: first.number,
            sender_pid: end.pid(),
            count: count as u32,
        });
        let pushed = loop {
            match queue.push(packet) {
                // A receiver that is at it takes the next one in an instant.
                Err(Refused::Full) if tries > 0 => cpu::breathe(BETWEEN_TRIES),
                pushed => break pushed,
            }
            tries -= 1;
        };
        match pushed {
            Ok(()) => {
                at(Step::PacketPushed);
                Ok(Went { messages: count as usize, bytes })
            }
            Err(Refused::Full) => {
                gathered.back_to(before.0, before.1);
                self.put_singly(queue, end, outbox, gathered, first, count)
            }
            Err(Refused::Fault(fault)) => {
                gathered.back_to(before.0, before.1);
                self.not_sent(end, first.epoch, count);
                Err(fault.into())
            }
        }
    }

    /// At most so many, each in an entry of its own.
    fn push_singly(
        &self,
        queue: &KernelQueue,
        end: &End,
        outbox: &Outbox,
        gathered: &mut Gathered,
        most: u64,
    ) -> Result<Went, NotPushed> {
        let admission = self.block.control.admission();
        let tickets = admission.admit_many(self.window, &outbox.limit, most);
        let (first, count) = tickets.ok_or(NotPushed::Full)?;
        self.put_singly(queue, end, outbox, gathered, first, count)
    }

    /// The same with tickets that were taken; gives back those of what does not go.
    fn put_singly(
        &self,
        queue: &KernelQueue,
        end: &End,
        outbox: &Outbox,
        gathered: &mut Gathered,
        first: Ticket,
        count: u64,
    ) -> Result<Went, NotPushed> {
        let mut went = Went { messages: 0, bytes: 0 };
        let mut entry = outbox.entry.borrow_mut();
        for number in first.number..first.number + count {
            let message = gathered.first();
            let envelope = Envelope {
                epoch: first.epoch as u8,
                ticket: number,
                sender_pid: end.pid(),
                len: message.len() as u32,
                cell: None,
                engaging: false,
                body: None,
            };
            envelope.write_entry(message, &mut entry);
            let len = message.len();
            match self.put_entry(queue, end, &entry) {
                Ok(spilled) => {
                    end.count(Statistic::Spilled, spilled.into());
                    gathered.pass();
                    went.messages += 1;
                    went.bytes += len;
                }
                Err(refused) => {
                    self.not_sent(end, first.epoch, first.number + count - number);
                    // Why the next one does not go is told when it is its turn.
                    return if went.messages > 0 { Ok(went) } else { Err(refused) };
                }
            }
        }
        Ok(went)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_gathered_goes_in_as_many_packets_as_there_is_room() {
        let mut gathered = Gathered::default();
        gathered.clear();
        assert!(gathered.add(b"one", 64) && gathered.add(b"", 64) && gathered.add(b"three", 64));
        assert!(!gathered.add(&[0; 40], 64), "it is full");
        let header = |ticket, count| PacketHeader { epoch: 1, ticket, sender_pid: 9, count };
        let before = (gathered.from, gathered.left);
        for again in [true, false] {
            let (packet, bytes) = gathered.packet(header(4, 2));
            assert_eq!(PacketHeader::read(packet, |_| true), Some(header(4, 2)));
            assert_eq!((&packet[18..21], bytes), (&b"one"[..], 3));
            if again {
                gathered.back_to(before.0, before.1);
            }
        }
        assert_eq!((gathered.left(), gathered.first()), (1, &b"three"[..]));
        let (packet, bytes) = gathered.packet(header(6, 1));
        assert_eq!(PacketHeader::read(packet, |_| true), Some(header(6, 1)));
        assert_eq!((gathered.left(), bytes), (0, 5));
    }
}
