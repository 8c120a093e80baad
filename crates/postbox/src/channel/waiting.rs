//! How an end waits: it tries, spins while that pays, lets others have the processor while that pays, and sleeps.
//!
//! There is one wait for everything. The end sleeps in an epoll set of its own over the kernel
//! object, its bell, the news, the deaths of the other members and the caller's cancel. Whoever
//! wakes takes without blocking; nobody sleeps inside a call that takes a message.

use super::Carrier;
use super::bells::Asleep;
use super::carry::FastPath;
use super::control::Awaited;
use super::end::End;
use super::members::Statistic;
use super::patience;
use super::wait_set::WaitSet;
use crate::error::Fault;
use crate::wait::{Ended, Wait};
use postbox_ring::slots::SlotRing;
use postbox_steps::{Step, at};
use postbox_sys::clock;

/// How often a spinning wait looks at the clock and at the other members.
const LOOK_EVERY: u32 = 256;
/// How long it spins at most without looking at the clock, in nanoseconds: far longer than all attempts
/// take that are as short as they should be.
const MOST_SPINNING: u64 = 8_000_000;
/// How often it attempts although there is plainly nothing.
const EARNEST: u32 = 16;

impl End {
    pub(crate) fn with_set<R>(
        &self,
        awaited: Awaited,
        act: impl FnOnce(&mut WaitSet) -> Result<R, Fault>,
    ) -> Result<R, Fault> {
        let mut sets = self.sets.borrow_mut();
        let slot = &mut sets[awaited as usize];
        let set = match slot {
            Some(set) => set,
            None => slot.insert(WaitSet::for_end(&self.channel, awaited)?),
        };
        act(set)
    }

    /// Repeats `attempt` until it yields something, sleeping in between for as long as `wait` says.
    #[inline]
    pub(crate) fn wait_for<R, E>(
        &self,
        awaited: Awaited,
        wait: &Wait,
        mut attempt: impl FnMut() -> Result<Option<R>, E>,
    ) -> Result<R, E>
    where
        E: From<Ended> + From<Fault>,
    {
        self.awaits.set(awaited);
        match attempt() {
            Ok(Some(done)) => {
                self.was_awake();
                Ok(done)
            }
            Ok(None) => self.wait_on(wait, |_| attempt()),
            Err(error) => Err(error),
        }
    }

    /// As [`wait_for`](Self::wait_for), for whoever has just seen that there is nothing. While it spins on a
    /// ring for two, `attempt` may be told to cast no more than a glance.
    pub(crate) fn wait_for_more<R, E>(
        &self,
        awaited: Awaited,
        wait: &Wait,
        attempt: impl FnMut(bool) -> Result<Option<R>, E>,
    ) -> Result<R, E>
    where
        E: From<Ended> + From<Fault>,
    {
        self.awaits.set(awaited);
        self.wait_on(wait, attempt)
    }

    /// Whether a ring was meant for this end while it was awake.
    fn was_rung(&self, awaited: Awaited) -> bool {
        let mut sets = self.sets.borrow_mut();
        let Some(set) = &mut sets[awaited as usize] else { return false };
        // What was taken is not given up for an error here.
        let _ = set.look(&self.channel, self.seat);
        set.take_early()
    }

    /// At a glance, there is no message: a load or two where an attempt takes twenty. On a ring for two
    /// the attempt itself is one, if it need not be in earnest.
    #[inline]
    fn plainly_nothing(&self) -> bool {
        match &self.channel.carrier {
            Carrier::Ring(ring) => {
                let message = self.awaits.get() == Awaited::Message;
                message
                    && (self.channel.glances() || self.channel.look_in(ring, SlotRing::is_empty))
            }
            Carrier::Kernel(_) => false,
        }
    }

