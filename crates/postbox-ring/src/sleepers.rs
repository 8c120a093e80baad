//! How many sleep for something, so that a ring is spared while nobody does.
//!
//! ```text
//!  going to sleep    count + 1  ►  barrier  ►  a last look  ►  sleep until rung
//!  publishing        publish    ►  barrier  ►  count > 0?   ►  count - 1, ring
//! ```
//!
//! One of the two sees the other. A ringer takes one off the count for the ring that it sends, so that a
//! sleeper on its way up is not rung again for each further message; who leaves without having been
//! rung takes itself off.

use crate::sync::AtomicU64;
use crate::sync::Ordering::SeqCst;
use postbox_steps::{Step, at};

/// The count of those who sleep for one thing and that no ring is on its way to.
#[derive(Clone, Copy)]
pub struct Sleepers<'m>(pub &'m AtomicU64);

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
    pub fn count(self) -> u64 {
        // SeqCst: comes after the publication; pairs with the increment in `announce`.
        self.0.load(SeqCst)
    }

    /// Takes one off, to be rung; false if none is left. `count` is what was seen.
    pub fn take_one(self, mut count: u64) -> bool {
        while count > 0 {
            match self.0.compare_exchange_weak(count, count - 1, SeqCst, SeqCst) {
                Ok(_) => {
                    at(Step::SleeperChosen);
                    return true;
                }
                Err(now) => count = now,
            }
        }
        false
    }

    /// Takes all off, to be rung.
    pub fn take_all(self) {
        self.0.store(0, SeqCst);
        at(Step::SleepersChosen);
    }

    /// Takes a sleeper off that leaves without having been rung.
    pub fn leave(self) {
        // At zero a ring is on its way to somebody; a count too high only costs a ring.
        let _ = self.0.fetch_update(SeqCst, SeqCst, |count| count.checked_sub(1));
        at(Step::SleepPlaceGivenUp);
    }
}
