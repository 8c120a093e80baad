//! Where the parts of a log lie in a region.
//!
//! ```text
//!  offset                                                           page-aligned
//!  tail (128) free (128) head (128) │ chunk flags u64 │ words[U] u64 ┄┄┄ │ data: U × unit bytes
//! ```
//!
//! Words and data are touched only where runs lie, so a sparse file stays sparse.

use crate::LayoutError;

pub(super) const CONTROL_BYTES: usize = 3 * 128;
const PAGE: usize = 4096;

/// How many units one chunk flag covers, in a circle that has as many.
pub const UNITS_PER_CHUNK: u32 = 16384;

/// Where a log lies and how it is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLayout {
    /// Where it begins in the region, in bytes; a multiple of 4096.
    pub offset: usize,
    /// How many units the circle has: a power of two, 2^10 to 2^22.
    pub units: u32,
    /// Bytes in a unit: a power of two, at least 64.
    pub unit: usize,
    /// From this index on, a claimer restarts the circle where it may: that keeps the footprint
    /// small and warm. `units` or more: never; must not be 0.
    pub soft: u32,
    /// When it may.
    pub restart: Restart,
}

/// When a claimer may go back to the start of the circle before it is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// When nothing is in use: the log never seems full before it is.
    WhenEmpty,
    /// When the start is free, and enough of the circle has been used. Until everything before the restart is
    /// freed again, the log holds no more than that, and may seem full though little of it is in use.
    WhenStartIsFree {
        /// Enough for so many runs as long as the one that is claimed: with runs of one length, released in
        /// order, so many always find room.
        behind: u32,
    },
}

impl LogLayout {
    /// How many bytes it takes from its offset on, or none where that exceeds the address space.
    pub const fn bytes_needed(&self) -> Option<usize> {
        let Some(data) = self.unit.checked_mul(self.units as usize) else { return None };
        data.checked_add(self.data_begins())
    }

    /// How many chunk flags there are.
    pub const fn chunks(&self) -> u32 {
        if self.units < UNITS_PER_CHUNK { 1 } else { self.units / UNITS_PER_CHUNK }
    }

    /// Where the words begin, from the offset on.
    pub(super) const fn words_begin(&self) -> usize {
        CONTROL_BYTES + (self.chunks() as usize * 8).next_multiple_of(64)
    }

    /// Where the data begins, from the offset on.
    pub(super) const fn data_begins(&self) -> usize {
        (self.words_begin() + self.units as usize * 8).next_multiple_of(PAGE)
    }

    #[cfg_attr(loom, allow(dead_code, reason = "loom has its own memory"))]
    pub(super) const fn check(&self) -> Result<(), LayoutError> {
        if !self.units.is_power_of_two() || self.units < 1 << 10 || self.units > 1 << 22 {
            return Err(LayoutError::Invalid("units must be a power of two, 2^10 to 2^22"));
        }
        if !self.unit.is_power_of_two() || self.unit < 64 {
            return Err(LayoutError::Invalid("unit must be a power of two, at least 64"));
        }
        if self.soft == 0 {
            return Err(LayoutError::Invalid("soft must not be 0"));
        }
        if !self.offset.is_multiple_of(PAGE) {
            return Err(LayoutError::Invalid("offset must be a multiple of 4096"));
        }
        match self.bytes_needed() {
            Some(_) => Ok(()),
            None => Err(LayoutError::TooShort),
        }
    }
}
