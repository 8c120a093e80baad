//! Giving turns on the processor away before a sleep, and what a thread has learnt about it.
//!
//! A sender that sleeps is woken for the first room there is, and takes the processor from the receiver that woke it, if
//! they share one: a message or two later it sleeps again. If it gives its turn away instead, the receiver goes on as
//! long as it has something to receive, and each of them does much at a time.
//!
//! But a turn may as well go to somebody who computes, and lasts as long as the scheduler lets it, some milliseconds,
//! where a sleeper is woken for its message at once. So long turns are judged by what the channel has carried
//! meanwhile, and a thread to which they do not pay gives none away for a while:
//!
//! ```text
//!  a turn ──► within 1 µs      nobody had it: sleep
//!         ──► within 0.5 ms    try, and give the next one away, eight in all; with `Block` one, and after eight in a row
//!                              that nobody had, or that were over within 5 µs and in vain, most are left out
//!         ──► longer           try; the next long ones, if they come soon, are judged: a message for each 20 µs?
//!                                yes ──► go on       no, twice ──► sleep, and give none away
//!                                        either for a hundred times as long; longer if it is so again and again
//! ```

use super::control::Awaited;
use super::end::End;
use super::members::{Role, Statistic};
use super::retry::Retry;
use crate::mechanism::WaitStrategy;
use crate::wait::{Ended, Wait};
use postbox_sys::{clock, wipe_on_fork};
use std::cell::Cell;
use std::time::{Duration, Instant};

/// Turns that are given away at most before a sleep: some, where one would rather not sleep.
const MOST: u32 = 8;
/// And where one would: the other side may be ready to run, and answer in it.
const ONE: u32 = 1;
/// Who would sleep keeps its turn where its deadline is nearer than that, in nanoseconds: a sleeper is woken in time, whoever
/// computes here.
const NEAR: u64 = 50_000_000;
/// Whoever has been away for so long, in nanoseconds, gives no more of them away before it sleeps.
const MOST_AWAY: u64 = 8_000_000;
/// A turn that comes back sooner, in nanoseconds, was wanted by nobody: two switches between processes take longer.
const TAKEN: u64 = 1_000;
/// One that comes back sooner, in nanoseconds, and brought nothing, went to nobody who matters: the kernel takes some
/// microseconds for itself where a processor has just been woken.
const BRIEF: u64 = 5_000;
/// After so many of either in a row a thread that would rather sleep has the processor to itself, and tries only now and
/// then.
const UNWANTED: u32 = 8;
/// A turn that comes back later, in nanoseconds, went to somebody who used it up: a partner with much to do, or a stranger
/// who computes. Others in the same need come back sooner.
const LONG: u64 = 500_000;
/// So much of a long turn, in nanoseconds, may go into each message that the others pass meanwhile: about what it takes
/// to go to sleep and be woken for it.
const WORTH: u64 = 20_000;
/// So many long turns in vain, one after the other, are strangers'. In a crowd one in a hundred is in vain.
const CERTAIN: u32 = 2;
/// A judgement is remembered for so many times as long as the turn took.
const REMEMBERED: u64 = 100;
/// And eight times as long for each further one in vain, up to so many.
const MOST_VAIN: u32 = CERTAIN + 2;
/// But a turn counts for no longer than that, in nanoseconds: the process may have been stopped.
const LONGEST: u64 = 50_000_000;
/// No judgement lasts longer than that, in nanoseconds; and for so long after one, or after a long turn that was not judged,
/// the next long turn is.
const FORGOTTEN: u64 = 60_000_000_000;

thread_local! {
    /// A turn is the thread's, whichever of its ends waits.
    static OWN: Yielding = const { Yielding::new() };
}

/// What a thread has learnt about giving turns away. Times are in nanoseconds of the monotonic clock.
struct Yielding {
    /// How many turns in a row nobody had, or nobody who matters.
    unwanted: Cell<u32>,
    retry: Retry,
    /// How many long turns in a row did not pay, of those that were judged; up to [`MOST_VAIN`].
    vain: Cell<u32>,
    /// Until then what they were judged to be is taken for granted.
    granted_until: Cell<u64>,
    /// From then until then long turns are judged.
    suspects_until: Cell<u64>,
    /// The fork generation that has learnt it: who is forked knows nothing of its neighbours.
    born: Cell<u64>,
}

impl Yielding {
    const fn new() -> Self {
        Yielding {
            unwanted: Cell::new(0),
            retry: Retry::new(),
            vain: Cell::new(0),
            granted_until: Cell::new(0),
            suspects_until: Cell::new(0),
            born: Cell::new(0),
        }
    }

    /// Forgets what another process has learnt: this one's parent.
    fn belongs_to(&self, generation: u64) {
        if self.born.replace(generation) != generation {
            self.unwanted.set(0);
            self.retry.reset();
            self.vain.set(0);
            self.granted_until.set(0);
            self.suspects_until.set(0);
        }
    }

