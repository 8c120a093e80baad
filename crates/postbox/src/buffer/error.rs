//! What can go wrong with a region that others write.

use postbox_sys::Errno;

/// The region holds an index or a size that neither side can have written by the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the shared buffer is corrupt: a process wrote what neither side may write; recreate it")]
pub struct CorruptBuffer;

/// Why a descriptor could not be attached as a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// It is something else, or of another version.
    #[error("the descriptor is not that of a shared buffer of this version")]
    Foreign,
    /// Its items are not the expected ones.
    #[error("the shared buffer holds items of {found} bytes, not of {expected}")]
    ItemSize {
        /// The bytes of the item type asked for.
        expected: usize,
        /// The bytes of those in the buffer.
        found: u64,
    },
    /// What it says of itself makes no sense.
    #[error(transparent)]
    Corrupt(#[from] CorruptBuffer),
    /// It could not be mapped.
    #[error("cannot map the shared buffer: {0}")]
    System(
        /// `ENOMEM` where no address space is left, `EACCES` where the descriptor is read-only.
        #[source]
        Errno,
    ),
}

/// Why nothing was produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryProduceError {
    /// BUFFER_SIZE − 1 items wait.
    #[error("the shared buffer is full; nothing was produced")]
    Full,
    /// The region makes no sense.
    #[error(transparent)]
    Corrupt(#[from] CorruptBuffer),
}

impl TryProduceError {
    /// Whether there was merely no room.
    pub fn is_full(&self) -> bool {
        matches!(self, TryProduceError::Full)
    }
}
