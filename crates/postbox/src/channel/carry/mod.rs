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
//! found at the head: whatever the sender of *h* had put into the object before has been taken. So once it has
//! found the object empty it asks no more for whatever had its place in the overflow by then.
//!
//! **Several at a time** share an entry, and so a system call, where there is one receiver: see
//! [`packet`], and [`held`] for what that one then holds.

mod drops;
mod fast_path;
mod front;
mod held;
mod kernel;
mod loan;
mod open;
mod pace;
mod packet;
mod paired;
mod ring;
mod slot;

pub(super) use drops::Drops;
pub(crate) use fast_path::{FastPath, Glance, Missed};
pub(crate) use loan::{Kept, Lending};
pub(crate) use packet::{Gathered, Went};
pub(crate) use slot::InSlot;

use self::held::Rest;
use self::pace::Solo;
use super::end::End;
use super::envelope::CellRef;
use super::members::Doing;
use super::spool::{Body, NoSpace};
use super::turn::Engagement;
use super::{Awaited, Carrier, Channel};
use crate::error::Fault;
use crate::mechanism::Capacity;
use postbox_ring::slots::{ClaimCache, MappedSlots, Position, SlotRing};
use postbox_ring::spsc::SpscReceiver;
use postbox_ring::sync::Ordering::{Relaxed, SeqCst};
use postbox_ring::sync::fence;
use postbox_steps::{ARMED, Step, at};
use std::cell::{Cell, OnceCell, RefCell};

/// A receiver looks so often, among the times that there was nothing, whether the count of offers is right.
const RIGHT_EVERY: u32 = if ARMED { 2 } else { 64 };

/// What a sending end keeps between messages.
#[derive(Default)]
pub(crate) struct Outbox {
    /// The limit of tickets that it saw last.
    limit: Cell<u64>,
    cache: Cell<ClaimCache>,
    single: OnceCell<Solo>,
    entry: RefCell<Vec<u8>>,
    /// Messages that are to share a packet; empty but in the middle of a batch.
    gathered: RefCell<Gathered>,
}

impl Outbox {
    /// For one batch.
    pub(crate) fn take_gathered(&self) -> Gathered {
        self.gathered.take()
    }

    /// For the next one: it keeps its memory.
    pub(crate) fn keep_gathered(&self, gathered: Gathered) {
        *self.gathered.borrow_mut() = gathered;
    }
}

/// What a receiving end keeps between messages.
pub(crate) struct Inbox {
    single: OnceCell<SpscReceiver<MappedSlots>>,
    entry: RefCell<Vec<u8>>,
    /// Whether there may be something that comes before the kernel object; see [`held`].
    ahead: Cell<bool>,
    /// What is held of a packet, in `entry`.
    rest: Cell<Rest>,
    /// An entry that found no room in front.
    stray: RefCell<Option<Vec<u8>>>,
    /// What overflowed before this position has nothing in front of it in the kernel object.
    cleared: Cell<u64>,
    /// How often there was nothing.
    empty: Cell<u32>,
}

impl Inbox {
    /// Whether there may be something that comes before the kernel object.
    #[inline]
    pub(crate) fn looks_ahead(&self) -> bool {
        self.ahead.get()
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox {
            single: OnceCell::new(),
            entry: RefCell::default(),
            // Whoever had the end before may have left something there.
            ahead: Cell::new(true),
            rest: Cell::default(),
            stray: RefCell::default(),
            cleared: Cell::default(),
            empty: Cell::default(),
        }
    }
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
    /// No ticket, or no slot.
    Full,
    /// What waits takes up the byte cap, and the capacity is bounded: some of it will be received.
    NoSpace,
    /// What waits takes up the byte cap, and the capacity is not bounded.
    ByteCap,
    /// No channel with this byte cap ever holds the message: this is the most that one can.
    TooLarge(usize),
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

impl Channel {
    #[inline(always)]
    pub(crate) fn push(
        &self,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
    ) -> Result<Pushed, NotPushed> {
        match message.cell {
            None => self.put(end, outbox, message),
            Some(_) => self.push_offer(end, outbox, message),
        }
    }

