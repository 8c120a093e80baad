//! Numbers that nobody else has, for what is told apart across processes.

use std::hash::{BuildHasher, RandomState};
use std::time::Instant;

/// A number that nobody else has had: by the random keys that the standard library draws for its
/// maps. The time and the process go in as well, since a child of `fork` has its parent's keys, and
/// so have its siblings.
pub(crate) fn unique() -> u64 {
    RandomState::new().hash_one((Instant::now(), std::process::id())).max(1)
}
