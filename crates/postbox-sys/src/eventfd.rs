//! Bells: an eventfd is a counter that is readable while it is above zero.
//!
//! Two uses. As a *level* a bell is readable from [`ring`] to [`clear`]. As an *edge* it is made by
//! [`create_rung`] and told again and again by [`nudge`], which adds nothing: so it never fills, and
//! the call waits for nobody, whatever flags a peer that shares the description has set on it. (A peer can
//! fill it altogether, by the kernel's own signal for asynchronous reads: see [`nudge`].)

#![allow(unsafe_code)]

use crate::{Errno, Result, calls};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::stat::{SFlag, fstat};
use nix::unistd::{read, write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Creates a silent bell, close-on-exec and nonblocking.
///
/// See [`eventfd(2)`](https://man7.org/linux/man-pages/man2/eventfd.2.html).
///
/// # Errors
///
/// `EMFILE`, `ENFILE`: no descriptor left in this process, in the system. `ENOMEM`.
pub fn create() -> Result<OwnedFd> {
    create_at(0)
}

/// Creates a bell that is readable from the start, for [`nudge`].
///
/// # Errors
///
/// Those of [`create`].
pub fn create_rung() -> Result<OwnedFd> {
    create_at(1)
}

fn create_at(count: u32) -> Result<OwnedFd> {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    EventFd::from_value_and_flags(count, flags).map(OwnedFd::from)
}

/// Whether that descriptor can be a bell: of the kind of file that eventfds are, without a place in any
/// file system. A pipe or socket, on which ringing would raise SIGPIPE, cannot.
///
/// # Errors
///
/// `EBADF`.
pub fn could_be_bell(bell: impl AsFd) -> Result<bool> {
    let kind = SFlag::from_bits_truncate(fstat(bell)?.st_mode) & SFlag::S_IFMT;
    Ok(kind.is_empty())
}

/// Wakes whoever sleeps on the bell edge-triggered, by adding nothing to its counter.
///
/// The counter has to be above zero, as [`create_rung`] makes it, or nobody hears it. The call never waits, unless
/// a peer has filled the counter to 2⁶⁴ - 1, which `write(2)` cannot but a completion of `io_submit(2)` can, and has taken
/// `O_NONBLOCK` off as well. With that flag in place such a bell is emptied and rung anew.
///
/// # Errors
///
/// `EINVAL`, `EBADF`: not an eventfd.
#[inline]
pub fn nudge(bell: impl AsFd) -> Result<()> {
    match write(bell.as_fd(), &0u64.to_ne_bytes()) {
        Ok(_) => Ok(()),
        Err(Errno::EAGAIN) => ring_anew(bell.as_fd()),
        Err(errno) => Err(errno),
    }
}

#[cold]
fn ring_anew(bell: BorrowedFd<'_>) -> Result<()> {
    clear(bell)?;
    ring(bell)
}

/// As [`ring`] on one that is silent, and as [`nudge`] on one that is not. A peer that has taken
/// `O_NONBLOCK` off can make it wait only by filling the counter in the instant between.
///
/// # Errors
///
/// Those of [`ring`].
pub fn raise(bell: impl AsFd) -> Result<()> {
    let bell = bell.as_fd();
    let mut polled = [PollFd::new(bell, PollFlags::POLLIN)];
    match poll(&mut polled, PollTimeout::ZERO) {
        Ok(1) => nudge(bell),
        _ => ring(bell),
    }
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
/// Clearing a silent bell (`EAGAIN`) is no error. Never waits, whatever the flags of the description,
/// where eventfds know `RWF_NOWAIT` (from Linux 5.8).
///
/// # Errors
///
/// `EINVAL`, `EBADF`: not an eventfd.
#[inline]
pub fn clear(bell: impl AsFd) -> Result<()> {
    let bell = bell.as_fd();
    let mut count = [0u8; 8];
    let cleared = match calls::read_nowait(bell, &mut count) {
        // Unknown to the kernel, or to a filter of system calls.
        Err(Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EPERM) => read(bell, &mut count),
        cleared => cleared,
    };
    match cleared {
        Ok(_) | Err(Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::epoll::{Epoll, Event, Interest};
    use std::os::fd::AsRawFd;
    use std::time::Instant;

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

    /// What a hostile peer can make of the description.
    fn let_it_wait(bell: &OwnedFd) {
        fcntl(bell, FcntlArg::F_SETFL(OFlag::empty())).unwrap();
    }

    #[test]
    fn an_edge_is_told_again_and_again_and_full_or_not_waits_for_nobody() {
        let bell = create_rung().unwrap();
        let epoll = Epoll::new().unwrap();
        epoll.add(bell.as_fd(), Interest::EPOLLIN | Interest::EPOLLET, 7).unwrap();
        let mut events = [Event::empty(); 4];
        let mut heard = || epoll.wait(&mut events, Some(Instant::now())).unwrap();
        assert_eq!((heard(), heard()), (1, 0));
        nudge(&bell).unwrap();
        assert_eq!((heard(), heard()), (1, 0));
        write(&bell, &(u64::MAX - 2).to_ne_bytes()).unwrap();
        let_it_wait(&bell);
        heard();
        nudge(&bell).unwrap();
        assert_eq!((heard(), heard()), (1, 0));
    }

    /// One read, as the kernel takes it: `struct iocb` of `linux/aio_abi.h`.
    #[repr(C)]
    #[derive(Default)]
    struct Job {
        data: u64,
        key: [u32; 2],
        opcode: u16,
        priority: i16,
        file: u32,
        buffer: u64,
        bytes: u64,
        offset: i64,
        reserved: u64,
        flags: u32,
        bell: u32,
    }

    const PREAD: u16 = 0;
    const ANSWER_ON_BELL: u32 = 1;

    /// A read that is done at once, whose completion adds one to the counter as `write(2)` cannot.
    /// False where the kernel, or a filter, has none of that.
    fn complete_a_read_on(bell: &OwnedFd) -> bool {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let mut byte = 0u8;
        let mut job = Job {
            opcode: PREAD,
            file: file.as_raw_fd() as u32,
            buffer: (&raw mut byte) as u64,
            bytes: 1,
            flags: ANSWER_ON_BELL,
            bell: bell.as_raw_fd() as u32,
            ..Job::default()
        };
        let mut jobs = [&raw mut job];
        let mut context = 0u64;
        let mut event = [0u64; 4];
        // SAFETY: one job, which lives until its end is waited for, with a byte to read into; a context and an
        // event to be written, each in its place.
        unsafe {
            if libc::syscall(libc::SYS_io_setup, 1, &raw mut context) != 0 {
                return false;
            }
            let submitted = libc::syscall(libc::SYS_io_submit, context, 1, jobs.as_mut_ptr());
            assert_eq!(submitted, 1, "io_submit: {}", Errno::last());
            let none = std::ptr::null_mut::<libc::timespec>();
            while libc::syscall(libc::SYS_io_getevents, context, 1, 1, &raw mut event, none) != 1 {}
            libc::syscall(libc::SYS_io_destroy, context);
        }
        true
    }

    #[test]
    fn a_bell_that_a_peer_has_filled_altogether_is_heard() {
        let bell = create_rung().unwrap();
        write(&bell, &(u64::MAX - 2).to_ne_bytes()).unwrap();
        if !complete_a_read_on(&bell) {
            println!("not shown: no asynchronous reads: {}", Errno::last());
            return;
        }
        assert_eq!(write(&bell, &0u64.to_ne_bytes()), Err(Errno::EAGAIN), "it is full");
        let epoll = Epoll::new().unwrap();
        epoll.add(bell.as_fd(), Interest::EPOLLIN | Interest::EPOLLET, 7).unwrap();
        let mut events = [Event::empty(); 4];
        let mut heard = || epoll.wait(&mut events, Some(Instant::now())).unwrap();
        heard();
        for _ in 0..2 {
            nudge(&bell).unwrap();
            assert_eq!((heard(), heard()), (1, 0));
        }
    }

    #[test]
    fn a_level_changes_without_waiting_though_a_peer_wants_it_to() {
        let bell = create().unwrap();
        let_it_wait(&bell);
        clear(&bell).unwrap();
        raise(&bell).unwrap();
        assert!(readable(&bell));
        write(&bell, &(u64::MAX - 2).to_ne_bytes()).unwrap();
        raise(&bell).unwrap();
        clear(&bell).unwrap();
        assert!(!readable(&bell));
    }

    #[test]
    fn no_pipe_or_socket_or_file_could_be_a_bell() {
        assert_eq!(could_be_bell(create().unwrap()), Ok(true));
        let (reader, writer) = std::io::pipe().unwrap();
        let (socket, _) = std::os::unix::net::UnixStream::pair().unwrap();
        let file = std::fs::File::open("/proc/self/maps").unwrap();
        assert_eq!(could_be_bell(reader), Ok(false));
        assert_eq!(could_be_bell(writer), Ok(false));
        assert_eq!(could_be_bell(socket), Ok(false));
        assert_eq!(could_be_bell(file), Ok(false));
    }
}
