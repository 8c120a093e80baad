//! The kernel objects that carry entries: each push and pop is one whole entry.
//!
//! An entry is an envelope and, where it fits, the message itself. None of the three knows of
//! capacities, receipts or deaths: that is the business of [`crate::channel`]. Calls never wait;
//! whoever wants to, sleeps on [`KernelQueue::readable`]. The fourth mechanism needs no object: it
//! is the slot ring of `postbox-ring`.
//!
//! | | carries | one entry at most | depth |
//! | --- | --- | --- | --- |
//! | [`pipe`] | packets of a pipe | 4096 B | one page slot per packet |
//! | [`socket`] | `SOCK_SEQPACKET` records | 8 KiB here | the send buffer's bytes |
//! | [`mqueue`] | POSIX queue messages | `msgsize_max`, 8 KiB | `msg_max`, 10 |

mod mqueue;
mod pipe;
mod socket;

use crate::error::Fault;
use crate::mechanism::Mechanism;
use postbox_sys::Errno;
use std::os::fd::{BorrowedFd, OwnedFd};

/// Why an entry did not go in.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The object holds as much as it can.
    Full,
    Fault(Fault),
}

/// One of the three kernel objects.
///
/// Members keep both directions open: a pipe or socket whose other side nobody had open would drop
/// what waits in it. Who is there at all is told by the members' table, not by the object.
///
/// A member that must not receive, and that the kernel can keep from it, being another user's, has
/// the way in alone. It can tell whether the object is empty all the same. Nor is the object ever
/// without a way out while such a member lives and the mailbox does: its owner has both.
#[derive(Debug)]
pub(crate) enum KernelQueue {
    Pipe(pipe::PacketPipe),
    Socket(socket::Records),
    MessageQueue(mqueue::PosixQueue),
}

/// What a kernel object should be able to hold; it may turn out smaller.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    /// Entries.
    pub depth: u32,
    /// Bytes of the largest entry, header included.
    pub entry: usize,
}

impl KernelQueue {
    pub(crate) fn create(mechanism: Mechanism, wanted: Wanted) -> Result<Option<Self>, Fault> {
        Ok(match mechanism {
            Mechanism::Pipe => Some(KernelQueue::Pipe(pipe::PacketPipe::create(wanted)?)),
            Mechanism::Socket => Some(KernelQueue::Socket(socket::Records::create(wanted)?)),
            Mechanism::MessageQueue => {
                Some(KernelQueue::MessageQueue(mqueue::PosixQueue::create(wanted)?))
            }
            Mechanism::SharedMemory => None,
        })
    }

    /// Takes part by the descriptors of [`Self::fds`] or [`Self::fds_for_sending`].
    pub(crate) fn from_fds(mechanism: Mechanism, fds: Vec<OwnedFd>) -> Result<Option<Self>, Fault> {
        let wrong = || Fault::Corrupt("the descriptors are not those of the mechanism");
        let mut fds = fds.into_iter();
        let mut next = || fds.next().ok_or_else(wrong);
        Ok(match mechanism {
            Mechanism::Pipe => {
                let (first, second) = (next()?, next().ok());
                Some(KernelQueue::Pipe(pipe::PacketPipe::from_fds(first, second)?))
            }
            Mechanism::Socket => {
                let (write, read) = (next()?, next().ok());
                Some(KernelQueue::Socket(socket::Records::from_fds(write, read)))
            }
            Mechanism::MessageQueue => {
                Some(KernelQueue::MessageQueue(mqueue::PosixQueue::from_fd(next()?)?))
            }
            Mechanism::SharedMemory => None,
        })
    }

