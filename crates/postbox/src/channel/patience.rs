//! Whether to spin before sleeping, and what an end has learnt about it.
//!
//! ```text
//!  Adaptive   spin: the other side runs on another processor
//!               ──► give turns away: it waits for this one (see `yielding`) ──► sleep
//!  Block        ──► give one turn away ──► sleep          Spin   spin
//! ```

use super::carry::FastPath;
use super::control::Awaited;
use super::retry::Retry;
use super::{Carrier, Channel};
use crate::mechanism::WaitStrategy;
use postbox_sys::cpu;
use std::cell::Cell;

/// Attempts that `Adaptive` makes at most before it sleeps, each some hundred nanoseconds on memory and a few hundred
/// where the kernel is asked. Who awaits a message or a receipt must outlast the wake-up of a sleeper: else it sleeps
/// while the other side wakes, and so by turns. Room in a kernel object comes soon or not at all, and who spins for
/// it may keep other senders from the processor: an attempt there costs next to nothing, and so does giving up.
const MOST_SPINS_MEMORY: u32 = 600;
pub(crate) const MOST_SPINS_KERNEL: u32 = 200;
/// A message from so many bytes on takes so long to be copied that the other side's part in it is worth waiting for:
/// that often the measure more for each so many.
const COPIED: usize = 1 << 18;

/// After so many calls in a row that slept or gave their turn away the next ones do without an attempt.
const WAITED_OFTEN: u32 = 8;
/// Of so many of those two in a row attempt first all the same: of two messages that come together one is
/// there already.
const ATTEMPT_EVERY: u32 = 64;

/// What an end does before it sleeps, and what it has learnt about it.
pub(crate) struct Patience {
    strategy: WaitStrategy,
    spins: Cell<u32>,
    /// Of the full measure, which takes up to a tenth of a millisecond where so many sleeps as are between take three.
    retry: Retry,
    /// Calls in a row that slept, or gave their turn away.
    waited: Cell<u32>,
    /// Bytes of the message that was passed since the last wait, if they were many.
    copied: Cell<usize>,
    /// Messages taken before the wait before.
    taken: Cell<u64>,
    streams: Cell<bool>,
    /// That is so of the wait that begins, and not to be asked again.
    judged: Cell<bool>,
}

/// Between two attempts on memory, of about 32 ns each, by what is awaited.
///
/// Each look at a slot takes its cache line from a sender that is about to write it, and each look at
/// the head takes that from a receiver that moves it: to look less often is to be served sooner. Room
/// comes in numbers, so who waits for it can look still less often. Where there may be many, others look, too.
const BREATHS_FOR_MESSAGE: u32 = 3;
const BREATHS_FOR_TWO: u32 = 2;
/// The same where the sender need not be spared the look.
const BREATHS_WHERE_CHEAP: u32 = 1;
/// So many attempts are made one right after the other there: an answer comes meanwhile.
const BREATHLESS_WHERE_CHEAP: u32 = 32;
const BREATHS_FOR_ROOM: u32 = 4;
/// In a stream messages come in numbers, too, if they are let.
const BREATHS_FOR_STREAM: u32 = 8;
/// For so many attempts.
const STREAM_ATTEMPTS: u32 = 16;
/// So many messages from one wait to the next are a stream, which lasts while there are so many of them.
const STREAM_BEGINS: u64 = 8;
const STREAM_LASTS: u64 = 3;

/// Looks, with a PAUSE in between, that a receiver casts where it stands, unless its last spinning was in vain: what comes meanwhile is
/// taken without going into a wait and out of it.
const GLANCES: u32 = 64;

/// Whether who awaits that gives up early: see [`MOST_SPINS_MEMORY`].
fn is_brief(channel: &Channel, awaited: Awaited) -> bool {
    matches!(channel.carrier, Carrier::Kernel(_)) && awaited != Awaited::Receipt
}

/// Lets the other side work before that attempt, in a stream or not.
#[inline]
pub(crate) fn pause(channel: &Channel, awaited: Awaited, attempt: u32, streams: bool) {
    if is_brief(channel, awaited) {
        return std::hint::spin_loop();
    }
    cpu::breathe(match awaited {
        Awaited::Message if streams && attempt < STREAM_ATTEMPTS => BREATHS_FOR_STREAM,
        Awaited::Message | Awaited::Receipt => match channel.is_for_two() {
            true if cpu::looks_are_cheap() && attempt < BREATHLESS_WHERE_CHEAP => 0,
            true if cpu::looks_are_cheap() => BREATHS_WHERE_CHEAP,
            true => BREATHS_FOR_TWO,
            false => BREATHS_FOR_MESSAGE,
        },
        Awaited::Room | Awaited::Space | Awaited::Floor => BREATHS_FOR_ROOM,
    })
}

