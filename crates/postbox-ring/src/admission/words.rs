//! The words of admission, as they lie in a channel's memory.

#![cfg_attr(
    not(loom),
    allow(unsafe_code, reason = "the shared! macro, which checks what it asserts")
)]

use super::LANES;
use crate::sync::AtomicU64;
use core::ops::Deref;

#[cfg(not(loom))]
use crate::shared as words;

/// Loom's words never lie in shared memory.
#[cfg(loom)]
macro_rules! words {
    ($($(#[$attribute:meta])* $vis:vis struct $name:ident $fields:tt)+) => {
        $($(#[$attribute])* $vis struct $name $fields)+
    };
}

words! {
    /// One word alone in its pair of cache lines.
    #[repr(C, align(128))]
    pub struct Lone {
        /// The word.
        pub word: AtomicU64,
    }
}

words! {
    /// Where one receiver counts alone.
    #[repr(C, align(128))]
    pub struct Lane {
        /// The seat that counts here, as a word of the caller's that no two seats share; 0 while free.
        pub owner: AtomicU64,
        /// As the channel's `gone`. They outlive their owners.
        pub gone: [AtomicU64; 2],
    }
}

words! {
    /// The words of one channel's admission: all zero in a new channel.
    #[repr(C, align(128))]
    pub struct Words {
        /// epoch (16) · tickets given out (48). Compare-and-swap by senders; the epoch by repairs.
        pub admit: Lone,
        /// Messages of even and odd epochs that count no more: taken, withdrawn or never sent.
        pub gone: [Lone; 2],
        /// Where some of them are counted instead.
        pub lanes: [Lane; LANES],
        /// phase (3 bits) · epoch (16) · room returned for the dead (45). See [`debt`](super::debt).
        pub repair: Lone,
        /// epoch (16) · what `gone` of that epoch's parity is to come to (48). See
        /// [`debt`](super::debt).
        pub debt: AtomicU64,
        /// epoch (16) · ticket (48) past which every older entry must have been popped. See
        /// [`debt`](super::debt).
        pub mark: AtomicU64,
    }
}

impl Deref for Lone {
    type Target = AtomicU64;

    #[inline(always)]
    fn deref(&self) -> &AtomicU64 {
        &self.word
    }
}

impl Words {
    /// Those of a new channel, outside of shared memory: for tests.
    pub fn on_heap() -> Box<Words> {
        let zero = || AtomicU64::new(0);
        let lone = || Lone { word: zero() };
        let lane = |_| Lane { owner: zero(), gone: [zero(), zero()] };
        Box::new(Words {
            admit: lone(),
            gone: [lone(), lone()],
            lanes: core::array::from_fn(lane),
            repair: lone(),
            debt: zero(),
            mark: zero(),
        })
    }
}
