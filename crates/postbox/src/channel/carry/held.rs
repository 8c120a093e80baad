//! What a receiver holds: the rest of a packet that it has opened.
//!
//! ```text
//!   read ──► [message][message][message][message]   in the end's own buffer
//!               │        ▲ the rest: still in the channel, message by message
//!               ▼        │
//!          application   the record says how many, and of which epoch
//! ```
//!
//! Each message counts gone when the application takes it, so what is held takes up room, is in `len`,
//! and keeps a pollable readable. A repair gives nothing back while somebody holds messages of the epoch
//! that it settles; the record says so from before the packet is counted popped, and no longer only when
//! the last one is counted gone. Should the holder die, its record says that room may be left behind.
//!
//! There is one receiver while messages share packets, so nobody else lacks what it holds, and it comes
//! before everything else. Whenever that is about to end, it goes into shared memory: see
//! [`front`](super::front). By `fork` it goes along, with the memory that it is in.

use super::open::One;
use super::{Inbox, Popped};
use crate::channel::Channel;
use crate::channel::end::End;
use crate::channel::envelope::PacketHeader;
use crate::channel::members::Life;
use crate::channel::turn::Engagement;
use crate::error::Fault;
use postbox_ring::sync::Ordering::{Acquire, Release};
use postbox_steps::{Step, at};
use std::ops::ControlFlow;

/// Messages of an opened packet that the application has not taken; they lie in the inbox's buffer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rest {
    /// Where the length of the next one stands.
    pub(super) at: u32,
    pub(super) left: u32,
    /// The next one's.
    pub(super) ticket: u64,
    pub(super) epoch: u8,
    pub(super) sender_pid: u32,
}

/// A member's word `held`: epoch (8 bits) · how many (32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held(u64);

impl Held {
    const NONE: Held = Held(0);
    /// Of whichever epoch: for the moments of putting in front, and of taking from there.
    pub(super) const SOME: Held = Held(u64::MAX);

    /// Whether there is any of `epoch` or of one before.
    fn is_of(word: u64, epoch: u16) -> bool {
        let later = ((word >> 32) as u8).wrapping_sub(epoch as u8) as i8 > 0;
        word != Self::NONE.0 && (word == Self::SOME.0 || !later)
    }
}

impl Rest {
    pub(super) fn held(self) -> Held {
        match self.left {
            0 => Held::NONE,
            left => Held(u64::from(self.epoch) << 32 | u64::from(left)),
        }
    }
}

pub(super) const BROKEN: Fault = Fault::Corrupt("what is held of a packet makes no sense");

impl Inbox {
    /// How many messages of an opened packet it has.
    pub(super) fn held(&self) -> usize {
        self.rest.get().left as usize
    }

    pub(super) fn set_rest(&self, end: &End, rest: Rest) {
        self.rest.set(rest);
        end.holds.set(rest.left > 0);
    }
}

impl End {
    pub(super) fn says_it_holds(&self, held: Held) {
        // Release: what is counted by then is seen by whoever sees this; pairs with `is_held`.
        self.member().held.store(held.0, Release);
    }
}

impl Channel {
    /// Opens a packet that lies in the inbox's buffer, and takes its first message.
    #[cold]
    pub(super) fn open_packet(
        &self,
        end: &End,
        inbox: &Inbox,
        entry: &[u8],
        into: &mut Vec<u8>,
    ) -> Result<One, Fault> {
        self.hold(end, inbox, entry)?;
        self.take_held(end, inbox, entry, into).map(One::Message)
    }

    /// Says that this end holds all of a packet that lies in the inbox's buffer.
    pub(super) fn hold(&self, end: &End, inbox: &Inbox, entry: &[u8]) -> Result<(), Fault> {
        let header = PacketHeader::read(entry, |len| self.config.allows(len));
        let Some(header) = header.filter(|_| self.config.packs) else {
            return Err(Fault::Corrupt("an entry holds no message of this channel"));
        };
        let rest = Rest {
            at: PacketHeader::LEN as u32,
            left: header.count,
            ticket: header.ticket,
            epoch: header.epoch,
            sender_pid: header.sender_pid,
        };
        // Before the ticket is noted: who sees that sees this.
        inbox.set_rest(end, rest);
        end.says_it_holds(rest.held());
        inbox.ahead.set(true);
        // One more than the last one's, so that none at all is 0. Pairs with the load in `pump`.
        end.member().last_ticket.store(header.ticket + u64::from(header.count), Release);
        at(Step::PacketOpened);
        if header.count > 1 {
            self.raise_level();
        }
        Ok(())
    }

