//! Shared memory: files without a name, of a size that is fixed for ever.
//!
//! ```
//! use postbox_sys::{Errno, memfd};
//!
//! let file = memfd::create_sealed("example", 1 << 30)?; // sparse: costs nothing yet
//! memfd::allocate(&file, 0..4096)?;
//! let region = memfd::map(&file)?;
//! assert_eq!(region.len(), 1 << 30);
//! # Ok::<(), Errno>(())
//! ```

#![allow(unsafe_code)]

use crate::proc_file::errno;
use crate::{Errno, Result};
use memmap2::MmapRaw;
use nix::fcntl::{FallocateFlags, FcntlArg, SealFlag, fallocate, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::stat::fstat;
use nix::sys::statfs::{HUGETLBFS_MAGIC, fstatfs};
use nix::unistd::ftruncate;
use postbox_ring::region::Region;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};

/// The size can never change again, and neither can this set of seals.
const FIXED_SIZE: SealFlag =
    SealFlag::F_SEAL_SHRINK.union(SealFlag::F_SEAL_GROW).union(SealFlag::F_SEAL_SEAL);

/// One call of `fallocate` covers at most this many bytes, see [`allocate`].
const PIECE: u64 = 1 << 20;

/// Creates a memory file of `len` zero bytes, sealed against shrinking, growing and further seals.
///
/// No memory is used until pages are touched or [`allocate`]d. `name` only shows in
/// `/proc/PID/maps`, at most 249 bytes.
///
/// See [`memfd_create(2)`](https://man7.org/linux/man-pages/man2/memfd_create.2.html).
///
/// # Errors
///
/// `EFBIG`: `len` exceeds `RLIMIT_FSIZE` (asked beforehand: the kernel would kill the process by
/// SIGXFSZ) or what a file can have. `EINVAL`: `name` is too long or holds a NUL. `EMFILE`,
/// `ENFILE`, `ENOMEM`.
pub fn create_sealed(name: &str, len: u64) -> Result<OwnedFd> {
    let size = i64::try_from(len).map_err(|_| Errno::EFBIG)?;
    if len > getrlimit(Resource::RLIMIT_FSIZE)?.0 {
        return Err(Errno::EFBIG);
    }
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    // From Linux 6.3 a system can insist on memory files that cannot be executed; before that the
    // flag is unknown.
    let never_executed = MFdFlags::from_bits_retain(libc::MFD_NOEXEC_SEAL);
    let fd = match memfd_create(name, flags | never_executed) {
        Err(Errno::EINVAL) => memfd_create(name, flags)?,
        created => created?,
    };
    ftruncate(&fd, size)?;
    fcntl(&fd, FcntlArg::F_ADD_SEALS(FIXED_SIZE))?;
    Ok(fd)
}

/// Whether `fd` is a memory file whose size is fixed: sealed as [`create_sealed`] does it.
///
/// # Errors
///
/// `EINVAL`: not a memory file.
pub fn has_seals(fd: impl AsFd) -> Result<bool> {
    Ok(seals(fd)?.contains(FIXED_SIZE))
}

/// The size of the file in bytes.
///
/// # Errors
///
/// `ENOMEM`, `EOVERFLOW`, see [`fstat(2)`](https://man7.org/linux/man-pages/man2/fstat.2.html).
pub fn len(fd: impl AsFd) -> Result<u64> {
    fstat(fd)?.st_size.try_into().map_err(|_| Errno::EOVERFLOW)
}

/// Backs `range` with memory, so that touching it later cannot fail.
///
/// Pages that are backed already keep their contents. Kernels may give up at a signal and undo what
/// they have done (6.18 does not), so this asks piece by piece and repeats a piece that was
/// interrupted: signals cannot keep it from ending. After an error, part of it may be backed.
///
/// No SIGXFSZ can come of it: the kernel raises that only where a range ends beyond both the file
/// and `RLIMIT_FSIZE`, and a range that ends beyond the file is refused here first.
///
/// See [`fallocate(2)`](https://man7.org/linux/man-pages/man2/fallocate.2.html).
///
/// # Errors
///
/// `EFBIG`: the range ends beyond the file. `EINVAL`: the range is empty. `ENOSPC`, `ENOMEM`: no
/// memory left. (A control group at its limit may kill instead.) `EPERM`: sealed against writing.
pub fn allocate(fd: impl AsFd, range: Range<u64>) -> Result<()> {
    let fd = fd.as_fd();
    if range.end > len(fd)? {
        return Err(Errno::EFBIG);
    }
    let mut start = range.start;
    loop {
        let end = range.end.min(start.saturating_add(PIECE));
        uninterrupted(fd, FallocateFlags::FALLOC_FL_KEEP_SIZE, start..end)?;
        start = end;
        if start >= range.end {
            return Ok(());
        }
    }
}

/// Gives the memory behind `range` back; it then reads as zeros, and is backed anew when touched.
///
/// Partly covered pages are zeroed in that part and kept. A range may end beyond the file.
///
/// # Errors
///
/// `EINVAL`: the range is empty. `EFBIG`: beyond what a file can have. `EPERM`: sealed against
/// writing.
pub fn punch(fd: impl AsFd, range: Range<u64>) -> Result<()> {
    uninterrupted(
        fd,
        FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE,
        range,
    )
}

