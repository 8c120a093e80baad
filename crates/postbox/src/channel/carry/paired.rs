//! A ring for many, as long as two ends have it for themselves.
//!
//! ```text
//!  paired ──── another sends, or receives, while they are there ────► widened, for good
//!  by the ring for two, each message announced                        by the ring for many
//! ```
//!
//! An end takes its place by its first message, not by being there: clones that are never used, and those that keep a
//! link open, make no difference.
//!
//! See [`postbox_ring::pairing`]. All that looks into a ring goes through [`Channel::look_in`], or knows that it is
//! wide.

use super::fast_path::{FastPath, Glance, HEADER, Missed};
use super::ring::{corrupt, got_or_made};
use super::{Inbox, Outbox, Popped};
use crate::channel::end::End;
use crate::channel::envelope::Envelope;
use crate::channel::members::{Role, Seat};
use crate::channel::{Carrier, Channel};
use crate::error::Fault;
use crate::mechanism::Form;
use postbox_ring::pairing::{Barriers, Found, Held, Side};
use postbox_ring::slots::{MappedSlots, SlotRing};
use postbox_ring::spsc::SpscReceiver;
use postbox_ring::{Corrupt, RingPairing};
use postbox_steps::{Step, at};
use std::cell::OnceCell;

impl Barriers for Channel {
    #[inline(always)]
    fn own(&self) {
        self.barrier_after_store();
    }

    fn for_all(&self) {
        self.barrier_for_all();
    }
}

impl Channel {
    /// From now on the ring is one for many.
    pub(crate) fn widen(&self) -> Result<(), Fault> {
        let widened = self.pairing.as_ref().map_or(Ok(()), |pairing| pairing.widen(self));
        widened.map_err(corrupt)
    }

    /// The pairing, unless the ring is one for many by now.
    #[inline(always)]
    pub(crate) fn unless_wide(&self) -> Option<&RingPairing> {
        self.pairing.as_ref().filter(|pairing| !pairing.is_wide())
    }

    /// Whether two have the ring, and nobody else.
    #[inline]
    pub(crate) fn is_for_two(&self) -> bool {
        match &self.pairing {
            Some(pairing) => pairing.is_paired(),
            None => self.config.form == Form::OneToOne,
        }
    }

    /// Whether the one sender of two has seen room, and needs not look what the receiver writes.
    pub(super) fn has_room_for_two(&self, outbox: &Outbox) -> bool {
        let Some(solo) = outbox.single.get().filter(|_| self.is_for_two()) else { return false };
        solo.sender.claim_at_once().is_some()
    }

    /// What `look` finds in the ring, by the positions of those who have it now.
    #[inline(always)]
    pub(crate) fn look_in<R>(&self, ring: &SlotRing, look: impl Fn(&SlotRing) -> R) -> R {
        match self.unless_wide() {
            None => look(ring),
            Some(pairing) => self.look_in_pairs(pairing, ring, look),
        }
    }

    #[inline(never)]
    fn look_in_pairs<R>(
        &self,
        pairing: &RingPairing,
        ring: &SlotRing,
        look: impl Fn(&SlotRing) -> R,
    ) -> R {
        if pairing.is_paired() {
            let seen = look(pairing.two());
            if pairing.is_paired() {
                return seen;
            }
        }
        // An error stays in the memory, and `look` finds it.
        let _ = pairing.widen(self);
        look(ring)
    }

