//! In which time namespace a domain is used.
//!
//! ```text
//!  claims   … names … │ TIMES + t   under a shared lock of each process of time namespace t that
//!                     │             holds a name
//! ```
//!
//! Processes are told apart by when they started, and those of two time namespaces may know different start
//! times of one process: each would take the other for dead. So all who hold names are of one, and who
//! comes from another is refused. A lock says which, and not what the file contains: that would outlive
//! them. Who cannot tell its own namespace is not refused, nor seen.

use postbox_sys::locks::{self, Holder};
use postbox_sys::{Errno, Result, process};
use std::ops::Range;
use std::os::fd::OwnedFd;

/// Beyond the bytes of all names.
const TIMES: u64 = 0x4000_0000_0000_0000;

/// The kernel counts namespaces in 32 bits.
const ALL: Range<u64> = TIMES..TIMES + (1 << 32);

/// Says in the file of claims of which time namespace this process is; who keeps it from that, if anybody
/// does: one of another, or one that removes the domain.
pub(super) fn enter(claims: &OwnedFd) -> Result<Option<Holder>> {
    let Some(own) = process::time_namespace() else { return Ok(None) };
    let own = TIMES + u64::from(own);
    let stranger = || -> Result<Option<Holder>> {
        Ok(match locks::holder(claims, ALL.start..own)? {
            None => locks::holder(claims, own + 1..ALL.end)?,
            found => found,
        })
    };
    // First a look alone: who is refused by it has never been in anybody's way.
    if let Some(stranger) = stranger()? {
        return Ok(Some(stranger));
    }
    match locks::lock_shared(claims, own..own + 1) {
        // Of two who come at once, one at least sees the other now.
        Ok(()) => stranger(),
        // Nobody but who removes the domain has that byte for itself.
        Err(Errno::EAGAIN) => Ok(Some(Holder { pid: None, is_whole: true })),
        Err(errno) => Err(errno),
    }
}

/// Takes back what was said.
pub(super) fn leave(claims: &OwnedFd) {
    let _ = locks::unlock(claims, ALL);
}
