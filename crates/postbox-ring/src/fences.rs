//! Who has the barriers that one side owes the other before it sleeps.
//!
//! A publisher stores and then looks for sleepers; a sleeper announces itself and then looks for what was
//! stored. Both need a barrier in between, or each may miss the other. A publisher's would cost as much as
//! the rest of its work, so a sleeper can have it for both, by making everybody else pass one (membarrier(2)):
//! that costs it tens of microseconds, as much as some thousand fences. So the word says who has it now:
//!
//! ```text
//!           a sleeper asks       its barrier for all is over
//!  spared ────────────────► asked ────────────────► sure
//!    ▲                                                │
//!    └────────────────────────────────────────────────┘
//!              a publisher, after a few thousand fences
//!
//!  spared   publishers pass no barrier; whoever is to sleep has one for all
//!  asked    publishers do; whoever is to sleep cannot rely on it yet
//!  sure     publishers do, and whoever is to sleep needs none but its own
//!  kept     as asked, for good: some member cannot take part in barriers of others
//! ```
//!
//! *Asked to sure*: a publisher reads the word after its store. Of those who have read *spared* before the
//! barrier, that has made the store visible; who reads it afterwards reads *asked*. *Sure to spared*: a sleeper
//! that has read *sure* had announced itself before, and whoever reads *spared* after that sees it. Each round has
//! a number, so that nobody ends another round than its own.

use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, SeqCst};
use crate::sync::fence;
use postbox_steps::{Step, at};

const STATE: u64 = 3;
const SPARED: u64 = 0;
const ASKED: u64 = 1;
const SURE: u64 = 2;
const KEPT: u64 = 3;

/// The word of one channel.
#[derive(Clone, Copy)]
pub struct Fences<'m>(pub &'m AtomicU64);

impl Fences<'_> {
    /// Whether a publisher may go on without a barrier; to be asked after its store, by the compiler's
    /// order, and before the look at who sleeps.
    #[inline(always)]
    pub fn are_spared(self) -> bool {
        // Acquire: whoever spared them had seen those who announced themselves before.
        self.0.load(Acquire) & STATE == SPARED
    }

    /// Publishers pass no more barriers, if they did and sleepers were sure of it.
    pub fn spare(self) {
        let seen = self.0.load(Acquire);
        if seen & STATE == SURE {
            // SeqCst: before the next look at who sleeps, whoever takes it.
            let next = (seen & !STATE).wrapping_add(STATE + 1) | SPARED;
            let _ = self.0.compare_exchange(seen, next, SeqCst, SeqCst);
            at(Step::FencesSpared);
        }
    }

    /// Between an announcement and the last look before a sleep: `for_all` makes every member that runs pass
    /// a barrier, unless publishers do anyway; it says whether it could.
    pub fn rely(self, for_all: impl FnOnce() -> bool) {
        // SeqCst: after the announcement.
        let mut seen = self.0.load(SeqCst);
        if seen & STATE == SPARED {
            match self.0.compare_exchange(seen, seen | ASKED, SeqCst, SeqCst) {
                Ok(_) => {
                    at(Step::FencesAsked);
                    seen |= ASKED;
                }
                Err(now) => seen = now,
            }
        }
        if seen & STATE == SURE {
            fence(SeqCst);
            return;
        }
        if for_all() {
            if seen & STATE == ASKED {
                let _ = self.0.compare_exchange(seen, seen & !STATE | SURE, SeqCst, SeqCst);
            }
        } else {
            self.keep();
        }
    }

    /// Publishers pass barriers from now on, and for good.
    pub fn keep(self) {
        let _ = self.0.fetch_update(SeqCst, SeqCst, |word| Some(word | KEPT));
    }

    /// Whether they do for good.
    pub fn are_kept(self) -> bool {
        self.0.load(SeqCst) & STATE == KEPT
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn word() -> AtomicU64 {
        AtomicU64::new(0)
    }

    fn rely(word: &AtomicU64) -> bool {
        let asked = Cell::new(false);
        Fences(word).rely(|| {
            asked.set(true);
            true
        });
        asked.get()
    }

    #[test]
    fn the_first_who_sleeps_has_the_barrier_for_all_and_the_next_ones_rely_on_the_publishers() {
        let word = word();
        assert!(Fences(&word).are_spared());
        assert!(rely(&word) && !rely(&word) && !rely(&word));
        assert!(!Fences(&word).are_spared());
        Fences(&word).spare();
        assert!(Fences(&word).are_spared() && rely(&word));
    }

    #[test]
    fn while_a_barrier_is_on_its_way_publishers_fence_and_nobody_else_relies_on_it() {
        let word = word();
        Fences(&word).rely(|| {
            assert!(!Fences(&word).are_spared());
            Fences(&word).spare();
            assert!(!Fences(&word).are_spared(), "nobody is sure yet");
            assert!(rely(&word), "another one has a barrier of its own");
            true
        });
        assert!(!rely(&word));
    }

    #[test]
    fn a_barrier_of_an_earlier_round_makes_nobody_sure() {
        let word = word();
        Fences(&word).rely(|| {
            // Meanwhile another one's barrier ends, and publishers are spared, and asked again by
            // somebody who dies of it.
            assert!(rely(&word));
            Fences(&word).spare();
            word.fetch_or(ASKED, SeqCst);
            true
        });
        assert!(rely(&word), "that barrier may have been over before they were asked again");
    }

    #[test]
    fn where_there_are_no_barriers_for_all_everybody_fences_for_good() {
        let word = word();
        Fences(&word).rely(|| false);
        assert!(Fences(&word).are_kept() && !Fences(&word).are_spared());
        Fences(&word).spare();
        assert!(!Fences(&word).are_spared() && rely(&word));
    }
}
