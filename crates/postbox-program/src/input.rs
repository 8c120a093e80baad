//! A file, or standard input, that a signal does not leave waiting.

use crate::ending::{Ending, memory};
use crate::stop::Stop;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Instant;

/// A file to read, and what to call it.
#[derive(Debug)]
pub struct Input {
    /// `standard input`, or the path in quotes.
    pub name: String,
    /// The file itself.
    pub file: File,
}

impl Input {
    /// Opens that file; `-` is standard input.
    ///
    /// # Errors
    ///
    /// Bad input: it is not there, a directory, or cannot be read.
    pub fn open(path: &Path) -> Result<Self, Ending> {
        let input = if path == Path::new("-") {
            let file = io::stdin().as_fd().try_clone_to_owned().map(File::from);
            let name = "standard input".to_owned();
            Input { file: file.map_err(|error| unreadable(&name, &error))?, name }
        } else {
            let name = format!("'{}'", path.display());
            Input { file: File::open(path).map_err(|error| unreadable(&name, &error))?, name }
        };
        let kind = input.file.metadata().map_err(|error| unreadable(&input.name, &error))?;
        if kind.is_dir() {
            let remedy = "give a file, or - for standard input";
            return Err(Ending::BadInput(format!("{} is a directory: {remedy}", input.name)));
        }
        Ok(input)
    }
}

/// Says that it cannot be read, and what to do. That memory is short is no fault of the input.
pub fn unreadable(name: &str, error: &io::Error) -> Ending {
    if error.kind() == ErrorKind::OutOfMemory {
        return Ending::Failure(format!("cannot read {name}: {error}: {}", memory()));
    }
    let remedy = match error.kind() {
        ErrorKind::NotFound => ": check the path",
        ErrorKind::PermissionDenied => ": allow it to be read, or pass it to standard input",
        _ => "",
    };
    Ending::BadInput(format!("cannot read {name}: {error}{remedy}"))
}

/// Reads of a file that end, with an error, when the program is to stop or the time is up.
#[derive(Debug)]
pub struct Interruptible<'s> {
    file: File,
    stop: &'s Stop,
    deadline: Option<Instant>,
}

impl<'s> Interruptible<'s> {
    /// Of that file, until `deadline` at most.
    pub fn new(file: File, stop: &'s Stop, deadline: Option<Instant>) -> Self {
        Interruptible { file, stop, deadline }
    }
}

impl Read for Interruptible<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // Files are always readable; pipes and terminals may have to be waited for.
        if !self.stop.await_readable(self.file.as_fd(), self.deadline) {
            return Err(io::Error::other("stopped, or out of time"));
        }
        self.file.read(into)
    }
}
