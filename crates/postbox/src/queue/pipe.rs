//! A pipe in packet mode.
//!
//! ```text
//!  write ──► [packet][packet][packet][      ][      ] ──► read
//!            one page slot each, up to 4096 bytes, whole and in order
//! ```
//!
//! With `O_DIRECT` (pipe(7)) the kernel neither merges two writes nor splits a read, so a packet is
//! an entry. The description is created non-blocking and never shared with anybody but members. Its
//! flags are whose description it is to change, so a member that is given a pipe opens it anew for
//! itself where it may, and a pipe that is given away is opened anew for the one who gets it.

use super::{Refused, Wanted, no_way_out, unless_interrupted};
use crate::error::Fault;
use postbox_sys::limits::page_size;
use postbox_sys::{Errno, pipe};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A packet is at most a page: `PIPE_BUF`.
pub(super) const ENTRY_LIMIT: usize = 4096;
/// Bytes of what an unprivileged process may ask for by default.
const MOST: usize = 1 << 20;

/// The same end by another description; none where the pipe is another user's, or there is no `/proc` to open it by.
fn reopened(fd: &OwnedFd, end: pipe::End) -> Result<Option<OwnedFd>, Fault> {
    match pipe::reopen(fd.as_fd(), end) {
        Ok(own) => Ok(Some(own)),
        Err(Errno::EACCES | Errno::EPERM) if pipe::is_withheld(fd) == Ok(true) => {
            Err(Fault::Corrupt("the pipe is closed to its own user"))
        }
        Err(Errno::EACCES | Errno::EPERM | Errno::ENOENT) => Ok(None),
        Err(errno) => Err(Fault::System { call: "reopening the pipe", errno }),
    }
}

#[derive(Debug)]
pub(crate) struct PacketPipe {
    /// None for a member that only sends.
    read: Option<OwnedFd>,
    write: OwnedFd,
}

impl PacketPipe {
    pub(super) fn create(wanted: Wanted) -> Result<Self, Fault> {
        let (read, write) = pipe::packet_pipe().map_err(Fault::system("pipe2"))?;
        let most = (MOST / page_size()).max(1);
        let slots = (wanted.depth as usize).clamp(1, most);
        // Refused with EPERM once the user's pipes hold their share of pages: then it stays
        // shallower, and what does not fit goes through the overflow.
        let _ = pipe::set_packets(write.as_fd(), slots);
        Ok(PacketPipe { read: Some(read), write })
    }

    /// From both ends, reading one first, or from the writing one alone.
    pub(super) fn from_fds(first: OwnedFd, second: Option<OwnedFd>) -> Result<Self, Fault> {
        let (read, write) = match second {
            Some(write) => (Some(first), write),
            None => (None, first),
        };
        let good = || {
            let whole = match &read {
                Some(read) => pipe::are_ends_of_one(read, &write)? && pipe::is_nonblocking(read)?,
                None => pipe::is_pipe(&write)?,
            };
            Ok(whole && pipe::is_nonblocking(&write)? && pipe::is_packet_mode(&write)?)
        };
        match good() {
            Ok(true) => {}
            Ok(false) => return Err(Fault::Corrupt("the pipe is not one in packet mode")),
            Err(errno) => return Err(Fault::System { call: "fcntl", errno }),
        }
        // Descriptions of our own, where that may be.
        let own = |fd: OwnedFd, end| Ok(reopened(&fd, end)?.unwrap_or(fd));
        let read = read.map(|read| own(read, pipe::End::Read)).transpose()?;
        Ok(PacketPipe { read, write: own(write, pipe::End::Write)? })
    }

    /// Both ends for another process, by descriptions that are not ours, so that what it does to
    /// their flags does not reach us. Only the pipe's own user can have them.
    pub(super) fn fds_to_give(&self) -> Result<Vec<OwnedFd>, Fault> {
        let ends = self.read.iter().map(|read| (read, pipe::End::Read));
        ends.chain([(&self.write, pipe::End::Write)])
            .map(|(fd, end)| match reopened(fd, end)? {
                Some(own) => Ok(own),
                None => super::copy(fd.as_fd()),
            })
            .collect()
    }

    pub(super) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.read.iter().chain([&self.write]).map(AsFd::as_fd).collect()
    }

    /// The writing end by a description of its own, whose flags do not change ours.
    pub(super) fn fd_for_sending(&self) -> Result<OwnedFd, Fault> {
        pipe::reopen(self.write.as_fd(), pipe::End::Write)
            .map_err(Fault::system("reopening the pipe"))
    }

    pub(super) fn depth(&self) -> u32 {
        pipe::packets(self.write.as_fd()).map_or(1, |packets| packets as u32)
    }

    #[inline(always)]
    pub(super) fn push(&self, entry: &[u8]) -> Result<(), Refused> {
        if self.read.is_none() {
            return self.push_quietly(entry);
        }
        match unless_interrupted("write to the pipe", || pipe::write(self.write.as_fd(), entry)) {
            Ok(Some(written)) if written == entry.len() => Ok(()),
            Ok(Some(_)) => Err(Refused::Fault(Fault::Corrupt("the pipe split a packet"))),
            Ok(None) => Err(Refused::Full),
            Err(fault) => Err(Refused::Fault(fault)),
        }
    }

    /// Without an end to read from, one may find oneself alone with the pipe.
    #[cold]
    fn push_quietly(&self, entry: &[u8]) -> Result<(), Refused> {
        let write = || pipe::write_quietly(self.write.as_fd(), entry);
        match unless_interrupted("write to the pipe", write) {
            Ok(Some(written)) if written == entry.len() => Ok(()),
            Ok(Some(_)) => Err(Refused::Fault(Fault::Corrupt("the pipe split a packet"))),
            // Everybody with a way out is dead, the owner too, and that is what ends the wait.
            Ok(None) | Err(Fault::System { errno: Errno::EPIPE, .. }) => Err(Refused::Full),
            Err(fault) => Err(Refused::Fault(fault)),
        }
    }

    #[inline(always)]
    pub(super) fn pop(&self, into: &mut [u8]) -> Result<Option<usize>, Fault> {
        let read = self.read.as_ref().ok_or_else(no_way_out)?;
        unless_interrupted("read from the pipe", || pipe::read(read.as_fd(), into))
    }

    pub(super) fn is_empty(&self) -> bool {
        pipe::unread_bytes(self.write.as_fd()).is_ok_and(|bytes| bytes == 0)
    }

    pub(super) fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.read.as_ref().map(AsFd::as_fd)
    }
}