    /// Whether an attempt would only ask the kernel object once more: for whoever has seen it empty, or is
    /// to sleep on it.
    ///
    /// What comes into the object is heard whether this end sleeps already or is about to: the object is
    /// in the set, or its state is looked at when it is added. All else that an attempt would find is
    /// looked at here, after this end was announced; what comes later rings.
    pub(crate) fn nothing_new(&self, awaited: Awaited) -> bool {
        let channel = &self.channel;
        awaited == Awaited::Message
            && channel.fast_path == FastPath::Kernel
            && !self.guarded
            && channel.overflow.is_empty()
            && self.partners_at.get() == channel.block.control.roster()
            && !channel.block.repair_due()
    }

    /// The first attempt has failed.
    #[cold]
    #[inline(never)]
    fn wait_on<R, E>(
        &self,
        wait: &Wait,
        mut attempt: impl FnMut(bool) -> Result<Option<R>, E>,
    ) -> Result<R, E>
    where
        E: From<Ended> + From<Fault>,
    {
        if let Some(ended) = wait.over() {
            return Err(ended.into());
        }
        let spins = self.patience.spins(patience::most_spins(&self.channel, self.awaits.get()));
        let streams = self.awaits.get() == Awaited::Message
            && self.patience.in_stream(self.member().counted(Statistic::Messages));
        let mut spun = 0;
        let mut looked = clock::coarse();
        while spun < spins {
            patience::pause(&self.channel, self.awaits.get(), spun, streams);
            spun += 1;
            // Now and then in earnest, for what a glance does not tell: disconnection, repairs.
            let earnest = spun % EARNEST == 0 || !self.plainly_nothing();
            if (earnest || self.channel.glances())
                && let Some(done) = attempt(earnest)?
            {
                self.patience.learn(true);
                return Ok(done);
            }
            if earnest {
                // Attempts take long where memory lies: so many of them would outlast any deadline.
                let now = clock::coarse();
                if now.wrapping_sub(looked) > MOST_SPINNING {
                    if let Some(ended) = wait.over() {
                        return Err(ended.into());
                    }
                    if spins != u32::MAX {
                        break;
                    }
                    looked = now;
                }
            }
            if spun % LOOK_EVERY == 0 {
                if let Some(ended) = wait.over() {
                    return Err(ended.into());
                }
                self.look_around()?;
                self.wake_a_sender(self.awaits.get());
                if spins == u32::MAX {
                    // The first attempts are over.
                    spun = LOOK_EVERY;
                }
            }
        }
        if spun > 0 {
            self.patience.learn(false);
        }
        if let Some(done) = self.give_turns_away(wait, &mut attempt)? {
            self.patience.waited();
            return Ok(done);
        }
        let mut heard = false;
        loop {
            // An attempt says what it lacks; see `lacks`.
            let awaited = self.awaits.get();
            if let Some(offer) = self.offering.get() {
                self.channel.block.sleep_for_receipt(offer);
            }
            self.queue_up(awaited);
            let mut asleep = Asleep::announce(&self.channel, awaited);
            // The cancel comes before the last attempt, so that a wake-up meant for this end and
            // not used up is never carried off by it.
            let ended = wait.over();
            let outcome = match ended.is_none() && self.nothing_new(awaited) {
                true => None,
                false => attempt(true).transpose(),
            };
            if (outcome.is_some() || ended.is_some()) && self.was_rung(awaited) {
                asleep.rung();
                heard |= awaited == Awaited::Room;
            }
            if let Some(outcome) = outcome {
                drop(asleep);
                self.leave_room(heard);
                return outcome;
            }
            if heard && self.awaits.get() != Awaited::Room {
                // Woken for room that it cannot use: somebody else may.
                self.channel.freed();
                at(Step::RoomPassedOn);
            }
            if let Some(ended) = ended {
                drop(asleep);
                self.leave_room(heard);
                return Err(ended.into());
            }
            heard = false;
            if self.awaits.get() != awaited {
                continue;
            }
            self.count(Statistic::Waits, 1);
            self.awake_for.set(0);
            self.patience.waited();
            self.wake_a_sender(awaited);
            let rung = self.with_set(awaited, |set| {
                set.sleep_unless(&self.channel, self.seat, wait.deadline, wait.cancel)
            })?;
            at(Step::Woken);
            if rung {
                asleep.rung();
                heard = awaited == Awaited::Room;
            }
            drop(asleep);
            if let Some(outcome) = attempt(true).transpose() {
                self.leave_room(heard);
                return outcome;
            }
        }
    }

