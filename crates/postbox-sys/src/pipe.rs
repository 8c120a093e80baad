//! Pipes in packet mode: each write is one packet, each read takes one packet.
//!
//! ```text
//! write(3 B) write(5 B)            one page slot per packet, up to 4096 bytes each
//!   └────────┴──► [ 3 B ][ 5 B ][     ][     ] ──► read = 3, read = 5
//!                   capacity(bytes) / 4096 slots
//! ```
//!
//! See [`pipe(7)`](https://man7.org/linux/man-pages/man7/pipe.7.html).
//!
//! ```
//! use postbox_sys::{Errno, pipe};
//!
//! let (rx, tx) = pipe::packet_pipe()?;
//! pipe::write(&tx, b"one")?;
//! pipe::write(&tx, b"two")?;
//! let mut buffer = [0; 4096];
//! assert_eq!(pipe::read(&rx, &mut buffer)?, 3);
//! assert_eq!(pipe::read(&rx, &mut buffer)?, 3);
//! assert_eq!(pipe::read(&rx, &mut buffer), Err(Errno::EAGAIN));
//! # Ok::<(), Errno>(())
//! ```
//!
//! A write to a pipe that nobody has open for reading raises SIGPIPE, which Rust programs ignore
//! from their start. Who must not rely on that keeps a read end open.

#![allow(unsafe_code)]

use crate::directory::own_uid;
use crate::limits::page_size;
use crate::{Errno, Result, calls};
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::pipe2;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Which end of a pipe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Packets are read from it.
    Read,
    /// Packets are written to it.
    Write,
}

