//! One small error type per operation.

use std::{error::Error, fmt};

use crate::{Corrupt, OutOfBounds};

/// Why nothing could be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimError {
    /// No room at this moment.
    Full,
    /// The shared memory makes no sense.
    Corrupt,
}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClaimError::Full => f.write_str("no room in the ring"),
            ClaimError::Corrupt => Corrupt.fmt(f),
        }
    }
}

impl Error for ClaimError {}

impl From<Corrupt> for ClaimError {
    fn from(_: Corrupt) -> ClaimError {
        ClaimError::Corrupt
    }
}

/// Why a layout cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// A number in it is outside its limits; says which.
    Invalid(&'static str),
    /// The region ends before the layout does.
    TooShort,
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LayoutError::Invalid(which) => write!(f, "layout not possible: {which}"),
            LayoutError::TooShort => f.write_str("the region ends before the layout does"),
        }
    }
}

impl Error for LayoutError {}

impl From<OutOfBounds> for LayoutError {
    fn from(_: OutOfBounds) -> LayoutError {
        LayoutError::TooShort
    }
}
