//! The one answer to memory that makes no sense.

use std::{error::Error, fmt};

/// How often an operation starts again because others moved first, before it gives up as [`Corrupt`].
///
/// Each lost round means that somebody else finished one, so honest contention never comes near it;
/// a peer that flips a position for ever does, within milliseconds.
/// Under Miri, where a round takes milliseconds, so do few of them.
pub(crate) const ROUNDS: u32 = if cfg!(miri) { 1 << 8 } else { 1 << 20 };

/// The shared memory holds a value that no member following the protocol can have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("shared memory holds a value that no member following the protocol writes")
    }
}

impl Error for Corrupt {}