/// Maps the whole file, shared, readable and writable.
///
/// The file has to be sealed against shrinking, so that no access can ever meet a page beyond its
/// end (SIGBUS). Files of huge pages are refused: they run out of pages at first touch, by SIGBUS.
///
/// # Errors
///
/// `EPERM`: not sealed against shrinking, of huge pages, or sealed against writing. `EINVAL`: not
/// a memory file, or empty. `EACCES`: not open for reading and writing. `ENOMEM`: no address
/// space left, see [`mmap(2)`](https://man7.org/linux/man-pages/man2/mmap.2.html).
pub fn map(fd: impl AsFd) -> Result<Region> {
    let fd = fd.as_fd();
    if !seals(fd)?.contains(SealFlag::F_SEAL_SHRINK)
        || fstatfs(fd)?.filesystem_type() == HUGETLBFS_MAGIC
    {
        return Err(Errno::EPERM);
    }
    if len(fd)? == 0 {
        return Err(Errno::EINVAL);
    }
    let mapping = MmapRaw::map_raw(&fd).map_err(|error| errno(&error))?;
    // SAFETY: the mapping is of a file that can never shrink, so every byte of it stays valid for
    // reads and writes as long as it lives.
    Ok(unsafe { Region::from_mapping(mapping) })
}

fn seals(fd: impl AsFd) -> Result<SealFlag> {
    fcntl(fd, FcntlArg::F_GET_SEALS).map(SealFlag::from_bits_retain)
}

/// `fallocate`, again for as long as signals interrupt it.
fn uninterrupted(fd: impl AsFd, mode: FallocateFlags, range: Range<u64>) -> Result<()> {
    let fd = fd.as_fd();
    let length = range.end.checked_sub(range.start).ok_or(Errno::EINVAL)?;
    let offset = i64::try_from(range.start).map_err(|_| Errno::EFBIG)?;
    let length = i64::try_from(length).map_err(|_| Errno::EFBIG)?;
    loop {
        match fallocate(fd, mode, offset, length) {
            Err(Errno::EINTR) => (),
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::uio::{pread, pwrite};

    fn backed(fd: &OwnedFd) -> i64 {
        fstat(fd).unwrap().st_blocks * 512
    }

    #[test]
    fn a_created_file_has_its_length_and_can_never_change_it() {
        let fd = create_sealed("postbox-test", 10_000).unwrap();
        assert!(has_seals(&fd).unwrap());
        assert_eq!(len(&fd), Ok(10_000));
        assert_eq!(ftruncate(&fd, 9_999), Err(Errno::EPERM));
        assert_eq!(ftruncate(&fd, 10_001), Err(Errno::EPERM));
        assert_eq!(len(&fd), Ok(10_000));
    }

    #[test]
    fn a_sparse_file_of_an_exabyte_costs_nothing() {
        let fd = create_sealed("postbox-test", 1 << 60).unwrap();
        assert_eq!(backed(&fd), 0);
        pwrite(&fd, b"far", (1 << 60) - 3).unwrap();
        assert_eq!(backed(&fd), crate::limits::page_size() as i64);
    }

    #[test]
    fn sizes_beyond_any_file_are_efbig() {
        assert_eq!(create_sealed("postbox-test", u64::MAX).unwrap_err(), Errno::EFBIG);
    }

    #[test]
    fn allocating_backs_exactly_the_range_and_punching_gives_it_back() {
        let fd = create_sealed("postbox-test", 64 << 20).unwrap();
        allocate(&fd, 0..3 << 20).unwrap();
        assert_eq!(backed(&fd), 3 << 20);
        pwrite(&fd, b"full", 4096).unwrap();
        allocate(&fd, 0..8192).unwrap();
        let mut found = [0; 4];
        pread(&fd, &mut found, 4096).unwrap();
        assert_eq!(&found, b"full");
        punch(&fd, 0..64 << 20).unwrap();
        assert_eq!(backed(&fd), 0);
        pread(&fd, &mut found, 4096).unwrap();
        assert_eq!(found, [0; 4]);
        assert_eq!(len(&fd), Ok(64 << 20));
    }

    #[test]
    fn ranges_that_make_no_sense_are_refused() {
        let fd = create_sealed("postbox-test", 4096).unwrap();
        assert_eq!(allocate(&fd, 0..4097), Err(Errno::EFBIG));
        assert_eq!(allocate(&fd, 7..7), Err(Errno::EINVAL));
        #[expect(clippy::reversed_empty_ranges)]
        let reversed = 8..7;
        assert_eq!(punch(&fd, reversed), Err(Errno::EINVAL));
        assert_eq!(punch(&fd, u64::MAX - 1..u64::MAX), Err(Errno::EFBIG));
    }

    #[test]
    fn a_file_that_could_shrink_or_is_not_memory_is_not_mapped() {
        let fd = memfd_create("postbox-test", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING);
        let fd = fd.unwrap();
        ftruncate(&fd, 4096).unwrap();
        assert_eq!(has_seals(&fd), Ok(false));
        assert_eq!(map(&fd).unwrap_err(), Errno::EPERM);
        let (pipe, _) = std::io::pipe().unwrap();
        assert_eq!(map(&pipe).unwrap_err(), Errno::EINVAL);
        assert_eq!(map(create_sealed("postbox-test", 0).unwrap()).unwrap_err(), Errno::EINVAL);
    }

    #[test]
    fn a_sealed_file_is_mapped_in_full() {
        let fd = create_sealed("postbox-test", 8192).unwrap();
        assert_eq!(map(&fd).unwrap().len(), 8192);
    }
}
