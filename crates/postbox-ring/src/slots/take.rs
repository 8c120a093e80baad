//! Consumers: take the slot at the head, read its body, release it.

use super::{Position, Seen, SlotMemory, SlotState, SlotWord, Slots, Taken};
use crate::{
    corrupt::{Corrupt, ROUNDS},
    sync::Ordering,
};
use postbox_steps::{Step, at};

/// What was at the head.
#[derive(Debug)]
pub enum Take {
    /// An entry, now the taker's alone.
    Entry(Taken),
    /// Nothing waits.
    Empty,
    /// The next entry is still being written.
    Busy {
        /// By whom.
        member: u16,
    },
}

/// What stands at a position that may be the head.
pub(crate) enum Standing {
    Full,
    Writing(u16),
    /// Taken already: the head lags behind.
    Passed,
    /// To be passed over.
    Skip(SlotWord),
    Empty,
    Foreign,
}

impl<M: SlotMemory> Slots<M> {
    /// Takes the entry at the head for `member`, passing over skipped ones.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    #[inline]
    pub fn take(&self, member: u16) -> Result<Take, Corrupt> {
        let counter = self.memory().head();
        for _ in 0..ROUNDS {
            // Acquire: pairs with the Release in `advance`.
            let head = Position::from_raw(counter.load(Ordering::Acquire));
            let cell = self.word(head)?;
            let full = SlotWord::full(head.lap());
            // Acquire: pairs with the Release in `publish`.
            let word = SlotWord::from_raw(cell.load(Ordering::Acquire));
            if word == full {
                let reading = SlotWord::reading(head.lap(), member).raw();
                // Acquire: pairs with the Release in `publish`, so that the body is there. Release:
                // in this lap's chain of words, for whoever settles this member.
                let ours =
                    cell.compare_exchange(full.raw(), reading, Ordering::AcqRel, Ordering::Relaxed);
                if ours.is_ok() {
                    at(Step::SlotTaken);
                    self.advance(counter, head);
                    at(Step::SlotHeadMoved);
                    return Ok(Take::Entry(self.taken(head)));
                }
                continue;
            }
            match self.standing(head, word) {
                Standing::Full => return Err(Corrupt),
                Standing::Writing(member) => return Ok(Take::Busy { member }),
                Standing::Empty => return Ok(Take::Empty),
                Standing::Passed => self.advance(counter, head),
                Standing::Skip(word) => self.skip(head, word)?,
                Standing::Foreign => self.moved(counter, head)?,
            }
        }
        Err(Corrupt)
    }

    /// Gives the slot back for the next lap.
    #[inline]
    pub fn release(&self, taken: Taken) {
        if let Ok(cell) = self.word(taken.position) {
            // Release: pairs with the Acquire in `claim`; the body is overwritten after it was
            // read. A plain store does: while its taker lives nobody else changes a READING word.
            cell.store(SlotWord::free(taken.position.lap() + 1).raw(), Ordering::Release);
            at(Step::SlotFreed);
        }
    }

    /// Whether nothing waits: no entry published or being written. Two loads as a rule.
    ///
    /// A memory that makes no sense counts as not empty: a take then says [`Corrupt`].
    #[inline]
    pub fn is_empty(&self) -> bool {
        matches!(self.first(), Some(Standing::Empty))
    }

    /// Whether the next entry is complete.
    #[inline]
    pub fn is_ready(&self) -> bool {
        matches!(self.first(), Some(Standing::Full))
    }

    /// What stands at the head once it has moved over what it passes over.
    #[inline]
    fn first(&self) -> Option<Standing> {
        // Acquire: pairs with the Release in `advance`.
        let mut at = Position::from_raw(self.memory().head().load(Ordering::Acquire));
        for _ in 0..=self.slots() {
            // Acquire: pairs with the Release in `publish`, so that "not empty" lets a take succeed.
            let word = SlotWord::from_raw(self.word(at).ok()?.load(Ordering::Acquire));
            match self.standing(at, word) {
                Standing::Passed | Standing::Skip(_) => at = self.after(at),
                first => return Some(first),
            }
        }
        None
    }

    /// What `word` means to someone who found the head at `head`.
    #[inline]
    pub(crate) fn standing(&self, head: Position, word: SlotWord) -> Standing {
        match word.seen_from(head) {
            Seen::Now(SlotState::Full) => Standing::Full,
            Seen::Now(SlotState::Writing) => Standing::Writing(word.member()),
            Seen::Now(SlotState::Reading) | Seen::Done => Standing::Passed,
            Seen::Now(SlotState::Skip) => Standing::Skip(word),
            // Occupied: the head has come round to an entry of the lap before that is still being
            // read, or a look ahead to one that waits. Either way nothing is claimed here.
            Seen::Now(SlotState::Free) | Seen::Occupied => Standing::Empty,
            Seen::Foreign => Standing::Foreign,
        }
    }

    /// Frees the skipped slot at the head and moves the head over it.
    #[inline(never)]
    fn skip(&self, head: Position, word: SlotWord) -> Result<(), Corrupt> {
        let free = SlotWord::free(head.lap() + 1).raw();
        // Acquire and Release: hands what the dead or failed writer wrote on to the next claimer,
        // who writes after it. Failure: someone else passed over it.
        let _ = self.word(head)?.compare_exchange(
            word.raw(),
            free,
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        at(Step::SlotSkipped);
        self.advance(self.memory().head(), head);
        Ok(())
    }

    /// Moves the head over everything that is not an entry; says whether anything was.
    pub(crate) fn pass_over(&self) -> Result<bool, Corrupt> {
        let counter = self.memory().head();
        let mut any = false;
        for _ in 0..ROUNDS {
            // Acquire: pairs with the Release in `advance`.
            let head = Position::from_raw(counter.load(Ordering::Acquire));
            // Acquire: pairs with the Release stores of words.
            let word = SlotWord::from_raw(self.word(head)?.load(Ordering::Acquire));
            match self.standing(head, word) {
                Standing::Full | Standing::Writing(_) | Standing::Empty => return Ok(any),
                Standing::Passed => self.advance(counter, head),
                Standing::Skip(word) => self.skip(head, word)?,
                Standing::Foreign => self.moved(counter, head)?,
            }
            any = true;
        }
        Err(Corrupt)
    }
}
