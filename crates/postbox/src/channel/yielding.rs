//! Giving turns on the processor away before a sleep, and what an end has learnt about it.
//!
//! A sender that sleeps is woken for the first room there is, and takes the processor from the receiver that woke it, if
//! they share one: a message or two later it sleeps again. If it gives its turn away instead, the receiver goes on as
//! long as it has something to receive, and each of them does much at a time.
//!
//! But a turn may as well go to somebody who computes, and lasts as long as the scheduler lets it, some milliseconds,
//! where a sleeper is woken for its message at once. So long turns are judged by what the channel has carried
//! meanwhile, and an end to which they do not pay gives none away for a while:
//!
//! ```text
//!  a turn ──► within 1 µs     nobody had it: sleep
//!         ──► within 0.5 ms   try, and give the next one away, eight in all
//!         ──► longer          the next long one is judged: a message for each 20 µs?
//!                               yes ──► go on       no ──► none for a hundred times as long
//! ```

use super::end::End;
use super::members::{Role, Statistic};
use crate::mechanism::WaitStrategy;
use crate::wait::{Ended, Wait};
use postbox_sys::clock;
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Turns that are given away at most before a sleep.
const MOST: u32 = 8;
/// Whoever has been away for so long, in nanoseconds, gives no more of them away before it sleeps.
const MOST_AWAY: u64 = 8_000_000;
/// A turn that comes back sooner, in nanoseconds, was wanted by nobody: two switches between processes take longer.
const TAKEN: u64 = 1_000;
/// A turn that comes back later, in nanoseconds, went to somebody who used it up: a partner with much to do, or a stranger
/// who computes. Others in the same need come back sooner.
const LONG: u64 = 500_000;
/// So much of a long turn, in nanoseconds, may go into each message that the others pass meanwhile: about what it takes
/// to go to sleep and be woken for it.
const WORTH: u64 = 20_000;
/// After a long turn that did not pay none are given away for so many times as long.
const ABSTAIN: u64 = 100;

/// What an end has learnt about giving turns away.
#[derive(Debug, Default)]
pub(crate) struct Yielding {
    /// The last long turn was not judged, or did not pay: the next one is.
    suspects: Cell<bool>,
    /// In nanoseconds of the monotonic clock: until then none are given away.
    abstains_until: Cell<u64>,
}

impl Yielding {
    /// A turn that began then took so long, in nanoseconds. `carried`: messages that others passed meanwhile, if they were counted.
    fn learn(&self, began: u64, took: u64, carried: Option<u64>) {
        if took < LONG {
            return;
        }
        let Some(carried) = carried else { return self.suspects.set(true) };
        let paid = carried.saturating_mul(WORTH) >= took;
        self.suspects.set(!paid);
        if !paid {
            self.abstains_until.set(began.saturating_add(took.saturating_mul(ABSTAIN)));
        }
    }
}

impl End {
    /// Lets others have the processor and tries again, as long as somebody wants it and it pays.
    pub(crate) fn give_turns_away<R, E>(
        &self,
        wait: &Wait,
        attempt: &mut impl FnMut(bool) -> Result<Option<R>, E>,
    ) -> Result<Option<R>, E>
    where
        E: From<Ended>,
    {
        // Who spins or sleeps at once was told to; who has little time does not give it away.
        if self.patience.strategy() != WaitStrategy::Adaptive || ends_soon(wait) {
            return Ok(None);
        }
        let yielding = &self.yielding;
        let begin = clock::now();
        if begin < yielding.abstains_until.get() {
            return Ok(None);
        }
        let mut given = begin;
        for _ in 0..MOST {
            let before = yielding.suspects.get().then(|| self.passed_by_partners());
            std::thread::yield_now();
            let back = clock::now();
            // As before a sleep: what came before the end came in time.
            let ended = wait.over();
            let carried = before.map(|before| self.passed_by_partners().wrapping_sub(before));
            yielding.learn(given, back - given, carried);
            if let Some(done) = attempt(true)? {
                return Ok(Some(done));
            }
            if let Some(ended) = ended {
                return Err(ended.into());
            }
            if back - given < TAKEN || back - begin > MOST_AWAY {
                break;
            }
            given = clock::now();
        }
        Ok(None)
    }

    /// Messages that the other side has sent or taken so far.
    fn passed_by_partners(&self) -> u64 {
        let partners = match self.role {
            Role::Sender => Role::Receiver,
            Role::Receiver => Role::Sender,
        };
        self.channel.block.total(partners, Statistic::Messages)
    }
}

/// Whether a turn might outlast the wait.
fn ends_soon(wait: &Wait) -> bool {
    const TURN: Duration = Duration::from_nanos(MOST_AWAY);
    wait.deadline.is_some_and(|deadline| deadline.saturating_duration_since(Instant::now()) < TURN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLICE: u64 = 4_000_000;

    /// Until when it gives none away after turns that began at nought.
    fn after(turns: &[(u64, Option<u64>)]) -> (bool, u64) {
        let yielding = Yielding::default();
        turns.iter().for_each(|&(took, carried)| yielding.learn(0, took, carried));
        (yielding.suspects.get(), yielding.abstains_until.get())
    }

    #[test]
    fn short_turns_are_no_matter() {
        assert_eq!(after(&[(LONG - 1, None), (LONG - 1, Some(0))]), (false, 0));
    }

    #[test]
    fn the_second_long_turn_is_judged_by_what_went_on_meanwhile() {
        assert_eq!(after(&[(SLICE, None)]), (true, 0));
        assert_eq!(after(&[(SLICE, None), (SLICE, Some(SLICE / WORTH))]), (false, 0));
        let without = [(SLICE, None), (SLICE, Some(SLICE / WORTH - 1))];
        assert_eq!(after(&without), (true, SLICE * ABSTAIN));
    }

    #[test]
    fn who_has_little_time_does_not_give_it_away() {
        assert!(!ends_soon(&Wait::forever()));
        assert!(!ends_soon(&Wait::timeout(Duration::from_secs(60))));
        assert!(ends_soon(&Wait::timeout(Duration::from_millis(1))));
        assert!(ends_soon(&Wait::timeout(Duration::ZERO)));
    }
}
