//! The file to be sent: opened, spooled if it can be read only once, and surveyed.

use super::tally::Total;
use super::window::{FileRecords, Window};
use postbox_program::ending::{Ending, file_size};
use postbox_program::input::{Input, unreadable};
use postbox_program::records::{Framing, RECORD_LIMIT, RecordError};
use postbox_program::stop::Stop;
use std::fs::File;
use std::io::{self, Seek};
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
    pub cut: Framing,
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
    pub fn open(path: &Path, cut: Framing, repeat: u32, stop: &Stop) -> Result<Self, Ending> {
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
                return Err(Ending::Silent(code));
            }
        }
    }

    fn read(path: &Path, cut: Framing, repeat: u32) -> Result<Self, Ending> {
        let Input { name, file } = Input::open(path)?;
        let kind = file.metadata().map_err(|error| unreadable(&name, &error))?;
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
    pub fn records(&self) -> io::Result<FileRecords> {
        Ok(Window::records(self.file.try_clone()?, self.length, self.cut))
    }

    fn survey(&mut self, name: &str) -> Result<(), Ending> {
        let mut records = self.records().map_err(|error| unreadable(name, &error))?;
        let mut record = Vec::new();
        for _ in 0..self.repeat {
            records.stream().rewind().map_err(|error| unreadable(name, &error))?;
            loop {
                record.clear();
                match records.next(&mut record) {
                    Ok(true) => self.survey.add(self.survey.messages, &record),
                    Ok(false) => break,
                    Err(RecordError::Read(error)) => return Err(unreadable(name, &error)),
                    Err(RecordError::TooLarge(_)) => {
                        return Err(Ending::BadInput(format!(
                            "record {} of {name} is over the limit of {RECORD_LIMIT} bytes: cut \
                             the file into smaller ones with --records lines or bytes:N",
                            self.survey.messages + 1
                        )));
                    }
                    Err(error @ RecordError::Truncated) => {
                        let record = self.survey.messages + 1;
                        return Err(Ending::BadInput(format!("record {record} of {name} {error}")));
                    }
                }
                self.largest = self.largest.max(record.len());
            }
        }
        Ok(())
    }
}

/// Everything that `input` has to give, in a file without a name.
fn spool(name: &str, mut input: File) -> Result<File, Ending> {
    let failed = |error: io::Error| {
        let place = std::env::temp_dir();
        let place = place.display();
        let remedy = match file_size(&error) {
            Some(remedy) => format!("{remedy}, or give a file"),
            None => "make room or set TMPDIR".into(),
        };
        Ending::Failure(format!(
            "cannot keep {name} in a temporary file in {place}: {error}: {remedy}"
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
