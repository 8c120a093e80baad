//! Sleeping until one of several descriptors is ready, or a deadline has come.
//!
//! ```
//! use postbox_sys::epoll::{Epoll, Event, Interest};
//! use postbox_sys::{Errno, eventfd};
//!
//! let bell = eventfd::create()?;
//! let set = Epoll::new()?;
//! set.add(&bell, Interest::EPOLLIN, 7)?;
//! eventfd::ring(&bell)?;
//! let mut events = [Event::empty(); 8];
//! assert_eq!(set.wait(&mut events, None)?, 1);
//! assert_eq!(events[0].data(), 7);
//! # Ok::<(), Errno>(())
//! ```
//!
//! Of many sets that hold one descriptor with `EPOLLEXCLUSIVE`, an event wakes the first one that
//! somebody is waiting on, in the order in which they added it; a set that nobody waits on is
//! passed over. If that sleeper is killed before it acts, nobody else is woken in its place.

#![allow(unsafe_code)]

use crate::{Errno, Result};
use nix::sys::epoll::{Epoll as Set, EpollCreateFlags};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// One ready descriptor: [`data`](Event::data) is the token it was added with,
/// [`events`](Event::events) says what it is ready for.
pub use nix::sys::epoll::EpollEvent as Event;
/// What to wait for and how: `EPOLLIN`, `EPOLLOUT`, `EPOLLET`, `EPOLLEXCLUSIVE` and so on.
pub use nix::sys::epoll::EpollFlags as Interest;

/// Set once the kernel has refused `epoll_pwait2` (before Linux 5.11, or a system call filter).
/// Pairs with nothing: each thread may find it out for itself.
static MILLISECONDS_ONLY: AtomicBool = AtomicBool::new(false);

/// An epoll set: the descriptors one sleeper waits for.
///
/// See [`epoll(7)`](https://man7.org/linux/man-pages/man7/epoll.7.html). The set is itself a
/// descriptor that is readable while one of its members is ready, so sets nest.
#[derive(Debug)]
pub struct Epoll(Set);

impl Epoll {
    /// Creates an empty set, close-on-exec.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE`: no descriptor left in this process, in the system. `ENOMEM`.
    pub fn new() -> Result<Epoll> {
        Set::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Epoll)
    }

    /// Adds `fd` under `token`, which its events will carry.
    ///
    /// The set watches the open description behind `fd`, not the number: a duplicate elsewhere (a
    /// forked child, another process) keeps it in the set after `fd` is closed here, so
    /// [`remove`](Epoll::remove) it before closing.
    ///
    /// # Errors
    ///
    /// `EEXIST`: it is in the set already. `EINVAL`: a flag that does not go with `EPOLLEXCLUSIVE`,
    /// or `fd` is this set. `EPERM`: a kind of file that cannot be polled, such as a memfd.
    /// `ENOSPC`: `/proc/sys/fs/epoll/max_user_watches` is reached. `ELOOP`: sets nested in a circle
    /// or more than five deep. `ENOMEM`.
    pub fn add(&self, fd: impl AsFd, interest: Interest, token: u64) -> Result<()> {
        self.0.add(fd, Event::new(interest, token))
    }

    /// Takes `fd` out of the set.
    ///
    /// # Errors
    ///
    /// `ENOENT`: it is not in the set.
    pub fn remove(&self, fd: impl AsFd) -> Result<()> {
        self.0.delete(fd)
    }

    /// Waits until a member is ready or `deadline` has passed (`None`: without end) and fills the
    /// front of `events`; returns how many it filled.
    ///
    /// Zero means *look again*: the deadline has passed, or a signal handler ran (`EINTR`). A
    /// deadline is never early; a deadline in the past asks without waiting. The deadline is kept
    /// to the nanosecond by `epoll_pwait2` (Linux 5.11), otherwise rounded up to the millisecond.
    ///
    /// See [`epoll_wait(2)`](https://man7.org/linux/man-pages/man2/epoll_wait.2.html).
    ///
    /// # Errors
    ///
    /// `EINVAL`: `events` is empty.
    pub fn wait(&self, events: &mut [Event], deadline: Option<Instant>) -> Result<usize> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let mut answer = Err(Errno::ENOSYS);
        if !MILLISECONDS_ONLY.load(Ordering::Relaxed) {
            answer = self.wait_nanoseconds(events, left);
            // A filter that does not know the call yet says EPERM, which the call itself never does.
            if matches!(answer, Err(Errno::ENOSYS | Errno::EPERM)) {
                MILLISECONDS_ONLY.store(true, Ordering::Relaxed);
                answer = Err(Errno::ENOSYS);
            }
        }
        if answer == Err(Errno::ENOSYS) {
            answer = self.wait_milliseconds(events, left);
        }
        match answer {
            Err(Errno::EINTR) => Ok(0),
            answer => answer,
        }
    }

    fn wait_nanoseconds(&self, events: &mut [Event], left: Option<Duration>) -> Result<usize> {
        /// The kernel's own `timespec`: 64 bits on every architecture.
        #[repr(C)]
        struct Timeout {
            seconds: i64,
            nanoseconds: i64,
        }
        let timeout = left.map(|left| Timeout {
            seconds: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            nanoseconds: i64::from(left.subsec_nanos()),
        });
        // SAFETY: `events` is writable for its length, `Event` is a transparent `epoll_event`; the
        // timeout outlives the call, null means none; a null signal mask leaves the mask alone.
        let filled = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.0.0.as_raw_fd(),
                events.as_mut_ptr(),
                length(events),
                timeout.as_ref().map_or(std::ptr::null(), std::ptr::from_ref),
                std::ptr::null::<libc::sigset_t>(),
                0usize,
            )
        };
        Errno::result(filled).map(|filled| filled as usize)
    }

    fn wait_milliseconds(&self, events: &mut [Event], left: Option<Duration>) -> Result<usize> {
        let timeout = left.map_or(-1, |left| {
            i32::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(i32::MAX)
        });
        // SAFETY: `events` is writable for its length and `Event` is a transparent `epoll_event`.
        let filled = unsafe {
            libc::epoll_wait(
                self.0.0.as_raw_fd(),
                events.as_mut_ptr().cast(),
                length(events),
                timeout,
            )
        };
        Errno::result(filled).map(|filled| filled as usize)
    }
}

