//! The file to be sent: opened, spooled if it can be read only once, and surveyed.

use super::records::{Cut, RECORD_LIMIT, RecordError, Records};
use super::tally::Total;
use crate::ending::Ending;
use crate::stop::Stop;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How long a signal waits to be noticed while the file is read.
const TICK: Duration = Duration::from_millis(20);

/// A file that any number of processes can read, and what is to be sent of it.
#[derive(Debug)]
pub struct Source {
    /// Read by position only.
    pub file: File,
    /// Its bytes when it was surveyed; what is appended later is not sent.
    pub length: u64,
    /// How it is cut into records.
    pub cut: Cut,
    /// How often it is sent.
    pub repeat: u32,
    /// What all that adds up to.
    pub survey: Total,
    /// Bytes of the largest record.
    pub largest: usize,
}

impl Source {
    /// Opens and surveys the file.
    ///
    /// Another thread does it, because a read from a terminal or pipe goes on after a signal, and
    /// this one looks out for them. Its thread ends with the process.
    pub fn open(path: &Path, cut: Cut, repeat: u32, stop: &Stop) -> Result<Self, Ending> {
        let (done, outcome) = channel();
        let path = PathBuf::from(path);
        thread::spawn(move || done.send(Source::read(&path, cut, repeat)));
        loop {
            match outcome.recv_timeout(TICK) {
                Ok(source) => return source,
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Ending::Failure("reading the file ended early".into()));
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(code) = stop.code() {
                return Err(Ending::Stopped(code));
            }
        }
    }

    fn read(path: &Path, cut: Cut, repeat: u32) -> Result<Self, Ending> {
        let (name, file) = if path == Path::new("-") {
            let input = io::stdin().as_fd().try_clone_to_owned();
            let file =
                input.map(File::from).map_err(|error| unreadable("standard input", &error))?;
            ("standard input".to_owned(), file)
        } else {
            let name = format!("'{}'", path.display());
            let file = File::open(path).map_err(|error| unreadable(&name, &error))?;
            (name, file)
        };
        let kind = file.metadata().map_err(|error| unreadable(&name, &error))?;
        if kind.is_dir() {
            let remedy = "give a file, or - for standard input";
            return Err(Ending::BadInput(format!("{name} is a directory: {remedy}")));
        }
        // Several processes read the file several times. Standard input need not be at its start;
        // files of /proc have bytes but no length.
        let direct = kind.is_file() && kind.len() > 0 && path != Path::new("-");
        let file = if direct { file } else { spool(&name, file)? };
        let length = file.metadata().map_err(|error| unreadable(&name, &error))?.len();
        let mut source = Source { file, length, cut, repeat, survey: Total::default(), largest: 0 };
        source.survey(&name)?;
        Ok(source)
    }

    /// Its records, from the start.
    pub fn records(&self) -> io::Result<Records> {
        Ok(Records::new(self.file.try_clone()?, self.length, self.cut))
    }

    fn survey(&mut self, name: &str) -> Result<(), Ending> {
        let mut records = self.records().map_err(|error| unreadable(name, &error))?;
        let mut record = Vec::new();
        for _ in 0..self.repeat {
            records.rewind().map_err(|error| unreadable(name, &error))?;
            loop {
                record.clear();
                match records.next(&mut record) {
                    Ok(true) => self.survey.add(self.survey.messages, &record),
                    Ok(false) => break,
                    Err(RecordError::Read(error)) => return Err(unreadable(name, &error)),
                    Err(RecordError::TooLarge) => {
                        return Err(Ending::BadInput(format!(
                            "record {} of {name} is over the limit of {RECORD_LIMIT} bytes: cut \
                             the file into smaller ones with --records lines or bytes:N",
                            self.survey.messages + 1
                        )));
                    }
                }
                self.largest = self.largest.max(record.len());
            }
        }
        Ok(())
    }
}

fn unreadable(name: &str, error: &io::Error) -> Ending {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => ": check the path",
        io::ErrorKind::PermissionDenied => ": allow it to be read, or pass it to standard input",
        _ => "",
    };
    Ending::BadInput(format!("cannot read {name}: {error}{remedy}"))
}

/// Everything that `input` has to give, in a file without a name.
fn spool(name: &str, mut input: File) -> Result<File, Ending> {
    let failed = |error: io::Error| {
        let place = std::env::temp_dir();
        let place = place.display();
        Ending::Failure(format!(
            "cannot keep {name} in a temporary file in {place}: {error}: make room or set TMPDIR"
        ))
    };
    let mut spooled = tempfile::tempfile().map_err(failed)?;
    let mut buffer = vec![0; 256 << 10];
    loop {
        match io::Read::read(&mut input, &mut buffer) {
            Ok(0) => return Ok(spooled),
            Ok(read) => io::Write::write_all(&mut spooled, &buffer[..read]).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(name, &error)),
        }
    }
}
