//! Crash-safe, lock-free rings over raw shared memory.
//!
//! Any process that maps the memory may be killed between any two instructions; what it leaves
//! behind is either invisible or can be settled by any other member. Nothing here blocks, makes a
//! system call or trusts what it reads: words come from memory that a hostile peer may scribble on,
//! so each is read once and checked, and the worst outcome is [`Corrupt`].
//!
//! Reading order:
//!
//! 1. [`region`]: shared memory as checked views and copies; with `shared!` the only unsafe code
//! 2. [`slots`]: [`SlotRing`], fixed slots, many producers and many consumers, exactly `n` waiting
//! 3. [`spsc`]: the same memory for one producer and one consumer, without read-modify-write
//! 4. [`pairing`]: how the one begins as the other, and becomes what it is when a third end comes
//! 5. [`log`]: [`Log`], runs of variable length in a circle, as a heap and as a queue
//! 6. [`admission`], [`receipt`], [`turn`], [`sleepers`], [`fences`]: what a channel decides by a word or two: who
//!    may come in, whose a message is, who meets whom, whether anybody is to be woken, who has the barriers
//!
//! The algorithms are written against [`slots::SlotMemory`] and [`log::LogMemory`], so that loom
//! explores the very code that runs over a mapping (`tests/loom_*.rs`). Those of 6 are given their words
//! one by one, for the same reason.

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!(
    "Postbox is for Linux on 64-bit processors: its words in shared memory have 64 bits"
);

pub mod admission;
pub mod fences;
pub mod log;
pub mod pairing;
pub mod receipt;
pub mod region;
pub mod sleepers;
pub mod slots;
pub mod spsc;
pub mod sync;
pub mod turn;

mod corrupt;

pub use corrupt::Corrupt;
#[cfg(not(loom))]
pub use log::Log;
pub use log::{LogLayout, Restart};
#[cfg(not(loom))]
pub use pairing::RingPairing;
pub use region::{
    OutOfBounds, Region, Shared, SharedSlice, SharedSliceMut, StridedView, View, ViewSlice,
};
#[cfg(not(loom))]
pub use slots::SlotRing;
pub use slots::{ClaimCache, ClaimError, LayoutError, SlotLayout, Take};
pub use spsc::{SpscReceiver, SpscSender};
