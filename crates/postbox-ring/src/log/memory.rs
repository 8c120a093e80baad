//! The memory a log works on: a region, or loom's model of one.

use super::Restart;
use crate::sync::AtomicU64;

/// The words of a log.
pub trait LogMemory {
    /// How many units the circle has: a power of two.
    fn units(&self) -> u32;
    /// The index from which a claimer likes to restart the circle; not 0.
    fn soft(&self) -> u32;
    /// When it may.
    fn restart(&self) -> Restart;
    /// First position that is not claimed, or lagging behind it by one run.
    fn tail(&self) -> &AtomicU64;
    /// First position that is not freed, or behind it.
    fn free(&self) -> &AtomicU64;
    /// First position that is not taken, or behind it. Queues only.
    fn head(&self) -> &AtomicU64;
    /// The word at `index`, which the caller has masked to be below [`units`](LogMemory::units).
    fn word(&self, index: u32) -> &AtomicU64;
    /// Lets the word at `index` come near, to be written soon. It is a hint.
    fn prefetch(&self, _index: u32) {}
}

#[cfg(not(loom))]
pub use mapped::MappedLog;

#[cfg(not(loom))]
mod mapped {
    #![allow(unsafe_code, reason = "the shared! macro, which checks what it asserts")]

    use core::ops::Range;

    use super::*;
    use crate::{
        LayoutError, Region, View, ViewSlice,
        log::layout::{CONTROL_BYTES, LogLayout},
    };

    crate::shared! {
        /// A position alone in its pair of cache lines.
        #[repr(C, align(128))]
        struct Line {
            position: AtomicU64,
        }

        /// The control lines at the start of a log.
        #[repr(C)]
        struct Control {
            tail: Line,
            free: Line,
            head: Line,
        }
    }

    /// A log's memory in a region.
    #[derive(Clone)]
    pub struct MappedLog {
        control: View<Control>,
        chunks: ViewSlice<AtomicU64>,
        words: ViewSlice<AtomicU64>,
        layout: LogLayout,
        data: usize,
    }

    impl MappedLog {
        pub(in crate::log) fn new(
            region: &Region,
            layout: LogLayout,
        ) -> Result<MappedLog, LayoutError> {
            layout.check()?;
            let (offset, needed) = (layout.offset, layout.bytes_needed());
            let end = needed.and_then(|needed| offset.checked_add(needed));
            if end.is_none_or(|end| end > region.len()) {
                return Err(LayoutError::TooShort);
            }
            Ok(MappedLog {
                control: region.view(offset)?,
                chunks: region.views(offset + CONTROL_BYTES, layout.chunks() as usize)?,
                words: region.views(offset + layout.words_begin(), layout.units as usize)?,
                layout,
                data: offset + layout.data_begins(),
            })
        }

        pub(in crate::log) fn layout(&self) -> &LogLayout {
            &self.layout
        }

        pub(in crate::log) fn chunk_flags(&self) -> &[AtomicU64] {
            &self.chunks
        }

        /// Where `units` units from `index` on lie in the region.
        pub(in crate::log) fn bytes_of(&self, index: u32, units: u32) -> Range<usize> {
            let begin = self.data + index as usize * self.layout.unit;
            begin..begin + units as usize * self.layout.unit
        }
    }

    impl LogMemory for MappedLog {
        fn units(&self) -> u32 {
            self.layout.units
        }

        fn soft(&self) -> u32 {
            self.layout.soft
        }

        fn restart(&self) -> Restart {
            self.layout.restart
        }

        fn tail(&self) -> &AtomicU64 {
            &self.control.tail.position
        }

        fn free(&self) -> &AtomicU64 {
            &self.control.free.position
        }

        fn head(&self) -> &AtomicU64 {
            &self.control.head.position
        }

        fn word(&self, index: u32) -> &AtomicU64 {
            // Masked by the caller with `units - 1`; the modulo here only spares a panic.
            &self.words[index as usize & (self.words.len() - 1)]
        }

        fn prefetch(&self, index: u32) {
            self.words.prefetch_for_write(index as usize);
        }
    }
}
