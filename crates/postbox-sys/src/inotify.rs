//! Watching a directory for names that come and go, and a timer for when that is not to be had.

use crate::directory::by_descriptor;
use crate::{Errno, Result};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// What is to be told of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// A name has appeared in it.
    Appears,
    /// A name has gone from it.
    Goes,
}

/// A descriptor that is readable once that has happened in `directory`, until it is
/// [cleared](clear); close-on-exec and nonblocking.
///
/// See [`inotify(7)`](https://man7.org/linux/man-pages/man7/inotify.7.html).
///
/// # Errors
///
/// `EMFILE`: this user's `/proc/sys/fs/inotify/max_user_instances`, or RLIMIT_NOFILE, is reached.
/// `ENOSPC`: `max_user_watches` is. `ENFILE`, `ENOMEM`. `ENOENT`: `/proc` is not mounted.
pub fn watch(directory: impl AsFd, change: Change) -> Result<OwnedFd> {
    let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let events = match change {
        Change::Appears => AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO,
        Change::Goes => AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM,
    };
    watch.add_watch(&by_descriptor(directory.as_fd()), events | AddWatchFlags::IN_ONLYDIR)?;
    Ok(watch.into())
}

/// A descriptor that is readable once in every `period`, until it is [cleared](clear);
/// close-on-exec and nonblocking.
///
/// See [`timerfd_create(2)`](https://man7.org/linux/man-pages/man2/timerfd_create.2.html).
///
/// # Errors
///
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn ticks(period: Duration) -> Result<OwnedFd> {
    let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
    timer.set(Expiration::Interval(period.into()), TimerSetTimeFlags::empty())?;
    Ok(timer.into())
}

/// Forgets what has happened so far.
///
/// # Errors
///
/// `EBADF`, `EINVAL`: made by neither of the above.
pub fn clear(watch: impl AsFd) -> Result<()> {
    // Enough for any one event, or a timer's count.
    let mut events = [0; 4096];
    loop {
        match nix::unistd::read(watch.as_fd(), &mut events) {
            // A timer has nothing more after one count, nor has a queue of events after the last.
            Ok(bytes) if bytes > size_of::<u64>() => (),
            Ok(_) | Err(Errno::EAGAIN) => return Ok(()),
            Err(Errno::EINTR) => (),
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn is_readable(fd: &OwnedFd, within: PollTimeout) -> bool {
        poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], within) == Ok(1)
    }

    #[test]
    fn a_name_that_comes_or_goes_is_told_until_that_is_cleared() {
        let path = std::env::temp_dir().join(format!("postbox-inotify-{}", std::process::id()));
        std::fs::create_dir(&path).unwrap();
        let directory = crate::directory::open_path(&path).unwrap();
        let watched = watch(&directory, Change::Appears).unwrap();
        let departures = watch(&directory, Change::Goes).unwrap();
        assert!(!is_readable(&watched, PollTimeout::ZERO));
        for round in 0..300 {
            std::fs::write(path.join(format!("{round}")), "").unwrap();
        }
        assert!(is_readable(&watched, PollTimeout::ZERO));
        clear(&watched).unwrap();
        assert!(!is_readable(&departures, PollTimeout::ZERO));
        std::fs::remove_file(path.join("7")).unwrap();
        assert!(is_readable(&departures, PollTimeout::ZERO));
        assert!(!is_readable(&watched, PollTimeout::ZERO));
        clear(&departures).unwrap();
        assert!(!is_readable(&departures, PollTimeout::ZERO));
        std::fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn a_timer_ticks_again_and_again() {
        let timer = ticks(Duration::from_millis(1)).unwrap();
        for _ in 0..3 {
            assert!(is_readable(&timer, PollTimeout::NONE));
            clear(&timer).unwrap();
        }
    }
}