    /// The next message of those held.
    fn take_held(
        &self,
        end: &End,
        inbox: &Inbox,
        packet: &[u8],
        into: &mut Vec<u8>,
    ) -> Result<Popped, Fault> {
        let mut rest = inbox.rest.get();
        let message = PacketHeader::message(packet, rest.at as usize).ok_or(BROKEN)?;
        into.extend_from_slice(&packet[message.clone()]);
        rest = rest.after(message.end, 1);
        inbox.set_rest(end, rest);
        self.held_gone(end, rest, 1);
        Ok(Popped { sender_pid: rest.sender_pid })
    }

    fn held_gone(&self, end: &End, rest: Rest, count: u64) {
        at(Step::HeldCopied);
        self.many_gone(end, rest.epoch.into(), count);
        at(Step::HeldCounted);
        end.says_it_holds(rest.held());
    }

    /// How many messages of those held come next.
    pub(crate) fn next_held(&self, inbox: &Inbox) -> usize {
        match inbox.held() {
            0 => 0,
            _ if !self.front_is_empty() => 0,
            held => held,
        }
    }

    /// Takes up to `most` messages of those held, which one process has sent, and shows each until it
    /// is told that this is enough. They count gone together.
    pub(crate) fn take_many_held(
        &self,
        end: &End,
        inbox: &Inbox,
        most: usize,
        mut show: impl FnMut(&[u8], Popped) -> ControlFlow<()>,
    ) -> Result<(), Fault> {
        let packet = inbox.entry.borrow();
        let mut rest = inbox.rest.get();
        let popped = Popped { sender_pid: rest.sender_pid };
        let (mut count, mut bytes) = (0, 0);
        while count < most && rest.left > 0 {
            let message = PacketHeader::message(&packet, rest.at as usize).ok_or(BROKEN)?;
            count += 1;
            bytes += message.len();
            rest = rest.after(message.end, 1);
            if show(&packet[message], popped).is_break() {
                break;
            }
        }
        inbox.set_rest(end, rest);
        self.held_gone(end, rest, count as u64);
        end.count_messages(count, bytes);
        end.mend();
        self.lower_level(end);
        Ok(())
    }

    /// What comes before the kernel object: what lies in front of it, then what this end holds.
    #[cold]
    pub(super) fn pop_ahead(
        &self,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<Option<Popped>, Fault> {
        if !self.front_is_empty()
            && let Some(popped) = self.pop_front(end, inbox, into, engagement)?
        {
            return Ok(Some(popped));
        }
        if inbox.held() > 0 {
            let popped = self.take_held(end, inbox, &inbox.entry.borrow(), into)?;
            end.mend();
            return Ok(Some(popped));
        }
        if let Some(entry) = inbox.stray.take() {
            let one = self.open_entry(end, inbox, &entry, into, engagement);
            end.says_it_holds(Held::NONE);
            end.holds.set(false);
            end.mend();
            if let One::Message(popped) = one? {
                return Ok(Some(popped));
            }
        }
        if self.front_is_empty() {
            inbox.ahead.set(false);
        }
        Ok(None)
    }

    /// Whether somebody holds messages of `epoch` or of one before, or they lie in front.
    pub(crate) fn is_held(&self, epoch: u16) -> bool {
        let held = || {
            self.block.records().any(|(_, member)| {
                // Pairs with the store in `says_it_holds`.
                member.status().life() == Life::Live
                    && Held::is_of(member.held.load(Acquire), epoch)
            })
        };
        // In this order: what is put in front is held until it lies there, and whoever takes from
        // there says so before it does.
        held() || !self.front_is_empty() || held()
    }
}

impl Rest {
    pub(super) fn after(self, at: usize, taken: u32) -> Rest {
        let (left, ticket) = (self.left - taken, self.ticket + u64::from(taken));
        Rest { at: at as u32, left, ticket, ..self }
    }
}
