//! The fast paths: a plain message through a ring, for two or for many, or through a kernel object.
//!
//! Plain is a message that lies whole in its slot or entry and is no offer. Where anything else turns
//! up, or anything is to be done but to copy, a fast path leaves everything as it was and the slow path
//! decides; but what was taken out of a ring for many or a kernel object is opened here, whatever it is. It is
//! the same protocol, word for word, without the questions that cannot arise here: behind a
//! system call, whose traces fill the processor, each hundred instructions take twenty nanoseconds.

use super::open::One;
use super::slot::InSlot;
use super::{Inbox, Outbox, Popped};
use crate::channel::end::End;
use crate::channel::envelope::Envelope;
use crate::channel::members::{Doing, Statistic};
use crate::channel::turn::Engagement;
use crate::channel::{Carrier, Channel, Config};
use crate::error::Fault;
use crate::mechanism::{Capacity, Form};
use crate::policy::Policy;
use crate::queue::Refused;
use postbox_ring::admission::Ticket;
use postbox_ring::pairing::Held;
use postbox_ring::slots::{MappedSlots, SlotRing, Take, Taken};
use postbox_ring::spsc::SpscReceiver;
use postbox_ring::sync::Ordering::SeqCst;
use postbox_steps::{Step, at};

pub(super) const HEADER: usize = Envelope::slot_overhead(false);

/// Which one a channel has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FastPath {
    /// None: messages meet, or receivers queue for the floor.
    None,
    /// By a slot of a ring for two.
    ForTwo,
    /// By a slot of a ring for many, which two may still have for themselves.
    ForMany,
    /// By an entry of a kernel object.
    Kernel,
}

impl FastPath {
    pub(in crate::channel) fn of(config: &Config, carrier: &Carrier) -> Self {
        if config.policy == Policy::OneAtATime || config.capacity == Capacity::Zero {
            return FastPath::None;
        }
        match (carrier, config.form) {
            (Carrier::Kernel(_), _) => FastPath::Kernel,
            (Carrier::Ring(_), Form::OneToOne) => FastPath::ForTwo,
            (Carrier::Ring(_), Form::ManyToMany) => FastPath::ForMany,
        }
    }
}

/// Why a fast path has no message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missed {
    /// The ring or kernel object is empty.
    Empty,
    /// There may be something that it leaves to the slow path.
    Unusual,
}

/// What a look by a fast path brings.
pub(crate) type Glance<T = Popped> = Result<T, Missed>;

impl Channel {
    /// Whether messages wait behind the ring, which those that come are not to overtake.
    #[inline(always)]
    pub(super) fn overflows(&self) -> bool {
        self.spills && !self.overflow.is_empty()
    }

    /// Sends a message if that is plain; it may be that long, and there are partners. Nobody is told: for that the caller
    /// loads the channel again, which otherwise would be kept on the stack, and every store delays the message.
    #[inline(always)]
    pub(crate) fn put_for_two(&self, end: &End, outbox: &Outbox, message: &[u8]) -> bool {
        let Some(solo) = outbox.single.get() else { return false };
        let Some(claim) = solo.sender.claim_at_once() else { return false };
        if claim.body_len() < HEADER + message.len() || self.overflows() {
            return false;
        }
        let header = Envelope::plain_header(end.pid(), message.len() as u32);
        if self.write_slot(&claim, &header, message).is_err() {
            return false;
        }
        at(Step::SlotWritten);
        solo.publish_next();
        true
    }

    /// Takes the next message out of the ring for two if that is plain; leaves it in its slot if that is wanted.
    #[inline(always)]
    pub(crate) fn receive_slot(&self, end: &End, inbox: &Inbox, into: &mut Vec<u8>) -> Glance {
        let receiver = inbox.single.get().ok_or(Missed::Unusual)?;
        let (taken, sender_pid, lies) = self.look_for_plain(end, receiver)?;
        if !end.lending.keep(lies) {
            self.region.read_append(lies.at, lies.len, into).map_err(|_| Missed::Unusual)?;
        }
        self.took_plain(end, receiver, taken, lies);
        Ok(Popped { sender_pid })
    }

