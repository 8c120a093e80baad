//! Producers: claim a slot, write its body, publish it.

use super::{Claim, ClaimError, Position, Seen, SlotMemory, SlotState, SlotWord, Slots};
use crate::{
    corrupt::{Corrupt, ROUNDS},
    sync::{AtomicU64, Ordering, store_over},
};
use postbox_steps::{Step, at};

/// What a sender remembers of the head, so that it reads that line once in `n` messages.
///
/// Private to one sender. It may be out of date: the head only moves on, so an old one errs towards
/// Full, and then it is read again.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClaimCache {
    /// None before it was read once: no position is behind all others, since laps wrap.
    head: Option<Position>,
}

impl ClaimCache {
    /// Knows nothing yet.
    pub const fn new() -> ClaimCache {
        ClaimCache { head: None }
    }
}

/// Whether the window lets a position be claimed.
pub(crate) enum Admission {
    Admitted,
    Full,
    /// The position is behind the head: others have claimed it long ago.
    Outdated,
}

impl<M: SlotMemory> Slots<M> {
    /// Claims the next slot for `member`.
    ///
    /// # Errors
    /// [`ClaimError::Full`] where `n` live entries wait at this moment, or where the slot itself is
    /// still being read or holds a withdrawn entry; [`ClaimError::Corrupt`] where memory makes no sense.
    #[inline]
    pub fn claim(&self, member: u16, cache: &mut ClaimCache) -> Result<Claim, ClaimError> {
        let counter = self.memory().tail();
        for _ in 0..ROUNDS {
            // Acquire: pairs with the Release in `advance`.
            let tail = Position::from_raw(counter.load(Ordering::Acquire));
            let cell = self.word(tail)?;
            // Acquire: pairs with the Release in `release`, whose reads of the body are then over.
            let word = SlotWord::from_raw(cell.load(Ordering::Acquire));
            if word == SlotWord::free(tail.lap()) {
                match self.admission(tail, cache)? {
                    Admission::Admitted if self.seize(cell, tail, member) => {
                        at(Step::SlotClaimed);
                        self.advance(counter, tail);
                        at(Step::SlotTailMoved);
                        return Ok(self.claimed(tail));
                    }
                    Admission::Full => return Err(ClaimError::Full),
                    Admission::Admitted | Admission::Outdated => {}
                }
            } else {
                self.unclaimable(tail, word)?;
            }
        }
        Err(ClaimError::Corrupt)
    }

    #[inline]
    fn seize(&self, cell: &AtomicU64, tail: Position, member: u16) -> bool {
        let (free, writing) = (SlotWord::free(tail.lap()), SlotWord::writing(tail.lap(), member));
        // Acquire: pairs with the Release in `release`, as the load before did. Nothing is
        // published by it: the body comes with `publish`.
        cell.compare_exchange(free.raw(), writing.raw(), Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Publishes a written slot: from now on it may be taken.
    #[inline]
    pub fn publish(&self, claim: Claim) {
        let next = self.after(claim.position).index();
        let own = claim.position.index();
        self.publish_at(claim.position);
        // The receiver wrote FREE into the next slot long ago: fetching it now keeps the miss off
        // the next claim's path. A ring of one slot leaves it to its receiver.
        if next != own {
            self.memory().prefetch(next);
        }
    }

    /// As [`publish`](Slots::publish), and nothing else.
    #[inline]
    pub(crate) fn publish_at(&self, position: Position) {
        if let Ok(cell) = self.word(position) {
            // Release: pairs with the Acquire in `take`, which then sees the body. A plain store
            // does: while its claimer lives nobody else changes a WRITING word, or makes it anything
            // else than that (where the slot is handed over from a pair).
            store_over(cell, SlotWord::full(position.lap()).raw());
            at(Step::SlotPublished);
        }
    }

    /// Gives a claimed slot up unwritten: takers pass over it, and it no longer counts.
    pub fn abandon(&self, claim: Claim) {
        if let Ok(cell) = self.word(claim.position) {
            // Release: pairs with the Acquire loads of words, so that whoever claims the slot next
            // writes its body after what was written here.
            cell.store(SlotWord::skip(claim.position.lap()).raw(), Ordering::Release);
            // An error stays in the memory, and the next operation reports it.
            let _ = self.raise_hint(self.after(claim.position));
        }
    }

    /// What to do about a slot at the tail that is not free: Ok to look again.
    #[inline(never)]
    pub(crate) fn unclaimable(&self, tail: Position, word: SlotWord) -> Result<(), ClaimError> {
        match word.seen_from(tail) {
            // Only a word FREE but for its member gets here as free.
            Seen::Now(SlotState::Free) => Err(ClaimError::Corrupt),
            Seen::Now(_) | Seen::Done => {
                self.advance(self.memory().tail(), tail);
                Ok(())
            }
            // A skipped entry at the head needs no receiver to be passed over.
            Seen::Occupied => match self.pass_over()? {
                true => Ok(()),
                false => Err(ClaimError::Full),
            },
            Seen::Foreign => Ok(self.moved(self.memory().tail(), tail)?),
        }
    }

    /// An error unless `counter` has moved on from `position`, which then explains an odd word.
    pub(crate) fn moved(&self, counter: &AtomicU64, position: Position) -> Result<(), Corrupt> {
        // Acquire: pairs with the Release in `advance`.
        match counter.load(Ordering::Acquire) == position.raw() {
            true => Err(Corrupt),
            false => Ok(()),
        }
    }

    /// Whether fewer than `n` live entries lie before `position`, which is free.
    #[inline]
    pub(crate) fn admission(
        &self,
        position: Position,
        cache: &mut ClaimCache,
    ) -> Result<Admission, Corrupt> {
        match cache.head {
            // A negative distance becomes a huge one: look again.
            Some(head) if (self.distance(head, position) as u64) < u64::from(self.window()) => {
                Ok(Admission::Admitted)
            }
            _ => self.admission_from_head(position, cache),
        }
    }

    /// Whether `position` is less than one round ahead of the head, withdrawn entries keeping their slots, and
    /// leaves the slot before the head alone where there are more than may be admitted.
    #[inline]
    pub(crate) fn is_within(&self, position: Position, cache: &ClaimCache) -> bool {
        let others = (self.slots() - 1).max(self.window());
        let waiting = |head| self.distance(head, position) as u64;
        cache.head.is_some_and(|head| waiting(head) < u64::from(others))
    }

    /// How many positions may be claimed from `position` on, which itself may be: more than one only
    /// where none need be told from withdrawn ones.
    pub(crate) fn room(&self, position: Position, cache: &ClaimCache) -> u32 {
        let window = i64::from(self.window());
        let left = cache.head.map_or(1, |head| window - self.distance(head, position));
        left.clamp(1, window) as u32
    }

    #[inline(never)]
    fn admission_from_head(
        &self,
        position: Position,
        cache: &mut ClaimCache,
    ) -> Result<Admission, Corrupt> {
        self.pass_over()?;
        // Acquire: pairs with the Release in `advance`.
        let head = Position::from_raw(self.memory().head().load(Ordering::Acquire));
        cache.head = Some(head);
        let waiting = self.distance(head, position);
        if waiting < 0 {
            return Ok(Admission::Outdated);
        }
        let window = i64::from(self.window());
        if waiting < window || self.live_from(head, waiting)? < window {
            return Ok(Admission::Admitted);
        }
        Ok(Admission::Full)
    }
}
