//! The widening: every slot gets the word that it would have among many.

use super::places::Two;
use super::{Barriers, PAIRED, PHASE, Pairing, UNSET, WIDE, WIDENING};
use crate::corrupt::{Corrupt, ROUNDS};
use crate::slots::{PairMemory, Position, SlotWord};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use postbox_steps::{Step, at};

impl<M: PairMemory> Pairing<M> {
    /// Makes the ring one for many, unless it is.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    pub fn widen(&self, barriers: &impl Barriers) -> Result<(), Corrupt> {
        let Some(two) = self.begin_widening()? else { return Ok(()) };
        // What was announced before it is seen below. What is announced later is not acted upon.
        barriers.for_all();
        let memory = self.many.memory();
        let tail = set(memory.tail(), memory.sending());
        let head = set(memory.head(), memory.taking());
        at(Step::WideningSet);
        // While it was not wide nobody has moved them.
        if self.is_wide() {
            return Ok(());
        }
        self.hand_over(tail, head, two)?;
        // Release: what was handed over. Failure: it was somebody else who ended it.
        let (begun, ended) = (two.with_phase(WIDENING), two.with_phase(WIDE));
        let _ = memory.phase().compare_exchange(begun, ended, AcqRel, Acquire);
        at(Step::Widened);
        Ok(())
    }

    /// Nobody of the two begins anything from now on, and nobody comes to be of them: who they are. None where
    /// the ring is one for many.
    fn begin_widening(&self) -> Result<Option<Two>, Corrupt> {
        let phase = self.many.memory().phase();
        for _ in 0..ROUNDS {
            let word = phase.load(Acquire);
            let two = Two::from_phase(word);
            match word & PHASE {
                WIDE => return Ok(None),
                WIDENING => return Ok(Some(two)),
                PAIRED => {
                    // SeqCst: pairs, by the barriers, with the stores of the announcements. Failure: somebody else
                    // did it, or one of the two has changed.
                    let begun = two.with_phase(WIDENING);
                    if phase.compare_exchange(word, begun, SeqCst, Acquire).is_ok() {
                        at(Step::WideningBegun);
                        return Ok(Some(two));
                    }
                }
                _ => return Err(Corrupt),
            }
        }
        Err(Corrupt)
    }

    /// Gives each slot the word that it would have if the ring had been one for many all along.
    fn hand_over(&self, tail: Position, head: Position, two: Two) -> Result<(), Corrupt> {
        let slots = self.many.slots();
        if tail.index() >= slots || head.index() >= slots {
            return Err(Corrupt);
        }
        // In the first lap slots from the tail on are free as they are, and were never touched.
        let touched = if tail.lap() == 0 { tail.index() } else { slots };
        let mut last = self.many.before(tail);
        for _ in 0..touched {
            self.hand_over_slot(last, head, two)?;
            last = self.many.before(last);
        }
        Ok(())
    }

    /// The same of the slot that was claimed last at `position`.
    fn hand_over_slot(&self, position: Position, head: Position, two: Two) -> Result<(), Corrupt> {
        let full = SlotWord::full(position.lap());
        let was_taken = self.many.distance(position, head) > 0;
        let (old, new) = match self.many.after(position) {
            // Perhaps it is still being written or touched; it is not if it is full.
            _ if !was_taken => {
                (self.free_for_two(position), SlotWord::writing(position.lap(), two.sender))
            }
            next if next == head && !self.was_read(head) => {
                (full, SlotWord::reading(position.lap(), two.receiver))
            }
            _ => (full, SlotWord::free(position.lap().wrapping_add(1))),
        };
        // Release: pairs with the Acquire in `claim`, so that a slot is written after it was read. Failure: it
        // was done by somebody else, or was published.
        let _ = self.many.word(position)?.compare_exchange(old.raw(), new.raw(), AcqRel, Relaxed);
        at(Step::SlotHandedOver);
        Ok(())
    }

    /// The word of a slot that the two have not written at `position`.
    fn free_for_two(&self, position: Position) -> SlotWord {
        match position.lap() {
            0 => SlotWord::free(0),
            // It stays as it was taken.
            lap => SlotWord::full(lap - 1),
        }
    }

    /// Whether all before `head` was read.
    fn was_read(&self, head: Position) -> bool {
        // Acquire: pairs with the Release in `SpscReceiver::release`.
        self.two.memory().head().load(Acquire) == head.raw()
    }
}

/// The position that all begin with: what was announced, as the first saw it who looked.
fn set(position: &AtomicU64, announced: &AtomicU64) -> Position {
    // Acquire: pairs with the Release of the announcements.
    let seen = announced.load(Acquire);
    let set = position.compare_exchange(UNSET, seen, AcqRel, Acquire);
    Position::from_raw(set.map_or_else(|before| before, |_| seen))
}