/// The slice's length as the kernel takes it: shorter is allowed, longer would not be.
fn length(events: &[Event]) -> libc::c_int {
    libc::c_int::try_from(events.len()).unwrap_or(libc::c_int::MAX)
}

impl AsFd for Epoll {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eventfd;

    #[test]
    fn a_ready_member_is_reported_under_its_token() {
        let (quiet, loud) = (eventfd::create().unwrap(), eventfd::create().unwrap());
        let set = Epoll::new().unwrap();
        set.add(&quiet, Interest::EPOLLIN, 1).unwrap();
        set.add(&loud, Interest::EPOLLIN, u64::MAX).unwrap();
        eventfd::ring(&loud).unwrap();
        let mut events = [Event::empty(); 4];
        assert_eq!(set.wait(&mut events, None), Ok(1));
        assert_eq!(events[0].data(), u64::MAX);
        assert!(events[0].events().contains(Interest::EPOLLIN));
    }

    #[test]
    fn a_removed_member_is_silent() {
        let bell = eventfd::create().unwrap();
        let set = Epoll::new().unwrap();
        set.add(&bell, Interest::EPOLLIN, 1).unwrap();
        assert_eq!(set.add(&bell, Interest::EPOLLIN, 1), Err(Errno::EEXIST));
        set.remove(&bell).unwrap();
        assert_eq!(set.remove(&bell), Err(Errno::ENOENT));
        eventfd::ring(&bell).unwrap();
        assert_eq!(set.wait(&mut [Event::empty()], Some(Instant::now())), Ok(0));
    }

    #[test]
    fn neither_way_of_waiting_is_early() {
        let set = Epoll::new().unwrap();
        for nanoseconds in [1, 999, 100_000, 1_000_001, 2_500_000] {
            let wait = Duration::from_nanos(nanoseconds);
            let deadline = Instant::now() + wait;
            assert_eq!(set.wait(&mut [Event::empty()], Some(deadline)), Ok(0));
            assert!(Instant::now() >= deadline);
            let start = Instant::now();
            assert_eq!(set.wait_milliseconds(&mut [Event::empty()], Some(wait)), Ok(0));
            assert!(start.elapsed() >= wait);
        }
    }

    #[test]
    fn sets_nest() {
        let bell = eventfd::create().unwrap();
        let (inner, outer) = (Epoll::new().unwrap(), Epoll::new().unwrap());
        inner.add(&bell, Interest::EPOLLIN, 1).unwrap();
        outer.add(&inner, Interest::EPOLLIN, 2).unwrap();
        eventfd::ring(&bell).unwrap();
        let mut events = [Event::empty()];
        assert_eq!(outer.wait(&mut events, Some(Instant::now())), Ok(1));
        assert_eq!(events[0].data(), 2);
    }

    #[test]
    fn no_room_for_events_is_einval() {
        assert_eq!(Epoll::new().unwrap().wait(&mut [], Some(Instant::now())), Err(Errno::EINVAL));
    }
}
