//! The work of those targets that are neither a plain ping-pong nor a plain stream.

pub mod batch;
pub mod footprint;
pub mod idle;
pub mod links;
pub mod loan;
pub mod memory;
pub mod rendezvous;
pub mod threads;
pub mod typed;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// As many descriptors as this user may have, for this process and those that it forks.
///
/// # Errors
///
/// In words: those are fewer than `needed` for `what`, and what to do about it.
fn descriptors(needed: u64, what: &str) -> Result<(), String> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).map_err(|errno| errno.to_string())?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).map_err(|errno| errno.to_string())?;
    if hard >= needed {
        return Ok(());
    }
    Err(format!(
        "{what} take some {needed} descriptors in one process, and this user may have {hard}: raise \
         the hard limit (ulimit -Hn)"
    ))
}
