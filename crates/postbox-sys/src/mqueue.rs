//! POSIX message queues, held by descriptor alone: a queue loses its name as soon as it exists.
//!
//! On Linux a message queue descriptor is a file descriptor: it can be polled, passed to another
//! process and closed like one. See
//! [`mq_overview(7)`](https://man7.org/linux/man-pages/man7/mq_overview.7.html).
//!
//! ```
//! use postbox_sys::{Errno, mqueue};
//!
//! let queue = mqueue::create("example", 10, 64)?;
//! mqueue::send(&queue, b"hello")?;
//! let mut buffer = [0; 64];
//! assert_eq!(mqueue::receive(&queue, &mut buffer)?, 5);
//! # Ok::<(), Errno>(())
//! ```
//!
//! A queue has one list of sleepers for both directions, and neither event says which it was: of
//! those that added it to an epoll set with `EPOLLEXCLUSIVE`, a receive may wake a receiver in
//! place of the sender that waits for room, for good. So only one direction may be exclusive.

#![allow(unsafe_code)]

use crate::limits::{Resource, rlimit};
use crate::proc_file::number;
use crate::{Errno, Result, calls};
use nix::fcntl::{FcntlArg, OFlag, fcntl, open};
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::unistd::geteuid;
use std::ffi::{CStr, CString};
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// A deadline that has passed: the call does not wait, whatever the flags of the description.
static PAST: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 0 };

/// Names that a user has for queues about to lose theirs, of which others may occupy some.
const NAMES: u32 = 4;

/// How often one is tried while others of the same user take it away.
const ATTEMPTS: usize = 64;

/// The shape of a queue, and how full it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// How many messages the queue holds.
    pub max_messages: usize,
    /// The largest message in bytes; a buffer for [`receive`] must be at least this long.
    pub message_size: usize,
    /// How many messages wait in the queue now.
    pub current_messages: usize,
}

/// What the system grants; from `/proc/sys/fs/mqueue` and `RLIMIT_MSGQUEUE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages of a queue whose creator does not say (`msg_default`).
    pub default_messages: u64,
    /// The most messages that an unprivileged creator may ask for (`msg_max`).
    pub max_messages: u64,
    /// Message size of a queue whose creator does not say (`msgsize_default`), in bytes.
    pub default_message_size: u64,
    /// The largest message size that an unprivileged creator may ask for (`msgsize_max`), in bytes.
    pub max_message_size: u64,
    /// The number of queues in the system (`queues_max`).
    pub max_queues: u64,
    /// Bytes that all queues of this user may take together (`RLIMIT_MSGQUEUE`, soft); each queue
    /// counts in full when it is created.
    pub user_bytes: u64,
}

/// Creates a queue and takes its name away at once; only the returned descriptor leads to it.
///
/// The name, `/PREFIX-UID-0`, is there for the microseconds in between, and the same for all processes of
/// a user: should one be killed just then, the next creation takes away what it has left. Whoever finds
/// the name in use takes it away, too, from a queue that does not need it any more. Where the name belongs
/// to somebody else, others are tried, and at last a random one. As long as it has a name nobody else may
/// open it. The queue is open for reading and writing, close-on-exec and nonblocking, with mode 0600.
///
/// See [`mq_open(3)`](https://man7.org/linux/man-pages/man3/mq_open.3.html).
///
/// # Errors
///
/// `EINVAL`: `max_messages` or `message_size` is zero or above [`limits`], or `prefix` holds a NUL.
/// `EEXIST`: all names are somebody else's. `EMFILE`: no descriptor left, or over `RLIMIT_MSGQUEUE` (the kernel does not say which).
/// `ENOSPC`: `queues_max` is reached. `ENFILE`: no descriptor left in the system. `EACCES`: `prefix`
/// holds a slash. `ENAMETOOLONG`: `prefix` is over about 200 bytes. `ENOMEM`. `ENOSYS`: the kernel
/// has no message queues.
pub fn create(prefix: &str, max_messages: usize, message_size: usize) -> Result<OwnedFd> {
    let user = geteuid();
    for name in (0..NAMES).map(|n| format!("/{prefix}-{user}-{n}")) {
        match create_under(&name, max_messages, message_size) {
            Err(Errno::EEXIST) => {}
            created => return created,
        }
    }
    let random = RandomState::new().hash_one(std::process::id());
    create_under(&format!("/{prefix}-{user}-{random:016x}"), max_messages, message_size)
}