    pub(crate) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        match self {
            KernelQueue::Pipe(queue) => queue.fds(),
            KernelQueue::Socket(queue) => queue.fds(),
            KernelQueue::MessageQueue(queue) => queue.fds(),
        }
    }

    /// Descriptors for another process: its own as far as that is possible.
    ///
    /// # Errors
    ///
    /// `EMFILE`.
    pub(crate) fn fds_to_give(&self) -> Result<Vec<OwnedFd>, Fault> {
        match self {
            KernelQueue::Pipe(queue) => queue.fds_to_give(),
            // No call on these goes by the flags of the description.
            KernelQueue::Socket(_) | KernelQueue::MessageQueue(_) => {
                self.fds().into_iter().map(copy).collect()
            }
        }
    }

    /// Descriptors for a member that is to send and not to receive.
    ///
    /// # Errors
    ///
    /// `EACCES` where the object is another user's, `ENOENT` without `/proc`, `EMFILE`.
    pub(crate) fn fds_for_sending(&self) -> Result<Vec<OwnedFd>, Fault> {
        Ok(vec![match self {
            KernelQueue::Pipe(queue) => queue.fd_for_sending()?,
            KernelQueue::Socket(queue) => queue.fd_for_sending()?,
            KernelQueue::MessageQueue(queue) => queue.fd_for_sending()?,
        }])
    }

    /// Whether entries can be taken by the descriptors that this member has.
    pub(crate) fn can_receive(&self) -> bool {
        match self {
            KernelQueue::Pipe(queue) => queue.readable().is_some(),
            KernelQueue::Socket(queue) => queue.readable().is_some(),
            KernelQueue::MessageQueue(queue) => queue.readable().is_some(),
        }
    }

    /// Bytes of the largest entry.
    pub(crate) fn entry_limit(&self) -> usize {
        match self {
            KernelQueue::Pipe(_) => pipe::ENTRY_LIMIT,
            KernelQueue::Socket(_) => socket::ENTRY_LIMIT,
            KernelQueue::MessageQueue(queue) => queue.entry_limit(),
        }
    }

    /// Entries that it surely holds, if they are of the largest size.
    pub(crate) fn depth(&self) -> u32 {
        match self {
            KernelQueue::Pipe(queue) => queue.depth(),
            KernelQueue::Socket(queue) => queue.depth(),
            KernelQueue::MessageQueue(queue) => queue.depth(),
        }
    }

    #[inline(always)]
    pub(crate) fn push(&self, entry: &[u8]) -> Result<(), Refused> {
        match self {
            KernelQueue::Pipe(queue) => queue.push(entry),
            KernelQueue::Socket(queue) => queue.push(entry),
            KernelQueue::MessageQueue(queue) => queue.push(entry),
        }
    }

    /// Takes the first entry into `into`; `None` where there is none. `into` has room for the largest entry
    /// that members push, or for [`Self::entry_limit`] bytes over a POSIX queue, which asks for it.
    #[inline(always)]
    pub(crate) fn pop(&self, into: &mut [u8]) -> Result<Option<usize>, Fault> {
        match self {
            KernelQueue::Pipe(queue) => queue.pop(into),
            KernelQueue::Socket(queue) => queue.pop(into),
            KernelQueue::MessageQueue(queue) => queue.pop(into),
        }
    }

    /// Whether nothing waits in it now.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            KernelQueue::Pipe(queue) => queue.is_empty(),
            KernelQueue::Socket(queue) => queue.is_empty(),
            KernelQueue::MessageQueue(queue) => queue.is_empty(),
        }
    }

    /// The descriptor to sleep on until an entry waits, if this member may take it.
    pub(crate) fn readable(&self) -> Option<BorrowedFd<'_>> {
        match self {
            KernelQueue::Pipe(queue) => queue.readable(),
            KernelQueue::Socket(queue) => queue.readable(),
            KernelQueue::MessageQueue(queue) => queue.readable(),
        }
    }
}

fn copy(fd: BorrowedFd<'_>) -> Result<OwnedFd, Fault> {
    fd.try_clone_to_owned().map_err(|error| Fault::System {
        call: "dup",
        errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
    })
}

/// What a member without the way out gets for trying.
fn no_way_out() -> Fault {
    Fault::System { call: "receiving without the right", errno: Errno::EBADF }
}

/// A result that may say "not now", from a call that may be interrupted.
#[inline(always)]
fn unless_interrupted<T>(
    call: &'static str,
    mut attempt: impl FnMut() -> Result<T, Errno>,
) -> Result<Option<T>, Fault> {
    loop {
        match attempt() {
            Ok(value) => return Ok(Some(value)),
            Err(Errno::EINTR) => {}
            // ETIMEDOUT is how a POSIX queue says it when given a moment long past.
            Err(Errno::EAGAIN | Errno::ETIMEDOUT) => return Ok(None),
            Err(errno) => return Err(Fault::System { call, errno }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_the_way_in_alone_puts_in_and_sees_what_is_left() {
        for mechanism in [Mechanism::Pipe, Mechanism::Socket, Mechanism::MessageQueue] {
            let wanted = Wanted { depth: 4, entry: 256 };
            let whole = KernelQueue::create(mechanism, wanted).unwrap().unwrap();
            let fds = whole.fds_for_sending().unwrap();
            let narrow = KernelQueue::from_fds(mechanism, fds).unwrap().unwrap();
            assert!(whole.can_receive() && !narrow.can_receive());
            assert!(narrow.is_empty());
            assert_eq!(narrow.entry_limit(), whole.entry_limit());
            assert_eq!(narrow.depth(), whole.depth());
            narrow.push(b"entry").unwrap();
            assert!(!narrow.is_empty() && !whole.is_empty());
            let mut buffer = vec![0; whole.entry_limit()];
            assert!(narrow.pop(&mut buffer).is_err());
            assert_eq!(whole.pop(&mut buffer).unwrap(), Some(5));
            assert!(narrow.is_empty() && whole.is_empty());
            // And passes on no more than it has.
            let copies = narrow.fds().into_iter().map(|fd| fd.try_clone_to_owned().unwrap());
            let again = KernelQueue::from_fds(mechanism, copies.collect()).unwrap().unwrap();
            assert!(!again.can_receive());
            again.push(b"entry").unwrap();
            assert_eq!(whole.pop(&mut buffer).unwrap(), Some(5));
        }
    }

    #[test]
    fn alone_with_the_way_in_it_is_full() {
        for mechanism in [Mechanism::Pipe, Mechanism::Socket] {
            let wanted = Wanted { depth: 4, entry: 256 };
            let whole = KernelQueue::create(mechanism, wanted).unwrap().unwrap();
            let fds = whole.fds_for_sending().unwrap();
            let narrow = KernelQueue::from_fds(mechanism, fds).unwrap().unwrap();
            drop(whole);
            // For a moment a child that another test has forked may hold the other end too.
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while narrow.push(b"entry").is_ok() {
                assert!(std::time::Instant::now() < deadline);
            }
            assert!(matches!(narrow.push(b"entry"), Err(Refused::Full)), "{mechanism}");
        }
    }
}
