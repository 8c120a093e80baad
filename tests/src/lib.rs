//! What the cross-process tests stand on: each case runs in a process of its own, single-threaded
//! so that it can fork, with a watchdog over it and all its children, and is checked for leaks.
//!
//! ```text
//!  test program ── one per case ──► itself again with POSTBOX_CASE=name, in a process group
//!       │                                 └─ forks and spawns as it likes
//!       └─ watchdog: kills the group; afterwards nothing of the group may be left
//! ```

mod cases;
mod leaks;
mod matrix;

pub use cases::{Case, run};
pub use matrix::{CAPACITIES, MECHANISMS, over, over_capacities};

/// What a case returns: any error fails it.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;
