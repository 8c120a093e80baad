//! One message in, one message out: where the rules meet the objects that carry.
//!
//! ```text
//!  push: [body to shared memory if large] → ticket → kernel object, or overflow if there is more
//!        behind or no room → done
//!  pop:  kernel object → else the head of the overflow, seen before the object was seen empty
//!        → settle the offer → copy the body out → count it gone → done
//! ```
//!
//! **Order across the overflow.** While the overflow holds entries nobody returns to the kernel
//! object, so a sender's later message is never in front of an earlier one. A receiver takes from
//! the overflow only entry *h* that it saw published, then found the object empty, and then still
//! found at the head: whatever the sender of *h* had put into the object before has been taken.

use super::admission::Ticket;
use super::end::End;
use super::envelope::{CellRef, Envelope};
use super::members::{Doing, Role, Statistic};
use super::receipts::{Settled, Taker};
use super::rendezvous::Engagement;
use super::spool::{Body, Entry, NoSpace};
use super::{Awaited, Carrier, Channel};
use crate::error::Fault;
use crate::mechanism::{Capacity, Form};
use crate::queue::{KernelQueue, Refused};
use postbox_ring::slots::{ClaimCache, ClaimError, Position, SlotRing, Take, Taken};
use postbox_ring::slots::MappedSlots;
use postbox_ring::spsc::{SpscReceiver, SpscSender};
use postbox_ring::sync::Ordering::{Relaxed, Release, SeqCst};
use postbox_ring::sync::fence;
use std::cell::{Cell, RefCell};

/// What a sending end keeps between messages.
#[derive(Default)]
pub(crate) struct Outbox {
    /// The limit of tickets that it saw last.
    limit: Cell<u64>,
    cache: Cell<ClaimCache>,
    single: RefCell<Option<SpscSender<MappedSlots>>>,
    entry: RefCell<Vec<u8>>,
}

/// What a receiving end keeps between messages.
#[derive(Default)]
pub(crate) struct Inbox {
    single: RefCell<Option<SpscReceiver<MappedSlots>>>,
    entry: RefCell<Vec<u8>>,
}

/// A message on its way in.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'m> {
    pub bytes: &'m [u8],
    pub cell: Option<CellRef>,
    pub engaging: bool,
}

/// Why it did not go in; nothing of it is left anywhere.
#[derive(Debug)]
pub(crate) enum NotPushed {
    Full,
    ByteCap,
    Fault(Fault),
}

impl From<Fault> for NotPushed {
    fn from(fault: Fault) -> Self {
        NotPushed::Fault(fault)
    }
}

/// What it takes to withdraw an offer.
#[derive(Debug)]
pub(crate) struct Pushed {
    place: Place,
    body: Option<u64>,
}

#[derive(Debug)]
enum Place {
    Slot(Position),
    /// In the kernel object or the overflow, with a ticket of that epoch.
    Ticket(u16),
    /// In the overflow of a ring, where nothing is counted.
    Overflow,
}

/// A message that was taken; its bytes are in the caller's buffer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Popped {
    pub sender_pid: u32,
}

/// What to do with an entry that was taken from the object.
enum Claimed {
    /// Show it to the application.
    Mine,
    /// Drop it: it was withdrawn or lost, and counted then.
    Corpse,
    /// Drop it and count it: it was sent back to be offered again.
    Declined,
}

impl Channel {
    pub(crate) fn push(
        &self,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
    ) -> Result<Pushed, NotPushed> {
        let pushed = match &self.carrier {
            Carrier::Kernel(queue) => {
                let member = end.member();
                member.begin();
                let pushed = self.push_entry(queue, end, outbox, message);
                let offering = message.cell.is_some() && pushed.is_ok();
                member.end(if offering { Doing::Offering } else { Doing::Idle });
                end.mend();
                pushed?
            }
            Carrier::Ring(ring) => {
                let pushed = self.push_slot(ring, end, outbox, message)?;
                self.published();
                pushed
            }
        };
        if message.cell.is_some() {
            self.block.control.offers.fetch_add(1, Relaxed);
        }
        end.count(Statistic::Messages, 1);
        end.count(Statistic::Bytes, message.bytes.len() as u64);
        Ok(pushed)
    }

