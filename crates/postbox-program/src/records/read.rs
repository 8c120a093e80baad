//! A stream cut into records, in memory bounded by the largest of them.

use super::Framing;
use std::fmt;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};

/// Bytes read at a time.
const BUFFER: usize = 64 << 10;

/// Why there is no next record.
#[derive(Debug)]
pub enum RecordError {
    /// It is over the limit, in bytes.
    TooLarge(usize),
    /// The stream ends within it.
    Truncated,
    /// The stream cannot be read.
    Read(io::Error),
}

impl From<io::Error> for RecordError {
    fn from(error: io::Error) -> Self {
        RecordError::Read(error)
    }
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RecordError::TooLarge(limit) => write!(f, "is over the limit of {limit} bytes"),
            RecordError::Truncated => f.write_str("ends before its length is reached"),
            RecordError::Read(error) => write!(f, "cannot be read: {error}"),
        }
    }
}

/// The records of a stream.
#[derive(Debug)]
pub struct Records<R> {
    reader: BufReader<R>,
    framing: Framing,
    limit: usize,
}

impl<R: Read> Records<R> {
    /// Those of `stream`, each of at most `limit` bytes.
    pub fn new(stream: R, framing: Framing, limit: usize) -> Self {
        Records { reader: BufReader::with_capacity(BUFFER, stream), framing, limit }
    }

    /// The stream behind a buffer.
    pub fn stream(&mut self) -> &mut BufReader<R> {
        &mut self.reader
    }

    /// Appends the next record to `into`; false at the end of the stream.
    ///
    /// # Errors
    ///
    /// The stream's, or that the record is not whole or too large; what `into` holds of it then
    /// is of no use.
    pub fn next(&mut self, into: &mut Vec<u8>) -> Result<bool, RecordError> {
        let before = into.len();
        // One more for the line's end, or to tell that there is more.
        let most = self.limit as u64 + 1;
        let read = match self.framing {
            Framing::Lines => {
                let read = self.line(most, into)?;
                if into.len() > before && into.last() == Some(&b'\n') {
                    into.pop();
                }
                read
            }
            Framing::Whole => (&mut self.reader).take(most).read_to_end(into)? as u64,
            Framing::Bytes(bytes) => {
                (&mut self.reader).take(most.min(bytes as u64)).read_to_end(into)? as u64
            }
            Framing::Prefixed => match self.length()? {
                None => return Ok(false),
                Some(length) if length as u64 >= most => {
                    return Err(RecordError::TooLarge(self.limit));
                }
                Some(length) => {
                    let read = (&mut self.reader).take(u64::from(length)).read_to_end(into)?;
                    if read < length as usize {
                        return Err(RecordError::Truncated);
                    }
                    return Ok(true);
                }
            },
        };
        if into.len() - before > self.limit {
            return Err(RecordError::TooLarge(self.limit));
        }
        Ok(read > 0)
    }

    /// Appends what is left of the line, its end included, but no more than `most` bytes; how many. Memory
    /// that cannot be had is an error, which `read_until` by itself does not return from.
    fn line(&mut self, most: u64, into: &mut Vec<u8>) -> io::Result<u64> {
        let mut read = 0;
        while read < most {
            let piece = (most - read).min(BUFFER as u64);
            into.try_reserve(piece as usize)?;
            let more = (&mut self.reader).take(piece).read_until(b'\n', into)? as u64;
            read += more;
            if more < piece || into.last() == Some(&b'\n') {
                break;
            }
        }
        Ok(read)
    }

    /// Passes over the next record; false at the end of the stream.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next), but for the size.
    pub fn skip(&mut self) -> Result<bool, RecordError> {
        let most = match self.framing {
            Framing::Lines => return Ok(self.reader.skip_until(b'\n').map(|read| read > 0)?),
            Framing::Whole => u64::MAX,
            Framing::Bytes(bytes) => bytes as u64,
            Framing::Prefixed => match self.length()? {
                None => return Ok(false),
                Some(length) => {
                    let length = u64::from(length);
                    let passed = io::copy(&mut (&mut self.reader).take(length), &mut io::sink())?;
                    let whole = passed == length;
                    return if whole { Ok(true) } else { Err(RecordError::Truncated) };
                }
            },
        };
        Ok(io::copy(&mut (&mut self.reader).take(most), &mut io::sink())? > 0)
    }

