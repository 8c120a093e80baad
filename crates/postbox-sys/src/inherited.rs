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

/// Closes descriptor `number`, which the caller knows to be nobody's but its own: it was passed
/// to this program, and no object of this process stands for it.
///
/// See [`close(2)`](https://man7.org/linux/man-pages/man2/close.2.html). A number that is not open
/// is left alone.
pub fn close(number: RawFd) {
    // SAFETY: closing touches no memory; that no owner of the number exists is the caller's to
    // know, as the documentation says.
    unsafe { libc::close(number) };
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
}
