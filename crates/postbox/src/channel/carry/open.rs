//! Opening what was popped: whose it is, decided before the application sees a byte.

use super::{Inbox, Popped};
use crate::channel::end::End;
use crate::channel::envelope::{CellRef, Envelope};
use crate::channel::spool::Entry;
use crate::channel::turn::Engagement;
use crate::channel::{Carrier, Channel};
use crate::error::Fault;
use postbox_ring::receipt::Taker;
use postbox_ring::sync::Ordering::Release;
use postbox_ring::turn::{Claim, Meeting};
use postbox_steps::{Step, at};

/// What became of one attempt to pop.
pub(super) enum One {
    None,
    /// What was popped was nothing to take.
    Dropped,
    /// It went back to its sender, since another one counts on this receiver.
    SentBack,
    Message(Popped),
}

/// What to do with an entry that was taken from the object.
#[derive(Clone, Copy)]
pub(super) enum Claimed {
    /// Show it to the application.
    Mine,
    /// Drop it: it was withdrawn or lost, and counted then.
    Corpse,
    /// Drop it and count it: it was sent back to be offered again.
    Declined,
}

impl Channel {
    /// Opens what was taken from the overflow. Its place there is free again, whatever it was.
    pub(super) fn open_overflowing(
        &self,
        end: &End,
        inbox: &Inbox,
        entry: Entry,
        buffer: &mut [u8],
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<One, Fault> {
        let len = self.overflow.read(&self.region, &entry, buffer);
        let one = len.and_then(|len| self.open_entry(end, inbox, &buffer[..len], into, engagement));
        self.overflow.release(entry);
        at(Step::OverflowFreed);
        self.freed();
        self.bells.ring_for_more(&self.block.control, || self.overflow.is_ready());
        one
    }

    #[inline(always)]
    pub(super) fn open_entry(
        &self,
        end: &End,
        inbox: &Inbox,
        entry: &[u8],
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<One, Fault> {
        if let Some((ticket, sender_pid, message)) = Envelope::from_plain_entry(entry)
            && self.config.allows(message.len())
            && matches!(self.carrier, Carrier::Kernel(_))
        {
            // As below, without the questions.
            end.member().last_ticket.store(ticket.number + 1, Release);
            at(Step::TicketNoted);
            into.extend_from_slice(message);
            at(Step::MessageCopied);
            self.gone(end, ticket.epoch);
            return Ok(One::Message(Popped { sender_pid }));
        }
        let envelope = Envelope::from_entry(entry);
        let Some((envelope, begin)) = envelope.filter(|(e, _)| self.config.allows(e.len as usize))
        else {
            // Of this channel none, but perhaps several.
            return self.open_packet(end, inbox, entry, into);
        };
        // One more than the ticket, so that none at all is 0. Pairs with the load in `pump`.
        end.member().last_ticket.store(envelope.ticket + 1, Release);
        at(Step::TicketNoted);
        let ticketed = matches!(self.carrier, Carrier::Kernel(_));
        match self.claim_message(end, &envelope, engagement) {
            Claimed::Mine => {}
            Claimed::Corpse => {
                self.drop_body(envelope.body);
                return Ok(One::Dropped);
            }
            Claimed::Declined => {
                self.drop_body(envelope.body);
                if ticketed {
                    self.gone(end, envelope.epoch.into());
                }
                return Ok(One::SentBack);
            }
        }
        let whole = match envelope.body {
            None => {
                into.extend_from_slice(&entry[begin..]);
                true
            }
            Some(position) => self.take_body(end, position, envelope.len, into)?,
        };
        if ticketed {
            at(Step::MessageCopied);
            self.gone(end, envelope.epoch.into());
        }
        // A body that is gone was that of a sender which died before its send was done.
        if !whole {
            engagement.resume();
            return Ok(One::Dropped);
        }
        Ok(One::Message(Popped { sender_pid: envelope.sender_pid }))
    }

    /// Frees the body of an offer that was dropped. So does its sender, if it lives.
    pub(super) fn drop_body(&self, body: Option<u64>) {
        if let Some(position) = body {
            self.bodies.discard(position);
            at(Step::BodyDropped);
        }
    }

    /// Decides, before the application sees a byte, whose message this is.
    #[inline(always)]
    pub(super) fn claim_message(
        &self,
        end: &End,
        envelope: &Envelope,
        engagement: &Engagement<'_>,
    ) -> Claimed {
        match envelope.cell {
            None => Claimed::Mine,
            Some(offer) => {
                let claimed = self.claim_offer(end, offer, envelope.engaging, engagement);
                if envelope.engaging && matches!(claimed, Claimed::Mine) {
                    self.block.disengage(offer);
                }
                claimed
            }
        }
    }

    fn claim_offer(
        &self,
        end: &End,
        offer: CellRef,
        engaging: bool,
        engagement: &Engagement<'_>,
    ) -> Claimed {
        if engaging {
            self.uncount_offer();
            self.freed();
        }
        let corpse = || {
            // Its sender has withdrawn it or died; or a repair took it for lost, and its sender counts, too. So does
            // the sender of one whose taker died before it had given the slot back to a ring for two.
            if !engaging {
                self.uncount_offer();
                self.freed();
            }
            Claimed::Corpse
        };
        let taker = Taker { index: end.seat.index, pid: end.pid() };
        let (claimed, wake) = match self.block.claim(engagement.turn(), offer, taker) {
            Claim::Taken { wake } => (Claimed::Mine, wake),
            Claim::SentBack { wake } => (Claimed::Declined, wake),
            Claim::Corpse => {
                engagement.resume();
                return corpse();
            }
        };
        if wake {
            self.bells.ring_receipt();
        }
        claimed
    }
}