    #[inline(never)]
    fn push_offer(
        &self,
        end: &End,
        outbox: &Outbox,
        message: Outgoing<'_>,
    ) -> Result<Pushed, NotPushed> {
        // Before anybody can pop it.
        self.block.control.offers.word.fetch_add(1, Relaxed);
        at(Step::OfferCounted);
        let pushed = self.put(end, outbox, message);
        if pushed.is_err() {
            // Whom it kept from offering is rung when one of the others is popped.
            self.uncount_offer();
        }
        pushed
    }

    #[inline(always)]
    fn put(&self, end: &End, outbox: &Outbox, message: Outgoing<'_>) -> Result<Pushed, NotPushed> {
        match &self.carrier {
            Carrier::Kernel(queue) => {
                let member = end.member();
                member.begin();
                let pushed = self.push_entry(queue, end, outbox, message);
                let offering = message.cell.is_some() && pushed.is_ok();
                member.end(if offering { Doing::Offering } else { Doing::Idle });
                end.mend();
                if self.queues {
                    self.fence_and_raise_level();
                }
                pushed
            }
            Carrier::Ring(ring) => {
                let pushed = self.push_slot(ring, end, outbox, message)?;
                self.published();
                Ok(pushed)
            }
        }
    }

    /// Pushes a message by itself into a ring, and leaves it to [`tell`](Self::tell) that it is there.
    #[inline]
    pub(crate) fn push_untold(
        &self,
        end: &End,
        outbox: &Outbox,
        bytes: &[u8],
    ) -> Result<(), NotPushed> {
        let Carrier::Ring(ring) = &self.carrier else { return Err(NotPushed::Full) };
        if self.fast_path == FastPath::ForTwo && self.put_for_two(end, outbox, bytes) {
            return Ok(());
        }
        let message = Outgoing { bytes, cell: None, engaging: false };
        self.push_slot(ring, end, outbox, message).map(drop)
    }

    /// So many messages are there that nobody was told of: one barrier and one look for all.
    pub(crate) fn tell(&self, count: u64) {
        if count > 0 {
            self.barrier();
            self.bells.ring_many(&self.block.control, count);
            self.raise_level_for_message();
        }
    }

    /// Takes the next message into `into`, behind what it holds; `None` where there is none.
    #[inline(always)]
    pub(crate) fn pop(
        &self,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
    ) -> Result<Option<Popped>, Fault> {
        match self.fast_path {
            FastPath::ForTwo => {
                if let Ok(popped) = self.receive_slot(end, inbox, into) {
                    return Ok(Some(popped));
                }
            }
            FastPath::Kernel => match self.receive_entry(end, inbox, into)? {
                Ok(popped) => return Ok(Some(popped)),
                Err(Missed::Empty) => {
                    self.nothing_popped(inbox);
                    return Ok(None);
                }
                Err(Missed::Unusual) => {}
            },
            FastPath::ForMany | FastPath::None => {}
        }
        let engagement = Engagement::of(end);
        let before = into.len();
        let popped = match &self.carrier {
            Carrier::Kernel(queue) => self.pop_entry(queue, end, inbox, into, &engagement)?,
            Carrier::Ring(ring) => self.pop_slot(ring, end, inbox, into, &engagement)?,
        };
        match popped {
            Some(_) => end.count_message(into.len() - before),
            None => self.nothing_popped(inbox),
        }
        self.lower_level(end);
        Ok(popped)
    }

    /// Now and then the throttle is looked at: its senders write it for each offer.
    #[inline(always)]
    fn nothing_popped(&self, inbox: &Inbox) {
        let empty = inbox.empty.get().wrapping_add(1);
        inbox.empty.set(empty);
        if empty.is_multiple_of(RIGHT_EVERY) {
            self.right_offers();
        }
    }