    fn push_entry(
        &self,
        queue: &KernelQueue,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
    ) -> Result<Pushed, NotPushed> {
        let overhead = Envelope::entry_overhead(message.cell.is_some());
        if overhead + message.bytes.len() > self.config.entry_limit {
            return self.push_large(queue, end, outbox, message);
        }
        let ticket = self.admit(outbox, message.cell)?;
        self.put_message(queue, end, outbox, message, ticket, None)
    }

    /// A message whose body does not fit an entry.
    #[cold]
    fn push_large(
        &self,
        queue: &KernelQueue,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
    ) -> Result<Pushed, NotPushed> {
        // No body is written for a channel that is full anyway.
        if self.config.window().is_some_and(|n| self.block.admitted() >= n) {
            return Err(NotPushed::Full);
        }
        let body = self.store_body(end, message.bytes)?;
        let pushed = self.admit(outbox, message.cell).and_then(|ticket| {
            self.put_message(queue, end, outbox, message, ticket, Some(body.position()))
                .map(|pushed| (pushed, ticket.epoch as u8))
        });
        match pushed {
            Ok((pushed, label)) => {
                self.bodies.publish(body, label);
                Ok(pushed)
            }
            Err(refused) => {
                self.bodies.abandon(body);
                Err(refused)
            }
        }
    }

    #[inline]
    fn admit(&self, outbox: &Outbox, cell: Option<CellRef>) -> Result<Ticket, NotPushed> {
        let ticket = self.block.admit(self.window, &outbox.limit).ok_or(NotPushed::Full)?;
        if let Some(cell) = cell {
            self.block.date_cell(cell, ticket.epoch);
        }
        Ok(ticket)
    }

    /// Pushes the entry of an admitted message; gives the room back if that fails.
    #[inline]
    fn put_message(
        &self,
        queue: &KernelQueue,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
        ticket: Ticket,
        body: Option<u64>,
    ) -> Result<Pushed, NotPushed> {
        let envelope = Envelope {
            epoch: ticket.epoch as u8,
            ticket: ticket.number,
            sender_pid: end.pid(),
            len: message.bytes.len() as u32,
            cell: message.cell,
            engaging: message.engaging,
            body,
        };
        let mut entry = outbox.entry.borrow_mut();
        envelope.write_entry(message.bytes, &mut entry);
        match self.put_entry(queue, end, &entry) {
            Ok(spilled) => {
                if spilled || body.is_some() {
                    end.count(Statistic::Spilled, 1);
                }
                Ok(Pushed { place: Place::Ticket(ticket.epoch), body })
            }
            Err(refused) => {
                self.gone(ticket.epoch);
                Err(refused)
            }
        }
    }

    /// Puts an entry into the kernel object, or behind what overflows; true if it overflowed.
    fn put_entry(&self, queue: &KernelQueue, end: &End, entry: &[u8]) -> Result<bool, NotPushed> {
        // The overflow is looked at after the ticket was taken: a repair relies on it.
        if self.overflow.is_empty() {
            match queue.push(entry) {
                Ok(()) => return Ok(false),
                Err(Refused::Full) => {}
                Err(Refused::Fault(fault)) => return Err(fault.into()),
            }
        }
        self.overflow_entry(end, entry)?;
        self.published();
        Ok(true)
    }

    /// A message was published where the kernel wakes nobody.
    fn published(&self) {
        fence(SeqCst);
        self.bells.ring_one(&self.block.control, Awaited::Message);
        self.raise_level();
    }

    fn overflow_entry(&self, end: &End, entry: &[u8]) -> Result<(), NotPushed> {
        self.overflow
            .push(&self.region, &self.memory, end.seat.index, entry)
            .map_err(|no_space| self.no_space(no_space))
    }

