//! What the cross-process tests stand on: each case runs in a process of its own, single-threaded
//! so that it can fork, with a watchdog over it and all its children, and is checked for leaks.
//!
//! ```text
//!  test program ── one per case ──► itself again with POSTBOX_CASE=name, in a process group
//!       │                                 └─ forks and spawns as it likes
//!       └─ watchdog: kills the group; afterwards nothing of the group may be left
//! ```
//!
//! Order between processes is made by a [`Gate`], by [`until_asleep`], or by the channels
//! themselves, never by waiting for a while.

pub mod bench;
mod books;
mod cases;
mod chance;
mod exactness;
mod gate;
mod leaks;
mod ledger;
mod matrix;
mod naming;
mod offices;
mod plain;
mod watching;

pub use books::{Books, Receivers};
pub use cases::{Case, run, run_again, run_side_by_side, run_twice};
pub use chance::Chance;
pub use exactness::{Numbered, room_is_exact};
pub use gate::Gate;
pub use leaks::descriptors;
pub use ledger::{Entry, Ledger};
pub use matrix::{
    BOUNDED, CAPACITIES, MECHANISMS, STRATEGIES, across, across_capacities, over, over_capacities,
    over_mailboxes, where_senders_are_told,
};
pub use naming::{NAMINGS, Naming, channel, connect, pid_of_sender};
pub use offices::{destroy as destroy_mailboxes, mailbox};
pub use plain::{
    Bystander, Storm, bystander, default_action, holder, ignore, on_signal, unprivileged_as,
};
pub use watching::{
    all_asleep, cpu_time, is_asleep, is_running, own_thread, state, switches, until_asleep,
    until_asleep_or_ended, until_settled, until_stopped,
};

use postbox::Wait;
use std::time::{Duration, Instant};

/// What a case returns: any error fails it.
pub type Outcome = Result<(), Box<dyn std::error::Error>>;

/// For what must happen: long enough for any machine, shorter than the watchdog.
pub fn soon() -> Wait<'static> {
    Wait::timeout(PATIENCE)
}

/// How long what must happen may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Repeats `attempt` until it yields something, for as long as [`PATIENCE`] lasts.
pub fn eventually<R>(what: &str, mut attempt: impl FnMut() -> Option<R>) -> R {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within {PATIENCE:?}");
        std::thread::yield_now();
    }
}

/// The middle one of some measured times.
pub fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}