/// Creates a queue under that name, from whomever of this user it has to be taken; `EEXIST` if it is
/// somebody else's.
fn create_under(name: &str, max_messages: usize, message_size: usize) -> Result<OwnedFd> {
    let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
    for _ in 0..ATTEMPTS {
        match create_named(&name, max_messages, message_size) {
            Err(Errno::EEXIST) => {}
            created => return created,
        }
        match unlink(&name) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(_) => break,
        }
    }
    Err(Errno::EEXIST)
}

fn unlink(name: &CStr) -> Result<()> {
    // SAFETY: `name` ends in a NUL.
    Errno::result(unsafe { libc::mq_unlink(name.as_ptr()) }).map(drop)
}

fn create_named(name: &CStr, max_messages: usize, message_size: usize) -> Result<OwnedFd> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC | libc::O_NONBLOCK;
    // As long as it has a name nobody else may open it.
    let nobody: libc::mode_t = 0;
    // SAFETY: `mq_attr` is plain numbers, for which all zeros is a value.
    let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
    attributes.mq_maxmsg = max_messages.try_into().map_err(|_| Errno::EINVAL)?;
    attributes.mq_msgsize = message_size.try_into().map_err(|_| Errno::EINVAL)?;
    // SAFETY: `name` ends in a NUL, and with O_CREAT the call takes a mode and an `mq_attr` pointer.
    let fd = Errno::result(unsafe {
        libc::mq_open(name.as_ptr(), flags, nobody, std::ptr::from_ref(&attributes))
    })?;
    // SAFETY: the call has just opened this descriptor, so nobody else owns it.
    let queue = unsafe { OwnedFd::from_raw_fd(fd) };
    if let Err(errno) = unlink(name)
        // Somebody else found it in the way; the name may be in use again, and another user's.
        && fstat(&queue)?.st_nlink > 0
    {
        return Err(errno);
    }
    // So that its own holders can open it anew.
    fchmod(&queue, Mode::S_IRUSR | Mode::S_IWUSR)?;
    Ok(queue)
}

/// Opens a second description of the queue: its flags are nobody else's. It is for reading and
/// writing, nonblocking and close-on-exec. The way goes through `/proc/self/fd`.
///
/// # Errors
///
/// `EACCES`: the queue belongs to another user. `ENOENT`: `/proc` is not mounted. `EMFILE`,
/// `ENFILE`: no descriptor left in this process, in the system.
pub fn reopen(queue: impl AsFd) -> Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", queue.as_fd().as_raw_fd());
    open(path.as_str(), OFlag::O_RDWR | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty())
}

/// Opens a description of the queue by which messages can only be sent: for whoever is not to take
/// any. Nonblocking and close-on-exec; its flags are nobody else's.
///
/// # Errors
///
/// Those of [`reopen`].
pub fn reopen_for_sending(queue: impl AsFd) -> Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", queue.as_fd().as_raw_fd());
    open(path.as_str(), OFlag::O_WRONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK, Mode::empty())
}

/// Whether messages can be received by this descriptor.
///
/// # Errors
///
/// `EBADF`: not an open descriptor.
pub fn can_receive(queue: impl AsFd) -> Result<bool> {
    let flags = OFlag::from_bits_retain(fcntl(queue, FcntlArg::F_GETFL)?);
    Ok(flags & OFlag::O_ACCMODE != OFlag::O_WRONLY)
}

/// Puts `message` into the queue, at priority 0.
///
/// Never waits if the description is nonblocking, a flag that all who share it can change.
///
/// See [`mq_send(3)`](https://man7.org/linux/man-pages/man3/mq_send.3.html).
///
/// # Errors
///
/// `EAGAIN`: the queue is full. `EMSGSIZE`: the message is larger than the queue's message size.
/// `EBADF`: not a message queue. `ENOMEM`. `EINTR`: only on a blocking description.
#[inline]
pub fn send(queue: impl AsFd, message: &[u8]) -> Result<()> {
    calls::mq_send(queue.as_fd(), message, None)
}

/// Like [`send`], and never waits whatever the flags of the description.
///
/// The call carries a deadline in the past, which costs some nanoseconds.
///
/// # Errors
///
/// Those of [`send`].
#[inline]
pub fn send_nowait(queue: impl AsFd, message: &[u8]) -> Result<()> {
    passed(calls::mq_send(queue.as_fd(), message, Some(&PAST)))
}

