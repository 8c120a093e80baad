//! Claiming a run at the tail, and publishing it.

use core::ops::Range;

use super::{LogMemory, Restart, Run, RunState, RunWord, Runs};
use crate::{
    ClaimError,
    corrupt::{Corrupt, ROUNDS},
    sync::Ordering,
};
use postbox_steps::{Step, at};

/// What to claim at the tail to get a run of some length.
enum Plan {
    Run,
    /// The rest of the circle, of this length, and then to look again from its start.
    Jump(u32),
    Full,
}

impl<M: LogMemory> Runs<M> {
    /// Claims `units` consecutive units for `member`. Where the rest of the circle is given up on
    /// the way, `on_jump` gets it as a range of unit indices while it belongs to the claimer alone.
    ///
    /// # Errors
    /// [`ClaimError::Full`] where there is no room at this moment, or never will be (none, or more
    /// than [`longest_run`](Runs::longest_run)); [`ClaimError::Corrupt`] where memory makes no sense.
    pub fn claim(
        &self,
        units: u32,
        member: u16,
        mut on_jump: impl FnMut(Range<u32>),
    ) -> Result<Run, ClaimError> {
        if units == 0 || units > self.longest_run() {
            return Err(ClaimError::Full);
        }
        for _ in 0..ROUNDS {
            let tail = self.load(self.memory.tail());
            if self.help_tail_from(tail)? {
                continue;
            }
            let mut plan = self.plan(tail, units)?;
            if matches!(plan, Plan::Full) {
                // Whoever moves it.
                self.advance_free()?;
                plan = self.plan(tail, units)?;
            }
            // Read after `free` was, on which the plan rests: a run that `free` has passed is seen
            // freed. If the tail still stands here, and this word is still here when it is
            // exchanged, then the position was not claimed in between.
            let word = self.word_at(tail);
            if self.load(self.memory.tail()) != tail || word.is_of(self.lap(tail)) {
                continue;
            }
            let vacant = Run { position: tail, word };
            match plan {
                Plan::Full => return Err(ClaimError::Full),
                // With room before `free`, a word in use is nobody's who follows the protocol.
                _ if !word.is_free() => self.moved(self.memory.tail(), tail)?,
                Plan::Run => {
                    let state = RunState::Writing(member);
                    if let Some(run) = self.seize(vacant, state, units) {
                        return Ok(run);
                    }
                }
                Plan::Jump(rest) => {
                    if let Some(run) = self.seize(vacant, RunState::Jump(member), rest) {
                        at(Step::RestOfCircleClaimed);
                        on_jump(self.unit_range(&run));
                        self.release(run);
                    }
                }
            }
        }
        Err(ClaimError::Corrupt)
    }

    fn plan(&self, tail: u64, units: u32) -> Result<Plan, Corrupt> {
        if self.fits_as_seen(tail, units) {
            return Ok(Plan::Run);
        }
        let mut free = self.load(self.memory.free());
        let likes_restart = self.index(tail) >= self.memory.soft() && self.index(tail) > 0;
        if likes_restart && free < tail && !self.may_restart(tail, units, free) {
            // Perhaps it lags behind what was given back out of turn.
            self.advance_free()?;
            free = self.load(self.memory.free());
        }
        if free > tail {
            self.moved(self.memory.tail(), tail)?;
            // Out of date: whatever is planned, the exchange will fail.
            return Ok(Plan::Run);
        }
        // Release: what was seen in the runs before it, for whoever goes by it next.
        self.seen_free.store(free, Ordering::Release);
        let rest = self.units() - self.index(tail);
        Ok(if units > rest {
            // Only where it helps: the run then fits at the start, at once or (when all is free)
            // as soon as the rest is freed.
            let helps = free == tail || self.start_has_room(tail, units, free);
            if helps { Plan::Jump(rest) } else { Plan::Full }
        } else if likes_restart && self.may_restart(tail, units, free) {
            Plan::Jump(rest)
        } else if self.has_room(tail + u64::from(units), free) {
            Plan::Run
        } else {
            Plan::Full
        })
    }

    /// Whether what ends there fits the circle.
    fn has_room(&self, end: u64, free: u64) -> bool {
        end - free <= u64::from(self.units())
    }

    fn start_has_room(&self, tail: u64, units: u32, free: u64) -> bool {
        self.has_room(self.next_lap(tail) + u64::from(units), free)
    }

    /// Whether a claimer who likes to go back to the start of the circle may. The units jumped over count as used until
    /// `free` passes them, so that behind a backlog a jump may make the log seem full long before it is.
    fn may_restart(&self, tail: u64, units: u32, free: u64) -> bool {
        match self.memory.restart() {
            _ if free == tail => true,
            Restart::WhenEmpty => false,
            Restart::WhenStartIsFree { behind } => {
                self.start_has_room(tail, units, free)
                    && u64::from(self.index(tail)) >= u64::from(behind) * u64::from(units)
            }
        }
    }

    /// Whether there is room, and nothing else to think of, by where `free` was seen: a stream then seldom reads
    /// what those write who give runs back.
    fn fits_as_seen(&self, tail: u64, units: u32) -> bool {
        // Acquire: pairs with the Release in `plan`.
        let (free, index) = (self.seen_free.load(Ordering::Acquire), self.index(tail));
        free <= tail
            && self.has_room(tail + u64::from(units), free)
            && index < self.memory.soft()
            && units <= self.units() - index
    }

    /// Claims `length` units in place of a vacant word, and moves the tail over them.
    fn seize(&self, vacant: Run, state: RunState, length: u32) -> Option<Run> {
        let tail = vacant.position;
        let run = self.change(vacant, RunWord::claimed(self.lap(tail), state, length))?;
        at(Step::RunClaimed);
        self.advance(self.memory.tail(), tail, tail + u64::from(length));
        at(Step::RunTailMoved);
        // The next run begins there, and whoever read what was there before has written its word.
        self.memory.prefetch(self.index(tail + u64::from(length)));
        Some(run)
    }

    /// Publishes a claimed run with a label of the caller's, up to [`MAX_MEMBER`](super::MAX_MEMBER).
    /// `None` if the claim was settled meanwhile: its member passed for dead.
    pub fn publish(&self, run: Run, label: u16) -> Option<Run> {
        match run.state() {
            // Its Release pairs with the Acquire of `change` in `capture`.
            RunState::Writing(_) => {
                let published = self.change(run, run.word.into_state(RunState::Full(label)));
                at(Step::RunPublished);
                published
            }
            _ => None,
        }
    }

    /// Moves the tail over a run that begins at it, its claimer having been slow or killed.
    pub(super) fn help_tail(&self) -> Result<(), Corrupt> {
        self.help_tail_from(self.load(self.memory.tail())).map(|_| ())
    }

    /// Says whether there was such a run: then look again.
    fn help_tail_from(&self, tail: u64) -> Result<bool, Corrupt> {
        let word = self.word_at(tail);
        if !word.is_of(self.lap(tail)) && !word.is_freed_in(self.lap(tail)) {
            return Ok(false);
        }
        if self.inside(tail, word) {
            self.advance(self.memory.tail(), tail, tail + u64::from(word.units()));
            at(Step::RunTailMended);
        } else {
            self.moved(self.memory.tail(), tail)?;
        }
        Ok(true)
    }
}