    /// The next message, by whom it is and where it lies, if that is plain.
    #[inline(always)]
    pub(super) fn look_for_plain(
        &self,
        end: &End,
        receiver: &SpscReceiver<MappedSlots>,
    ) -> Glance<(Taken, u32, InSlot)> {
        if !end.receives_at_once() {
            return Err(Missed::Unusual);
        }
        let taken = receiver.fetch_and_take().map_err(|_| Missed::Unusual)?;
        let taken = taken.ok_or_else(|| self.nothing_in_ring())?;
        // SeqCst: as in `lower_level`, which has nothing to do then.
        let watched = self.block.control.pollables.load(SeqCst) > 0;
        match self.plain_in(&taken) {
            Some((sender_pid, lies)) if !watched => Ok((taken, sender_pid, lies)),
            _ => Err(Missed::Unusual),
        }
    }

    /// Why there is no message where the ring has none.
    #[inline(always)]
    pub(super) fn nothing_in_ring(&self) -> Missed {
        if self.overflows() { Missed::Unusual } else { Missed::Empty }
    }

    /// By whom a message is that was taken, and where it lies, if it is plain.
    #[inline(always)]
    fn plain_in(&self, taken: &Taken) -> Option<(u32, InSlot)> {
        let offset = taken.body_offset();
        let mut header = [0; HEADER];
        self.region.read(offset, &mut header).ok()?;
        let (sender_pid, len, begin) = Envelope::from_plain_header(header)?;
        let len = len as usize;
        let lies = InSlot { at: offset + begin, len };
        (begin + len <= taken.body_len() && self.config.allows(len)).then_some((sender_pid, lies))
    }

    /// It was read, or is the end's to be read: there is room for another.
    #[inline(always)]
    pub(super) fn took_plain(
        &self,
        end: &End,
        receiver: &SpscReceiver<MappedSlots>,
        taken: Taken,
        lies: InSlot,
    ) {
        at(Step::SlotRead);
        receiver.release(taken);
        self.freed();
        end.count_message(lies.len);
    }

    /// Sends a message through the ring for many if that is plain; it may be that long, and there are partners.
    #[inline]
    pub(crate) fn push_among_many(&self, end: &End, outbox: &Outbox, message: &[u8]) -> bool {
        let Carrier::Ring(ring) = &self.carrier else { return false };
        if ring.body_len() < HEADER + message.len() || self.overflows() {
            return false;
        }
        let mut cache = outbox.cache.get();
        let claim = ring.claim(end.seat.index, &mut cache);
        outbox.cache.set(cache);
        let Ok(claim) = claim else { return false };
        let header = Envelope::plain_header(end.pid(), message.len() as u32);
        if self.write_slot(&claim, &header, message).is_err() {
            ring.abandon(claim);
            return false;
        }
        at(Step::SlotWritten);
        ring.publish(claim);
        self.published();
        true
    }

    /// Takes the next message out of the ring for many, whatever it is.
    #[inline]
    pub(crate) fn receive_among_many(
        &self,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
    ) -> Result<Glance, Fault> {
        let Carrier::Ring(ring) = &self.carrier else { return Ok(Err(Missed::Unusual)) };
        if !end.receives_at_once() {
            return Ok(Err(Missed::Unusual));
        }
        let taken = match ring.take(end.seat.index) {
            Ok(Take::Entry(taken)) => taken,
            Ok(Take::Empty) => return Ok(Err(self.nothing_in_ring())),
            Ok(Take::Busy { .. }) | Err(_) => return Ok(Err(Missed::Unusual)),
        };
        if let Some((sender_pid, lies)) = self.plain_in(&taken)
            && self.region.read_append(lies.at, lies.len, into).is_ok()
        {
            at(Step::SlotRead);
            ring.release(taken);
            self.freed();
            self.ring_for_more(ring);
            end.count_message(lies.len);
            self.lower_level(end);
            return Ok(Ok(Popped { sender_pid }));
        }
        self.receive_unusual(ring, end, inbox, Held::OfMany(taken), into)
    }

