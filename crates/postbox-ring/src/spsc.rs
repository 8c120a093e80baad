//! The slot ring for exactly one sender and one receiver: no read-modify-write instruction.
//!
//! Same memory, words and counting as [`slots`](crate::slots); each end remembers its own position
//! and merely tells the other by a plain store.
//!
//! ```text
//!   sender: body, then         receiver: reads the body, then
//!   word FULL(L), then tail    head
//!  ──────────────────────►    ──────────────────────────────►
//! ```
//!
//! A slot is written by the sender alone: what the receiver stores into a line, the sender has to
//! fetch back before it can write there, and stores become visible in order, so a receiver that
//! marked the slot would also delay whatever it sends in reply. The word of a slot that was taken
//! stays FULL of its lap; only the head tells.
//!
//! A sender killed while it writes leaves nothing: the slot is not FULL of that lap. Killed between
//! the word and the tail, it leaves the tail one behind; the next sender looks at the word and goes
//! on from there. A receiver killed before it moved the head has shown the entry to nobody: the next
//! receiver takes it.

use crate::{
    corrupt::Corrupt,
    slots::{
        Admission, Claim, ClaimCache, ClaimError, Position, Seen, SlotMemory, SlotState, SlotWord,
        Slots, Taken,
    },
    sync::Ordering,
};
use core::cell::Cell;
use postbox_steps::{Step, at};

/// How many slots are touched at a time. More of them take the processor longer than their messages do, and of fewer
/// not enough are on their way together.
const TOUCHED: u32 = 4;

/// The sending end. There must be one at a time.
pub struct SpscSender<M> {
    ring: Slots<M>,
    /// The next position to write. Ours alone; the shared tail is a copy for the others.
    tail: Cell<Position>,
    /// The slots before this position are sure to be free: the head was seen that far.
    limit: Cell<Position>,
}

impl<M: SlotMemory> SpscSender<M> {
    /// Goes on where the sender before left off.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    pub fn attach(ring: Slots<M>) -> Result<SpscSender<M>, Corrupt> {
        // Acquire: pairs with the Release in `publish` of the sender before.
        let mut tail = Position::from_raw(ring.memory().tail().load(Ordering::Acquire));
        // Acquire: pairs with the Release in `publish`.
        let word = SlotWord::from_raw(ring.word(tail)?.load(Ordering::Acquire));
        match word.seen_from(tail) {
            Seen::Now(SlotState::Free) | Seen::Occupied => {}
            Seen::Now(_) | Seen::Done => {
                tail = ring.after(tail);
                // Release: as in `publish`.
                ring.memory().tail().store(tail.raw(), Ordering::Release);
            }
            Seen::Foreign => return Err(Corrupt),
        }
        Ok(SpscSender { ring, tail: Cell::new(tail), limit: Cell::new(tail) })
    }

    /// The ring, for `len` and `withdraw`.
    pub fn ring(&self) -> &Slots<M> {
        &self.ring
    }

    /// The next position to write.
    #[inline]
    pub fn position(&self) -> Position {
        self.tail.get()
    }

    /// The next slot to write. Dropped without `publish` it is simply claimed again.
    ///
    /// Reads nothing that the receiver writes until the room seen last is used up.
    ///
    /// # Errors
    /// As [`Slots::claim`].
    #[inline]
    pub fn claim(&self) -> Result<Claim, ClaimError> {
        if self.is_at_limit() {
            self.look_for_room()?;
        }
        Ok(self.ring.claimed(self.tail.get()))
    }

    /// As [`claim`](SpscSender::claim), but none where the receiver's word would have to be read.
    #[inline]
    pub fn claim_at_once(&self) -> Option<Claim> {
        (!self.is_at_limit()).then(|| self.ring.claimed(self.tail.get()))
    }

    /// Whether the receiver's word has to be read before anything is written.
    #[inline]
    fn is_at_limit(&self) -> bool {
        self.tail.get() == self.limit.get()
    }

    /// Looks at what the receiver writes, and how many slots are free from the tail on.
    #[cold]
    fn look_for_room(&self) -> Result<(), ClaimError> {
        let (ring, tail) = (&self.ring, self.tail.get());
        let mut cache = ClaimCache::new();
        match ring.admission(tail, &mut cache)? {
            Admission::Admitted if ring.is_within(tail, &cache) => {
                self.limit.set(ring.advanced(tail, ring.room(tail, &cache)));
                Ok(())
            }
            Admission::Admitted | Admission::Full => Err(ClaimError::Full),
            // Only the owner of the tail moves it: the head cannot be ahead.
            Admission::Outdated => Err(ClaimError::Corrupt),
        }
    }

    /// Publishes a written slot. A second claim of the same slot is ignored.
    #[inline]
    pub fn publish(&self, claim: Claim) {
        if claim.position() == self.tail.get() {
            self.publish_next();
        }
    }

    /// Publishes the next slot to write, which has been claimed and written: as [`publish`](SpscSender::publish), for
    /// whoever has one claim at a time, and need not keep it while it writes. Without a claim the sender would
    /// never look for room again.
    #[inline(always)]
    pub fn publish_next(&self) {
        debug_assert!(!self.is_at_limit(), "it has not been claimed");
        let position = self.tail.get();
        let tail = self.ring.after(position);
        self.tail.set(tail);
        self.ring.publish_at(position);
        // Only here: with many members the slot's word goes to and fro as it is, and a stream of theirs
        // becomes half as fast.
        self.ring.memory().demote(position.index());
        // Release: pairs with the Acquire loads of the tail; the word is FULL before it.
        self.ring.memory().tail().store(tail.raw(), Ordering::Release);
        at(Step::SpscTailMoved);
    }

    /// Lets the slot after the next come near, for whoever will write it soon. The next one is being looked at by a
    /// receiver that keeps up, and would only be fetched back.
    #[inline]
    pub fn fetch_ahead(&self) {
        self.ring.memory().prefetch(self.ring.after(self.tail.get()).index());
    }

    /// The same where a processor lets come what is written alone: every so many slots it writes something into as
    /// many of those that come, one right after the other, so that their lines are on their way together. To be
    /// called after each [`publish`](SpscSender::publish); no claim from before it may be written any more.
    #[inline]
    pub fn touch_ahead(&self) {
        if self.is_to_touch() {
            self.touch_next();
        }
    }

    /// Whether it is time to touch those that come.
    #[inline]
    pub(crate) fn is_to_touch(&self) -> bool {
        let tail = self.tail.get();
        tail.index().is_multiple_of(TOUCHED)
            && self.ring.distance(tail, self.limit.get()) > i64::from(TOUCHED)
    }

    /// The slots that a touch is about: from the next one to write on, which itself is left alone.
    pub(crate) fn within_touch(&self) -> impl Iterator<Item = Position> {
        let next = Some(self.tail.get());
        core::iter::successors(next, |at| Some(self.ring.after(*at))).take(TOUCHED as usize + 1)
    }

    #[inline(never)]
    pub(crate) fn touch_next(&self) {
        let mut at = self.tail.get();
        for _ in 0..TOUCHED {
            at = self.ring.after(at);
            self.ring.memory().touch(at.index());
        }
    }
}