    fn store_body(&self, end: &End, bytes: &[u8]) -> Result<Body, NotPushed> {
        self.bodies
            .store(&self.region, &self.memory, end.seat.index, bytes)
            .map_err(|no_space| self.no_space(no_space))
    }

    /// Room in shared memory comes back when others receive; where the capacity is bounded, that
    /// is what a full channel means.
    fn no_space(&self, no_space: NoSpace) -> NotPushed {
        match no_space {
            NoSpace::Now if self.config.capacity == Capacity::Unbounded => NotPushed::ByteCap,
            NoSpace::Now => NotPushed::Full,
            NoSpace::Ever => NotPushed::ByteCap,
            NoSpace::Fault(fault) => NotPushed::Fault(fault),
        }
    }

    fn push_slot(
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

    /// After an offer was withdrawn: its room comes back at once, the entry stays as a corpse.
    pub(crate) fn withdrawn(&self, pushed: Pushed) {
        if let Place::Ticket(epoch) = pushed.place {
            self.gone(epoch);
        }
        self.settled(pushed);
    }

    /// After an offer was declined or lost, and counted by others: what is left of it goes.
    pub(crate) fn settled(&self, pushed: Pushed) {
        if let Some(position) = pushed.body {
            self.bodies.discard(position);
        }
        if let (Place::Slot(position), Carrier::Ring(ring)) = (pushed.place, &self.carrier) {
            let _ = ring.withdraw(position);
            self.made_room();
        }
    }

    /// A ticketed message counts no more.
    pub(crate) fn gone(&self, epoch: u16) {
        self.block.count_gone(epoch);
        self.bells.ring_one(&self.block.control, Awaited::Room);
    }

    fn made_room(&self) {
        fence(SeqCst);
        self.bells.ring_one(&self.block.control, Awaited::Room);
    }

    /// Takes the next message into `into`, behind what it holds; `None` where there is none.
    pub(crate) fn pop(
        &self,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
    ) -> Result<Option<Popped>, Fault> {
        let engagement = Engagement::of(end);
        let popped = match &self.carrier {
            Carrier::Kernel(queue) => self.pop_entry(queue, end, inbox, into, &engagement)?,
            Carrier::Ring(ring) => self.pop_slot(ring, end, inbox, into, &engagement)?,
        };
        match popped {
            Some(_) => {
                end.count(Statistic::Messages, 1);
                end.count(Statistic::Bytes, into.len() as u64);
            }
            None => self.right_offers(),
        }
        self.lower_level();
        Ok(popped)
    }

    /// A throttle that deaths may have left too high, when nothing lies here.
    fn right_offers(&self) {
        if self.block.control.offers.load(Relaxed) != 0 && self.is_drained() {
            self.block.control.offers.store(0, Relaxed);
        }
    }

    fn pop_entry(
        &self,
        queue: &KernelQueue,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<Option<Popped>, Fault> {
        let member = end.member();
        let mut buffer = inbox.entry.borrow_mut();
        if buffer.len() != self.config.entry_limit {
            buffer.resize(self.config.entry_limit, 0);
        }
        loop {
            member.begin();
            let outcome = self.pop_one(queue, end, &mut buffer, into, engagement);
            member.end(Doing::Idle);
            end.mend();
            match outcome? {
                One::None => {
                    return Ok(None);
                }
                One::Dropped => {}
                One::Message(popped) => return Ok(Some(popped)),
            }
        }
    }

    fn pop_one(
        &self,
        queue: &KernelQueue,
        end: &End,
        buffer: &mut [u8],
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<One, Fault> {
        // The head is seen before the object is seen empty: see the order across the overflow.
        let head = if self.overflow.is_empty() { None } else { self.overflow.first()? };
        let mut taken: Option<Entry> = None;
        let len = match (queue.pop(buffer)?, head) {
            (Some(len), _) => len,
            (None, None) if self.overflow.first()?.is_none() => return Ok(One::None),
            // Published just now: look again, in the right order.
            (None, None) => return Ok(One::Dropped),
            (None, Some(head)) => {
                let Some(entry) = self.overflow.take_if(head, end.seat.index) else {
                    return Ok(One::Dropped);
                };
                let len = self.overflow.read(&self.region, &entry, buffer)?;
                taken = Some(entry);
                len
            }
        };
        let one = self.open_entry(end, &buffer[..len], into, engagement);
        if let Some(entry) = taken {
            self.overflow.release(entry);
        }
        one
    }

    fn open_entry(
        &self,
        end: &End,
        entry: &[u8],
        into: &mut Vec<u8>,
        engagement: &Engagement<'_>,
    ) -> Result<One, Fault> {
        let Some((envelope, at)) = Envelope::from_entry(entry) else {
            return Err(Fault::Corrupt("an entry is no envelope"));
        };
        // One more than the ticket, so that none at all is 0. Pairs with the load in `pump`.
        end.member().last_ticket.store(envelope.ticket + 1, Release);
        let ticketed = matches!(self.carrier, Carrier::Kernel(_));
        match self.claim_message(end, &envelope, engagement) {
            Claimed::Mine => {}
            Claimed::Corpse => return Ok(One::Dropped),
            Claimed::Declined => {
                if ticketed {
                    self.gone(envelope.epoch.into());
                }
                return Ok(One::Dropped);
            }
        }
        let whole = match envelope.body {
            None => {
                into.extend_from_slice(&entry[at..]);
                true
            }
            Some(position) => self.bodies.take(&self.region, position, envelope.len, end.seat.index, into)?,
        };
        if ticketed {
            self.gone(envelope.epoch.into());
        }
        // A body that is gone was that of a sender which died before its send was done.
        Ok(if whole { One::Message(Popped { sender_pid: envelope.sender_pid }) } else { One::Dropped })
    }

    /// Decides, before the application sees a byte, whose message this is.
    fn claim_message(
        &self,
        end: &End,
        envelope: &Envelope,
        engagement: &Engagement<'_>,
    ) -> Claimed {
        let Some(offer) = envelope.cell else { return Claimed::Mine };
        let offers = &self.block.control.offers;
        let _ = offers.fetch_update(Relaxed, Relaxed, |offers| offers.checked_sub(1));
        if !engagement.may_take(offer) {
            return match self.block.decline_offer(offer) {
                Settled::Taken { wake } => {
                    if wake {
                        self.bells.ring_receipt();
                    }
                    Claimed::Declined
                }
                Settled::Corpse => Claimed::Corpse,
            };
        }
        let taker = Taker { index: end.seat.index, pid: end.pid() };
        match self.block.settle_offer(offer, taker) {
            Settled::Taken { wake } => {
                if wake {
                    self.bells.ring_receipt();
                }
                Claimed::Mine
            }
            Settled::Corpse => {
                engagement.resume();
                Claimed::Corpse
            }
        }
    }

    fn pop_slot(
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

    /// Whether nothing waits, neither in front nor in the overflow.
    pub(crate) fn is_drained(&self) -> bool {
        let front = match &self.carrier {
            Carrier::Kernel(queue) => queue.is_empty(),
            Carrier::Ring(ring) => ring.is_empty(),
        };
        front && self.overflow.is_empty()
    }

    /// Pollables are readable now.
    pub(crate) fn raise_level(&self) {
        // SeqCst: after the publication; pairs with the increment when a pollable is made.
        if self.block.control.pollables.load(SeqCst) > 0 {
            let _ = postbox_sys::eventfd::ring(self.bells.level());
        }
    }

    /// Pollables are readable no more, unless there is something to receive.
    fn lower_level(&self) {
        let nobody = self.block.control.pollables.load(SeqCst) == 0;
        // Disconnection stays to be received for ever.
        if nobody || !self.is_drained() || self.block.live(Role::Sender) == 0 {
            return;
        }
        let _ = postbox_sys::eventfd::clear(self.bells.level());
        // What came in between has its ring cleared with the rest: look again.
        fence(SeqCst);
        if !self.is_drained() {
            self.raise_level();
        }
    }
}

enum One {
    None,
    Dropped,
    Message(Popped),
}
