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
//! There is one receiver while messages share packets, so nobody else lacks what it holds, and it lies
//! before everything else. Whenever that is about to end, it goes into shared memory, *in front* of the
//! kernel object, as entries of their own that any receiver takes:
//!
//! | | what is put in front |
//! | --- | --- |
//! | the end goes to another program | the rest; packets go on |
//! | the receiver is cloned | first nobody packs any more, then every sender passes an idle point, then the rest and all that the kernel object holds, in order; only then is there a second receiver |
//!
//! By `fork` the rest goes along, with the memory that it is in. The front is only ever filled by the one
//! receiver there is. So an end that has seen it empty, and holds nothing, need not look again.

use super::open::One;
use super::packet::{SINGLY, STOPPING};
use super::{Drops, Inbox, Popped};
use crate::channel::end::End;
use crate::channel::envelope::{Envelope, PacketHeader};
use crate::channel::members::{Doing, Life, Role};
use crate::channel::spool::NoSpace;
use crate::channel::turn::Engagement;
use crate::channel::{Carrier, Channel};
use crate::error::Fault;
use crate::mechanism::Form;
use crate::queue::KernelQueue;
use postbox_ring::sync::Ordering::{Acquire, Release, SeqCst};
use postbox_steps::{Step, at};
use postbox_sys::Errno;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// Messages of an opened packet that the application has not taken; they lie in the inbox's buffer.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rest {
    /// Where the length of the next one stands.
    at: u32,
    left: u32,
    /// The next one's.
    ticket: u64,
    epoch: u8,
    sender_pid: u32,
}

/// A member's word `held`: epoch (8 bits) · how many (32).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held(u64);

impl Held {
    const NONE: Held = Held(0);
    /// Of whichever epoch: for the moments of putting in front, and of taking from there.
    const SOME: Held = Held(u64::MAX);

    /// Whether there is any of `epoch` or of one before.
    pub(crate) fn is_of(word: u64, epoch: u16) -> bool {
        let later = ((word >> 32) as u8).wrapping_sub(epoch as u8) as i8 > 0;
        word != Self::NONE.0 && (word == Self::SOME.0 || !later)
    }
}

impl Rest {
    fn held(self) -> Held {
        match self.left {
            0 => Held::NONE,
            left => Held(u64::from(self.epoch) << 32 | u64::from(left)),
        }
    }
}

/// How long a receiver that is being cloned sleeps between two looks at senders in the middle of a push.
const BETWEEN_LOOKS: Duration = Duration::from_micros(100);

/// How long it waits for them at most.
const STOPPED: Duration = Duration::from_secs(5);

const BROKEN: Fault = Fault::Corrupt("what is held of a packet makes no sense");

impl Inbox {
    /// How many messages of an opened packet it has.
    fn held(&self) -> usize {
        self.rest.get().left as usize
    }

    fn set_rest(&self, end: &End, rest: Rest) {
        self.rest.set(rest);
        end.holds.set(rest.left > 0);
    }
}

impl End {
    fn says_it_holds(&self, held: Held) {
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
        // No slot and no overflow of a ring holds packets, so there is nobody to count them.
        self.take_held(end, inbox, entry, into).map(One::Message)
    }

    fn hold(&self, end: &End, inbox: &Inbox, entry: &[u8]) -> Result<(), Fault> {
        let header = PacketHeader::read(entry, |len| self.config.allows(len));
        let (Some(header), Carrier::Kernel(_)) = (header, &self.carrier) else {
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
            _ if !self.front.is_empty() => 0,
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
        if !self.front.is_empty()
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
            end.mend();
            if let One::Message(popped) = one? {
                return Ok(Some(popped));
            }
        }
        if self.front.is_empty() {
            inbox.ahead.set(false);
        }
        Ok(None)
    }