/// Creates a pipe in packet mode, both ends close-on-exec and nonblocking: (read end, write end).
///
/// See [`pipe2(2)`](https://man7.org/linux/man-pages/man2/pipe.2.html).
///
/// # Errors
///
/// `EMFILE`, `ENFILE`: no descriptor left in this process, in the system; or the user's hard limit
/// of pipe pages is reached (`/proc/sys/fs/pipe-user-pages-hard`).
pub fn packet_pipe() -> Result<(OwnedFd, OwnedFd)> {
    pipe2(OFlag::O_DIRECT | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
}

/// Whether this user, whose pipe it is, has taken away its own right to open it (`fchmod(2)`), as a hostile process
/// may do.
///
/// # Errors
///
/// `EBADF`.
pub fn is_withheld(pipe: impl AsFd) -> Result<bool> {
    let found = fstat(pipe)?;
    let both = (Mode::S_IRUSR | Mode::S_IWUSR).bits();
    Ok(found.st_uid == own_uid() && found.st_mode & both != both)
}

/// Opens a second description of one end of the pipe behind `fd`: its flags are nobody else's.
///
/// It is in packet mode, nonblocking and close-on-exec. The way goes through `/proc/self/fd`.
///
/// # Errors
///
/// `EACCES`: the pipe belongs to another user, or its own has [withheld](is_withheld) it. `ENOENT`: `/proc` is not
/// mounted. `EMFILE`, `ENFILE`.
pub fn reopen(fd: impl AsFd, end: End) -> Result<OwnedFd> {
    let access = match end {
        End::Read => OFlag::O_RDONLY,
        End::Write => OFlag::O_WRONLY,
    };
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let flags = access | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let opened = open(path.as_str(), flags, Mode::empty())?;
    // Packet mode cannot be had from open(2), only afterwards.
    fcntl(&opened, FcntlArg::F_SETFL(access | OFlag::O_NONBLOCK | OFlag::O_DIRECT))?;
    Ok(opened)
}

/// Writes one packet.
///
/// Never waits if the description is nonblocking.
///
/// # Errors
///
/// `EAGAIN`: no slot is free. `EPIPE`: nobody has the pipe open for reading. `EINTR`: only on a
/// blocking description. More than 4096 bytes are split, and cut short where slots run out.
#[inline]
pub fn write(pipe: impl AsFd, packet: &[u8]) -> Result<usize> {
    calls::write(pipe.as_fd(), packet)
}

/// Like [`write`](write()), and raises no SIGPIPE: for whoever holds no end to read from.
///
/// It blocks the signal in this thread for the call and takes it back if it was raised, which costs
/// two system calls more.
///
/// # Errors
///
/// Those of [`write`](write()).
pub fn write_quietly(pipe: impl AsFd, packet: &[u8]) -> Result<usize> {
    let quiet = SigSet::from(Signal::SIGPIPE);
    let before = quiet.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    // One that waits to be let through already is not ours to take.
    let foreign = before.contains(Signal::SIGPIPE) && is_sigpipe_pending();
    let written = calls::write(pipe.as_fd(), packet);
    if written == Err(Errno::EPIPE) && !foreign {
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: set and time outlive the call, which is not asked what the signal was about.
        unsafe { libc::sigtimedwait(quiet.as_ref(), std::ptr::null_mut(), &raw const now) };
    }
    before.thread_set_mask()?;
    written
}

fn is_sigpipe_pending() -> bool {
    let mut pending = SigSet::empty().as_ref().to_owned();
    // SAFETY: the set is writable; afterwards it is one that the kernel has filled.
    unsafe {
        libc::sigpending(&raw mut pending) == 0
            && libc::sigismember(&raw const pending, libc::SIGPIPE) == 1
    }
}

/// Reads one packet; returns its length, or 0 when nobody has the pipe open for writing.
///
/// Never waits if the description is nonblocking. What does not fit the buffer is lost.
///
/// # Errors
///
/// `EAGAIN`: the pipe is empty. `EINTR`: only on a blocking description.
#[inline]
pub fn read(pipe: impl AsFd, buffer: &mut [u8]) -> Result<usize> {
    calls::read(pipe.as_fd(), buffer)
}

/// Like [`write`](write()), and never waits whatever the flags of the description (`RWF_NOWAIT`).
///
/// See [`pwritev2(2)`](https://man7.org/linux/man-pages/man2/readv.2.html).
///
/// # Errors
///
/// `EOPNOTSUPP`: pipes know this from Linux 6.4, and only those made by `pipe2`, not reopened ones.
/// Otherwise those of [`write`](write()).
#[inline]
pub fn write_nowait(pipe: impl AsFd, packet: &[u8]) -> Result<usize> {
    calls::write_nowait(pipe.as_fd(), packet)
}

/// Like [`read`](read()), and never waits whatever the flags of the description (`RWF_NOWAIT`).
///
/// See [`preadv2(2)`](https://man7.org/linux/man-pages/man2/readv.2.html).
///
/// # Errors
///
/// `EOPNOTSUPP`: pipes know this from Linux 6.4, and only those made by `pipe2`, not reopened ones.
/// Otherwise those of [`read`](read()).
#[inline]
pub fn read_nowait(pipe: impl AsFd, buffer: &mut [u8]) -> Result<usize> {
    calls::read_nowait(pipe.as_fd(), buffer)
}

/// The size of the pipe's buffer in bytes: one packet per page.
///
/// # Errors
///
/// `EBADF`: not a pipe.
pub fn capacity(pipe: impl AsFd) -> Result<usize> {
    fcntl(pipe, FcntlArg::F_GETPIPE_SZ).map(|bytes| bytes as usize)
}

/// Makes the pipe's buffer at least `bytes` large, rounded up to a power of two of pages; returns
/// what it is now.
///
/// # Errors
///
/// `EPERM`: above `/proc/sys/fs/pipe-max-size`, or this user's pipes are over
/// `/proc/sys/fs/pipe-user-pages-soft`. `EBUSY`: more is in the pipe than would fit. `EINVAL`:
/// beyond what can be asked for. `ENOMEM`. `EBADF`: not a pipe.
pub fn set_capacity(pipe: impl AsFd, bytes: usize) -> Result<usize> {
    let bytes = i32::try_from(bytes).map_err(|_| Errno::EINVAL)?;
    fcntl(pipe, FcntlArg::F_SETPIPE_SZ(bytes)).map(|bytes| bytes as usize)
}

/// How many packets the pipe holds: each takes a page, however short it is.
///
/// # Errors
///
/// `EBADF`: not a pipe.
pub fn packets(pipe: impl AsFd) -> Result<usize> {
    capacity(pipe).map(|bytes| bytes / page_size())
}

/// Makes the pipe hold at least so many packets, rounded up to a power of two; returns how many it holds now.
///
/// # Errors
///
/// Those of [`set_capacity`].
pub fn set_packets(pipe: impl AsFd, packets: usize) -> Result<usize> {
    set_capacity(pipe, packets.saturating_mul(page_size())).map(|bytes| bytes / page_size())
}

/// How many bytes wait in the pipe, all packets together (`FIONREAD`). Either end can be asked.
///
/// # Errors
///
/// `ENOTTY`, `EBADF`: not a pipe.
pub fn unread_bytes(pipe: impl AsFd) -> Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the request stores one `int`.
    Errno::result(unsafe {
        libc::ioctl(pipe.as_fd().as_raw_fd(), libc::FIONREAD, &raw mut bytes)
    })?;
    Ok(bytes as usize)
}

