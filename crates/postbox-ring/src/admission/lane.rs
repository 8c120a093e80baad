//! Counting alone: a receiver that shares its counter with nobody needs no locked instruction.
//!
//! Behind a system call such an instruction is dear: it waits until all that the kernel stored has
//! arrived, the lines over which both sides contend among them. A plain store waits for nothing, and
//! the receivers that come first, as many as there are [lanes](LANES), get along with one. The others
//! share the channel's counter.
//!
//! ```text
//!  gone = shared counter + lane 0 + lane 1 + …        what a lane has counted stays in it when its
//!         any end, fetch_add   one receiver, store    owner leaves, and the next one counts on
//! ```
//!
//! A lane is owned by a seat, goes with it to another process, and comes free with it.

use super::{Admission, Lane};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{self, AcqRel, Acquire, Relaxed, Release};
use postbox_steps::{Step, at};

/// Receivers that count alone. With more of them a sender that runs out of room has more to read.
pub const LANES: usize = 4;

/// Which lane: proof that it is the holder's seat's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnLane(u8);

impl Admission<'_> {
    /// The lane of `seat`, claimed now unless it was; none where all are others'. `seat` is not 0.
    pub fn own_lane(self, seat: u64) -> Option<OwnLane> {
        // Only the seat itself and its burial change a word of its.
        let own = self.lanes.iter().position(|lane| lane.owner.load(Acquire) == seat);
        // Acquire: what the last owner has counted is seen; pairs with `free_lane`.
        let claim = |lane: &Lane| lane.owner.compare_exchange(0, seat, AcqRel, Relaxed).is_ok();
        own.or_else(|| self.lanes.iter().position(claim)).map(|index| OwnLane(index as u8))
    }

    /// The seat comes free, or its end is dead.
    pub fn free_lane(self, seat: u64) {
        for lane in &self.lanes {
            // Release: pairs with the claim in `own_lane`.
            let _ = lane.owner.compare_exchange(seat, 0, Release, Relaxed);
        }
    }

    /// Messages of the epochs of that parity that count no more.
    pub(super) fn gone(self, epoch: u16, order: Ordering) -> u64 {
        let parity = usize::from(epoch & 1);
        let shared = self.gone[parity].load(order);
        let alone = self.lanes.iter().map(|lane| lane.gone[parity].load(order));
        alone.fold(shared, u64::wrapping_add)
    }
}

impl OwnLane {
    /// Which of the channel's lanes it is.
    #[inline]
    pub fn index(self) -> usize {
        usize::from(self.0) % LANES
    }

    /// A message counts no more: `gone` is this lane's, of the parity of the message's epoch.
    ///
    /// A plain store: a barrier is still to come before the look at the sleepers.
    #[inline(always)]
    pub fn count_gone(self, gone: &AtomicU64) {
        self.count_many_gone(gone, 1);
    }

    /// As [`count_gone`](Self::count_gone), of as many messages of one epoch.
    #[inline(always)]
    pub fn count_many_gone(self, gone: &AtomicU64, count: u64) {
        // Only the owner writes. Release: pairs with the load in `Admission::gone`.
        gone.store(gone.load(Relaxed).wrapping_add(count), Release);
        at(Step::MessageGone);
    }
}