    fn pop_front(
        &self,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<Option<Popped>, Fault> {
        let mut drops = Drops::default();
        loop {
            let member = end.member();
            member.begin();
            // Before an entry is taken: who sees the front empty for that sees this.
            end.says_it_holds(Held::SOME);
            at(Step::FrontBegun);
            let one = self.take_front(end, inbox, into, engagement);
            end.says_it_holds(inbox.rest.get().held());
            member.end(Doing::Idle);
            end.mend();
            match one? {
                One::None => return Ok(None),
                One::Dropped => drops.one_more()?,
                One::Message(popped) => return Ok(Some(popped)),
            }
        }
    }

    fn take_front(
        &self,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<One, Fault> {
        let Some(head) = self.front.first()? else { return Ok(One::None) };
        let Some(taken) = self.front.take_if(head, end.seat.index) else {
            return Ok(One::Dropped);
        };
        at(Step::FrontTaken);
        let mut bytes = vec![0; self.config.entry_limit];
        let one = self.front.read(&self.region, &taken, &mut bytes).and_then(|len| {
            let entry = &bytes[..len];
            match Envelope::from_entry(entry) {
                Some(_) => self.open_entry(end, inbox, entry, into, engagement),
                None => Err(Fault::Corrupt("what lies in front holds no message")),
            }
        });
        self.front.release(taken);
        at(Step::FrontFreed);
        one
    }

    /// What this end holds is for whoever has the end next, in another program.
    pub(crate) fn put_back(&self, end: &End, inbox: &Inbox) -> Result<(), Fault> {
        if inbox.held() == 0 {
            return Ok(());
        }
        let member = end.member();
        member.begin();
        let put = self.put_in_front(end, inbox);
        end.says_it_holds(inbox.rest.get().held());
        member.end(Doing::Idle);
        self.raise_level_if_receivable();
        put
    }

    /// Puts what is held in front, each message in an entry of its own. The record goes on saying that
    /// all of it is held.
    fn put_in_front(&self, end: &End, inbox: &Inbox) -> Result<(), Fault> {
        let packet = inbox.entry.borrow();
        let mut entry = Vec::new();
        while inbox.held() > 0 {
            let rest = inbox.rest.get();
            let message = PacketHeader::message(&packet, rest.at as usize).ok_or(BROKEN)?;
            let envelope = Envelope {
                epoch: rest.epoch,
                ticket: rest.ticket,
                sender_pid: rest.sender_pid,
                len: message.len() as u32,
                cell: None,
                engaging: false,
                body: None,
            };
            envelope.write_entry(&packet[message.clone()], &mut entry);
            self.push_front(end, &entry)?;
            inbox.set_rest(end, rest.after(message.end, 1));
        }
        Ok(())
    }

    fn push_front(&self, end: &End, entry: &[u8]) -> Result<(), Fault> {
        let pushed = self.front.push(&self.region, &self.memory, end.seat.index, entry);
        at(Step::EntryPutInFront);
        pushed.map_err(|no_space| match no_space {
            NoSpace::Fault(fault) => fault,
            NoSpace::Now | NoSpace::Ever(_) => {
                let call = "opening packets for one more receiver";
                Fault::System { call, errno: Errno::ENOSPC }
            }
        })
    }

    /// Lets there be more receivers than this one: from now on messages share no packets, and none
    /// that did is left.
    ///
    /// Waits until every sender that is in the middle of a push is through with it. One that is stopped
    /// there, and not killed, holds this up, and after a while makes it fail.
    pub(crate) fn stop_packing(&self, end: &End, inbox: &Inbox) -> Result<(), Fault> {
        let packing = &self.block.control.packing;
        let (Carrier::Kernel(queue), Form::ManyToMany) = (&self.carrier, self.config.form) else {
            return Ok(());
        };
        if packing.load(Acquire) == SINGLY {
            return Ok(());
        }
        // SeqCst: before the looks at what senders are doing; pairs with `packs`.
        packing.store(STOPPING, SeqCst);
        at(Step::PackingStopped);
        self.await_packers()?;
        at(Step::PackersPassed);
        let member = end.member();
        member.begin();
        end.says_it_holds(Held::SOME);
        let opened = self.open_all(queue, end, inbox);
        let stray = inbox.stray.borrow().is_some();
        end.says_it_holds(if stray { Held::SOME } else { inbox.rest.get().held() });
        end.holds.set(stray || inbox.held() > 0);
        member.end(Doing::Idle);
        inbox.ahead.set(true);
        self.raise_level_if_receivable();
        opened?;
        at(Step::PacketsOpened);
        packing.store(SINGLY, SeqCst);
        end.mend();
        Ok(())
    }

    /// Returns when every sender that may have begun to push a packet is through with it, or dead.
    fn await_packers(&self) -> Result<(), Fault> {
        self.block.barrier_of_all();
        let mut packers: Vec<_> = self
            .block
            .records()
            .map(|(_, member)| member)
            .filter(|member| member.status().role() == Role::Sender)
            .map(|member| (member, member.status(), member.op()))
            .filter(|(_, status, (_, doing))| status.life() == Life::Live && *doing == Doing::Busy)
            .collect();
        let deadline = Instant::now() + STOPPED;
        loop {
            packers.retain(|(member, status, op)| {
                member.status() == *status && member.op() == *op && !self.is_lost(member)
            });
            if packers.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                let call = "waiting for a sender that is stopped in the middle of a push";
                return Err(Fault::System { call, errno: Errno::ETIMEDOUT });
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
    }

    /// Puts in front what this end holds and all that lay in the kernel object when packing stopped.
    fn open_all(&self, queue: &KernelQueue, end: &End, inbox: &Inbox) -> Result<(), Fault> {
        // No packet has a later ticket, and what has came into the object after all of them.
        let last = self.block.control.admission().so_far().number();
        self.put_in_front(end, inbox)?;
        let mut stray = inbox.stray.borrow_mut();
        if let Some(entry) = &*stray {
            self.push_front(end, entry)?;
            *stray = None;
        }
        loop {
            let mut buffer = inbox.entry.borrow_mut();
            buffer.resize(self.config.entry_limit, 0);
            let Some(len) = queue.pop(&mut buffer)? else { return Ok(()) };
            if let Some((envelope, _)) = Envelope::from_entry(&buffer[..len]) {
                if let Err(fault) = self.push_front(end, &buffer[..len]) {
                    *stray = Some(buffer[..len].to_vec());
                    return Err(fault);
                }
                if envelope.ticket >= last {
                    return Ok(());
                }
            } else {
                self.hold(end, inbox, &buffer[..len])?;
                end.says_it_holds(Held::SOME);
                drop(buffer);
                self.put_in_front(end, inbox)?;
            }
        }
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
        held() || !self.front.is_empty() || held()
    }
}

impl Rest {
    fn after(self, at: usize, taken: u32) -> Rest {
        let (left, ticket) = (self.left - taken, self.ticket + u64::from(taken));
        Rest { at: at as u32, left, ticket, ..self }
    }
}
