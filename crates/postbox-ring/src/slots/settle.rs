//! After a death: what the dead member had claimed or taken is put right, by any other member.

use super::{Position, Seen, SlotMemory, SlotState, SlotWord, Slots, Taken};
use crate::{corrupt::Corrupt, sync::Ordering};
use postbox_steps::{Step, at};

impl<M: SlotMemory> Slots<M> {
    /// Settles what `dead` was in the middle of, on behalf of the living member `by`: slots that it
    /// was writing are skipped; slots that it had taken pass to `by`, which hands each to
    /// `on_taken`, to free what the body refers to, and then releases it.
    ///
    /// Any number of members may settle the same death at once, and each taken slot is handed over
    /// at any one time to one of them only. Should a settler die in `on_taken`, the slot is `by`'s
    /// and handed out again when `by` is settled. The number of `dead` must not be given to a new
    /// member before every settler is through.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense; what could be settled is settled.
    pub fn settle(
        &self,
        dead: u16,
        by: u16,
        mut on_taken: impl FnMut(&Taken),
    ) -> Result<(), Corrupt> {
        // Acquire: pairs with the Release in `advance`.
        let tail = Position::from_raw(self.memory().tail().load(Ordering::Acquire));
        // In the first lap slots beyond the tail were never touched: looking would make the kernel
        // back them with pages.
        let touched = if tail.lap() == 0 { tail.index().saturating_add(1) } else { u32::MAX };
        let mut skipped = false;
        for index in 0..touched.min(self.slots()) {
            skipped |= self.settle_slot(index, dead, by, &mut on_taken)?;
        }
        self.help_tail()?;
        self.pass_over()?;
        if skipped {
            // Acquire: pairs with the Release in `advance`.
            let tail = Position::from_raw(self.memory().tail().load(Ordering::Acquire));
            self.raise_hint(tail)?;
        }
        Ok(())
    }

    /// Settles one slot; says whether it became one to be skipped.
    fn settle_slot(
        &self,
        index: u32,
        dead: u16,
        by: u16,
        on_taken: &mut impl FnMut(&Taken),
    ) -> Result<bool, Corrupt> {
        let cell = self.memory().word(index).ok_or(Corrupt)?;
        // Acquire: pairs with the Release in `publish` and `take`; a taken body is read below.
        let word = SlotWord::from_raw(cell.load(Ordering::Acquire));
        if word.member() != dead {
            return Ok(false);
        }
        let settled = match word.state() {
            Some(SlotState::Writing) => SlotWord::skip(word.lap()),
            Some(SlotState::Reading) => SlotWord::reading(word.lap(), by),
            _ => return Ok(false),
        };
        // Acquire: as the load. Release: pairs with the Acquire of whoever passes over the slot,
        // or settles `by`. Failure: another settler was first.
        let ours =
            cell.compare_exchange(word.raw(), settled.raw(), Ordering::AcqRel, Ordering::Relaxed);
        if ours.is_err() {
            return Ok(false);
        }
        at(Step::SlotSettled);
        if word.state() == Some(SlotState::Reading) {
            let taken = self.taken(Position::at(word.lap(), index));
            on_taken(&taken);
            at(Step::SlotHandedOn);
            self.release(taken);
            return Ok(false);
        }
        Ok(true)
    }

    /// Moves the tail on if the slot there has been claimed: its claimer may be dead.
    fn help_tail(&self) -> Result<(), Corrupt> {
        // Acquire: pairs with the Release in `advance`.
        let tail = Position::from_raw(self.memory().tail().load(Ordering::Acquire));
        // Acquire: pairs with the Release stores of words.
        let word = SlotWord::from_raw(self.word(tail)?.load(Ordering::Acquire));
        match word.seen_from(tail) {
            Seen::Now(SlotState::Free) | Seen::Occupied | Seen::Foreign => {}
            Seen::Now(_) | Seen::Done => {
                self.advance(self.memory().tail(), tail);
                at(Step::SlotTailMended);
            }
        }
        Ok(())
    }
}