    /// The length in front of a record; none at the end of the stream.
    fn length(&mut self) -> Result<Option<u32>, RecordError> {
        if self.reader.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let mut length = [0; 4];
        match self.reader.read_exact(&mut length) {
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(RecordError::Truncated),
            Err(error) => Err(error.into()),
            Ok(()) => Ok(Some(u32::from_le_bytes(length))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(stream: &[u8], framing: Framing) -> Vec<Vec<u8>> {
        let mut records = Records::new(stream, framing, 1000);
        let mut all = Vec::new();
        loop {
            let mut record = b"header".to_vec();
            if !records.next(&mut record).unwrap() {
                break;
            }
            all.push(record.split_off(6));
        }
        let mut records = Records::new(stream, framing, 1000);
        let mut skipped = 0;
        while records.skip().unwrap() {
            skipped += 1;
        }
        assert_eq!(skipped, all.len());
        all
    }

    #[test]
    fn every_line_is_a_record_and_nothing_else_is() {
        let lines = |text: &[u8]| records(text, Framing::Lines);
        assert!(lines(b"").is_empty());
        assert_eq!(lines(b"\n"), [b""]);
        assert_eq!(lines(b"\n\n"), [b"", b""]);
        assert_eq!(lines(b"a\n\nb\r\n"), [&b"a"[..], b"", b"b\r"]);
        assert_eq!(lines(b"a\n\xff\0"), [&b"a"[..], b"\xff\0"]);
    }

    #[test]
    fn a_line_may_be_longer_than_what_is_read_at_a_time() {
        for length in [BUFFER - 1, BUFFER, BUFFER + 1, 3 * BUFFER, 3 * BUFFER + 1] {
            let line = vec![b'x'; length];
            let stream = [&line[..], b"\n", &line, b"\n\n", &line].concat();
            let mut records = Records::new(&stream[..], Framing::Lines, length);
            for expected in [&line[..], &line, b"", &line] {
                let mut record = Vec::new();
                assert!(records.next(&mut record).unwrap() && record == expected, "{length}");
            }
            assert!(!records.next(&mut Vec::new()).unwrap());
            let next = Records::new(&stream[..], Framing::Lines, length - 1).next(&mut Vec::new());
            assert!(matches!(next, Err(RecordError::TooLarge(_))), "{length}");
        }
    }

    #[test]
    fn all_of_it_is_one_record_unless_it_is_nothing() {
        assert!(records(b"", Framing::Whole).is_empty());
        assert_eq!(records(b"a\nb\n", Framing::Whole), [b"a\nb\n"]);
    }

    #[test]
    fn the_last_piece_may_be_shorter() {
        assert_eq!(records(b"abcde", Framing::Bytes(2)), [&b"ab"[..], b"cd", b"e"]);
        assert_eq!(records(b"abcd", Framing::Bytes(2)), [b"ab", b"cd"]);
    }

    #[test]
    fn a_length_says_how_far_a_record_goes() {
        let stream = b"\x02\0\0\0a\n\0\0\0\0\x01\0\0\0b";
        assert_eq!(records(stream, Framing::Prefixed), [&b"a\n"[..], b"", b"b"]);
        assert!(records(b"", Framing::Prefixed).is_empty());
    }

    #[test]
    fn a_record_that_is_cut_short_is_no_record() {
        for stream in [&b"\x02"[..], b"\x02\0\0\0", b"\x02\0\0\0a"] {
            let next = Records::new(stream, Framing::Prefixed, 1000).next(&mut Vec::new());
            assert!(matches!(next, Err(RecordError::Truncated)), "{stream:?}");
            let skipped = Records::new(stream, Framing::Prefixed, 1000).skip();
            assert!(matches!(skipped, Err(RecordError::Truncated)), "{stream:?}");
        }
    }

    #[test]
    fn a_record_over_the_limit_is_found_without_reading_all_of_it() {
        for framing in [Framing::Lines, Framing::Whole, Framing::Bytes(2000)] {
            let mut record = Vec::new();
            let next = Records::new(io::repeat(b'x'), framing, 1000).next(&mut record);
            assert!(matches!(next, Err(RecordError::TooLarge(1000))));
            assert!(record.len() <= 1001);
        }
        let mut record = Vec::new();
        let next = Records::new(io::repeat(1), Framing::Prefixed, 1000).next(&mut record);
        assert!(matches!(next, Err(RecordError::TooLarge(1000))) && record.is_empty());
    }

    #[test]
    fn a_record_may_have_as_many_bytes_as_the_limit() {
        let line = [&[b'x'; 1000][..], b"\n"].concat();
        assert_eq!(records(&line.repeat(2), Framing::Lines).len(), 2);
        assert_eq!(records(&line[..1000], Framing::Whole).len(), 1);
        assert_eq!(records(&line.repeat(3), Framing::Bytes(1000)).len(), 4);
    }
}
