//! Telling a child of `fork` that it is one, without a system call.
//!
//! ```text
//!  ordinary memory: copied by fork          one page, MADV_WIPEONFORK: zero in the child
//!  ┌──────────────┐   ┌────────────┐          ┌──────────────┐
//!  │ NEXT: 7      │   │ PAGE ──────┼─────────►│ generation 6 │  parent: 6   child: 0, then 7
//!  └──────────────┘   └────────────┘          └──────────────┘
//! ```
//!
//! The counter `NEXT` survives a fork, so a generation taken in a child differs from every
//! generation its ancestors ever had: what remembers an older one was captured, not passed on.

#![allow(unsafe_code)]

use crate::{Errno, Result};
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// The page, null until the first [`renew`]; set once and never unmapped.
/// Stored with release in [`renew`], loaded with acquire in [`generation`] and [`renew`].
static PAGE: AtomicPtr<AtomicU64> = AtomicPtr::new(null_mut());

/// The last generation given out in this process or an ancestor of it.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// The generation of this process: 0 before its first [`renew`], and in a child of `fork` until the
/// child's own.
///
/// Two loads; no lock, no system call. Safe in a signal handler.
#[inline]
pub fn generation() -> u64 {
    let page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        return 0;
    }
    // SAFETY: a page that is not null was mapped by `renew` and is never unmapped.
    // Relaxed: pairs with nothing, the number guards no other memory.
    unsafe { &*page }.load(Ordering::Relaxed)
}

/// Gives this process a generation if it has none, and returns the one it has.
///
/// See [`madvise(2)`](https://man7.org/linux/man-pages/man2/madvise.2.html), `MADV_WIPEONFORK`.
///
/// # Errors
///
/// `ENOMEM`: no memory for the page. `EINVAL`: the kernel cannot wipe pages (before Linux 4.14).
pub fn renew() -> Result<u64> {
    let page = page()?;
    let current = page.load(Ordering::Relaxed);
    if current != 0 {
        return Ok(current);
    }
    let fresh = NEXT.fetch_add(1, Ordering::Relaxed) + 1;
    // Of two threads that renew at once, one wins and both return its number.
    match page.compare_exchange(0, fresh, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(fresh),
        Err(other) => Ok(other),
    }
}

/// The page, mapped by the first caller.
fn page() -> Result<&'static AtomicU64> {
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        let mine = map_page()?;
        page = match PAGE.compare_exchange(null_mut(), mine, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => mine,
            Err(theirs) => {
                // SAFETY: this thread mapped it, has shown it to nobody, and forgets it here.
                unsafe { libc::munmap(mine.cast(), size_of::<AtomicU64>()) };
                theirs
            }
        };
    }
    // SAFETY: mapped, zeroed and aligned, shared by all threads through atomics alone, and never
    // unmapped once it is in PAGE.
    Ok(unsafe { &*page })
}

fn map_page() -> Result<*mut AtomicU64> {
    let length = size_of::<AtomicU64>(); // The kernel rounds up to a page.
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use.
    let page = unsafe { libc::mmap(null_mut(), length, protection, flags, -1, 0) };
    if page == libc::MAP_FAILED {
        return Err(Errno::last());
    }
    // SAFETY: the range is the mapping just made; its contents are not in use yet.
    if let Err(errno) = Errno::result(unsafe { libc::madvise(page, length, libc::MADV_WIPEONFORK) })
    {
        // SAFETY: this thread mapped it, has shown it to nobody, and forgets it here.
        unsafe { libc::munmap(page, length) };
        return Err(errno);
    }
    Ok(page.cast())
}

#[cfg(test)]
mod tests {
    use super::*;

    // What a child of fork finds stands in tests/forks.rs.
    #[test]
    fn all_threads_of_a_process_have_one_generation() {
        let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(|| renew().unwrap())).collect();
        let generation_here = renew().unwrap();
        assert_ne!(generation_here, 0);
        for thread in threads {
            assert_eq!(thread.join().unwrap(), generation_here);
        }
        assert_eq!(generation(), generation_here);
    }
}
