//! The log as a queue: first in, first out from the head.

use super::{LogMemory, Run, RunState, Runs};
use crate::corrupt::{Corrupt, ROUNDS};
use postbox_steps::{Step, at};

/// What is at the head of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A published entry; after a take, the taker's alone.
    Entry(Run),
    /// Nothing waits.
    Empty,
    /// The next entry is still being written.
    Busy {
        /// By whom.
        member: u16,
    },
}

/// What the word of a position in the queue says.
enum Standing {
    Published(Run),
    Writing(u16),
    /// Taken, freed or jumped over: the head may go on behind it.
    Passed(u64),
    Foreign,
}

impl<M: LogMemory> Runs<M> {
    /// Takes the entry at the head for `member`.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    pub fn take(&self, member: u16) -> Result<Head, Corrupt> {
        for _ in 0..ROUNDS {
            match self.first()? {
                Head::Entry(run) => {
                    if let Some(taken) = self.take_if(run, member) {
                        return Ok(Head::Entry(taken));
                    }
                }
                other => return Ok(other),
            }
        }
        Err(Corrupt)
    }

    /// Takes the entry that [`first`](Runs::first) found, if it is still the head: only the head
    /// is ever taken, so it is unless someone else took it.
    pub fn take_if(&self, first: Run, member: u16) -> Option<Run> {
        let RunState::Full(_) = first.state() else { return None };
        let taken = self.capture(first, member)?;
        let begin = first.position;
        self.advance(self.memory.head(), begin, begin + u64::from(first.units()));
        at(Step::RunHeadMoved);
        Some(taken)
    }

    /// What is at the head, without taking it.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    pub fn first(&self) -> Result<Head, Corrupt> {
        for _ in 0..ROUNDS {
            let head = self.load(self.memory.head());
            let free = self.load(self.memory.free());
            if free > head {
                // All before `free` was taken and freed; the takers did not get to move the head.
                self.advance(self.memory.head(), head, free);
                continue;
            }
            let tail = self.load(self.memory.tail());
            if head == tail {
                return Ok(Head::Empty);
            }
            match self.standing(head) {
                // The tail was read later, so it cannot be behind.
                _ if head > tail => self.moved(self.memory.head(), head)?,
                Standing::Published(run) => return Ok(Head::Entry(run)),
                Standing::Writing(member) => return Ok(Head::Busy { member }),
                Standing::Passed(next) => {
                    self.advance(self.memory.head(), head, next);
                }
                // Taken, freed and used again while its taker did not get to move the head?
                Standing::Foreign if self.load(self.memory.free()) > head => {}
                Standing::Foreign => self.moved(self.memory.head(), head)?,
            }
        }
        Err(Corrupt)
    }

    /// Where the next run will begin, or further on if some have been claimed meanwhile.
    pub fn claimed_to(&self) -> u64 {
        self.load(self.memory.tail())
    }

    /// Whether nothing waits: no entry published or being written. Three loads as a rule.
    ///
    /// A memory that makes no sense counts as not empty: a take then says [`Corrupt`].
    #[inline]
    pub fn is_empty_queue(&self) -> bool {
        let head = self.load(self.memory.head());
        let at = head.max(self.load(self.memory.free()));
        let tail = self.load(self.memory.tail());
        at == tail || self.is_empty_between(at, tail)
    }

    /// Whether nothing waits from `at` on: the head may lag behind.
    #[cold]
    fn is_empty_between(&self, mut at: u64, tail: u64) -> bool {
        for _ in 0..=self.units() {
            if at == tail {
                return true;
            }
            match self.standing(at) {
                Standing::Passed(next) => at = next,
                _ => return false,
            }
        }
        false
    }

    fn standing(&self, at: u64) -> Standing {
        let (word, lap) = (self.word_at(at), self.lap(at));
        if !self.inside(at, word) {
            return Standing::Foreign;
        }
        let next = at + u64::from(word.units());
        match word.state() {
            RunState::Free if word.is_freed_in(lap) => Standing::Passed(next),
            _ if !word.is_of(lap) => Standing::Foreign,
            RunState::Full(_) => Standing::Published(Run { position: at, word }),
            RunState::Writing(member) => Standing::Writing(member),
            RunState::Reading(_) | RunState::Jump(_) => Standing::Passed(next),
            RunState::Free => Standing::Foreign,
        }
    }
}