    /// The end's side of the ring for two; none if that has become one for many, as it does where another has
    /// this end's place.
    #[inline(always)]
    pub(super) fn got_or_entered<'c, T>(
        &self,
        cell: &'c OnceCell<T>,
        end: &End,
        attach: impl FnOnce() -> Result<T, Corrupt>,
    ) -> Result<Option<&'c T>, Fault> {
        match cell.get() {
            Some(side) => Ok(Some(side)),
            None => self.enter_ring(cell, end, attach),
        }
    }

    #[cold]
    fn enter_ring<'c, T>(
        &self,
        cell: &'c OnceCell<T>,
        end: &End,
        attach: impl FnOnce() -> Result<T, Corrupt>,
    ) -> Result<Option<&'c T>, Fault> {
        let side = match end.role {
            Role::Sender => Side::Sending,
            Role::Receiver => Side::Receiving,
        };
        let enters = |pairing: &RingPairing| pairing.enter(side, end.seat.index);
        let entered = self.pairing.as_ref().is_some_and(|pairing| {
            enters(pairing) || self.bury_holder(pairing, side, end.seat) && enters(pairing)
        });
        if !entered {
            return self.widen().map(|()| None);
        }
        match got_or_made(cell, attach) {
            Ok(side) => Ok(Some(side)),
            Err(error) if self.is_for_two() => Err(corrupt(error)),
            Err(Corrupt) => self.widen().map(|()| None),
        }
    }

    /// Whether who has that place is dead, and has been buried, or is being buried by somebody else.
    fn bury_holder(&self, pairing: &RingPairing, side: Side, by: Seat) -> bool {
        let holder = pairing.holder(side).and_then(|index| self.block.members.get(index as usize));
        let dead = holder.and_then(|member| member.owner()).filter(|owner| owner.is_dead());
        dead.inspect(|dead| self.bury(*dead, by)).is_some()
    }

    /// An end that is in the middle of nothing leaves the ring.
    pub(crate) fn leave_ring(&self, seat: Seat) {
        if self.pairing.as_ref().is_some_and(RingPairing::is_paired) {
            self.settle_ring(seat.index, seat);
        }
    }

    /// Whether a wait for a message looks by trying to take one.
    #[inline(always)]
    pub(crate) fn glances(&self) -> bool {
        match self.fast_path {
            FastPath::ForTwo => true,
            FastPath::ForMany => self.unless_wide().is_some(),
            _ => false,
        }
    }

    /// Takes the next message if that is plain, where two have the ring.
    #[inline(always)]
    pub(crate) fn glance(
        &self,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
    ) -> Result<Glance, Fault> {
        match (&self.pairing, self.unless_wide()) {
            (_, Some(pairing)) => self.receive_of_pair(pairing, end, inbox, into),
            // It was widened just now.
            (Some(_), None) => Ok(Err(Missed::Unusual)),
            (None, None) => Ok(self.receive_slot(end, inbox, into)),
        }
    }

    /// Sends a message if that is plain; it may be that long, and there are partners.
    #[inline]
    pub(crate) fn push_of_pair_or_many(&self, end: &End, outbox: &Outbox, message: &[u8]) -> bool {
        match self.unless_wide() {
            Some(pairing) => self.push_of_pair(pairing, end, outbox, message),
            None => self.push_among_many(end, outbox, message),
        }
    }

    #[inline(always)]
    fn push_of_pair(
        &self,
        pairing: &RingPairing,
        end: &End,
        outbox: &Outbox,
        message: &[u8],
    ) -> bool {
        let Some(solo) = outbox.single.get() else { return false };
        if pairing.two().body_len() < HEADER + message.len() || self.overflows() {
            return false;
        }
        let Ok(Some(held)) = pairing.claim(&solo.sender, end.seat.index, self) else {
            return false;
        };
        let header = Envelope::plain_header(end.pid(), message.len() as u32);
        if self.write_slot(held.slot(), &header, message).is_err() {
            return false;
        }
        at(Step::SlotWritten);
        // An error stays in the memory, and the next call says so.
        let _ = solo.publish_of_pair(pairing, held, end.seat.index, self);
        self.published();
        true
    }

    /// Takes the next message: if it is plain where two have the ring, else whatever it is.
    #[inline]
    pub(crate) fn receive_of_pair_or_many(
        &self,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
    ) -> Result<Glance, Fault> {
        match self.unless_wide() {
            Some(pairing) => self.receive_of_pair(pairing, end, inbox, into),
            None => self.receive_among_many(end, inbox, into),
        }
    }

    #[inline(always)]
    fn receive_of_pair(
        &self,
        pairing: &RingPairing,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
    ) -> Result<Glance, Fault> {
        let Some(receiver) = inbox.single.get() else { return Ok(Err(Missed::Unusual)) };
        let (taken, sender_pid, lies) = match self.look_for_plain(end, receiver) {
            Ok(found) => found,
            Err(Missed::Empty) if pairing.is_paired() => return Ok(Err(Missed::Empty)),
            Err(_) => return Ok(Err(Missed::Unusual)),
        };
        // Nothing is announced that is not taken in the same call: it may be handed over to this end.
        if !pairing.begins(&taken, self) {
            return self.receive_handed_over(pairing, receiver, end, inbox, into);
        }
        let read = self.region.read_append(lies.at, lies.len(), into);
        at(Step::SlotRead);
        pairing.release(receiver, end.seat.index, Held::OfTwo(taken), self).map_err(corrupt)?;
        self.freed();
        read.map_err(|_| Fault::Corrupt("a slot lies outside the memory"))?;
        if let (None, Carrier::Ring(ring)) = (self.unless_wide(), &self.carrier) {
            self.ring_for_more(ring);
        }
        end.count_message(lies.len());
        Ok(Ok(Popped { sender_pid }))
    }

    /// The ring was widened in the moment in which something was about to be taken.
    #[cold]
    fn receive_handed_over(
        &self,
        pairing: &RingPairing,
        receiver: &SpscReceiver<MappedSlots>,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
    ) -> Result<Glance, Fault> {
        match (pairing.take(receiver, end.seat.index, self).map_err(corrupt)?, &self.carrier) {
            (Found::Entry(held), Carrier::Ring(ring)) => {
                self.receive_unusual(ring, end, inbox, held, into)
            }
            _ => Ok(Err(Missed::Unusual)),
        }
    }
}
