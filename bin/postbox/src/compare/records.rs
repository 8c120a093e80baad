//! A file as a stream of records, in memory bounded by the largest of them.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

/// Bytes of the largest record: 64 MiB.
pub const RECORD_LIMIT: usize = 64 << 20;
/// Bytes read at a time.
const BUFFER: usize = 64 << 10;

/// How a file is cut into records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Every line, without its end; also a last one that has none. An end at the end of the file
    /// begins no further line.
    Lines,
    /// One record.
    Whole,
    /// That many bytes each, the last perhaps fewer.
    Bytes(usize),
}

/// Why there is no next record.
#[derive(Debug)]
pub enum RecordError {
    /// It has more than [`RECORD_LIMIT`] bytes.
    TooLarge,
    /// The file cannot be read.
    Read(io::Error),
}

impl From<io::Error> for RecordError {
    fn from(error: io::Error) -> Self {
        RecordError::Read(error)
    }
}

/// The records of a file, from its start.
#[derive(Debug)]
pub struct Records {
    reader: BufReader<Window>,
    cut: Cut,
}

impl Records {
    /// Those of the first `length` bytes. The file's own position, which other processes may share,
    /// is neither used nor moved.
    pub fn new(file: File, length: u64, cut: Cut) -> Self {
        let window = Window { file, position: 0, length };
        Records { reader: BufReader::with_capacity(BUFFER, window), cut }
    }

    /// Starts again.
    pub fn rewind(&mut self) -> io::Result<()> {
        self.reader.rewind()
    }

    /// Appends the next record to `into`; false at the end of the file.
    pub fn next(&mut self, into: &mut Vec<u8>) -> Result<bool, RecordError> {
        let before = into.len();
        let read = match self.cut {
            Cut::Lines => {
                // One more for the line's end.
                let most = RECORD_LIMIT as u64 + 1;
                let read = (&mut self.reader).take(most).read_until(b'\n', into)?;
                if into.len() > before && into.last() == Some(&b'\n') {
                    into.pop();
                }
                read
            }
            Cut::Whole => (&mut self.reader).take(RECORD_LIMIT as u64 + 1).read_to_end(into)?,
            Cut::Bytes(bytes) => (&mut self.reader).take(bytes as u64).read_to_end(into)?,
        };
        if into.len() - before > RECORD_LIMIT {
            return Err(RecordError::TooLarge);
        }
        Ok(read > 0)
    }

    /// Passes over the next record; false at the end of the file.
    pub fn skip(&mut self) -> io::Result<bool> {
        let most = match self.cut {
            Cut::Lines => return self.reader.skip_until(b'\n').map(|read| read > 0),
            Cut::Whole => u64::MAX,
            Cut::Bytes(bytes) => bytes as u64,
        };
        let passed = io::copy(&mut (&mut self.reader).take(most), &mut io::sink())?;
        Ok(passed > 0)
    }
}

/// The first bytes of a file, read by position.
#[derive(Debug)]
struct Window {
    file: File,
    position: u64,
    length: u64,
}

impl Read for Window {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.position);
        let most = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.file.read_at(&mut into[..most], self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = match to {
            SeekFrom::Start(position) => position,
            SeekFrom::Current(by) => self.position.saturating_add_signed(by),
            SeekFrom::End(by) => self.length.saturating_add_signed(by),
        };
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn records(bytes: &[u8], cut: Cut) -> Vec<Vec<u8>> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        let mut records = Records::new(file, bytes.len() as u64, cut);
        let mut all = Vec::new();
        for pass in 0..2 {
            all.clear();
            let mut skipped = 0;
            records.rewind().unwrap();
            loop {
                let mut record = b"header".to_vec();
                if !records.next(&mut record).unwrap() {
                    break;
                }
                all.push(record.split_off(6));
            }
            records.rewind().unwrap();
            while records.skip().unwrap() {
                skipped += 1;
            }
            assert_eq!(skipped, all.len(), "pass {pass}");
        }
        all
    }

    #[test]
    fn every_line_is_a_record_and_nothing_else_is() {
        let lines = |text: &[u8]| records(text, Cut::Lines);
        assert!(lines(b"").is_empty());
        assert_eq!(lines(b"\n"), [b""]);
        assert_eq!(lines(b"\n\n"), [b"", b""]);
        assert_eq!(lines(b"a\n\nb\r\n"), [&b"a"[..], b"", b"b\r"]);
        assert_eq!(lines(b"a\n\xff\0"), [&b"a"[..], b"\xff\0"]);
    }

    #[test]
    fn the_whole_file_is_one_record_unless_it_is_empty() {
        assert!(records(b"", Cut::Whole).is_empty());
        assert_eq!(records(b"a\nb\n", Cut::Whole), [b"a\nb\n"]);
    }

    #[test]
    fn the_last_piece_may_be_shorter() {
        assert_eq!(records(b"abcde", Cut::Bytes(2)), [&b"ab"[..], b"cd", b"e"]);
        assert_eq!(records(b"abcd", Cut::Bytes(2)), [b"ab", b"cd"]);
    }

    #[test]
    fn a_record_over_the_limit_is_found_without_reading_all_of_it() {
        let file = tempfile::tempfile().unwrap();
        let length = 1 << 30;
        file.set_len(length).unwrap();
        for cut in [Cut::Lines, Cut::Whole] {
            let mut record = Vec::new();
            let next = Records::new(file.try_clone().unwrap(), length, cut).next(&mut record);
            assert!(matches!(next, Err(RecordError::TooLarge)));
            assert!(record.len() <= RECORD_LIMIT + 1);
        }
    }
}
