//! Through the slot ring: capacity by slots, and the overflow of an unbounded channel behind it.

use super::open::{Claimed, One};
use super::pace::Solo;
use super::{Drops, Inbox, NotPushed, Outbox, Outgoing, Place, Popped, Pushed};
use crate::channel::Channel;
use crate::channel::end::End;
use crate::channel::envelope::{Envelope, FIRST_LINE, MANY_LINES};
use crate::channel::members::Statistic;
use crate::channel::spool::LONGEST_ENTRY;
use crate::channel::turn::Engagement;
use crate::error::Fault;
use crate::mechanism::{Capacity, Form};
use postbox_ring::OutOfBounds;
use postbox_ring::pairing::{Found, Held};
use postbox_ring::slots::{Claim, ClaimError, Position, SlotRing, Take, Taken};
use postbox_ring::spsc::SpscReceiver;
use postbox_steps::{Step, at};
use std::cell::OnceCell;

impl Channel {
    #[inline(always)]
    pub(super) fn push_slot(
        &self,
        ring: &SlotRing,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
    ) -> Result<Pushed, NotPushed> {
        let unbounded = self.config.capacity == Capacity::Unbounded;
        let overhead = Envelope::slot_overhead(message.cell.is_some());
        let fits = overhead + message.bytes.len() <= ring.body_len();
        if fits && (!unbounded || self.overflow.is_empty()) {
            let envelope = self.slot_envelope(end, message, None);
            match self.fill_slot(ring, end, outbox, &envelope, message.bytes) {
                Ok(position) => return Ok(Pushed { place: Place::Slot(position), body: None }),
                Err(NotPushed::Full) if unbounded => {}
                Err(refused) => return Err(refused),
            }
        }
        if fits {
            self.spill_slot(end, outbox, message, None)
        } else {
            self.push_large_slot(ring, end, outbox, message)
        }
    }

    fn slot_envelope(&self, end: &End, message: Outgoing<'_>, body: Option<u64>) -> Envelope {
        Envelope {
            epoch: 0,
            ticket: 0,
            sender_pid: end.pid(),
            len: message.bytes.len() as u32,
            cell: message.cell,
            engaging: message.engaging,
            body,
        }
    }

    /// The ring in front of an unbounded channel has no room, or others wait behind it already.
    #[cold]
    fn spill_slot(
        &self,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
        body: Option<u64>,
    ) -> Result<Pushed, NotPushed> {
        let mut entry = outbox.entry.borrow_mut();
        self.slot_envelope(end, message, body).write_entry(message.bytes, &mut entry);
        self.overflow_entry(end, &entry)?;
        at(Step::EntrySpilled);
        end.count(Statistic::Spilled, 1);
        Ok(Pushed { place: Place::Overflow, body })
    }

    /// A message whose body does not fit a slot.
    #[cold]
    fn push_large_slot(
        &self,
        ring: &SlotRing,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
    ) -> Result<Pushed, NotPushed> {
        let unbounded = self.config.capacity == Capacity::Unbounded;
        // No body is written for a channel that is full anyway.
        let full = || Ok::<_, Fault>(self.ring_len(ring)? >= u64::from(ring.window()));
        if !unbounded && !self.has_room_for_two(outbox) && full()? {
            return Err(NotPushed::Full);
        }
        let body = self.store_body(end, message.bytes)?;
        let envelope = self.slot_envelope(end, message, Some(body.position()));
        let filled = if unbounded && !self.overflow.is_empty() {
            Err(NotPushed::Full)
        } else {
            self.fill_slot(ring, end, outbox, &envelope, &[])
        };
        let pushed = match filled {
            Ok(position) => Ok(Pushed { place: Place::Slot(position), body: envelope.body }),
            Err(NotPushed::Full) if unbounded => {
                self.spill_slot(end, outbox, message, envelope.body)
            }
            Err(refused) => Err(refused),
        };
        match pushed {
            Ok(pushed) => {
                at(Step::BodySent);
                self.bodies.publish(body, 0);
                Ok(pushed)
            }
            Err(refused) => {
                self.bodies.abandon(body);
                Err(refused)
            }
        }
    }

