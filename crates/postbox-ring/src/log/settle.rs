//! Going over all runs in use: after a death, or to free what bears a label.

use super::{LogMemory, Run, RunState, Runs};
use crate::corrupt::Corrupt;
use postbox_steps::{Step, at};

impl<M: LogMemory> Runs<M> {
    /// Settles what `dead` was in the middle of, on behalf of the living member `by`: runs that it
    /// was writing or jumping over are freed; runs that it was reading pass to `by`, which hands
    /// each to `on_taken` and then frees it. As for slots, any number of members may do so at once.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense; what could be settled is settled.
    pub fn settle(
        &self,
        dead: u16,
        by: u16,
        mut on_taken: impl FnMut(&Run),
    ) -> Result<(), Corrupt> {
        self.help_tail()?;
        self.visit(|run| match run.state() {
            RunState::Writing(member) | RunState::Jump(member) if member == dead => {
                self.release(run);
            }
            RunState::Reading(member) if member == dead => {
                let ours = self.change(run, run.word.into_state(RunState::Reading(by)));
                if let Some(run) = ours {
                    at(Step::RunSettled);
                    on_taken(&run);
                    self.release(run);
                }
            }
            _ => {}
        })
    }

    /// Frees every published run that bears `label`.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense; what was found until then is freed.
    pub fn reclaim_labelled(&self, label: u16) -> Result<(), Corrupt> {
        self.visit(|run| {
            if run.state() == RunState::Full(label) {
                self.release(run);
            }
        })
    }

    /// Shows every run that was in use when this began and still is when it comes by.
    pub fn visit(&self, mut show: impl FnMut(Run)) -> Result<(), Corrupt> {
        let mut at = self.load(self.memory.free());
        let end = self.load(self.memory.tail());
        // Every round gets on by a unit at least. What is freed and claimed meanwhile makes it start
        // later, not earlier: an honest log is gone through in a circle, or in a few.
        for _ in 0..self.units().saturating_mul(4) {
            if at >= end {
                return Ok(());
            }
            let word = self.word_at(at);
            let lap = self.lap(at);
            if (word.is_of(lap) || word.is_freed_in(lap)) && self.inside(at, word) {
                if word.is_of(lap) {
                    show(Run { position: at, word });
                }
                at += u64::from(word.units());
                continue;
            }
            // Freed meanwhile, and its place in the circle in use again.
            let free = self.load(self.memory.free());
            if free <= at {
                return Err(Corrupt);
            }
            at = free;
        }
        Err(Corrupt)
    }
}
