//! A pipe in packet mode.
//!
//! ```text
//!  write ──► [packet][packet][packet][      ][      ] ──► read
//!            one page slot each, up to 4096 bytes, whole and in order
//! ```
//!
//! With `O_DIRECT` (pipe(7)) the kernel neither merges two writes nor splits a read, so a packet is
//! an entry. The description is created non-blocking and never shared with anybody but members.

use super::{Refused, Wanted, unless_interrupted};
use crate::error::Fault;
use postbox_sys::pipe;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A packet is at most a page: `PIPE_BUF`.
pub(super) const ENTRY_LIMIT: usize = 4096;
const PAGE: u32 = 4096;
/// What an unprivileged process may ask for by default: 1 MiB.
const MOST_SLOTS: u32 = 256;

#[derive(Debug)]
pub(crate) struct PacketPipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl PacketPipe {
    pub(super) fn create(wanted: Wanted) -> Result<Self, Fault> {
        let (read, write) = pipe::packet_pipe().map_err(Fault::system("pipe2"))?;
        let slots = wanted.depth.clamp(1, MOST_SLOTS).next_power_of_two();
        // Refused with EPERM once the user's pipes hold their share of pages: then it stays
        // shallower, and what does not fit goes through the overflow.
        let _ = pipe::set_capacity(write.as_fd(), (slots * PAGE) as usize);
        Ok(PacketPipe { read, write })
    }

    pub(super) fn from_fds(read: OwnedFd, write: OwnedFd) -> Result<Self, Fault> {
        match pipe::is_packet_mode(write.as_fd()) {
            Ok(true) => Ok(PacketPipe { read, write }),
            Ok(false) => Err(Fault::Corrupt("the pipe is not in packet mode")),
            Err(errno) => Err(Fault::System { call: "fcntl", errno }),
        }
    }

    pub(super) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        vec![self.read.as_fd(), self.write.as_fd()]
    }

    pub(super) fn depth(&self) -> u32 {
        pipe::capacity(self.write.as_fd()).map_or(1, |bytes| bytes as u32 / PAGE)
    }

    #[inline]
    pub(super) fn push(&self, entry: &[u8]) -> Result<(), Refused> {
        match unless_interrupted("write to the pipe", || pipe::write(self.write.as_fd(), entry)) {
            Ok(Some(written)) if written == entry.len() => Ok(()),
            Ok(Some(_)) => Err(Refused::Fault(Fault::Corrupt("the pipe split a packet"))),
            Ok(None) => Err(Refused::Full),
            Err(fault) => Err(Refused::Fault(fault)),
        }
    }

    #[inline]
    pub(super) fn pop(&self, into: &mut [u8]) -> Result<Option<usize>, Fault> {
        unless_interrupted("read from the pipe", || pipe::read(self.read.as_fd(), into))
    }

    pub(super) fn is_empty(&self) -> bool {
        pipe::unread_bytes(self.read.as_fd()).is_ok_and(|bytes| bytes == 0)
    }

    pub(super) fn readable(&self) -> BorrowedFd<'_> {
        self.read.as_fd()
    }
}