    #[inline(always)]
    pub(super) fn fill_slot(
        &self,
        ring: &SlotRing,
        end: &End,
        outbox: &Outbox,
        envelope: &Envelope,
        inline: &[u8],
    ) -> Result<Position, NotPushed> {
        let refuse = |error| match error {
            ClaimError::Full => NotPushed::Full,
            ClaimError::Corrupt => Fault::Corrupt("the ring's words make no sense").into(),
        };
        let (header, len) = envelope.for_slot();
        let write = |claim: &Claim| {
            let written = match len {
                8 => self.write_slot(claim, &header[..8], inline),
                _ => self.write_slot(claim, &header[..len], inline),
            };
            written.map_err(|_| Fault::Corrupt("a slot lies outside the memory"))
        };
        if self.config.form == Form::OneToOne {
            let solo = got_or_made(&outbox.single, || Solo::attach(ring.clone()))
                .map_err(|_| Fault::Corrupt("the ring's words make no sense"))?;
            let claim = solo.sender.claim().map_err(refuse)?;
            write(&claim)?;
            at(Step::SlotWritten);
            solo.publish_next();
            return Ok(claim.position());
        }
        if let Some(pairing) = self.unless_wide() {
            let attach = || Solo::attach(pairing.two().clone());
            let solo = self.got_or_entered(&outbox.single, end, attach)?;
            let held = match solo {
                Some(solo) => pairing.claim(&solo.sender, end.seat.index, self).map_err(refuse)?,
                None => None,
            };
            if let (Some(solo), Some(held)) = (solo, held) {
                write(held.slot())?;
                at(Step::SlotWritten);
                let position = held.slot().position();
                // An error stays in the memory, and the next call says so.
                let _ = solo.publish_of_pair(pairing, held, end.seat.index, self);
                return Ok(position);
            }
        }
        let mut cache = outbox.cache.get();
        let claim = ring.claim(end.seat.index, &mut cache);
        outbox.cache.set(cache);
        let claim = claim.map_err(refuse)?;
        write(&claim)?;
        at(Step::SlotWritten);
        let position = claim.position();
        ring.publish(claim);
        Ok(position)
    }

    /// Writes what a slot is to hold, and has room for.
    ///
    /// What shares its line with the word comes last: a receiver that looks at the word takes that line away, and
    /// once it is back all of this goes into it at one go.
    #[inline(always)]
    pub(super) fn write_slot(
        &self,
        claim: &Claim,
        header: &[u8],
        inline: &[u8],
    ) -> Result<(), OutOfBounds> {
        let mut slot = self.region.slice_mut(claim.body_offset(), claim.body_len())?;
        if inline.len() >= MANY_LINES && FIRST_LINE + inline.len() <= slot.len() {
            let (first, rest) = header.split_first_chunk().ok_or(OutOfBounds)?;
            slot.copy_from(FIRST_LINE, inline)?;
            slot.copy_from(first.len(), rest)?;
            return slot.copy_from(0, &Envelope::at_next_line(*first));
        }
        // Cut where that is known beforehand: it is copied without asking how long it is.
        match inline.split_at_checked(FIRST_LINE - header.len()) {
            Some((near, far)) if !far.is_empty() => {
                slot.copy_from(FIRST_LINE, far)?;
                slot.copy_from(header.len(), near)?;
            }
            _ => slot.copy_from(header.len(), inline)?,
        }
        slot.copy_from(0, header)
    }

