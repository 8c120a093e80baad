//! What was sent and what was taken, written down by each process and read by the judge.

use std::collections::HashMap;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;

/// One line: process `by` sent or took message number `seq` of sender `sender`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// The process that writes it down, or that a receipt names.
    pub by: u32,
    /// Who sent the message.
    pub sender: u32,
    /// Its number among those of that sender.
    pub seq: u64,
}

/// A file that every process appends to. An entry outlives the death of its writer.
#[derive(Debug)]
pub struct Ledger {
    file: std::fs::File,
}

impl Ledger {
    /// An empty one, to be made before the fork.
    pub fn new() -> io::Result<Self> {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        let file = tempfile::tempfile()?;
        fcntl(file.as_fd(), FcntlArg::F_SETFL(OFlag::O_APPEND))?;
        Ok(Ledger { file })
    }

    /// Writes one entry down, at once.
    pub fn note(&self, entry: Entry) -> io::Result<()> {
        self.note_all(&[entry])
    }

    /// Writes entries down, together.
    pub fn note_all(&self, entries: &[Entry]) -> io::Result<()> {
        let bytes: Vec<u8> = entries
            .iter()
            .flat_map(|entry| {
                let mut line = [0; 16];
                line[..4].copy_from_slice(&entry.by.to_le_bytes());
                line[4..8].copy_from_slice(&entry.sender.to_le_bytes());
                line[8..].copy_from_slice(&entry.seq.to_le_bytes());
                line
            })
            .collect();
        (&self.file).write_all(&bytes)
    }

    /// All that was written down, each process's own in its order.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut bytes = Vec::new();
        let mut file = &self.file;
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap_or_default());
        Ok(bytes
            .chunks_exact(16)
            .map(|line| Entry {
                by: word(&line[..4]),
                sender: word(&line[4..8]),
                seq: u64::from(word(&line[8..12])) | u64::from(word(&line[12..])) << 32,
            })
            .collect())
    }

    /// All that was written down, in order for each taker and sender and nothing twice.
    pub fn in_order_and_nothing_twice(&self) -> io::Result<Vec<Entry>> {
        let entries = self.entries()?;
        let mut last = HashMap::new();
        let mut taker = HashMap::new();
        for entry in &entries {
            if let Some(before) = last.insert((entry.by, entry.sender), entry.seq) {
                assert!(before < entry.seq, "{entry:?} came after number {before}");
            }
            if let Some(before) = taker.insert((entry.sender, entry.seq), entry.by) {
                panic!("{entry:?} had been taken by {before} already");
            }
        }
        Ok(entries)
    }

    /// Each of these senders' messages from 0 to `count` was taken exactly once, in order.
    pub fn all_exactly_once(&self, senders: u32, count: u64) -> io::Result<()> {
        let mut entries = self.in_order_and_nothing_twice()?;
        entries.sort_by_key(|entry| (entry.sender, entry.seq));
        let taken: Vec<_> = entries.iter().map(|entry| (entry.sender, entry.seq)).collect();
        for sender in 0..senders {
            for seq in 0..count {
                assert!(
                    taken.binary_search(&(sender, seq)).is_ok(),
                    "number {seq} of sender {sender} was lost"
                );
            }
        }
        assert_eq!(taken.len() as u64, u64::from(senders) * count, "more was taken than sent");
        Ok(())
    }
}
