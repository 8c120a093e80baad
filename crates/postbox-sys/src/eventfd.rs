//! Bells: an eventfd is a counter that is readable while it is above zero.

use crate::{Errno, Result};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::{read, write};
use std::os::fd::{AsFd, OwnedFd};

/// Creates a silent bell, close-on-exec and nonblocking.
///
/// See [`eventfd(2)`](https://man7.org/linux/man-pages/man2/eventfd.2.html).
///
/// # Errors
///
/// `EMFILE`, `ENFILE`: no descriptor left in this process, in the system. `ENOMEM`.
pub fn create() -> Result<OwnedFd> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    EventFd::from_value_and_flags(0, flags).map(OwnedFd::from)
}

/// Whether that descriptor is one on which no call of this module waits.
///
/// # Errors
///
/// `EBADF`.
pub fn is_nonblocking(bell: impl AsFd) -> Result<bool> {
    let flags = OFlag::from_bits_retain(fcntl(bell, FcntlArg::F_GETFL)?);
    Ok(flags.contains(OFlag::O_NONBLOCK))
}

/// Adds one to the counter: the bell becomes readable and sleepers on it are woken.
///
/// A counter at its maximum (`EAGAIN`) is readable already, so that is no error. The descriptor has
/// to be nonblocking, as [`create`] makes it, or this call waits in that case.
///
/// # Errors
///
/// `EINVAL`, `EBADF`: not an eventfd.
#[inline]
pub fn ring(bell: impl AsFd) -> Result<()> {
    match write(bell, &1u64.to_ne_bytes()) {
        Ok(_) | Err(Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// Sets the counter to zero: the bell is silent until the next [`ring`].
///
/// Clearing a silent bell (`EAGAIN`) is no error.
///
/// # Errors
///
/// `EINVAL`, `EBADF`: not an eventfd.
#[inline]
pub fn clear(bell: impl AsFd) -> Result<()> {
    match read(bell, &mut [0; 8]) {
        Ok(_) | Err(Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    fn readable(bell: &OwnedFd) -> bool {
        let mut polled = [PollFd::new(bell.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO).unwrap() == 1
    }

    #[test]
    fn a_rung_bell_is_readable_until_it_is_cleared() {
        let bell = create().unwrap();
        assert!(!readable(&bell));
        ring(&bell).unwrap();
        ring(&bell).unwrap();
        assert!(readable(&bell));
        clear(&bell).unwrap();
        assert!(!readable(&bell));
        clear(&bell).unwrap();
    }

    #[test]
    fn a_full_counter_still_rings() {
        let bell = create().unwrap();
        write(&bell, &(u64::MAX - 1).to_ne_bytes()).unwrap();
        ring(&bell).unwrap();
        assert!(readable(&bell));
    }
}
