//! A file read by position: its own position, which other processes may share, is neither used nor
//! moved.

use postbox_program::records::{Framing, RECORD_LIMIT, Records};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;

/// The records of a file.
pub type FileRecords = Records<Window>;

/// The first bytes of a file.
#[derive(Debug)]
pub struct Window {
    file: File,
    position: u64,
    length: u64,
}

impl Window {
    /// The records of the first `length` bytes.
    pub fn records(file: File, length: u64, framing: Framing) -> FileRecords {
        Records::new(Window { file, position: 0, length }, framing, RECORD_LIMIT)
    }
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

    #[test]
    fn a_file_is_read_from_its_start_as_often_as_one_likes_up_to_a_length() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"a\nb\nmore").unwrap();
        let mut records = Window::records(file, 4, Framing::Lines);
        for _ in 0..2 {
            let mut all = Vec::new();
            while records.next(&mut all).unwrap() {}
            assert_eq!(all, b"ab");
            records.stream().rewind().unwrap();
        }
    }
}