/// Takes the oldest message out of the queue; returns its length.
///
/// `buffer` must be at least as long as the queue's message size, however short the message is.
/// Never waits if the description is nonblocking, a flag that all who share it can change.
///
/// See [`mq_receive(3)`](https://man7.org/linux/man-pages/man3/mq_receive.3.html).
///
/// # Errors
///
/// `EAGAIN`: the queue is empty. `EMSGSIZE`: the buffer is too short; the message stays. `EBADF`:
/// not a message queue. `EINTR`: only on a blocking description.
#[inline]
pub fn receive(queue: impl AsFd, buffer: &mut [u8]) -> Result<usize> {
    calls::mq_receive(queue.as_fd(), buffer, None)
}

/// Like [`receive`], and never waits whatever the flags of the description.
///
/// The call carries a deadline in the past, which costs some nanoseconds.
///
/// # Errors
///
/// Those of [`receive`].
#[inline]
pub fn receive_nowait(queue: impl AsFd, buffer: &mut [u8]) -> Result<usize> {
    passed(calls::mq_receive(queue.as_fd(), buffer, Some(&PAST)))
}

/// A deadline that has passed and a flag that says not to wait are one answer.
fn passed<T>(answer: Result<T>) -> Result<T> {
    answer.map_err(|errno| if errno == Errno::ETIMEDOUT { Errno::EAGAIN } else { errno })
}

/// The shape of the queue and the number of messages in it.
///
/// See [`mq_getattr(3)`](https://man7.org/linux/man-pages/man3/mq_getattr.3.html).
///
/// # Errors
///
/// `EBADF`: not a message queue.
pub fn attributes(queue: impl AsFd) -> Result<Attributes> {
    // SAFETY: `mq_attr` is plain numbers, for which all zeros is a value.
    let mut attributes: libc::mq_attr = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is writable.
    Errno::result(unsafe { libc::mq_getattr(queue.as_fd().as_raw_fd(), &raw mut attributes) })?;
    Ok(Attributes {
        max_messages: attributes.mq_maxmsg as usize,
        message_size: attributes.mq_msgsize as usize,
        current_messages: attributes.mq_curmsgs as usize,
    })
}