/// Whether writes through this description are packets. A peer that shares it can change that.
///
/// # Errors
///
/// `EBADF`: not an open descriptor.
pub fn is_packet_mode(pipe: impl AsFd) -> Result<bool> {
    let flags = fcntl(pipe, FcntlArg::F_GETFL)?;
    Ok(OFlag::from_bits_retain(flags).contains(OFlag::O_DIRECT))
}

/// Whether this is an end of a pipe at all.
///
/// # Errors
///
/// `EBADF`: not an open descriptor.
pub fn is_pipe(fd: impl AsFd) -> Result<bool> {
    let kind = SFlag::from_bits_truncate(fstat(fd)?.st_mode) & SFlag::S_IFMT;
    Ok(kind == SFlag::S_IFIFO)
}

/// Whether these are the two ends of one pipe, the first to read from and the second to write to: then
/// who holds both never meets a pipe without a reader.
///
/// # Errors
///
/// `EBADF`: not an open descriptor.
pub fn are_ends_of_one(read: impl AsFd, write: impl AsFd) -> Result<bool> {
    let (read, write) = (read.as_fd(), write.as_fd());
    let access = |fd| {
        let flags = OFlag::from_bits_retain(fcntl(fd, FcntlArg::F_GETFL)?);
        Ok::<_, Errno>(flags & OFlag::O_ACCMODE)
    };
    let (from, to) = (fstat(read)?, fstat(write)?);
    Ok(is_pipe(read)?
        && (from.st_dev, from.st_ino) == (to.st_dev, to.st_ino)
        && access(read)? != OFlag::O_WRONLY
        && access(write)? != OFlag::O_RDONLY)
}