    /// Whether most likely nobody would have it.
    fn is_unwanted(&self) -> bool {
        self.unwanted.get() >= UNWANTED && !self.retry.is_due()
    }

    /// Somebody who matters had the turn, or not.
    fn note(&self, taken: bool) {
        match taken {
            true => {
                self.unwanted.set(0);
                self.retry.reset();
            }
            false => self.unwanted.set(UNWANTED.min(self.unwanted.get() + 1)),
        }
    }

    /// Whether none are to be given away.
    fn abstains(&self, now: u64) -> bool {
        self.vain.get() >= CERTAIN && now < self.granted_until.get()
    }

    /// Whether it is to be counted what others pass meanwhile.
    fn suspects(&self, now: u64) -> bool {
        self.granted_until.get() <= now && now < self.suspects_until.get()
    }

    /// A turn that began then took so long. `carried`: messages that others passed meanwhile, if they were counted.
    fn learn(&self, began: u64, took: u64, carried: Option<u64>) {
        if took < LONG {
            return;
        }
        let Some(carried) = carried else {
            if self.suspects_until.get() <= began {
                self.vain.set(0);
            }
            return self.suspects_until.set(began + FORGOTTEN);
        };
        let paid = carried.saturating_mul(WORTH) >= took;
        let vain = if paid { 0 } else { MOST_VAIN.min(self.vain.get() + 1) };
        self.vain.set(vain);
        let mut until = began;
        if paid || vain >= CERTAIN {
            let longer = 1 << (3 * vain.saturating_sub(CERTAIN));
            until += (took.min(LONGEST) * REMEMBERED * longer).min(FORGOTTEN);
            self.granted_until.set(until);
        }
        self.suspects_until.set(until + FORGOTTEN);
    }
}

impl End {
    /// Lets others have the processor and tries again, as long as somebody has wanted it and it pays.
    pub(crate) fn give_turns_away<R, E>(
        &self,
        wait: &Wait,
        attempt: &mut impl FnMut(bool) -> Result<Option<R>, E>,
    ) -> Result<Option<R>, E>
    where
        E: From<Ended>,
    {
        let (most, margin) = turns(self.patience.strategy());
        if most == 0 {
            return Ok(None);
        }
        OWN.with(|own| own.belongs_to(wipe_on_fork::generation()));
        let mut now = clock::now();
        let end = now + MOST_AWAY;
        for _ in 0..most {
            if OWN.with(|own| own.abstains(now)) || ends_soon(wait, margin) {
                break;
            }
            // Last, since to ask is to use up one that is due. Who would rather not sleep goes on trying.
            if most == ONE && OWN.with(Yielding::is_unwanted) {
                break;
            }
            let suspects = OWN.with(|own| own.suspects(now));
            let before = suspects.then(|| self.passed_by_others());
            // Not before: to count takes a while where there are many.
            let given = clock::now();
            std::thread::yield_now();
            now = clock::now();
            let took = now - given;
            let counted = before.filter(|_| took >= LONG);
            // Whoever leaves meanwhile may be counted twice, before or after.
            let carried = counted.map(|before| self.passed_by_others().saturating_sub(before));
            OWN.with(|own| own.learn(given, took, carried));
            if took < TAKEN {
                OWN.with(|own| own.note(false));
                break;
            }
            // As before a sleep: what came before the end came in time.
            let ended = wait.over();
            let done = attempt(true)?;
            OWN.with(|own| own.note(done.is_some() || took >= BRIEF));
            if done.is_some() {
                return Ok(done);
            }
            if let Some(ended) = ended {
                return Err(ended.into());
            }
            if now > end {
                break;
            }
        }
        Ok(None)
    }

    /// Messages that those for whom it waits have sent or taken so far.
    fn passed_by_others(&self) -> u64 {
        let others = others(self.role, self.awaits.get());
        self.channel.block.total(others, Statistic::Messages)
    }
}

/// How many are given away at most, and how far off a deadline must be, in nanoseconds.
fn turns(strategy: WaitStrategy) -> (u32, u64) {
    match strategy {
        // It was told to keep the processor.
        WaitStrategy::Spin => (0, 0),
        WaitStrategy::Adaptive => (MOST, MOST_AWAY),
        WaitStrategy::Block => (ONE, NEAR),
    }
}

/// Whether a turn might outlast the wait: who has little time does not give it away.
fn ends_soon(wait: &Wait, margin: u64) -> bool {
    let turn = Duration::from_nanos(margin);
    wait.deadline.is_some_and(|deadline| deadline.saturating_duration_since(Instant::now()) < turn)
}

/// Whom an end in that role waits for.
fn others(own: Role, awaited: Awaited) -> Role {
    match (own, awaited) {
        // Receivers have the floor one after the other.
        (_, Awaited::Floor) => Role::Receiver,
        (Role::Sender, _) => Role::Receiver,
        (Role::Receiver, _) => Role::Sender,
    }
}

#[cfg(test)]
mod tests;
