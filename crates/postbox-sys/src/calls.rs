//! The calls that every message makes, without the C library's part in them.
//!
//! The library lets threads be cancelled in its wrappers. With more than one thread in the process, some versions
//! of glibc, Debian 12's among them, therefore execute two locked instructions around each call. Nobody cancels a
//! Rust thread, and who is registered in a domain has a thread more. See
//! [`pthreads(7)`](https://man7.org/linux/man-pages/man7/pthreads.7.html) on cancellation points.

#![allow(unsafe_code)]

use crate::{Errno, Result};
use libc::{c_int, c_long, c_uint, timespec};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::null;

/// A descriptor as an argument.
#[inline(always)]
fn number(fd: BorrowedFd<'_>) -> c_long {
    fd.as_raw_fd().into()
}

#[inline(always)]
fn answer(returned: c_long) -> Result<usize> {
    Errno::result(returned).map(|returned| returned as usize)
}

/// See [`read(2)`](https://man7.org/linux/man-pages/man2/read.2.html).
#[inline(always)]
pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    // SAFETY: the buffer is writable for its length.
    answer(unsafe { libc::syscall(libc::SYS_read, number(fd), buffer.as_mut_ptr(), buffer.len()) })
}

/// See [`write(2)`](https://man7.org/linux/man-pages/man2/write.2.html).
#[inline(always)]
pub(crate) fn write(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    // SAFETY: the bytes are readable for their length.
    answer(unsafe { libc::syscall(libc::SYS_write, number(fd), bytes.as_ptr(), bytes.len()) })
}

/// See [`preadv2(2)`](https://man7.org/linux/man-pages/man2/readv.2.html), `RWF_NOWAIT`, at the current offset.
pub(crate) fn read_nowait(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    let piece = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: one piece, writable for its length.
    answer(unsafe {
        libc::syscall(libc::SYS_preadv2, number(fd), &raw const piece, ONE, HERE, HERE, NOWAIT)
    })
}

/// See [`pwritev2(2)`](https://man7.org/linux/man-pages/man2/readv.2.html), `RWF_NOWAIT`, at the current offset.
pub(crate) fn write_nowait(fd: BorrowedFd<'_>, bytes: &[u8]) -> Result<usize> {
    let piece = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: one piece, readable for its length; the kernel does not write to it.
    answer(unsafe {
        libc::syscall(libc::SYS_pwritev2, number(fd), &raw const piece, ONE, HERE, HERE, NOWAIT)
    })
}

/// The current offset, as either half of one.
const HERE: c_long = -1;
/// How many pieces.
const ONE: c_long = 1;
const NOWAIT: c_long = libc::RWF_NOWAIT as c_long;

/// See [`send(2)`](https://man7.org/linux/man-pages/man2/send.2.html).
#[inline(always)]
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], flags: c_int) -> Result<usize> {
    let (to, no_length) = (null::<libc::sockaddr>(), 0usize);
    let (data, len) = (bytes.as_ptr(), bytes.len());
    // SAFETY: the bytes are readable for their length, and there is no address.
    answer(unsafe {
        libc::syscall(libc::SYS_sendto, number(socket), data, len, flags, to, no_length)
    })
}

/// See [`recv(2)`](https://man7.org/linux/man-pages/man2/recv.2.html).
#[inline(always)]
pub(crate) fn recv(socket: BorrowedFd<'_>, buffer: &mut [u8], flags: c_int) -> Result<usize> {
    let (from, no_length) = (null::<libc::sockaddr>(), null::<libc::socklen_t>());
    let (data, len) = (buffer.as_mut_ptr(), buffer.len());
    // SAFETY: the buffer is writable for its length, and no address is asked for.
    answer(unsafe {
        libc::syscall(libc::SYS_recvfrom, number(socket), data, len, flags, from, no_length)
    })
}

/// See [`mq_send(3)`](https://man7.org/linux/man-pages/man3/mq_send.3.html); no deadline is none.
#[inline(always)]
pub(crate) fn mq_send(
    queue: BorrowedFd<'_>,
    message: &[u8],
    deadline: Option<&'static timespec>,
) -> Result<()> {
    let (data, len, priority) = (message.as_ptr(), message.len(), 0 as c_uint);
    let deadline = deadline.map_or(null(), std::ptr::from_ref);
    // SAFETY: the message is readable for its length; the deadline is null or a static.
    let sent = unsafe {
        libc::syscall(libc::SYS_mq_timedsend, number(queue), data, len, priority, deadline)
    };
    answer(sent).map(drop)
}

/// See [`mq_receive(3)`](https://man7.org/linux/man-pages/man3/mq_receive.3.html); no deadline is none.
#[inline(always)]
pub(crate) fn mq_receive(
    queue: BorrowedFd<'_>,
    buffer: &mut [u8],
    deadline: Option<&'static timespec>,
) -> Result<usize> {
    let (data, len, priority) = (buffer.as_mut_ptr(), buffer.len(), null::<c_uint>());
    let deadline = deadline.map_or(null(), std::ptr::from_ref);
    // SAFETY: the buffer is writable for its length; the priority is not asked for, the deadline is null or a
    // static.
    answer(unsafe {
        libc::syscall(libc::SYS_mq_timedreceive, number(queue), data, len, priority, deadline)
    })
}