/// What the system grants to queues of this process.
///
/// # Errors
///
/// `ENOENT`: the kernel has no message queues, or `/proc` is not mounted.
pub fn limits() -> Result<Limits> {
    Ok(Limits {
        default_messages: number("/proc/sys/fs/mqueue/msg_default")?,
        max_messages: number("/proc/sys/fs/mqueue/msg_max")?,
        default_message_size: number("/proc/sys/fs/mqueue/msgsize_default")?,
        max_message_size: number("/proc/sys/fs/mqueue/msgsize_max")?,
        max_queues: number("/proc/sys/fs/mqueue/queues_max")?,
        user_bytes: rlimit(Resource::RLIMIT_MSGQUEUE)?.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::FdFlag;

    #[test]
    fn a_queue_holds_whole_messages_in_order_and_counts_them() {
        let queue = create("postbox-test", 3, 16).unwrap();
        for message in [&b"one"[..], b"", b"sixteen bytes ok"] {
            send(&queue, message).unwrap();
        }
        assert_eq!(send(&queue, b"four"), Err(Errno::EAGAIN));
        let shape = Attributes { max_messages: 3, message_size: 16, current_messages: 3 };
        assert_eq!(attributes(&queue), Ok(shape));
        let mut buffer = [0; 16];
        assert_eq!(receive(&queue, &mut buffer), Ok(3));
        assert_eq!(&buffer[..3], b"one");
        assert_eq!(receive(&queue, &mut buffer), Ok(0));
        assert_eq!(receive(&queue, &mut buffer), Ok(16));
        assert_eq!(receive(&queue, &mut buffer), Err(Errno::EAGAIN));
    }

    /// Whether there is a queue of that name.
    fn is_there(name: &CStr) -> bool {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        // SAFETY: `name` ends in a NUL, and without O_CREAT the call takes no more.
        let fd = unsafe { libc::mq_open(name.as_ptr(), flags) };
        if fd >= 0 {
            // SAFETY: the call has just opened this descriptor, so nobody else owns it.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        fd >= 0
    }

    #[test]
    fn what_one_that_was_killed_has_left_is_taken_away_by_the_next() {
        let name = CString::new(format!("/postbox-left-{}-0", geteuid())).unwrap();
        let _ = unlink(&name);
        // As if it had been killed before it took the name away.
        // SAFETY: `name` ends in a NUL, and with O_CREAT the call takes a mode and an `mq_attr` pointer.
        let left = unsafe {
            let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
            let fd = libc::mq_open(name.as_ptr(), flags, 0o600, std::ptr::null::<libc::mq_attr>());
            OwnedFd::from_raw_fd(Errno::result(fd).unwrap())
        };
        drop(left);
        assert!(is_there(&name));
        let queue = create("postbox-left", 2, 8).unwrap();
        assert!(!is_there(&name));
        assert_eq!(attributes(&queue).unwrap().message_size, 8, "it is the new one");
    }

    #[test]
    fn many_at_a_time_get_a_queue_each() {
        let create_some = || {
            for n in 1..100 {
                let queue = create("postbox-many", 1, n).unwrap();
                assert_eq!(attributes(&queue).unwrap().message_size, n);
            }
        };
        std::thread::scope(|scope| {
            (0..4).for_each(|_| drop(scope.spawn(create_some)));
        });
        let name = CString::new(format!("/postbox-many-{}-0", geteuid())).unwrap();
        assert!(!is_there(&name));
    }

    #[test]
    fn too_large_a_message_and_too_short_a_buffer_are_emsgsize() {
        let queue = create("postbox-test", 1, 4).unwrap();
        assert_eq!(send(&queue, b"fives"), Err(Errno::EMSGSIZE));
        send(&queue, b"x").unwrap();
        assert_eq!(receive(&queue, &mut [0; 3]), Err(Errno::EMSGSIZE));
        assert_eq!(receive(&queue, &mut [0; 4]), Ok(1));
    }

    #[test]
    fn nowait_does_not_wait_on_a_queue_that_a_peer_made_blocking() {
        let queue = create("postbox-test", 1, 4).unwrap();
        let own = reopen(&queue).unwrap();
        fcntl(&queue, FcntlArg::F_SETFL(OFlag::O_RDWR)).unwrap();
        assert_eq!(receive_nowait(&queue, &mut [0; 4]), Err(Errno::EAGAIN));
        send_nowait(&queue, b"full").unwrap();
        assert_eq!(send_nowait(&queue, b"over"), Err(Errno::EAGAIN));
        assert_eq!(receive_nowait(&queue, &mut [0; 4]), Ok(4));
        // A description of one's own cannot be made blocking by anybody else.
        assert_eq!(receive(&own, &mut [0; 4]), Err(Errno::EAGAIN));
        send(&own, b"full").unwrap();
        assert_eq!(send(&own, b"over"), Err(Errno::EAGAIN));
        assert_eq!(receive_nowait(&queue, &mut [0; 4]), Ok(4));
    }

    #[test]
    fn a_description_for_sending_takes_nothing_out() {
        let queue = create("postbox-test", 2, 4).unwrap();
        let sending = reopen_for_sending(&queue).unwrap();
        assert_eq!((can_receive(&queue), can_receive(&sending)), (Ok(true), Ok(false)));
        send(&sending, b"one").unwrap();
        assert_eq!(receive(&sending, &mut [0; 4]), Err(Errno::EBADF));
        assert_eq!(attributes(&sending).unwrap().current_messages, 1);
        assert_eq!(receive(&queue, &mut [0; 4]), Ok(3));
    }

    #[test]
    fn a_queue_is_close_on_exec_and_a_bad_shape_or_prefix_is_refused() {
        let queue = create("postbox-test", 1, 4).unwrap();
        let flags = FdFlag::from_bits_retain(fcntl(&queue, FcntlArg::F_GETFD).unwrap());
        assert!(flags.contains(FdFlag::FD_CLOEXEC));
        assert_eq!(create("postbox-test", 0, 4).unwrap_err(), Errno::EINVAL);
        assert_eq!(create("postbox-test", 1, 0).unwrap_err(), Errno::EINVAL);
        assert_eq!(create("post\0box", 1, 4).unwrap_err(), Errno::EINVAL);
        assert_eq!(create("post/box", 1, 4).unwrap_err(), Errno::EACCES);
    }

    #[test]
    fn a_descriptor_that_is_no_queue_is_ebadf() {
        let (pipe, _) = std::io::pipe().unwrap();
        assert_eq!(send(&pipe, b"x"), Err(Errno::EBADF));
        assert_eq!(receive(&pipe, &mut [0]), Err(Errno::EBADF));
        assert_eq!(attributes(&pipe), Err(Errno::EBADF));
    }

    #[test]
    fn the_limits_are_those_of_the_running_system() {
        let limits = limits().unwrap();
        assert!(limits.max_messages >= 1 && limits.max_message_size >= 1);
        assert!(limits.default_messages >= 1 && limits.default_message_size >= 1);
    }
}
