//! Which chunks of the data are backed by pages: flags that the owner of a run keeps.
//!
//! Allocating takes a system call, which is the caller's; here is only the memory of it. A flag is
//! set after its chunk was allocated, and cleared before its pages are given back, by someone who
//! owns a run there: killed in between, the worst is that a chunk is allocated twice.

#![cfg(not(loom))]

use core::ops::Range;

use super::{Log, UNITS_PER_CHUNK};
use crate::sync::Ordering;

impl Log {
    /// The chunks that the units touch and that are not marked allocated.
    pub fn chunks_missing(&self, units: Range<u32>) -> impl Iterator<Item = u32> + '_ {
        let touched = match units.is_empty() {
            true => 0..0,
            false => units.start / UNITS_PER_CHUNK..(units.end - 1) / UNITS_PER_CHUNK + 1,
        };
        self.chunks_marked(touched, 0)
    }

    /// The chunks that lie wholly within the units and that are marked allocated.
    pub fn chunks_held(&self, units: Range<u32>) -> impl Iterator<Item = u32> + '_ {
        let end = match units.end >= self.units() {
            true => self.memory.layout().chunks(),
            false => units.end / UNITS_PER_CHUNK,
        };
        self.chunks_marked(units.start.div_ceil(UNITS_PER_CHUNK)..end, 1)
    }

    /// Remembers that the chunk is backed by pages.
    pub fn mark_allocated(&self, chunk: u32) {
        self.mark(chunk, 1);
    }

    /// Forgets that the chunk is backed by pages: to be called before they are given back.
    pub fn mark_returned(&self, chunk: u32) {
        self.mark(chunk, 0);
    }

    /// Where the data of a chunk lies, in bytes from the start of the region; empty where there is
    /// no such chunk.
    pub fn chunk_range(&self, chunk: u32) -> Range<usize> {
        let begin = chunk.saturating_mul(UNITS_PER_CHUNK).min(self.units());
        self.memory.bytes_of(begin, UNITS_PER_CHUNK.min(self.units() - begin))
    }

    fn chunks_marked(&self, chunks: Range<u32>, wanted: u64) -> impl Iterator<Item = u32> + '_ {
        let flags = self.memory.chunk_flags();
        // Acquire: pairs with the Release in `mark`.
        chunks.filter(move |&chunk| {
            flags
                .get(chunk as usize)
                .is_some_and(|f| u64::from(f.load(Ordering::Acquire) != 0) == wanted)
        })
    }

    fn mark(&self, chunk: u32, value: u64) {
        if let Some(flag) = self.memory.chunk_flags().get(chunk as usize) {
            // Release: pairs with the Acquire in `chunks_marked`.
            flag.store(value, Ordering::Release);
        }
    }
}
