//! A channel's memory as a hostile member sees it: a file that it can write wherever it likes.

use nix::errno::Errno;
use nix::unistd::{Whence, lseek64};
use postbox_sys::inherited;
use postbox_tests::Chance;
use std::fs::File;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::fs::FileExt;

/// The descriptors of this process that lead to such a thing.
pub fn descriptors_of(target: &str) -> Vec<RawFd> {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    open.filter(|entry| {
        let link = std::fs::read_link(entry.path()).unwrap_or_default();
        link.to_string_lossy().starts_with(target)
    })
    .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
    .collect()
}

/// The bytes of a page, as which memory is looked at.
const PAGE: u64 = 4096;

/// The memory of the one channel that this process is a member of.
pub struct Memory {
    file: File,
    len: u64,
}

impl Memory {
    /// Found among the descriptors of this process.
    pub fn find() -> io::Result<Self> {
        let number = descriptors_of("/memfd:postbox").pop().ok_or(io::ErrorKind::NotFound)?;
        let file = File::from(inherited::duplicate(number)?);
        let len = file.metadata()?.len();
        Ok(Memory { file, len })
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn word(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        let _ = self.file.read_at(&mut bytes, at);
        u64::from_le_bytes(bytes)
    }

    pub fn write(&self, at: u64, word: u64) {
        let _ = self.file.write_at(&word.to_le_bytes(), at);
    }

    /// Words that are in use, or near one that is.
    pub fn words(&self) -> io::Result<Vec<u64>> {
        let mut words = Vec::new();
        for page in self.pages()? {
            let mut bytes = [0; PAGE as usize];
            self.file.read_exact_at(&mut bytes, page)?;
            let used = |i: usize| bytes[i * 8..i * 8 + 8] != [0; 8];
            words.extend((0..512usize).filter_map(|i| {
                let near = i.saturating_sub(3)..=(i + 3).min(511);
                near.into_iter().any(used).then_some(page + i as u64 * 8)
            }));
        }
        Ok(words)
    }

    /// Pages that hold anything but zeros.
    pub fn pages(&self) -> io::Result<Vec<u64>> {
        let mut pages = Vec::new();
        let mut at = 0;
        loop {
            let begin = match lseek64(&self.file, at, Whence::SeekData) {
                Ok(begin) => begin,
                Err(Errno::ENXIO) => return Ok(pages),
                Err(errno) => return Err(errno.into()),
            };
            let end = lseek64(&self.file, begin, Whence::SeekHole)?;
            for page in (begin as u64..end as u64).step_by(PAGE as usize) {
                let mut bytes = [0; PAGE as usize];
                self.file.read_exact_at(&mut bytes, page)?;
                if bytes != [0; PAGE as usize] {
                    pages.push(page);
                }
            }
            at = end;
        }
    }

    /// Swaps words of a page, or fills it.
    pub fn shuffle(&self, page: u64, chance: &mut Chance) {
        let mut bytes = [0; PAGE as usize];
        let _ = self.file.read_exact_at(&mut bytes, page);
        if chance.once_in(4) {
            bytes.fill(chance.below(256) as u8);
        } else {
            for _ in 0..512 {
                let (one, other) = (chance.below(512) as usize * 8, chance.below(512) as usize * 8);
                for i in 0..8 {
                    bytes.swap(one + i, other + i);
                }
            }
        }
        let _ = self.file.write_all_at(&bytes, page);
    }

    /// What a hostile member might write in place of a word, knowing what stands there.
    pub fn values(&self, at: u64) -> Vec<u64> {
        let old = self.word(at);
        let bits = [0, 1, 7, 16, 22, 23, 24, 31, 34, 40, 45, 48, 61, 62, 63];
        let mut values = vec![
            0,
            1,
            2,
            3,
            u64::MAX,
            u64::MAX - 1,
            u64::MAX >> 1,
            1 << 63,
            u64::from(u32::MAX),
            old.wrapping_add(1),
            old.wrapping_sub(1),
            old.wrapping_add(64),
            !old,
            old.rotate_left(32),
            old << 1,
            self.word(at.wrapping_sub(8)),
            self.word(at + 8),
            self.len,
            self.len - 8,
            self.len + 8,
            self.len / 64,
            at,
            // A process that lives, and one that does not.
            1,
            (1 << 22) - 2,
        ];
        values.extend(bits.map(|bit| old ^ 1 << bit));
        values.extend((0..8).map(|state| old & (u64::MAX >> 3) | state << 61));
        values.sort_unstable();
        values.dedup();
        values.retain(|value| *value != old);
        values
    }

    pub fn any_value(&self, at: u64, chance: &mut Chance) -> u64 {
        if chance.once_in(4) {
            return chance.below(u64::MAX) << chance.below(64);
        }
        chance.pick(&self.values(at))
    }
}