    /// Those who wait for a message, or for room, are woken in turn.
    fn queue_up(&self, awaited: Awaited) {
        if !matches!(awaited, Awaited::Message | Awaited::Room) {
            return;
        }
        let others = || {
            let count = self.channel.block.control.sleepers(awaited).count();
            // The dead are still counted.
            (count.asleep() > 0 || count.rung() > 0) && !self.is_alone()
        };
        let passed = self.member().counted(Statistic::Messages);
        // What fails here fails again where the end is to sleep, if it is to.
        let _ = self.with_set(awaited, |set| set.queue_up(&self.channel, passed, others));
    }

    /// For a sender that was rung for room and does not wait any more, with what it needs or an error: the rest
    /// is for those who were spared a ring meanwhile.
    fn leave_room(&self, heard: bool) {
        let channel = &self.channel;
        let control = &channel.block.control;
        if !heard {
            return;
        }
        at(Step::RoomLeft);
        if control.sleepers(Awaited::Room).count().asleep() == 0 {
            return;
        }
        if !channel.has_room() {
            // Who spared a ring was to see that one was on its way: what it freed is seen behind a barrier.
            channel.barrier_for_all();
            if !channel.has_room() {
                return;
            }
        }
        channel.bells.ring_for_room(control);
    }

    /// A receiver has nothing to receive: if senders sleep all the same, who was rung for all of them may have
    /// been stopped.
    pub(crate) fn wake_a_sender(&self, awaited: Awaited) {
        if awaited == Awaited::Message {
            self.channel.bells.ring_one(&self.channel.block.control, Awaited::Room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Capacity, Mechanism, Options, SendError, WaitStrategy};
    use std::time::Duration;

    #[test]
    fn a_sender_that_is_rung_as_its_time_is_over_leaves_the_room_to_the_next() {
        for mechanism in Mechanism::ALL {
            let options = Options::new(mechanism).capacity(Capacity::Bounded(1));
            let (tx, rx) = options.wait_strategy(WaitStrategy::Block).channel::<Bytes>().unwrap();
            let (quicker, end) = (tx.clone(), tx.end());
            let control = &end.channel.block.control;
            quicker.send(b"first").unwrap();
            let wait = Wait::timeout(Duration::from_millis(1));
            // What it sleeps on sounds once when it is made.
            let first = end.wait_for::<(), SendError>(Awaited::Room, &wait, || Ok(None));
            assert!(matches!(first, Err(SendError::TimedOut)));
            let mut next = None;
            let mut attempts = 0;
            let wait = Wait::timeout(Duration::from_millis(1));
            let outcome = end.wait_for::<(), SendError>(Awaited::Room, &wait, || {
                attempts += 1;
                // At once, before the sleep, after it, and when the time is over.
                if attempts == 4 {
                    // After that attempt it is rung, the room is taken by another one, and what comes free then is
                    // nobody's: one is on its way.
                    rx.receive().unwrap();
                    quicker.send(b"second").unwrap();
                    next = Some(Asleep::announce(&end.channel, Awaited::Room));
                    rx.receive().unwrap();
                    let count = control.sleepers(Awaited::Room).count();
                    assert_eq!((count.asleep(), count.rung()), (1, 1), "{mechanism}");
                }
                Ok(None)
            });
            assert!(matches!(outcome, Err(SendError::TimedOut)) && attempts == 4);
            let count = control.sleepers(Awaited::Room).count();
            assert_eq!((count.asleep(), count.rung()), (0, 1), "{mechanism}");
        }
    }
}
