//! Through the slot ring: capacity by slots, and the overflow of an unbounded channel behind it.

use super::open::{Claimed, One};
use super::{Inbox, NotPushed, Outbox, Outgoing, Place, Popped, Pushed};
use crate::channel::Channel;
use crate::channel::end::End;
use crate::channel::envelope::Envelope;
use crate::channel::members::Statistic;
use crate::channel::spool::Body;
use crate::channel::turn::Engagement;
use crate::error::Fault;
use crate::mechanism::{Capacity, Form};
use postbox_ring::slots::{ClaimError, Position, SlotRing, Take, Taken};
use postbox_ring::spsc::{SpscReceiver, SpscSender};

impl Channel {
    pub(super) fn push_slot(
        &self,
        ring: &SlotRing,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
    ) -> Result<Pushed, NotPushed> {
        let unbounded = self.config.capacity == Capacity::Unbounded;
        let overhead = Envelope::slot_overhead(message.cell.is_some());
        let elsewhere = overhead + message.bytes.len() > ring.body_len();
        let room = !(unbounded && !self.overflow.is_empty());
        if elsewhere && !unbounded && self.ring_len(ring)? >= u64::from(ring.window()) {
            return Err(NotPushed::Full);
        }
        let mut body = elsewhere.then(|| self.store_body(end, message.bytes)).transpose()?;
        let envelope = Envelope {
            epoch: 0,
            ticket: 0,
            sender_pid: end.pid(),
            len: message.bytes.len() as u32,
            cell: message.cell,
            engaging: message.engaging,
            body: body.as_ref().map(Body::position),
        };
        let inline = if elsewhere { &[][..] } else { message.bytes };
        let claimed = if room {
            self.fill_slot(ring, end, outbox, &envelope, inline)
        } else {
            Err(NotPushed::Full)
        };
        let place = match claimed {
            Ok(position) => Ok(Place::Slot(position)),
            Err(NotPushed::Full) if unbounded => {
                let mut entry = outbox.entry.borrow_mut();
                envelope.write_entry(message.bytes, &mut entry);
                end.count(Statistic::Spilled, 1);
                self.overflow_entry(end, &entry).map(|()| Place::Overflow)
            }
            Err(refused) => Err(refused),
        };
        match place {
            Ok(place) => {
                body.take().map(|body| self.bodies.publish(body, 0));
                Ok(Pushed { place, body: envelope.body })
            }
            Err(refused) => {
                body.take().map(|body| self.bodies.abandon(body));
                Err(refused)
            }
        }
    }

    fn fill_slot(
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
        let write = |offset: usize| {
            self.region
                .write(offset, &header[..len])
                .and_then(|()| self.region.write(offset + len, inline))
                .map_err(|_| Fault::Corrupt("a slot lies outside the memory"))
        };
        if self.config.form == Form::OneToOne {
            let mut single = outbox.single.borrow_mut();
            let sender = match &mut *single {
                Some(sender) => sender,
                none => none.insert(
                    SpscSender::attach(ring.clone())
                        .map_err(|_| Fault::Corrupt("the ring's words make no sense"))?,
                ),
            };
            let claim = sender.claim().map_err(refuse)?;
            write(claim.body_offset())?;
            let position = claim.position();
            sender.publish(claim);
            return Ok(position);
        }
        let mut cache = outbox.cache.get();
        let claim = ring.claim(end.seat.index, &mut cache);
        outbox.cache.set(cache);
        let claim = claim.map_err(refuse)?;
        write(claim.body_offset())?;
        let position = claim.position();
        ring.publish(claim);
        Ok(position)
    }

    pub(super) fn pop_slot(
        &self,
        ring: &SlotRing,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<Option<Popped>, Fault> {
        let outside = |_| Fault::Corrupt("a slot lies outside the memory");
        loop {
            let (taken, busy) = self.take_slot(ring, end, inbox)?;
            let Some(taken) = taken else {
                if busy || self.config.capacity != Capacity::Unbounded {
                    return Ok(None);
                }
                match self.pop_overflow_of_ring(ring, end, inbox, into, engagement)? {
                    One::None => return Ok(None),
                    One::Dropped => continue,
                    One::Message(popped) => return Ok(Some(popped)),
                }
            };
            let offset = taken.body_offset();
            let mut header = [0; 32];
            let len = header.len().min(taken.body_len());
            self.region.read(offset, &mut header[..len]).map_err(outside)?;
            let envelope = Envelope::from_slot(&header[..len])
                .filter(|(e, at)| e.body.is_some() || at + e.len as usize <= taken.body_len());
            let Some((envelope, at)) = envelope else {
                ring.release(taken);
                return Err(Fault::Corrupt("a slot holds no envelope"));
            };
            let whole = match (self.claim_message(end, &envelope, engagement), envelope.body) {
                (Claimed::Corpse | Claimed::Declined, _) => Ok(false),
                (Claimed::Mine, None) => self
                    .region
                    .read_append(offset + at, envelope.len as usize, into)
                    .map(|()| true)
                    .map_err(outside),
                (Claimed::Mine, Some(position)) => {
                    self.bodies.take(&self.region, position, envelope.len, end.seat.index, into)
                }
            };
            ring.release(taken);
            self.made_room();
            if whole? {
                return Ok(Some(Popped { sender_pid: envelope.sender_pid }));
            }
        }
    }

    /// The entry at the head of the ring, if it is complete; and whether one is being written.
    fn take_slot(
        &self,
        ring: &SlotRing,
        end: &End,
        inbox: &Inbox,
    ) -> Result<(Option<Taken>, bool), Fault> {
        let corrupt = |_| Fault::Corrupt("the ring's words make no sense");
        if self.config.form == Form::OneToOne {
            let mut single = inbox.single.borrow_mut();
            let receiver = match &mut *single {
                Some(receiver) => receiver,
                none => none.insert(SpscReceiver::attach(ring.clone()).map_err(corrupt)?),
            };
            return Ok((receiver.take(end.seat.index).map_err(corrupt)?, false));
        }
        Ok(match ring.take(end.seat.index).map_err(corrupt)? {
            Take::Entry(taken) => (Some(taken), false),
            Take::Empty => (None, false),
            Take::Busy { .. } => (None, true),
        })
    }

    fn pop_overflow_of_ring(
        &self,
        ring: &SlotRing,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<One, Fault> {
        let Some(head) = self.overflow.first()? else { return Ok(One::None) };
        if !ring.is_empty() {
            return Ok(One::Dropped);
        }
        let Some(entry) = self.overflow.take_if(head, end.seat.index) else {
            return Ok(One::Dropped);
        };
        let mut buffer = inbox.entry.borrow_mut();
        buffer.resize(self.overflow.len_of(&entry), 0);
        let len = self.overflow.read(&self.region, &entry, &mut buffer)?;
        let one = self.open_entry(end, &buffer[..len], into, engagement);
        self.overflow.release(entry);
        one
    }

    pub(crate) fn ring_len(&self, ring: &SlotRing) -> Result<u64, Fault> {
        let corrupt = |_| Fault::Corrupt("the ring's words make no sense");
        ring.len().map(|len| len as u64).map_err(corrupt)
    }
}
