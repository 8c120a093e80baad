//! In front of the kernel object: where what one receiver holds goes when others are to have it.
//!
//! | | what is put in front |
//! | --- | --- |
//! | the end goes to another program | the rest of its packet; packets go on |
//! | the receiver is cloned | first nobody packs any more, then every sender passes an idle point, then the rest and all that the kernel object holds, in order; only then is there a second receiver |
//!
//! It is a queue of whole entries, like the overflow, from which any receiver takes. It is only ever filled
//! by the one receiver there is. So an end that has seen it empty, and holds nothing, need not look again.

use super::held::{BROKEN, Held};
use super::open::One;
use super::packet::{SINGLY, STOPPING};
use super::{Drops, Inbox, Popped};
use crate::channel::end::End;
use crate::channel::envelope::{Envelope, PacketHeader};
use crate::channel::members::{Doing, Life, Role};
use crate::channel::spool::{NoSpace, Overflow};
use crate::channel::turn::Engagement;
use crate::channel::{Carrier, Channel};
use crate::error::Fault;
use crate::mechanism::Form;
use crate::queue::KernelQueue;
use postbox_ring::sync::Ordering::{Acquire, Relaxed, SeqCst};
use postbox_steps::{Step, at};
use postbox_sys::Errno;
use std::time::{Duration, Instant};

/// How long a receiver that is being cloned sleeps between two looks at senders in the middle of a batch.
const BETWEEN_LOOKS: Duration = Duration::from_micros(100);

/// How long it waits for them at most.
const STOPPED: Duration = Duration::from_secs(5);

impl Channel {
    /// Whether nothing lies there.
    pub(crate) fn front_is_empty(&self) -> bool {
        self.front.as_ref().is_none_or(Overflow::is_empty)
    }

    /// The next message that lies there.
    pub(super) fn pop_front(
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
                One::Dropped | One::SentBack => drops.one_more()?,
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
        let Some(front) = &self.front else { return Ok(One::None) };
        let Some(head) = front.first()? else { return Ok(One::None) };
        let Some(taken) = front.take_if(head, end.seat.index) else {
            return Ok(One::Dropped);
        };
        at(Step::FrontTaken);
        let mut bytes = vec![0; self.config.entry_limit];
        let one = front.read(&self.region, &taken, &mut bytes).and_then(|len| {
            let entry = &bytes[..len];
            match Envelope::from_entry(entry) {
                Some(_) => self.open_entry(end, inbox, entry, into, engagement),
                None => Err(Fault::Corrupt("what lies in front holds no message")),
            }
        });
        front.release(taken);
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
        let Some(front) = &self.front else {
            return Err(Fault::Corrupt("packets in a channel that knows none"));
        };
        let pushed = front.push(&self.region, &self.memory, end.seat.index, entry);
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
    /// Waits until every sender that is in the middle of pushing a packet is through with it. One that
    /// is stopped there, and not killed, holds this up, and after a while makes it fail.
    pub(crate) fn stop_packing(&self, end: &End, inbox: &Inbox) -> Result<(), Fault> {
        let packing = &self.block.control.packing;
        let (Carrier::Kernel(queue), Form::ManyToMany, true) =
            (&self.carrier, self.config.form, self.config.packs)
        else {
            return Ok(());
        };
        // Once is for ever: a member that writes what it may not cannot have it done again and again.
        if self.singly.load(Relaxed) || packing.load(Acquire) == SINGLY {
            self.singly.store(true, Relaxed);
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
        self.singly.store(true, Relaxed);
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
            .filter(|(_, status, (_, doing))| {
                status.life() == Life::Live && *doing == Doing::Packing
            })
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
                let call = "waiting for a sender that is stopped in the middle of a batch";
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
}
