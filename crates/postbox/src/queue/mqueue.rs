//! A POSIX message queue.
//!
//! ```text
//!  mq_timedsend ──► [message][message][       ] … ──► mq_timedreceive
//!                   `depth` messages of at most `entry_limit` bytes, all of one priority
//! ```
//!
//! See mq_overview(7). The name is unlinked as soon as the queue exists, so nothing is left when
//! its members die. Its bytes count against RLIMIT_MSGQUEUE of the user for as long as it lives.

use super::{Refused, Wanted, no_way_out, unless_interrupted};
use crate::error::Fault;
use postbox_sys::{Errno, eventfd, mqueue};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Smaller than this an entry carries no message worth having beside its header.
const LEAST_ENTRY: usize = 128;
/// The largest, whatever the system grants: what lies beyond goes through shared memory.
const MOST_ENTRY: usize = 1 << 16;

/// The limits of a queue that kernels begin with.
const USUAL: (u64, u64) = (10, 8192);

/// The most messages of a queue, and their greatest length. In some containers there is no `/proc/sys` to tell.
fn limits() -> Result<(u64, u64), Fault> {
    match mqueue::limits() {
        Ok(limits) => Ok((limits.max_messages, limits.max_message_size)),
        Err(Errno::ENOENT | Errno::ESRCH | Errno::EACCES | Errno::EPERM) => Ok(USUAL),
        Err(errno) => Err(Fault::System { call: "reading the queue limits", errno }),
    }
}

#[derive(Debug)]
pub(crate) struct PosixQueue {
    queue: OwnedFd,
    /// Whether the descriptor is for both directions, not for sending alone.
    receives: bool,
    depth: u32,
    entry_limit: usize,
}

impl PosixQueue {
    /// As deep and wide as wanted, or as the limits and the user's quota allow: what does not fit
    /// goes through the overflow and the bodies.
    pub(super) fn create(wanted: Wanted) -> Result<Self, Fault> {
        let (most, longest) = limits()?;
        let mut depth = wanted.depth.clamp(1, (most as u32).max(1));
        let widest = (longest as usize).min(MOST_ENTRY);
        let mut entry = wanted.entry.clamp(LEAST_ENTRY, widest.max(LEAST_ENTRY));
        loop {
            match mqueue::create("postbox", depth as usize, entry) {
                Ok(queue) => {
                    return Ok(PosixQueue { queue, receives: true, depth, entry_limit: entry });
                }
                // EMFILE also says that the quota of RLIMIT_MSGQUEUE does not suffice, EINVAL that the limits were not
                // to be seen, and are lower than most.
                Err(Errno::EMFILE | Errno::ENOMEM | Errno::EINVAL)
                    if entry > LEAST_ENTRY || depth > 1 =>
                {
                    if entry > LEAST_ENTRY {
                        entry = (entry / 4).max(LEAST_ENTRY);
                    } else {
                        depth /= 2;
                    }
                }
                Err(Errno::EMFILE) if matches!(eventfd::create(), Err(Errno::EMFILE)) => {
                    // Not the quota, then, but the descriptors of this process.
                    return Err(Fault::System { call: "opening the queue", errno: Errno::EMFILE });
                }
                Err(errno) => return Err(Fault::System { call: "mq_open", errno }),
            }
        }
    }

    pub(super) fn from_fd(queue: OwnedFd) -> Result<Self, Fault> {
        let attributes = mqueue::attributes(queue.as_fd()).map_err(Fault::system("mq_getattr"))?;
        let (depth, entry_limit) =
            (attributes.max_messages as u32, attributes.message_size as usize);
        let receives = mqueue::can_receive(queue.as_fd()).map_err(Fault::system("fcntl"))?;
        Ok(PosixQueue { queue, receives, depth, entry_limit })
    }

    pub(super) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.queue.as_fd()]
    }

    pub(super) fn fd_for_sending(&self) -> Result<OwnedFd, Fault> {
        mqueue::reopen_for_sending(self.queue.as_fd()).map_err(Fault::system("reopening the queue"))
    }

    pub(super) fn entry_limit(&self) -> usize {
        self.entry_limit
    }

    pub(super) fn depth(&self) -> u32 {
        self.depth
    }

    #[inline(always)]
    pub(super) fn push(&self, entry: &[u8]) -> Result<(), Refused> {
        match unless_interrupted("mq_timedsend", || mqueue::send_nowait(self.queue.as_fd(), entry))
        {
            Ok(Some(())) => Ok(()),
            Ok(None) => Err(Refused::Full),
            Err(fault) => Err(Refused::Fault(fault)),
        }
    }

    #[inline(always)]
    pub(super) fn pop(&self, into: &mut [u8]) -> Result<Option<usize>, Fault> {
        if !self.receives {
            return Err(no_way_out());
        }
        unless_interrupted("mq_timedreceive", || mqueue::receive_nowait(self.queue.as_fd(), into))
    }

    pub(super) fn is_empty(&self) -> bool {
        mqueue::attributes(self.queue.as_fd())
            .is_ok_and(|attributes| attributes.current_messages == 0)
    }

    pub(super) fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.receives.then(|| self.queue.as_fd())
    }
}