/// How often `Adaptive` tries there at most: as long, where it tries more often.
pub(crate) fn most_spins(channel: &Channel, awaited: Awaited) -> u32 {
    match awaited {
        _ if is_brief(channel, awaited) => MOST_SPINS_KERNEL,
        Awaited::Message | Awaited::Receipt if channel.is_for_two() && cpu::looks_are_cheap() => {
            MOST_SPINS_MEMORY * BREATHS_FOR_TWO / BREATHS_WHERE_CHEAP
        }
        _ => MOST_SPINS_MEMORY,
    }
}

impl Patience {
    pub(crate) fn new(strategy: WaitStrategy) -> Self {
        Patience {
            strategy,
            spins: Cell::new(u32::MAX),
            retry: Retry::new(),
            waited: Cell::new(0),
            copied: Cell::new(0),
            taken: Cell::new(0),
            streams: Cell::new(false),
            judged: Cell::new(false),
        }
    }

    pub(crate) fn strategy(&self) -> WaitStrategy {
        self.strategy
    }

    /// Whether it ever spins.
    pub(crate) fn may_spin(&self) -> bool {
        self.strategy != WaitStrategy::Block
    }

    /// For whoever waits for several: spins no more than the one with this strategy would.
    pub(crate) fn calm_down(&mut self, strategy: WaitStrategy) {
        self.strategy = match (self.strategy, strategy) {
            (WaitStrategy::Block, _) | (_, WaitStrategy::Block) => WaitStrategy::Block,
            (WaitStrategy::Adaptive, _) | (_, WaitStrategy::Adaptive) => WaitStrategy::Adaptive,
            (WaitStrategy::Spin, WaitStrategy::Spin) => WaitStrategy::Spin,
        };
    }

    /// How often to try before sleeping this time; `most` if nothing speaks against it, and more of it where the other
    /// side, as this one did, has much to copy.
    pub(crate) fn spins(&self, most: u32) -> u32 {
        let measures = 1 + (self.copied.take() / COPIED) as u64;
        // All there are would be to spin for ever.
        let most = (u64::from(most) * measures).min((u32::MAX - 1).into()) as u32;
        match self.strategy {
            WaitStrategy::Block => 0,
            WaitStrategy::Spin => u32::MAX,
            WaitStrategy::Adaptive if self.retry.is_due() => most,
            WaitStrategy::Adaptive => self.spins.get().min(most),
        }
    }

    /// Whether it will, as things are.
    fn is_to_spin(&self) -> bool {
        self.may_spin() && self.spins.get() > 0
    }

    /// A message of that length was sent or received.
    #[inline(always)]
    pub(crate) fn passed(&self, len: usize) {
        if len >= COPIED {
            self.copied.set(len);
        }
    }

    /// How often a receiver that has taken so many messages, and finds none, looks again at once. In a stream it does not:
    /// they come in numbers if they are let.
    pub(crate) fn glances(&self, channel: &Channel, taken: u64) -> u32 {
        self.judged.set(false);
        let pays = self.may_spin() && self.spins.get() == u32::MAX;
        if !pays || !cpu::looks_are_cheap() || channel.fast_path != FastPath::ForTwo {
            return 0;
        }
        let streams = self.in_stream(taken);
        self.judged.set(true);
        if streams { 0 } else { GLANCES }
    }

    /// Whether messages are a stream for a receiver that has taken so many when it begins to wait for another. Asked once
    /// more in a wait for which it has [glanced](Self::glances), the answer is the same.
    pub(crate) fn in_stream(&self, taken: u64) -> bool {
        if self.judged.take() {
            return self.streams.get();
        }
        let run = taken.wrapping_sub(self.taken.replace(taken));
        let least = if self.streams.get() { STREAM_LASTS } else { STREAM_BEGINS };
        self.streams.set(run >= least);
        self.streams.get()
    }

    /// Whether an attempt before it sleeps, or gives its turn away, is most likely in vain.
    #[inline]
    pub(crate) fn expects_sleep(&self) -> bool {
        let waited = self.waited.get();
        waited >= WAITED_OFTEN && waited % ATTEMPT_EVERY >= 2 && !self.is_to_spin()
    }

    /// A call slept, or gave its turn away for what it got.
    pub(crate) fn waited(&self) {
        self.waited.set(self.waited.get().wrapping_add(1));
    }

    /// A call was done without either.
    #[inline]
    pub(crate) fn was_awake(&self) {
        // Asked first, since it mostly is: see `End::was_awake`.
        if self.waited.get() != 0 {
            self.waited.set(0);
        }
    }

