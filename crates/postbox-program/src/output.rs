//! Records on standard output.

use crate::ending::{Ending, unwritable};
use crate::records::{Framing, Misfits, RecordWriter};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;

/// Standard output, taking records. Whatever waits for the next record flushes first.
#[derive(Debug)]
pub struct Output {
    writer: RecordWriter<File>,
}

impl Output {
    /// In that framing.
    ///
    /// # Errors
    ///
    /// A failure: no descriptor is left.
    pub fn open(framing: Framing) -> Result<Self, Ending> {
        // Of one's own: the standard library's flushes at every line end.
        let out = io::stdout().as_fd().try_clone_to_owned().map_err(|error| unwritable(&error))?;
        Ok(Output { writer: RecordWriter::new(File::from(out), framing) })
    }

    /// One more record, perhaps not written before the next [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// [`Ending::Done`] if nobody reads any more; otherwise a failure.
    pub fn write(&mut self, record: &[u8]) -> Result<(), Ending> {
        self.writer.write(record).map_err(closed_or_failed)
    }

    /// Writes what is left.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn flush(&mut self) -> Result<(), Ending> {
        self.writer.flush().map_err(closed_or_failed)
    }

    /// Records that were not of the size that the framing says.
    pub fn misfits(&self) -> Misfits {
        self.writer.misfits()
    }
}

fn closed_or_failed(error: io::Error) -> Ending {
    match error.kind() {
        ErrorKind::BrokenPipe => Ending::Done,
        _ => unwritable(&error),
    }
}
