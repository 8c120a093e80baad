//! Record locks: bytes of a file that one process at a time may hold.
//!
//! A lock belongs to a process and a file, not to a descriptor. It ends with the process, however
//! that ends; `fork` does not inherit it; and **closing any descriptor of the file gives up every
//! lock that this process has on it**, so a file of locks is opened once. Descriptors opened with
//! `O_PATH` do not count. See [`fcntl_locking(2)`](https://man7.org/linux/man-pages/man2/fcntl_locking.2.html).

use crate::{Errno, Result};
use nix::fcntl::{FcntlArg, fcntl};
use std::ops::Range;
use std::os::fd::AsFd;

/// From the first byte to beyond any end.
pub const WHOLE: Range<u64> = 0..u64::MAX;

/// Somebody else's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its process; `None` if that is not visible in this pid namespace.
    pub pid: Option<u32>,
    /// Whether it is a lock on the [`WHOLE`] file.
    pub is_whole: bool,
}

/// Takes the write lock on `bytes`, which this process then holds, whatever it held of them before.
/// Does not wait. The file has to be open for writing.
///
/// # Errors
///
/// `EAGAIN`: another process holds some of them. `ENOLCK`: the system has no more locks, or the
/// file system none at all. `EBADF`: not open for writing.
pub fn lock(file: impl AsFd, bytes: Range<u64>) -> Result<()> {
    set(file, libc::F_WRLCK, bytes)
}

/// As [`lock`], but others may share `bytes` in the same way.
///
/// # Errors
///
/// Those of [`lock`]; `EAGAIN`: another process holds some of them for itself.
pub fn lock_shared(file: impl AsFd, bytes: Range<u64>) -> Result<()> {
    set(file, libc::F_RDLCK, bytes)
}

fn set(file: impl AsFd, kind: libc::c_int, bytes: Range<u64>) -> Result<()> {
    match fcntl(file, FcntlArg::F_SETLK(&record(kind, bytes))) {
        // Which of the two it is depends on the file system.
        Err(Errno::EACCES | Errno::EAGAIN) => Err(Errno::EAGAIN),
        outcome => outcome.map(drop),
    }
}

/// Gives up what this process holds of `bytes`.
///
/// # Errors
///
/// `ENOLCK`: in the middle of a larger lock, which has to be split.
pub fn unlock(file: impl AsFd, bytes: Range<u64>) -> Result<()> {
    fcntl(file, FcntlArg::F_SETLK(&record(libc::F_UNLCK, bytes))).map(drop)
}

/// One of the other processes that hold some of `bytes`. The caller's own locks do not show.
///
/// # Errors
///
/// `ENOLCK`: the file system has no locks.
pub fn holder(file: impl AsFd, bytes: Range<u64>) -> Result<Option<Holder>> {
    let mut found = record(libc::F_WRLCK, bytes);
    fcntl(file, FcntlArg::F_GETLK(&mut found))?;
    Ok((found.l_type != libc::F_UNLCK as libc::c_short).then(|| Holder {
        pid: u32::try_from(found.l_pid).ok().filter(|&pid| pid != 0),
        is_whole: found.l_start == 0 && found.l_len == 0,
    }))
}

fn record(kind: libc::c_int, bytes: Range<u64>) -> libc::flock {
    let start = libc::off_t::try_from(bytes.start).unwrap_or(libc::off_t::MAX);
    // A length of zero reaches beyond any end.
    let length = libc::off_t::try_from(bytes.end - bytes.start).unwrap_or(0);
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: start,
        l_len: length,
        l_pid: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{create_file, locate, open_path};

    // What another process sees stands in the tests of domains, which are made of this.
    #[test]
    fn the_own_locks_do_not_show_and_a_file_that_was_only_located_does_not_give_them_up() {
        let directory = open_path(&std::env::temp_dir()).unwrap();
        let name = format!("postbox-locks-{}", std::process::id());
        let file = create_file(&directory, &name).unwrap();
        lock(&file, 6..8).unwrap();
        lock(&file, 7..8).unwrap();
        assert_eq!(holder(&file, WHOLE), Ok(None));
        drop(locate(&directory, &name).unwrap());
        let inode = std::os::unix::fs::MetadataExt::ino(
            &std::fs::metadata(crate::directory::by_descriptor(file.as_fd())).unwrap(),
        );
        // While other processes lock and unlock, the kernel's list may be read with a line missing.
        let are_listed = |expected: usize| {
            (0..1000).any(|_| {
                let locks = std::fs::read_to_string("/proc/locks").unwrap();
                locks.lines().filter(|line| line.contains(&format!(":{inode} "))).count()
                    == expected
            })
        };
        assert!(are_listed(1));
        unlock(&file, WHOLE).unwrap();
        assert!(are_listed(0));
        crate::directory::remove_file(&directory, &name).unwrap();
    }

    #[test]
    fn a_lock_takes_a_file_that_is_open_for_writing() {
        let file = open_path(&std::env::temp_dir()).unwrap();
        assert_eq!(lock(&file, 0..2), Err(Errno::EBADF));
    }
}