/// The receiving end. There must be one at a time.
pub struct SpscReceiver<M> {
    ring: Slots<M>,
    /// The next position to take. Ours alone; the shared head is a copy for the others.
    head: Cell<Position>,
}

impl<M: SlotMemory> SpscReceiver<M> {
    /// Goes on where the receiver before left off: at the first entry that it did not release.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    pub fn attach(ring: Slots<M>) -> Result<SpscReceiver<M>, Corrupt> {
        // Acquire: pairs with the Release in `release` of the receiver before.
        let head = Position::from_raw(ring.memory().head().load(Ordering::Acquire));
        ring.word(head)?;
        Ok(SpscReceiver { ring, head: Cell::new(head) })
    }

    /// The ring, for `len` and `is_empty`.
    pub fn ring(&self) -> &Slots<M> {
        &self.ring
    }

    /// The next position to take.
    #[inline]
    pub fn position(&self) -> Position {
        self.head.get()
    }

    /// The next entry, or none where nothing waits. It stays the next until it is released.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    #[inline]
    pub fn take(&self) -> Result<Option<Taken>, Corrupt> {
        let head = self.head.get();
        // Acquire: pairs with the Release in `Slots::publish`; the body is there.
        let word = SlotWord::from_raw(self.ring.word(head)?.load(Ordering::Acquire));
        if word == SlotWord::full(head.lap()) {
            return Ok(Some(self.ring.taken(head)));
        }
        match word.seen_from(head) {
            Seen::Now(SlotState::Free) | Seen::Occupied => Ok(None),
            _ => Err(Corrupt),
        }
    }

    /// As [`take`](SpscReceiver::take), for whoever looks again and again: a slot of two lines is fetched
    /// whole each time, so that its second line comes along with the first.
    ///
    /// # Errors
    /// As `take`.
    #[inline]
    pub fn fetch_and_take(&self) -> Result<Option<Taken>, Corrupt> {
        self.ring.memory().fetch_rest(self.head.get().index());
        self.take()
    }

    /// Moves on: the entry is taken, and there is room for another. A second release is ignored.
    ///
    /// Where the ring has more slots than may wait, this one stays as it is until the next entry is released:
    /// the sender does not come round to the slot before the head.
    #[inline]
    pub fn release(&self, taken: Taken) {
        if taken.position() != self.head.get() {
            return;
        }
        let head = self.ring.after(self.head.get());
        self.head.set(head);
        // Release: pairs with the Acquire loads of the head; the body has been read before it.
        self.ring.memory().head().store(head.raw(), Ordering::Release);
        at(Step::SpscHeadMoved);
    }
}
