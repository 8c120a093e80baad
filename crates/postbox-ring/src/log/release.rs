//! Using a run and giving it back.

use core::ops::Range;

use super::{LogMemory, Run, RunState, Runs};
use crate::corrupt::Corrupt;
use postbox_steps::{Step, at};

impl<M: LogMemory> Runs<M> {
    /// Takes a published run, or one still being written, over for reading. `None` where somebody
    /// else changed it since it was looked up.
    pub fn capture(&self, run: Run, member: u16) -> Option<Run> {
        match run.state() {
            RunState::Full(_) | RunState::Writing(_) => {
                let captured = self.change(run, run.word.into_state(RunState::Reading(member)));
                at(Step::RunCaptured);
                captured
            }
            RunState::Reading(_) | RunState::Jump(_) | RunState::Free => None,
        }
    }

    /// Gives a run back, in whatever state it is. Says whether it still was in that state: of any
    /// number of members who release the same run, one succeeds.
    pub fn release(&self, run: Run) -> bool {
        let ours = run.state() != RunState::Free
            && self.change(run, run.word.into_state(RunState::Free)).is_some();
        if ours {
            at(Step::RunFreed);
            // Lagging is harmless: a claimer that finds no room tries again. So is an error here:
            // it stays, and the claimer reports it.
            if !self.move_free_over(&run) {
                let _ = self.advance_free();
            }
        }
        ours
    }

    /// Moves `free` over a run that was read and given back, if that is where it stands: among runs that are read in
    /// turn it is. Neither the tail nor the next word is read, which somebody else is writing just now; what was given
    /// back behind it is left to who gives back next, or looks for room.
    fn move_free_over(&self, run: &Run) -> bool {
        let RunState::Reading(_) = run.state() else { return false };
        // Whoever read it found it in an entry, or before the tail: its claimer had moved the tail behind it.
        let begin = run.position;
        let moved = self.load(self.memory.free()) == begin
            && self.advance(self.memory.free(), begin, begin + u64::from(run.units()));
        if moved {
            at(Step::RoomOfRunsMoved);
        }
        moved
    }

    /// The units of `run` as indices into the circle.
    pub fn unit_range(&self, run: &Run) -> Range<u32> {
        let begin = self.index(run.position);
        begin..begin + run.units()
    }

    /// Moves `free` over freed runs; says whether it moved anything.
    pub(super) fn advance_free(&self) -> Result<bool, Corrupt> {
        let mut any = false;
        // No more runs than units; what is freed meanwhile is left to those who free it.
        for _ in 0..self.units() {
            let free = self.load(self.memory.free());
            let tail = self.load(self.memory.tail());
            let word = self.word_at(free);
            if free == tail || !word.is_freed_in(self.lap(free)) {
                break;
            }
            // The tail was read later, so it cannot be behind.
            if free > tail || !self.inside(free, word) {
                self.moved(self.memory.free(), free)?;
                continue;
            }
            any |= self.advance(self.memory.free(), free, free + u64::from(word.units()));
            at(Step::RoomOfRunsMoved);
        }
        Ok(any)
    }
}