/// Whether calls through this description wait for nobody. A peer that shares it can change that.
///
/// # Errors
///
/// `EBADF`: not an open descriptor.
pub fn is_nonblocking(pipe: impl AsFd) -> Result<bool> {
    let flags = fcntl(pipe, FcntlArg::F_GETFL)?;
    Ok(OFlag::from_bits_retain(flags).contains(OFlag::O_NONBLOCK))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::stat::fchmod;

    /// Waits until the other end is closed everywhere: for a moment, a child that another test has
    /// forked and that has not come to its `exec` yet holds it too.
    pub(crate) fn until_hung_up(fd: impl AsFd) {
        let mut polled = [PollFd::new(fd.as_fd(), PollFlags::empty())];
        assert_eq!(poll(&mut polled, PollTimeout::NONE), Ok(1));
    }

    #[test]
    fn two_ends_are_of_one_pipe_or_not() {
        let (read, write) = packet_pipe().unwrap();
        let (other_read, other_write) = packet_pipe().unwrap();
        assert_eq!(are_ends_of_one(&read, &write), Ok(true));
        assert_eq!(are_ends_of_one(&read, reopen(&read, End::Write).unwrap()), Ok(true));
        assert_eq!(are_ends_of_one(&read, &other_write), Ok(false));
        assert_eq!(are_ends_of_one(&other_read, &write), Ok(false));
        assert_eq!(are_ends_of_one(&write, &read), Ok(false));
        let (socket, peer) = std::os::unix::net::UnixStream::pair().unwrap();
        assert_eq!(are_ends_of_one(&socket, &peer), Ok(false));
        assert_eq!(are_ends_of_one(&socket, &socket), Ok(false));
    }

    #[test]
    fn packets_come_out_whole_and_in_order() {
        let (rx, tx) = packet_pipe().unwrap();
        assert_eq!(write(&tx, b"one"), Ok(3));
        assert_eq!(write(&tx, &[7; 4096]), Ok(4096));
        assert_eq!(unread_bytes(&rx), Ok(4099));
        let mut buffer = [0; 8192];
        assert_eq!(read(&rx, &mut buffer), Ok(3));
        assert_eq!(&buffer[..3], b"one");
        assert_eq!(read(&rx, &mut buffer), Ok(4096));
        assert_eq!(read(&rx, &mut buffer), Err(Errno::EAGAIN));
        drop(tx);
        until_hung_up(&rx);
        assert_eq!(read(&rx, &mut buffer), Ok(0));
    }

    #[test]
    fn the_capacity_is_one_packet_per_page() {
        let (rx, tx) = packet_pipe().unwrap();
        assert_eq!(set_packets(&tx, 5), Ok(8));
        assert_eq!(packets(&rx), Ok(8));
        assert_eq!(capacity(&rx), Ok(8 * page_size()));
        for _ in 0..8 {
            write(&tx, b"x").unwrap();
        }
        assert_eq!(write(&tx, b"x"), Err(Errno::EAGAIN));
        assert_eq!(set_packets(&tx, 1), Err(Errno::EBUSY));
        assert_eq!(set_packets(&tx, usize::MAX), Err(Errno::EINVAL));
    }

    #[test]
    fn a_pipe_that_its_user_may_not_open_is_withheld() {
        let (rx, tx) = packet_pipe().unwrap();
        assert_eq!(is_withheld(&tx), Ok(false));
        fchmod(&tx, Mode::S_IRUSR).unwrap();
        assert_eq!((is_withheld(&tx), is_withheld(&rx)), (Ok(true), Ok(true)));
    }

    #[test]
    fn a_pipe_without_readers_is_epipe() {
        let (rx, tx) = packet_pipe().unwrap();
        drop(rx);
        until_hung_up(&tx);
        assert_eq!(write(&tx, b"x"), Err(Errno::EPIPE));
    }

    #[test]
    fn nowait_does_not_wait_on_a_blocking_description() {
        let (rx, tx) = pipe2(OFlag::O_DIRECT | OFlag::O_CLOEXEC).unwrap();
        let mut buffer = [0; 16];
        match read_nowait(&rx, &mut buffer) {
            Err(Errno::EOPNOTSUPP) => return, // Linux before 6.4
            empty => assert_eq!(empty, Err(Errno::EAGAIN)),
        }
        set_packets(&tx, 1).unwrap();
        assert_eq!(write_nowait(&tx, b"one"), Ok(3));
        assert_eq!(write_nowait(&tx, b"two"), Err(Errno::EAGAIN));
        assert_eq!(read_nowait(&rx, &mut buffer), Ok(3));
        drop(tx);
        until_hung_up(&rx);
        assert_eq!(read_nowait(&rx, &mut buffer), Ok(0));
    }

    #[test]
    fn packet_mode_can_be_asked_for_and_be_lost() {
        let (_rx, tx) = packet_pipe().unwrap();
        assert_eq!(is_packet_mode(&tx), Ok(true));
        fcntl(&tx, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
        assert_eq!(is_packet_mode(&tx), Ok(false));
    }

    #[test]
    fn a_reopened_end_is_the_same_pipe_with_flags_of_its_own() {
        let (rx, tx) = pipe2(OFlag::O_DIRECT | OFlag::O_CLOEXEC).unwrap();
        let (own_rx, own_tx) = (reopen(&rx, End::Read).unwrap(), reopen(&tx, End::Write).unwrap());
        assert_eq!(read(&own_rx, &mut [0; 4]), Err(Errno::EAGAIN));
        assert_eq!(is_packet_mode(&own_tx), Ok(true));
        write(&own_tx, b"ab").unwrap();
        write(&own_tx, b"c").unwrap();
        assert_eq!(read(&own_rx, &mut [0; 4]), Ok(2));
        assert_eq!(read(&rx, &mut [0; 4]), Ok(1));
        let flags = OFlag::from_bits_retain(fcntl(&rx, FcntlArg::F_GETFL).unwrap());
        assert!(!flags.contains(OFlag::O_NONBLOCK));
    }

    #[test]
    fn descriptors_that_are_no_pipes_are_refused() {
        let bell = crate::eventfd::create().unwrap();
        assert_eq!(capacity(&bell), Err(Errno::EBADF));
        assert_eq!(unread_bytes(&bell), Err(Errno::ENOTTY));
    }
}
