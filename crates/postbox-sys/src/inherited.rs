//! Descriptors that a program was started with, known to it by number alone.

#![allow(unsafe_code)]

use crate::{Errno, Result};
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// A copy of descriptor `number`, close-on-exec; the original stays open.
///
/// See [`fcntl(2)`](https://man7.org/linux/man-pages/man2/fcntl.2.html), `F_DUPFD_CLOEXEC`.
///
/// # Errors
///
/// `EBADF`: no descriptor has that number. `EMFILE`.
pub fn duplicate(number: RawFd) -> Result<OwnedFd> {
    // SAFETY: the call takes three numbers and changes no open descriptor.
    let copy = Errno::result(unsafe { libc::fcntl(number, libc::F_DUPFD_CLOEXEC, 3) })?;
    // SAFETY: the call has just opened this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Closes descriptor `number`, which was passed to this program, if it is still as it came: not
/// close-on-exec. Says whether it did.
///
/// What Rust's standard library and Postbox open is close-on-exec, so a number that is not belongs to no
/// object of theirs, however often this is called and whatever the number. Whoever has an object of an
/// inheritable number, taken over (`from_raw_fd`) or made so (as `dup(2)` does, and nix's wrapper of it),
/// has to mark it close-on-exec, or must not let Postbox pick that number up.
///
/// See [`close(2)`](https://man7.org/linux/man-pages/man2/close.2.html).
pub fn close(number: RawFd) -> bool {
    // SAFETY: the call takes two numbers and changes nothing.
    let flags = unsafe { libc::fcntl(number, libc::F_GETFD) };
    let as_it_came = flags >= 0 && flags & libc::FD_CLOEXEC == 0;
    if as_it_came {
        // SAFETY: closing touches no memory, and no object owns an inheritable number that was given to
        // Postbox to pick up: see above.
        unsafe { libc::close(number) };
    }
    as_it_came
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    #[test]
    fn a_copy_is_another_descriptor_of_the_same_file() {
        let bell = crate::eventfd::create().unwrap();
        let copy = duplicate(bell.as_raw_fd()).unwrap();
        assert_ne!(copy.as_raw_fd(), bell.as_raw_fd());
        crate::eventfd::ring(&bell).unwrap();
        assert!(crate::eventfd::clear(&copy).is_ok());
    }

    #[test]
    fn a_number_that_is_not_open_is_ebadf() {
        assert_eq!(duplicate(1 << 20).unwrap_err(), Errno::EBADF);
    }

    #[test]
    fn what_an_object_owns_is_not_closed() {
        let bell = crate::eventfd::create().unwrap();
        assert!(!close(bell.as_raw_fd()));
        crate::eventfd::ring(&bell).unwrap();
        assert!(!close(1 << 20));
        let passed = nix::unistd::dup(&bell).unwrap();
        assert!(close(std::os::fd::IntoRawFd::into_raw_fd(passed)));
    }
}
