//! A connected pair of Unix sockets that keep records whole.
//!
//! ```text
//!  senders ──► [end A] ═══ records, whole and in order ═══► [end B] ──► receivers
//!              A is only written, B only read
//! ```
//!
//! See unix(7), `SOCK_SEQPACKET`. What waits is bounded by the bytes of A's send buffer.

use super::{Refused, Wanted, no_way_out, unless_interrupted};
use crate::error::Fault;
use postbox_sys::{Errno, socket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Larger records would need contiguous kernel memory of higher order; bodies beyond lie in
/// shared memory.
pub(super) const ENTRY_LIMIT: usize = 8192;

/// What the kernel charges for a record of that many bytes: its allocation is a power of two.
fn charge(bytes: usize) -> usize {
    (bytes + 512).next_power_of_two() + 512
}

#[derive(Debug)]
pub(crate) struct Records {
    write: OwnedFd,
    /// None for a member that only sends.
    read: Option<OwnedFd>,
}

impl Records {
    pub(super) fn create(wanted: Wanted) -> Result<Self, Fault> {
        let (write, read) = socket::seqpacket_pair().map_err(Fault::system("socketpair"))?;
        // Who closes one that was sent by a stranger may have to wait for it, or the kernel in its place.
        for end in [&write, &read] {
            socket::refuse_descriptors(end).map_err(Fault::system("setsockopt"))?;
        }
        let bytes = wanted.depth as usize * charge(wanted.entry.min(ENTRY_LIMIT));
        if socket::send_buffer(write.as_fd()).is_ok_and(|now| now < bytes) {
            // The kernel caps it at net.core.wmem_max; the overflow takes the rest.
            let _ = socket::set_send_buffer(write.as_fd(), bytes);
        }
        Ok(Records { write, read: Some(read) })
    }

    /// From both ends, or from the one that is written alone.
    pub(super) fn from_fds(write: OwnedFd, read: Option<OwnedFd>) -> Self {
        Records { write, read }
    }

    pub(super) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        std::iter::once(&self.write).chain(&self.read).map(AsFd::as_fd).collect()
    }

    pub(super) fn fd_for_sending(&self) -> Result<OwnedFd, Fault> {
        self.write.try_clone().map_err(|error| Fault::System {
            call: "dup",
            errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
        })
    }

    pub(super) fn depth(&self) -> u32 {
        socket::send_buffer(self.write.as_fd())
            .map_or(1, |bytes| (bytes / charge(ENTRY_LIMIT)).max(1) as u32)
    }

    #[inline(always)]
    pub(super) fn push(&self, entry: &[u8]) -> Result<(), Refused> {
        match unless_interrupted("send to the socket", || socket::send(self.write.as_fd(), entry)) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(Refused::Full),
            // Everybody with a way out is dead, the owner too, and that is what ends the wait.
            Err(Fault::System { errno: Errno::EPIPE | Errno::ECONNRESET, .. })
                if self.read.is_none() =>
            {
                Err(Refused::Full)
            }
            Err(fault) => Err(Refused::Fault(fault)),
        }
    }

    #[inline(always)]
    pub(super) fn pop(&self, into: &mut [u8]) -> Result<Option<usize>, Fault> {
        let read = self.read.as_ref().ok_or_else(no_way_out)?;
        let popped =
            unless_interrupted("receive from the socket", || socket::recv(read.as_fd(), into))?;
        match popped {
            // No record is empty: this is the end of a socket that a member has shut down.
            Some(record) if record.is_truncated() => {
                Err(Fault::Corrupt("a record is longer than an entry"))
            }
            Some(record) if record.bytes == 0 => {
                Err(Fault::Corrupt("a member has shut the socket down"))
            }
            other => Ok(other.map(|record| record.bytes)),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        let bytes = match &self.read {
            Some(read) => socket::unread_bytes(read.as_fd()),
            // What was sent and not received yet is charged to the sending end.
            None => socket::unsent_bytes(self.write.as_fd()),
        };
        bytes.is_ok_and(|bytes| bytes == 0)
    }

    pub(super) fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.read.as_ref().map(AsFd::as_fd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postbox_sys::descriptors::send_with_fds;

    #[test]
    fn nobody_sends_descriptors_to_either_end_where_the_kernel_can_refuse_them() {
        let (plain, refusing) = socket::seqpacket_pair().unwrap();
        socket::refuse_descriptors(&refusing).unwrap();
        // Older kernels let them pass.
        let refused = send_with_fds(&plain, b"to it", &[plain.as_fd()]);
        let records = Records::create(Wanted { depth: 4, entry: 64 }).unwrap();
        let (write, read) = (&records.write, records.read.as_ref().unwrap());
        for end in [write, read] {
            assert_eq!(send_with_fds(end, b"to it", &[plain.as_fd()]), refused);
        }
    }
}
