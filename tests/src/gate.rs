//! A gate between processes: what makes one wait for the other.

use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};

/// Each opening lets one pass, in whichever process: a pipe that all of them have inherited.
#[derive(Debug)]
pub struct Gate {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Gate {
    /// A closed gate, to be made before the fork.
    pub fn new() -> io::Result<Self> {
        let (reader, writer) = pipe()?;
        Ok(Gate { reader, writer })
    }

    /// Lets one pass.
    pub fn open(&self) -> io::Result<()> {
        (&self.writer).write_all(&[0])
    }

    /// Waits until it is opened.
    pub fn pass(&self) -> io::Result<()> {
        (&self.reader).read_exact(&mut [0])
    }

    /// Whether it stands open.
    pub fn is_open(&self) -> io::Result<bool> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        use std::os::fd::AsFd;
        let mut fds = [PollFd::new(self.reader.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut fds, PollTimeout::ZERO)? == 1)
    }
}
