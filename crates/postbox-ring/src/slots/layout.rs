//! Where the parts of a slot ring lie in a region.
//!
//! ```text
//!  offset     control      withdrawn[slots]      slot 0            slot 1
//!  │          │            │ u64 each            │ word, body …    │ word, body …
//!  ▼          ▼            ▼                     ▼                 ▼
//!  tail (128) head (128) withdrawals (128) ┄┄┄┄┄ 64-aligned ┄┄┄┄┄┄ + stride
//!  producers  consumers  failed synchronous sends
//!  phase (128) sender (128) receiver (128): of a pair
//! ```
//!
//! Tail, head, hint and what a [pair](crate::pairing) has for itself each have two cache lines alone (processors fetch lines in pairs). The word
//! shares its line with the first 56 bytes of the body: a small message travels with its word.

use super::LayoutError;

pub(super) const CONTROL_BYTES: usize = 6 * 128;
#[cfg_attr(loom, allow(dead_code, reason = "loom has its own memory"))]
pub(super) const WORD_BYTES: usize = 8;
pub(super) const LINE: usize = 64;

/// Where a slot ring lies and how it is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlotLayout {
    /// Where it begins in the region, in bytes; a multiple of 128.
    pub offset: usize,
    /// How many slots there are: 1 to 2^24.
    pub slots: u32,
    /// How many entries may wait: 1 to `slots`.
    pub window: u32,
    /// Bytes from slot to slot, the word's 8 included; a multiple of 64.
    pub stride: usize,
}

impl SlotLayout {
    /// How many bytes it takes from its offset on, or none where that exceeds the address space.
    pub const fn bytes_needed(&self) -> Option<usize> {
        let Some(slots) = self.stride.checked_mul(self.slots as usize) else { return None };
        slots.checked_add(self.slots_begin())
    }

    /// Where the slots begin, from the offset on.
    pub(super) const fn slots_begin(&self) -> usize {
        // At a pair of lines: the processor fetches both of a slot that has two.
        CONTROL_BYTES + (self.slots as usize * 8).next_multiple_of(2 * LINE)
    }

    #[cfg_attr(loom, allow(dead_code, reason = "loom has its own memory"))]
    pub(super) const fn check(&self) -> Result<(), LayoutError> {
        if self.slots == 0 || self.slots > 1 << 24 {
            return Err(LayoutError::Invalid("slots must be 1 to 2^24"));
        }
        if self.window == 0 || self.window > self.slots {
            return Err(LayoutError::Invalid("window must be 1 to slots"));
        }
        if self.stride == 0 || !self.stride.is_multiple_of(LINE) {
            return Err(LayoutError::Invalid("stride must be a multiple of 64"));
        }
        if !self.offset.is_multiple_of(128) {
            return Err(LayoutError::Invalid("offset must be a multiple of 128"));
        }
        match self.bytes_needed() {
            Some(_) => Ok(()),
            None => Err(LayoutError::TooShort),
        }
    }
}
