//! The atomics that the algorithms use: the processor's, or loom's when loom explores them.

#[cfg(not(loom))]
pub use core::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, AtomicU64, Ordering, fence},
};

#[cfg(loom)]
pub use loom::{
    hint::spin_loop,
    sync::atomic::{AtomicU32, Ordering, fence},
};
#[cfg(loom)]
pub use witnessed::AtomicU64;

/// A `Release` store of a word that somebody else may exchange meanwhile: what is stored stays, unless the exchange
/// found it.
///
/// Loom keeps no order of a store and an exchange that nothing else orders, and would let later loads find either. So
/// it explores the store as an exchange.
#[inline(always)]
pub(crate) fn store_over(word: &AtomicU64, value: u64) {
    #[cfg(not(loom))]
    word.store(value, Ordering::Release);
    #[cfg(loom)]
    word.swap(value, Ordering::Release);
}

#[cfg(loom)]
mod witnessed {
    use loom::sync::atomic::{
        AtomicU64 as Explored, Ordering,
        Ordering::{Acquire, Relaxed, SeqCst},
    };

    /// A value that no word has.
    const NEVER: u64 = 0xdead_beef_dead_beef;

    /// Loom's atomic with a witness beside it, so that no order of two accesses stays untried.
    ///
    /// Alone, loom 0.7 remembers one last access to an atomic: where a thread reads a word and then
    /// writes it, its own read hides the earlier reads of others, and they are never tried behind
    /// the write (tokio-rs/loom issue 392). The witness is exchanged before each read, and
    /// exchanges hide nothing. It is relaxed and orders nothing, and the read itself still sees
    /// every old value it may.
    ///
    /// A `SeqCst` load is explored as an exchange that fails: it finds the newest value, as it must
    /// where every write of the word is `SeqCst` or an exchange, and writes nothing. Loom knows no total
    /// order of such accesses and would report what cannot be. The price: `SeqCst` for `AcqRel` on an
    /// exchange is no difference that loom could see.
    pub struct AtomicU64 {
        value: Explored,
        witness: Explored,
    }

    impl AtomicU64 {
        /// As `core`'s.
        pub fn new(value: u64) -> AtomicU64 {
            AtomicU64 { value: Explored::new(value), witness: Explored::new(0) }
        }

        /// As `core`'s.
        pub fn load(&self, order: Ordering) -> u64 {
            if order == SeqCst {
                let (Ok(newest) | Err(newest)) =
                    self.value.compare_exchange(NEVER, NEVER, Acquire, Acquire);
                return newest;
            }
            self.witness.swap(0, Relaxed);
            self.value.load(order)
        }

        /// As `core`'s.
        pub fn store(&self, value: u64, order: Ordering) {
            self.value.store(value, order);
        }

        /// As `core`'s.
        pub fn swap(&self, value: u64, order: Ordering) -> u64 {
            self.value.swap(value, order)
        }

        /// As `core`'s.
        ///
        /// # Errors
        /// The value found, where it is not `current`.
        pub fn compare_exchange(
            &self,
            current: u64,
            new: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.value.compare_exchange(current, new, success, failure)
        }

        /// As `core`'s, but never fails where the value is `current`.
        ///
        /// # Errors
        /// The value found, where it is not `current`.
        pub fn compare_exchange_weak(
            &self,
            current: u64,
            new: u64,
            success: Ordering,
            failure: Ordering,
        ) -> Result<u64, u64> {
            self.compare_exchange(current, new, success, failure)
        }

        /// As `core`'s.
        pub fn fetch_add(&self, by: u64, order: Ordering) -> u64 {
            self.value.fetch_add(by, order)
        }

        /// As `core`'s.
        ///
        /// # Errors
        /// The value found, where `change` makes nothing of it.
        pub fn fetch_update(
            &self,
            success: Ordering,
            failure: Ordering,
            mut change: impl FnMut(u64) -> Option<u64>,
        ) -> Result<u64, u64> {
            let mut found = self.load(failure);
            while let Some(new) = change(found) {
                match self.compare_exchange(found, new, success, failure) {
                    Ok(_) => return Ok(found),
                    Err(now) => found = now,
                }
            }
            Err(found)
        }
    }
}