    #[inline(always)]
    pub(super) fn pop_slot(
        &self,
        ring: &SlotRing,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<Option<Popped>, Fault> {
        let mut drops = Drops::default();
        loop {
            let one = match self.take_slot(ring, end, inbox)? {
                (Some(taken), _) => self.open_slot(ring, end, inbox, taken, into, engagement)?,
                (None, busy) if busy || self.config.capacity != Capacity::Unbounded => One::None,
                (None, _) => self.pop_overflow_of_ring(ring, end, inbox, into, engagement)?,
            };
            match one {
                One::None => return Ok(None),
                One::Dropped => drops.one_more()?,
                One::SentBack if drops.sent_back(end) => {}
                One::SentBack => {
                    self.ring_for_more(ring);
                    return Ok(None);
                }
                One::Message(popped) => return Ok(Some(popped)),
            }
        }
    }

    /// Opens a slot that was taken, and gives it back.
    #[inline(always)]
    pub(super) fn open_slot(
        &self,
        ring: &SlotRing,
        end: &End,
        inbox: &Inbox,
        held: Held<Taken>,
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<One, Fault> {
        let outside = |_| Fault::Corrupt("a slot lies outside the memory");
        let taken = held.slot();
        let offset = taken.body_offset();
        let mut header = [0; 32];
        let len = header.len().min(taken.body_len());
        self.region.read(offset, &mut header[..len]).map_err(outside)?;
        let envelope = Envelope::from_slot(&header[..len])
            .filter(|(e, begin)| e.body.is_some() || begin + e.len as usize <= taken.body_len())
            .filter(|(e, _)| self.config.allows(e.len as usize));
        let Some((envelope, begin)) = envelope else {
            self.release(ring, end, inbox, held)?;
            return Err(Fault::Corrupt("a slot holds no message of this channel"));
        };
        let claimed = self.claim_message(end, &envelope, engagement);
        let whole = match (claimed, envelope.body) {
            (Claimed::Corpse | Claimed::Declined, body) => {
                self.drop_body(body);
                Ok(false)
            }
            (Claimed::Mine, None) => {
                let len = envelope.len as usize;
                self.region.read_append(offset + begin, len, into).map(|()| true).map_err(outside)
            }
            (Claimed::Mine, Some(position)) => self.take_body(end, position, envelope.len, into),
        };
        at(Step::SlotRead);
        self.release(ring, end, inbox, held)?;
        self.freed();
        self.ring_for_more(ring);
        Ok(match (claimed, whole?) {
            (_, true) => One::Message(Popped { sender_pid: envelope.sender_pid }),
            (Claimed::Declined, false) => One::SentBack,
            (Claimed::Corpse, false) => One::Dropped,
            (Claimed::Mine, false) => {
                engagement.resume();
                One::Dropped
            }
        })
    }

    /// The entry at the head of the ring, if it is complete; and whether one is being written.
    #[inline(always)]
    fn take_slot(
        &self,
        ring: &SlotRing,
        end: &End,
        inbox: &Inbox,
    ) -> Result<(Option<Held<Taken>>, bool), Fault> {
        if self.config.form == Form::OneToOne {
            let receiver = got_or_made(&inbox.single, || SpscReceiver::attach(ring.clone()));
            let receiver = receiver.map_err(corrupt)?;
            return Ok((receiver.take().map_err(corrupt)?.map(Held::OfTwo), false));
        }
        if let Some(pairing) = self.unless_wide() {
            let attach = || SpscReceiver::attach(pairing.two().clone());
            if let Some(receiver) = self.got_or_entered(&inbox.single, end, attach)? {
                match pairing.take(receiver, end.seat.index, self).map_err(corrupt)? {
                    Found::Entry(held) => return Ok((Some(held), false)),
                    Found::Empty => return Ok((None, false)),
                    Found::Wide => {}
                }
            }
        }
        Ok(match ring.take(end.seat.index).map_err(corrupt)? {
            Take::Entry(taken) => (Some(Held::OfMany(taken)), false),
            Take::Empty => (None, false),
            Take::Busy { .. } => (None, true),
        })
    }

    #[cold]
    fn pop_overflow_of_ring(
        &self,
        ring: &SlotRing,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<One, Fault> {
        let Some(head) = self.overflow.first()? else { return Ok(One::None) };
        if !self.look_in(ring, SlotRing::is_empty) {
            return Ok(One::Dropped);
        }
        let Some(entry) = self.overflow.take_if(head, end.seat.index) else {
            return Ok(One::Dropped);
        };
        at(Step::OverflowTaken);
        let mut buffer = inbox.entry.borrow_mut();
        buffer.resize(self.overflow.len_of(&entry).min(LONGEST_ENTRY), 0);
        self.open_overflowing(end, inbox, entry, &mut buffer, into, engagement)
    }

    pub(crate) fn ring_len(&self, ring: &SlotRing) -> Result<u64, Fault> {
        self.look_in(ring, SlotRing::len).map(|len| len as u64).map_err(corrupt)
    }

    /// Gives a slot back.
    #[inline(always)]
    fn release(
        &self,
        ring: &SlotRing,
        end: &End,
        inbox: &Inbox,
        held: Held<Taken>,
    ) -> Result<(), Fault> {
        match (held, inbox.single.get(), &self.pairing) {
            (held, Some(single), Some(pairing)) => {
                pairing.release(single, end.seat.index, held, self).map_err(corrupt)?;
            }
            (Held::OfTwo(taken), Some(single), None) => single.release(taken),
            (Held::OfTwo(taken) | Held::OfMany(taken), ..) => ring.release(taken),
        }
        Ok(())
    }

    /// For whoever has taken something out of the ring; see [`Bells::ring_for_more`].
    #[inline(always)]
    pub(super) fn ring_for_more(&self, ring: &SlotRing) {
        let is_ready = || self.look_in(ring, SlotRing::is_ready);
        self.bells.ring_for_more(&self.block.control, is_ready);
    }
}

pub(super) fn corrupt<E>(_: E) -> Fault {
    Fault::Corrupt("the ring's words make no sense")
}

/// What the cell holds, from now on at the latest.
#[inline(always)]
pub(super) fn got_or_made<T, E>(
    cell: &OnceCell<T>,
    make: impl FnOnce() -> Result<T, E>,
) -> Result<&T, E> {
    match cell.get() {
        Some(held) => Ok(held),
        None => make().map(|made| cell.get_or_init(|| made)),
    }
}