    /// Spinning paid: next time as long as it takes. It did not: next time half as long.
    pub(crate) fn learn(&self, paid: bool) {
        if paid {
            self.spins.set(u32::MAX);
            self.retry.reset();
        } else {
            self.spins.set(self.spins.get().min(MOST_SPINS_MEMORY) / 2);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_long_message_it_spins_longer_once_unless_that_does_not_pay() {
        let patience = Patience::new(WaitStrategy::Adaptive);
        patience.passed(COPIED - 1);
        assert_eq!(patience.spins(600), 600);
        patience.passed(4 * COPIED);
        assert_eq!((patience.spins(600), patience.spins(600)), (3000, 600));
        patience.passed(usize::MAX >> 16);
        assert_eq!(patience.spins(600), u32::MAX - 1);
        patience.passed(4 * COPIED);
        patience.learn(false);
        assert_eq!(patience.spins(600), 300);
        let never = Patience::new(WaitStrategy::Block);
        never.passed(4 * COPIED);
        assert_eq!(never.spins(600), 0);
    }

    #[test]
    fn the_full_measure_is_tried_again_now_and_then_and_at_once_when_it_has_paid() {
        let patience = Patience::new(WaitStrategy::Adaptive);
        // Waits up to one with the full measure, which is in vain as all others.
        let in_vain = || {
            (1..).find(|_| {
                let full = patience.spins(600) == 600;
                patience.learn(false);
                full
            })
        };
        assert_eq!(in_vain(), Some(1), "nothing was learnt yet");
        assert_eq!((in_vain(), in_vain()), (Some(63), Some(128)));
        patience.learn(true);
        assert_eq!(in_vain(), Some(1), "it has paid");
        assert_eq!(in_vain(), Some(63));
    }

    #[test]
    fn a_stream_begins_with_many_messages_at_a_time_and_ends_with_few() {
        let patience = Patience::new(WaitStrategy::Adaptive);
        let mut taken = 0;
        let mut after = |run: u64| {
            taken += run;
            patience.in_stream(taken)
        };
        assert!(!after(0), "nothing was received yet");
        assert!(!after(1) && !after(STREAM_BEGINS - 1), "an answer, and a few of them");
        assert!(after(STREAM_BEGINS) && after(STREAM_LASTS) && after(STREAM_LASTS));
        assert!(!after(STREAM_LASTS - 1) && !after(STREAM_LASTS), "it is over");
    }

    #[test]
    fn a_wait_is_taken_for_the_same_after_the_glances_for_it() {
        let options = crate::Options::default().form(crate::Form::OneToOne);
        let (_tx, rx) = options.channel::<crate::Bytes>().unwrap();
        let (patience, channel) = (&rx.end().patience, &rx.end().channel);
        patience.glances(channel, STREAM_BEGINS);
        assert!(patience.in_stream(STREAM_BEGINS));
        // Another wait without a message in between.
        patience.glances(channel, STREAM_BEGINS);
        assert!(!patience.in_stream(STREAM_BEGINS) && !patience.in_stream(STREAM_BEGINS));
    }

    #[test]
    fn a_receiver_of_two_looks_again_where_it_stands_unless_that_is_in_vain_or_it_has_a_stream() {
        use crate::{Bytes, Capacity, Form, Mechanism, Options};
        let most = if cpu::looks_are_cheap() { GLANCES } else { 0 };
        let glances = |mechanism, form, strategy, prepare: fn(&Patience)| {
            let options = Options::new(mechanism).form(form).capacity(Capacity::Bounded(8));
            let (tx, rx) = options.wait_strategy(strategy).channel::<Bytes>().unwrap();
            let patience = &rx.end().patience;
            prepare(patience);
            patience.glances(&tx.end().channel, STREAM_BEGINS - 1)
        };
        let (shm, two) = (Mechanism::SharedMemory, Form::OneToOne);
        let nothing = |_: &Patience| {};
        let spins = [WaitStrategy::Adaptive, WaitStrategy::Spin];
        assert_eq!(spins.map(|spins| glances(shm, two, spins, nothing)), [most; 2]);
        assert_eq!(glances(shm, two, WaitStrategy::Block, nothing), 0);
        assert_eq!(glances(shm, Form::ManyToMany, WaitStrategy::Spin, nothing), 0);
        assert_eq!(glances(Mechanism::Pipe, two, WaitStrategy::Spin, nothing), 0);
        assert_eq!(glances(shm, two, spins[0], |patience| patience.learn(false)), 0);
        let paid: fn(&Patience) =
            |patience| [false, true].iter().for_each(|paid| patience.learn(*paid));
        assert_eq!(glances(shm, two, spins[0], paid), most);
        let stream: fn(&Patience) = |patience| patience.streams.set(true);
        assert_eq!(glances(shm, two, spins[0], stream), 0);
    }
}
