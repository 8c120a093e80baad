//! Fixed slots in a ring: many producers, many consumers, exactly `n` messages waiting.
//!
//! Every slot has one word which says for which lap it is and in what state, so that one
//! compare-and-swap changes owner and state together. Tail and head only say where to look first:
//! whoever finds one lagging behind the words moves it on, so no one is needed to finish anything.
//!
//! ```text
//!            claim            publish          take              release
//!  FREE(L) ───────► WRITING(L,m) ───► FULL(L) ───► READING(L,m) ───► FREE(L+1)
//!                        │ abandon, or m died          │ m died, what it took is settled ▲
//!                        ▼                             └─────────────────────────────────┤
//!                     SKIP(L) ──── whoever finds it at the head passes over it ──────────┘
//!
//!  position   …  head                     tail
//!  words         FULL  FULL  WRIT…  FULL  FREE(L)      head ≤ first not taken, at most 1 behind
//!                └──── live ≤ n ───────┘               tail ≤ first not claimed, at most 1 behind
//! ```
//!
//! **Exactly n.** A sender may claim position `p` while fewer than `n` live entries lie before it.
//! For a given `p` that number only falls (entries are taken, withdrawn or skipped; none is added
//! before `p`), so a check that passed still holds when the compare-and-swap on `p`'s word succeeds:
//! exact without a counter. Slots beyond `n` are slack for entries that are being read or were
//! withdrawn.
//!
//! The idea of a word per slot that carries the lap is Dmitry Vyukov's bounded queue; helping a
//! lagging position forward is from Michael and Scott's queue.

mod claim;
mod count;
mod errors;
mod layout;
mod memory;
mod settle;
mod take;
mod word;

use crate::{corrupt::Corrupt, sync::AtomicU64, sync::Ordering};

pub(crate) use claim::Admission;
pub use claim::ClaimCache;
pub use errors::{ClaimError, LayoutError};
pub use layout::SlotLayout;
#[cfg(not(loom))]
pub use memory::MappedSlots;
pub use memory::{PairMemory, SlotMemory};
pub use take::Take;
pub use word::Position;
pub(crate) use word::{Seen, SlotState, SlotWord};

/// A ring of slots in a region.
#[cfg(not(loom))]
pub type SlotRing = Slots<MappedSlots>;

/// The ring over any memory; [`SlotRing`] is the one over a region.
#[derive(Clone)]
pub struct Slots<M> {
    memory: M,
}

/// A slot that its claimer alone may write until it publishes or abandons it.
///
/// Dropped, the slot stays claimed until its member is settled.
#[derive(Debug)]
#[must_use = "a claim holds up the ring until it is published or abandoned"]
pub struct Claim {
    pub(crate) position: Position,
    body: usize,
    len: usize,
}

/// A slot that its taker alone may read until it releases it.
///
/// Dropped, the slot stays taken until its member is settled.
#[derive(Debug)]
#[must_use = "a taken slot is lost to the ring until it is released"]
pub struct Taken {
    pub(crate) position: Position,
    body: usize,
    len: usize,
}

macro_rules! body_accessors {
    ($($of:ty),+) => {$(
        impl $of {
            /// Which entry this is, for `withdraw`.
            #[inline]
            pub fn position(&self) -> Position {
                self.position
            }

            /// The physical slot, below the number of slots.
            #[inline]
            pub fn index(&self) -> u32 {
                self.position.index()
            }

            /// Where the body begins, in bytes from the start of the region; 8 modulo 64.
            #[inline]
            pub fn body_offset(&self) -> usize {
                self.body
            }

            /// Room in the body, in bytes: the stride without the word.
            #[inline]
            pub fn body_len(&self) -> usize {
                self.len
            }
        }
    )+};
}
body_accessors!(Claim, Taken);

impl<M: SlotMemory> Slots<M> {
    /// The ring in `memory`, whose control words may be all zero (an empty ring) or in use.
    pub fn over(memory: M) -> Slots<M> {
        Slots { memory }
    }

    /// How many entries may wait.
    pub fn window(&self) -> u32 {
        self.memory.window()
    }

    /// How many slots there are.
    pub fn slots(&self) -> u32 {
        self.memory.slots()
    }

    /// Room in each body, in bytes.
    pub fn body_len(&self) -> usize {
        self.memory.body_len()
    }

    /// The word of the slot at `position`; a position read from memory may name no slot.
    #[inline]
    pub(crate) fn word(&self, position: Position) -> Result<&AtomicU64, Corrupt> {
        self.memory.word(position.index()).ok_or(Corrupt)
    }

    #[inline]
    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    /// The position after `position`.
    #[inline]
    pub(crate) fn after(&self, position: Position) -> Position {
        position.next(self.memory.slots())
    }

    /// The position `by` after `position`; not more than once round.
    #[inline]
    pub(crate) fn advanced(&self, position: Position, by: u32) -> Position {
        position.advanced(by, self.memory.slots())
    }

    /// The position before `position`.
    #[inline]
    pub(crate) fn before(&self, position: Position) -> Position {
        position.previous(self.memory.slots())
    }

    /// How many entries lie from `earlier` to `later`; negative where they are the other way round.
    #[inline]
    pub(crate) fn distance(&self, earlier: Position, later: Position) -> i64 {
        later.distance_from(earlier, self.memory.slots())
    }

    #[inline]
    pub(crate) fn claimed(&self, position: Position) -> Claim {
        let body = self.memory.body(position.index());
        Claim { position, body, len: self.memory.body_len() }
    }

    #[inline]
    pub(crate) fn taken(&self, position: Position) -> Taken {
        let body = self.memory.body(position.index());
        Taken { position, body, len: self.memory.body_len() }
    }

    /// Moves `counter` (tail or head) from `position` to the next; fails where others have.
    #[inline]
    pub(crate) fn advance(&self, counter: &AtomicU64, position: Position) {
        let next = self.after(position).raw();
        // Release: pairs with the Acquire loads of tail and head, so that whoever reads the new
        // position also sees the word that let it move. Failure: someone else moved it.
        let _ =
            counter.compare_exchange(position.raw(), next, Ordering::Release, Ordering::Relaxed);
    }
}

#[cfg(not(loom))]
impl SlotRing {
    /// The ring that lies in `region` as `layout` says. All-zero memory is an empty ring.
    ///
    /// # Errors
    /// [`LayoutError`] where the layout makes no sense or the region is too short for it.
    pub fn new(region: &crate::Region, layout: SlotLayout) -> Result<SlotRing, LayoutError> {
        Ok(Slots::over(MappedSlots::new(region, layout)?))
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
