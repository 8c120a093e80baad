//! How many sleep for something, so that a ring is spared while nobody does.
//!
//! ```text
//!  going to sleep    asleep + 1  ►  barrier  ►  a last look   ►  sleep until rung
//!  publishing        publish     ►  barrier  ►  asleep > 0?   ►  asleep - 1, rung + 1, ring
//!  woken by a ring   rung - 1
//!  leaving unrung    asleep - 1
//! ```
//!
//! One of the first two sees the other. A ringer moves one from the asleep to the rung for the ring that it
//! sends, so that a sleeper on its way up is not rung again for each further message.
//!
//! Who wakes, or leaves, takes one off in any case, from the other number if its own is zero: a ring may
//! have reached another sleeper than the one that it was meant for. So both together are those who are counted
//! in, and more only after a death: a number that is too high costs a ring to nobody.

use crate::sync::AtomicU64;
use crate::sync::Ordering::SeqCst;
use postbox_steps::{Step, at};

/// The count of those who sleep for one thing, those apart that a ring is on its way to.
#[derive(Clone, Copy)]
pub struct Sleepers<'m>(pub &'m AtomicU64);

/// Both numbers, in one word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Count(u64);

impl Count {
    const RUNG: u64 = 1 << 32;

    /// Those that no ring is on its way to.
    #[inline(always)]
    pub fn asleep(self) -> u32 {
        self.0 as u32
    }

    /// Those that one is on its way to.
    #[inline(always)]
    pub fn rung(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn asleep_more(self, by: u32) -> Count {
        Count(self.0 + u64::from(by.min(u32::MAX - self.asleep())))
    }

    fn asleep_less(self) -> Option<Count> {
        (self.asleep() > 0).then(|| Count(self.0 - 1))
    }

    fn rung_less(self) -> Option<Count> {
        (self.rung() > 0).then(|| Count(self.0 - Count::RUNG))
    }

    /// All of them asleep.
    fn recalled(self) -> Count {
        Count(self.asleep().into()).asleep_more(self.rung())
    }
}

impl Sleepers<'_> {
    /// Counts a sleeper in. To be followed by one more look at what is awaited, for which the barrier
    /// is.
    pub fn announce(self, barrier: impl FnOnce()) {
        // SeqCst: before that look; pairs with the load in `count`.
        self.0.fetch_add(1, SeqCst);
        at(Step::SleepAnnounced);
        barrier();
    }

    /// How many there are; to be asked after publishing, and a barrier.
    #[inline(always)]
    pub fn count(self) -> Count {
        // SeqCst: comes after the publication; pairs with the increment in `announce`.
        Count(self.0.load(SeqCst))
    }

    /// Chooses one, to be rung; false if none is asleep, or rings are on their way to as many as `most`.
    pub fn take_one(self, most: u32) -> bool {
        let taken = self.change(|count| {
            let less = count.asleep_less().filter(|_| count.rung() < most)?;
            Some(Count(less.0.wrapping_add(Count::RUNG)))
        });
        if taken {
            at(Step::SleeperChosen);
        }
        taken
    }

    /// Chooses all, to be rung.
    pub fn take_all(self) {
        self.change(|count| Some(Count(count.recalled().0 << 32)));
        at(Step::SleepersChosen);
    }

    /// Takes a sleeper off that was woken by a ring.
    pub fn arrive(self) {
        self.change(|count| count.rung_less().or(count.asleep_less()));
        at(Step::SleepPlaceGivenUp);
    }

    /// Takes a sleeper off that leaves without having been rung.
    pub fn leave(self) {
        self.change(|count| count.asleep_less().or(count.rung_less()));
        at(Step::SleepPlaceGivenUp);
    }

    /// No ring is on its way any more: who was to be woken, or was to ring, may have died.
    pub fn recall(self) {
        self.change(|count| (count.rung() > 0).then(|| count.recalled()));
    }

    fn change(self, change: impl Fn(Count) -> Option<Count>) -> bool {
        // SeqCst: in one order with the announcements.
        self.0
            .fetch_update(SeqCst, SeqCst, |word| change(Count(word)).map(|changed| changed.0))
            .is_ok()
    }
}