    /// One offer less: by its sender when it knows how it ended, unless it was withdrawn. A corpse, or one whose
    /// sender does not wait, is uncounted by whoever pops it.
    pub(crate) fn uncount_offer(&self) {
        let offers = &self.block.control.offers.word;
        let _ = offers.fetch_update(Relaxed, Relaxed, |offers| offers.checked_sub(1));
        at(Step::OfferUncounted);
    }

    /// A throttle that deaths may have left too high, when nothing lies here.
    #[cold]
    pub(crate) fn right_offers(&self) {
        let offers = &self.block.control.offers.word;
        // SeqCst: the count, then the queue, then the cells, of which each offer had one before it was counted.
        let seen = offers.load(SeqCst);
        if seen == 0 || !self.is_drained() {
            return;
        }
        // Taken, and their senders have yet to take them off.
        let under_way = self.block.offers_under_way();
        if under_way < seen && offers.compare_exchange(seen, under_way, SeqCst, Relaxed).is_ok() {
            at(Step::OffersRighted);
            self.freed();
        }
    }

    /// After an offer was withdrawn: its room comes back at once, the entry stays as a corpse.
    pub(crate) fn withdrawn(&self, end: &End, pushed: Pushed) {
        if let Place::Ticket(epoch) = pushed.place {
            self.gone(end, epoch);
        }
        self.settled(pushed);
    }

    /// After an offer was declined or lost, and counted by others: what is left of it goes.
    pub(crate) fn settled(&self, pushed: Pushed) {
        if let Some(position) = pushed.body {
            self.bodies.discard(position);
            at(Step::BodyTakenBack);
        }
        if let (Place::Slot(position), Carrier::Ring(ring)) = (pushed.place, &self.carrier) {
            let _ = self.look_in(ring, |ring| ring.withdraw(position));
            self.freed();
        }
    }

    /// A message was published where the kernel wakes nobody.
    #[inline]
    pub(crate) fn published(&self) {
        self.barrier();
        self.bells.ring_one(&self.block.control, Awaited::Message);
        self.raise_level_for_message();
    }

    /// Pollables of receivers that queue for the floor do not watch the kernel object.
    #[cold]
    fn fence_and_raise_level(&self) {
        fence(SeqCst);
        self.raise_level_for_message();
    }

    /// A ticketed message counts no more.
    #[inline(always)]
    pub(crate) fn gone(&self, end: &End, epoch: u16) {
        let control = &self.block.control;
        control.admission().count_gone(epoch, end.lane);
        if end.lane.is_some() {
            self.barrier_after_store();
        }
        self.bells.ring_freed(control);
    }

    /// The same of several with tickets of one epoch.
    pub(super) fn many_gone(&self, end: &End, epoch: u16, count: u64) {
        self.block.control.admission().count_many_gone(epoch, count, end.lane);
        if end.lane.is_some() {
            self.barrier_after_store();
        }
        self.bells.ring_freed(&self.block.control);
    }

    /// So many tickets of one epoch are given back by the sender that took them: room for others, and nothing
    /// that anybody lacks besides. It may be back in a moment, to find that it lacks the same again.
    #[cold]
    pub(super) fn not_sent(&self, end: &End, epoch: u16, count: u64) {
        self.block.control.admission().count_many_gone(epoch, count, end.lane);
        self.bells.ring_for_room(&self.block.control);
    }

    /// A slot, bytes, a cell or an offer is free again.
    #[inline(always)]
    pub(crate) fn freed(&self) {
        self.barrier();
        self.bells.ring_freed(&self.block.control);
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
            NoSpace::Now => NotPushed::NoSpace,
            NoSpace::Ever(most) => NotPushed::TooLarge(most),
            NoSpace::Fault(fault) => NotPushed::Fault(fault),
        }
    }

    /// Whether nothing waits, but for what some end holds.
    pub(crate) fn is_drained(&self) -> bool {
        let front = match &self.carrier {
            Carrier::Kernel(queue) => queue.is_empty(),
            Carrier::Ring(ring) => self.look_in(ring, SlotRing::is_empty),
        };
        front && self.overflow.is_empty() && self.front_is_empty()
    }
}
