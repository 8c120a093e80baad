//! Memory barriers on behalf of other threads, in whatever process they run.
//!
//! They take micro- to milliseconds, so they belong on rare paths, where they spare the frequent path
//! of others a fence each time. See [`membarrier(2)`](https://man7.org/linux/man-pages/man2/membarrier.2.html).

#![allow(unsafe_code)]

use crate::{Errno, Result};
use std::sync::atomic::{Ordering, fence};
use std::thread;
use std::time::Duration;

const GLOBAL: libc::c_int = 1 << 0;
const GLOBAL_EXPEDITED: libc::c_int = 1 << 1;
const REGISTER_GLOBAL_EXPEDITED: libc::c_int = 1 << 2;

fn membarrier(command: libc::c_int) -> Result<()> {
    // SAFETY: the call takes numbers and changes no memory.
    Errno::result(unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) }).map(drop)
}

/// Makes every running thread of the system pass a full memory barrier before this returns: what
/// each had stored is visible from here on, and what each loads afterwards is no older than this
/// call. It takes some milliseconds.
///
/// Where the kernel has it not (`ENOSYS`; `EINVAL` with `nohz_full`), or a filter forbids it, it is a fence of the calling
/// thread and a wait of a millisecond: no processor keeps a store back for a thousandth of that.
pub fn all() {
    if membarrier(GLOBAL).is_err() {
        thread::sleep(Duration::from_millis(1));
        fence(Ordering::SeqCst);
    }
}

/// Lets this process take part in [`registered`].
///
/// # Errors
///
/// `ENOSYS`, `EINVAL`: the kernel has it not (before Linux 4.16), or a filter forbids it.
pub fn register() -> Result<()> {
    membarrier(REGISTER_GLOBAL_EXPEDITED)
}

/// As [`all`], for the running threads of processes that called [`register`], and within microseconds.
///
/// # Errors
///
/// As [`register`].
pub fn registered() -> Result<()> {
    membarrier(GLOBAL_EXPEDITED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_returns() {
        all();
        if register().is_ok() {
            assert_eq!(registered(), Ok(()));
        }
    }
}
