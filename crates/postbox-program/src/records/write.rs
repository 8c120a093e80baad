//! Records as a stream of bytes.

use super::Framing;
use std::io::{self, BufWriter, Write};

/// Bytes that are written at a time.
const BUFFER: usize = 64 << 10;

/// How many records were not of the size that their framing says, so that a reader cannot tell
/// them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Misfits(pub u64);

/// Writes records.
#[derive(Debug)]
pub struct RecordWriter<W: Write> {
    writer: BufWriter<W>,
    framing: Framing,
    misfits: Misfits,
}

impl<W: Write> RecordWriter<W> {
    /// Into that stream.
    pub fn new(stream: W, framing: Framing) -> Self {
        let writer = BufWriter::with_capacity(BUFFER, stream);
        RecordWriter { writer, framing, misfits: Misfits::default() }
    }

    /// One more record. It may stay in memory until [`flush`](Self::flush).
    ///
    /// # Errors
    ///
    /// The stream's.
    pub fn write(&mut self, record: &[u8]) -> io::Result<()> {
        match self.framing {
            Framing::Whole => self.writer.write_all(record),
            Framing::Lines => {
                self.writer.write_all(record)?;
                self.writer.write_all(b"\n")
            }
            Framing::Bytes(bytes) => {
                self.misfits.0 += u64::from(record.len() != bytes);
                self.writer.write_all(record)
            }
            Framing::Prefixed => {
                let length = u32::try_from(record.len()).map_err(io::Error::other)?;
                self.writer.write_all(&length.to_le_bytes())?;
                self.writer.write_all(record)
            }
        }
    }

    /// Everything so far is in the stream.
    ///
    /// # Errors
    ///
    /// The stream's.
    pub fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }

    /// Records of another size than asked for.
    pub fn misfits(&self) -> Misfits {
        self.misfits
    }
}

#[cfg(test)]
mod tests {
    use super::super::Records;
    use super::*;

    fn written(records: &[&[u8]], framing: Framing) -> (Vec<u8>, Misfits) {
        let mut stream = Vec::new();
        let mut writer = RecordWriter::new(&mut stream, framing);
        records.iter().for_each(|record| writer.write(record).unwrap());
        writer.flush().unwrap();
        let misfits = writer.misfits();
        drop(writer);
        (stream, misfits)
    }

    #[test]
    fn what_is_written_reads_as_it_was() {
        let records: [&[u8]; 4] = [b"first", b"", b"\xff\0\r", b"last"];
        for framing in [Framing::Lines, Framing::Prefixed] {
            let (stream, misfits) = written(&records, framing);
            assert_eq!(misfits, Misfits(0));
            let mut reader = Records::new(&stream[..], framing, 100);
            for record in records {
                let mut read = Vec::new();
                assert!(reader.next(&mut read).unwrap());
                assert_eq!(read, record);
            }
            assert!(!reader.next(&mut Vec::new()).unwrap());
        }
    }

    #[test]
    fn pieces_have_nothing_between_them_and_other_sizes_are_counted() {
        let (stream, misfits) = written(&[b"abc", b"de", b"fgh"], Framing::Bytes(3));
        assert_eq!((&stream[..], misfits), (&b"abcdefgh"[..], Misfits(1)));
        assert_eq!(written(&[b"a", b"b"], Framing::Whole), (b"ab".to_vec(), Misfits(0)));
    }
}
