//! The slot ring for exactly one sender and one receiver: no read-modify-write instruction.
//!
//! Same memory, words and counting as [`slots`](crate::slots); each end remembers its own position
//! and merely tells the other by a plain store.
//!
//! ```text
//!            sender: body, then        receiver: took it        receiver: is done
//!  FREE(L) ───────────────────► FULL(L) ──────────► READING(L,m) ──────────► FREE(L+1)
//!             store, then tail            store, then head          store
//! ```
//!
//! A sender killed while it writes leaves the slot FREE: nothing to settle. Killed between a word
//! and the position that follows it, an end leaves that position one behind; whoever attaches next
//! looks at the word and goes on from there. A receiver's taken slots are settled with
//! [`Slots::settle`], as in the ring for many.

use crate::{
    corrupt::Corrupt,
    slots::{
        Admission, Claim, ClaimCache, ClaimError, Position, Seen, SlotMemory, SlotState, SlotWord,
        Slots, Taken,
    },
    sync::Ordering,
};

/// The sending end. There must be one at a time.
pub struct SpscSender<M> {
    ring: Slots<M>,
    /// The next position to write. Ours alone; the shared tail is a copy for the others.
    tail: Position,
    cache: ClaimCache,
}

impl<M: SlotMemory> SpscSender<M> {
    /// Goes on where the sender before left off.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    pub fn attach(ring: Slots<M>) -> Result<SpscSender<M>, Corrupt> {
        // Acquire: pairs with the Release in `publish` of the sender before.
        let mut tail = Position::from_raw(ring.memory().tail().load(Ordering::Acquire));
        // Acquire: pairs with the Release in `publish` and `release`.
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
        Ok(SpscSender { ring, tail, cache: ClaimCache::new() })
    }

    /// The ring, for `len`, `withdraw` and `settle`.
    pub fn ring(&self) -> &Slots<M> {
        &self.ring
    }

    /// The next slot to write. Dropped without `publish` it is simply claimed again.
    ///
    /// # Errors
    /// As [`Slots::claim`].
    #[inline]
    pub fn claim(&mut self) -> Result<Claim, ClaimError> {
        let tail = self.tail;
        // Acquire: pairs with the Release in `Slots::release`; the body has been read.
        let word = SlotWord::from_raw(self.ring.word(tail)?.load(Ordering::Acquire));
        if word != SlotWord::free(tail.lap()) {
            return match word.seen_from(tail) {
                Seen::Occupied => Err(ClaimError::Full),
                _ => Err(ClaimError::Corrupt),
            };
        }
        match self.ring.admission(tail, &mut self.cache)? {
            Admission::Admitted => Ok(self.ring.claimed(tail)),
            Admission::Full => Err(ClaimError::Full),
            // Only the owner of the tail moves it: the head cannot be ahead.
            Admission::Outdated => Err(ClaimError::Corrupt),
        }
    }

    /// Publishes a written slot. A second claim of the same slot is ignored.
    #[inline]
    pub fn publish(&mut self, claim: Claim) {
        if claim.position() != self.tail {
            return;
        }
        self.tail = self.ring.after(self.tail);
        self.ring.publish(claim);
        // Release: pairs with the Acquire loads of the tail; the word is FULL before it.
        self.ring.memory().tail().store(self.tail.raw(), Ordering::Release);
    }
}

/// The receiving end. There must be one at a time.
pub struct SpscReceiver<M> {
    ring: Slots<M>,
    /// The next position to take. Ours alone; the shared head is a copy for the others.
    head: Position,
}

impl<M: SlotMemory> SpscReceiver<M> {
    /// Goes on where the receiver before left off. What that one had taken stays taken, until it is
    /// released or settled.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    pub fn attach(ring: Slots<M>) -> Result<SpscReceiver<M>, Corrupt> {
        ring.pass_over()?;
        // Acquire: pairs with the Release in `take` of the receiver before.
        let head = Position::from_raw(ring.memory().head().load(Ordering::Acquire));
        ring.word(head)?;
        Ok(SpscReceiver { ring, head })
    }

    /// The ring, for `len`, `is_empty` and `settle`.
    pub fn ring(&self) -> &Slots<M> {
        &self.ring
    }

    /// Takes the next entry for `member`, or none where nothing waits.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    #[inline]
    pub fn take(&mut self, member: u16) -> Result<Option<Taken>, Corrupt> {
        let head = self.head;
        let cell = self.ring.word(head)?;
        // Acquire: pairs with the Release in `Slots::publish`; the body is there.
        let word = SlotWord::from_raw(cell.load(Ordering::Acquire));
        if word != SlotWord::full(head.lap()) {
            return match word.seen_from(head) {
                Seen::Now(SlotState::Free) | Seen::Occupied => Ok(None),
                _ => Err(Corrupt),
            };
        }
        // Release: pairs with the Acquire of a full-up sender that moves the head over this word:
        // it must see the head that was stored for the entry before.
        cell.store(SlotWord::reading(head.lap(), member).raw(), Ordering::Release);
        self.head = self.ring.after(head);
        // Release: pairs with the Acquire loads of the head.
        self.ring.memory().head().store(self.head.raw(), Ordering::Release);
        Ok(Some(self.ring.taken(head)))
    }

    /// Gives the slot back for the next lap.
    #[inline]
    pub fn release(&self, taken: Taken) {
        self.ring.release(taken);
    }
}
