//! The file to be sent: opened, spooled if it can be read only once, and surveyed.

use super::tally::Total;
use super::window::{FileRecords, Window};
use crate::scratch;
use nix::sys::stat::makedev;
use postbox_program::ending::Ending;
use postbox_program::input::{Input, unreadable};
use postbox_program::records::{Framing, RECORD_LIMIT, RecordError, Records};
use postbox_program::stop::Stop;
use std::fs::{File, Metadata};
use std::io::{self, IsTerminal, Read, Seek, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
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
        if kind.file_type().is_char_device() && !ends(&file, &kind) {
            return Err(Ending::BadInput(format!(
                "{name} is a device that may have no end: send a part of it, as with \
                 'head -c 100M DEVICE | postbox compare -'"
            )));
        }
        // Several processes read the file several times. Standard input need not be at its start;
        // files of /proc have bytes but no length.
        let direct = kind.is_file() && kind.len() > 0 && path != Path::new("-");
        let file = if direct { file } else { spool(&name, file, cut)? };
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
                    Err(error) => return Err(unfit(name, self.survey.messages + 1, &error)),
                }
                self.largest = self.largest.max(record.len());
            }
        }
        Ok(())
    }
}

/// Whether that character device has an end: a terminal has, and `/dev/null`. Of the others nobody knows, and
/// all that they have would be kept.
fn ends(device: &File, kind: &Metadata) -> bool {
    device.is_terminal() || kind.rdev() == makedev(1, 3)
}

/// Why the record of that number is not sent.
fn unfit(name: &str, record: u64, error: &RecordError) -> Ending {
    match error {
        RecordError::Read(error) => unreadable(name, error),
        RecordError::TooLarge(_) => Ending::BadInput(format!(
            "record {record} of {name} is over the limit of {RECORD_LIMIT} bytes: cut the file into \
             smaller ones with --records lines or bytes:N"
        )),
        RecordError::Truncated => Ending::BadInput(format!("record {record} of {name} {error}")),
    }
}

/// Everything that `input` has to give, in a file without a name. It is cut into records on the way:
/// one that is too large may have no end.
fn spool(name: &str, input: File, cut: Framing) -> Result<File, Ending> {
    let failed = |error: io::Error| {
        Ending::Failure(scratch::refused(&format!("keep {name} in a temporary file"), &error))
    };
    let spool = Spool { input, kept: tempfile::tempfile().map_err(failed)?, refused: None };
    let mut records = Records::new(spool, cut, RECORD_LIMIT);
    let mut record = Vec::new();
    for number in 1.. {
        record.clear();
        let more = records.next(&mut record);
        let spool = records.stream().get_mut();
        if let Some(error) = spool.refused.take() {
            return Err(failed(error));
        }
        if !more.map_err(|error| unfit(name, number, &error))? {
            break;
        }
    }
    records.stream().get_ref().kept.try_clone().map_err(failed)
}

/// Keeps what is read.
struct Spool {
    input: File,
    kept: File,
    /// Why something was not kept.
    refused: Option<io::Error>,
}

impl Read for Spool {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(into)?;
        if let Err(error) = self.kept.write_all(&into[..read]) {
            self.refused = Some(error);
            return Err(io::Error::other("it was not kept"));
        }
        Ok(read)
    }
}