    /// Opens what was taken, whatever it is.
    #[cold]
    pub(super) fn receive_unusual(
        &self,
        ring: &SlotRing,
        end: &End,
        inbox: &Inbox,
        taken: Held<Taken>,
        into: &mut Vec<u8>,
    ) -> Result<Glance, Fault> {
        let held = into.len();
        let one = self.open_slot(ring, end, inbox, taken, into, &Engagement::of(end))?;
        Ok(match one {
            One::Message(popped) => {
                end.count_message(into.len() - held);
                self.lower_level(end);
                Ok(popped)
            }
            One::None | One::Dropped | One::SentBack => Err(Missed::Unusual),
        })
    }

    /// Sends a message through the kernel object if that is plain; there are partners.
    #[inline(always)]
    pub(crate) fn push_plain_entry(&self, end: &End, outbox: &Outbox, message: &[u8]) -> bool {
        let Carrier::Kernel(queue) = &self.carrier else { return false };
        if Envelope::entry_overhead(false) + message.len() > self.config.entry_limit {
            return false;
        }
        let member = end.member();
        member.begin();
        let pushed = match self.admit(outbox, None) {
            Ok(ticket) => {
                let mut entry = outbox.entry.borrow_mut();
                let entry = Envelope::write_plain_entry(ticket, end.pid(), message, &mut entry);
                // The overflow is looked at after the ticket was taken: a repair relies on it.
                let put = match self.overflow.is_empty() {
                    true => queue.push(entry),
                    false => Err(Refused::Full),
                };
                match put {
                    Ok(()) => {
                        at(Step::EntryPushed);
                        true
                    }
                    Err(refused) => self.put_elsewhere(end, entry, ticket, &refused),
                }
            }
            Err(_) => false,
        };
        member.end(Doing::Idle);
        end.mend();
        if pushed {
            end.was_awake();
        }
        pushed
    }

    /// Puts an entry with that ticket behind what overflows, or gives the ticket back.
    #[cold]
    fn put_elsewhere(&self, end: &End, entry: &[u8], ticket: Ticket, refused: &Refused) -> bool {
        let spilled = matches!(refused, Refused::Full) && self.spill(end, entry).is_ok();
        if spilled {
            end.count(Statistic::Spilled, 1);
        } else {
            // The slow path meets it again, and says so.
            self.not_sent(end, ticket.epoch, 1);
        }
        spilled
    }

    /// Takes the next entry of the kernel object, whatever it is, if nothing comes before it.
    #[inline(always)]
    pub(crate) fn receive_entry(
        &self,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
    ) -> Result<Glance, Fault> {
        let Carrier::Kernel(queue) = &self.carrier else { return Ok(Err(Missed::Unusual)) };
        // SeqCst: as in `lower_level`, which has nothing to do then.
        let watched = self.block.control.pollables.load(SeqCst) > 0;
        let before = inbox.ahead.get() || !self.overflow.is_empty();
        // What a mailbox's owner can take away is looked at although there is something to receive.
        let may = end.receives_at_once() || may_receive(end)?;
        let mut buffer = inbox.entry.borrow_mut();
        let ready = buffer.len() == self.config.entry_limit;
        if !may || watched || before || !ready {
            return Ok(Err(Missed::Unusual));
        }
        let (member, held) = (end.member(), into.len());
        member.begin();
        let one = match queue.pop(&mut buffer) {
            Ok(Some(len)) => {
                at(Step::EntryPopped);
                self.open_entry(end, inbox, &buffer[..len], into, &Engagement::of(end))
            }
            Ok(None) => Ok(One::None),
            Err(fault) => Err(fault),
        };
        member.end(Doing::Idle);
        end.mend();
        Ok(match one? {
            One::Message(popped) => {
                end.count_message(into.len() - held);
                Ok(popped)
            }
            One::None => Err(Missed::Empty),
            One::Dropped | One::SentBack => Err(Missed::Unusual),
        })
    }
}

/// What a mailbox's owner can take away.
#[inline(never)]
fn may_receive(end: &End) -> Result<bool, Fault> {
    end.look_around()?;
    Ok(end.usable().is_ok())
}
