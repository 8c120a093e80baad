//! A stream of bytes as records, and records as a stream of bytes.
//!
//! ```text
//!  lines      first ␊ second ␊ ␊ last          a line end belongs to no record; an empty line is
//!                                              a record of no bytes; the last line may lack its end
//!  bytes:4    firs t␊se cond                   the last record may be shorter
//!  prefixed   05 00 00 00 first 00 00 00 00 …  length in 4 bytes, the lowest first; then the record
//!  whole      all of it                        one record, unless there is nothing at all
//! ```

mod read;
mod write;

pub use read::{RecordError, Records};
pub use write::{Misfits, RecordWriter};

use std::fmt;
use std::str::FromStr;

/// Bytes of the largest record unless the channel says otherwise: 64 MiB.
pub const RECORD_LIMIT: usize = 64 << 20;

/// How a stream is cut into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Framing {
    /// Every line, without its end; also a last one that has none. An end at the end of the
    /// stream begins no further line.
    #[default]
    Lines,
    /// One record.
    Whole,
    /// That many bytes each, the last perhaps fewer.
    Bytes(usize),
    /// Each after its length: 4 bytes, the lowest first.
    Prefixed,
}

impl FromStr for Framing {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "lines" => Ok(Framing::Lines),
            "whole" => Ok(Framing::Whole),
            "prefixed" => Ok(Framing::Prefixed),
            _ => text
                .strip_prefix("bytes:")
                .and_then(|number| number.parse().ok())
                .filter(|bytes| (1..=RECORD_LIMIT).contains(bytes))
                .map(Framing::Bytes)
                .ok_or_else(|| {
                    format!(
                        "choose lines, whole, prefixed, or bytes:N with N from 1 to {RECORD_LIMIT}"
                    )
                }),
        }
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Framing::Lines => f.write_str("lines"),
            Framing::Whole => f.write_str("whole"),
            Framing::Bytes(bytes) => write!(f, "bytes:{bytes}"),
            Framing::Prefixed => f.write_str("prefixed"),
        }
    }
}
