//! Files and directories by descriptor: every name is looked up in an open directory, and symbolic
//! links at its end are not followed.
//!
//! See [`openat(2)`](https://man7.org/linux/man-pages/man2/openat.2.html) and its kin. Names are
//! plain: a slash in one leads elsewhere, so callers check them first.

#![allow(unsafe_code)]

use crate::proc_file::errno;
use crate::{Errno, Result};
use nix::NixPath;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FchmodatFlags, FileStat, Mode, SFlag};
use nix::sys::stat::{fchmod, fchmodat, fstat, fstatat, mkdirat};
use nix::unistd::{Gid, Group, UnlinkatFlags, fchown, geteuid, linkat, unlinkat};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// A regular file.
    Regular,
    /// A socket's name.
    Socket,
    /// Anything else: a symbolic link, for one.
    Other,
}

/// What the kernel knows of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Device and inode: the file itself, whatever its names.
    pub id: (u64, u64),
    /// What it is.
    pub kind: FileKind,
    /// The permission bits, with those for sticky and set-group-id.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// How many names it has; of a directory, 0 once it has been removed.
    pub links: u64,
}

/// The status of an open file.
///
/// # Errors
///
/// `EIO`, `ENOMEM`, or what the file system says.
pub fn status(file: impl AsFd) -> Result<Status> {
    fstat(file).map(read)
}

/// The status of the file `name`, of a symbolic link itself. Takes no descriptor.
///
/// # Errors
///
/// `ENOENT`, `EACCES`, and those of [`status`].
pub fn status_of(parent: impl AsFd, name: impl AsRef<OsStr>) -> Result<Status> {
    fstatat(parent, name.as_ref(), AtFlags::AT_SYMLINK_NOFOLLOW).map(read)
}

#[allow(clippy::unnecessary_cast, reason = "some architectures count links in fewer bits")]
fn read(stat: FileStat) -> Status {
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let kind = match kind {
        SFlag::S_IFDIR => FileKind::Directory,
        SFlag::S_IFREG => FileKind::Regular,
        SFlag::S_IFSOCK => FileKind::Socket,
        _ => FileKind::Other,
    };
    Status {
        id: (stat.st_dev, stat.st_ino),
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        links: stat.st_nlink as u64,
    }
}

/// Opens the directory that `path` leads to, through symbolic links if need be.
///
/// # Errors
///
/// `ENOENT`, `ENOTDIR`, `EACCES`, `ELOOP`, `EMFILE`, `ENFILE`.
pub fn open_path(path: &Path) -> Result<OwnedFd> {
    open(path, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
}

/// Opens the directory `name`; `O_PATH` would not let it be listed, so it has to be readable.
///
/// # Errors
///
/// `ENOENT`; `ENOTDIR`: no directory, or a symbolic link; `EACCES`, `EMFILE`, `ENFILE`.
pub fn open_directory(parent: impl AsFd, name: impl AsRef<OsStr>) -> Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(parent, name.as_ref(), flags, Mode::empty())
}

/// A descriptor that stands for the file `name`, a symbolic link itself, without opening it: good
/// for [`status`], [`reopen`] and [`set_mode`].
///
/// # Errors
///
/// `ENOENT`, `EACCES`, `EMFILE`, `ENFILE`.
pub fn locate(parent: impl AsFd, name: impl AsRef<OsStr>) -> Result<OwnedFd> {
    openat(
        parent,
        name.as_ref(),
        OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
}

/// Opens for reading and writing what [`locate`] found, and nothing that has taken its name since.
///
/// # Errors
///
/// `EACCES`: the permissions forbid it. `ENOENT`: `/proc` is not mounted. `EMFILE`, `ENFILE`.
pub fn reopen(located: impl AsFd) -> Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    open(&by_descriptor(located.as_fd()), flags, Mode::empty())
}

/// Creates the regular file `name`, which only its owner may use, and opens it for reading and
/// writing.
///
/// # Errors
///
/// `EEXIST`, `EACCES`, `ENOSPC`, `EDQUOT`, `EROFS`, `EMFILE`, `ENFILE`.
pub fn create_file(parent: impl AsFd, name: impl AsRef<OsStr>) -> Result<OwnedFd> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW;
    openat(parent, name.as_ref(), flags | OFlag::O_CLOEXEC, Mode::S_IRUSR | Mode::S_IWUSR)
}

/// Creates the directory `name`, which only its owner may use.
///
/// # Errors
///
/// `EEXIST`, `EACCES`, `ENOENT`: the parent has been removed; `ENOSPC`, `EDQUOT`, `EROFS`.
pub fn create_directory(parent: impl AsFd, name: impl AsRef<OsStr>) -> Result<()> {
    mkdirat(parent, name.as_ref(), Mode::S_IRWXU)
}

/// Sets the permission bits of an open or [located](locate) file, whatever the umask.
///
/// # Errors
///
/// `EPERM`: not its owner. `EROFS`.
pub fn set_mode(file: impl AsFd, mode: u32) -> Result<()> {
    let mode = Mode::from_bits_truncate(mode);
    match fchmod(file.as_fd(), mode) {
        // Not for a file that was only located; its name in /proc leads to it and nowhere else.
        Err(Errno::EBADF) => {
            fchmodat(AT_FDCWD, &by_descriptor(file.as_fd()), mode, FchmodatFlags::FollowSymlink)
        }
        outcome => outcome,
    }
}

/// Gives an open file to a group.
///
/// # Errors
///
/// `EPERM`: not its owner, or no member of the group. `EROFS`.
pub fn set_group(file: impl AsFd, gid: u32) -> Result<()> {
    fchown(file, None, Some(Gid::from_raw(gid)))
}

/// Renames `from` to `to` in one directory. A file of that name is replaced at once, and so is an
/// empty directory by a directory.
///
/// # Errors
///
/// `ENOTEMPTY`, `EEXIST`: a directory with something in it bears the name. `ENOTDIR`, `EISDIR`.
/// `ENOENT`, `EACCES`; `EPERM`: the directory is sticky and either file another user's.
pub fn rename(parent: impl AsFd, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> Result<()> {
    renameat(parent.as_fd(), from.as_ref(), parent.as_fd(), to.as_ref())
}

/// Renames `from` to `to` in one directory, if nothing bears that name yet. Where the file system
/// cannot do that at once it is as [`rename`].
///
/// # Errors
///
/// `EEXIST`: something bears the name. `ENOENT`, `EACCES`, `EPERM`.
pub fn rename_new(parent: impl AsFd, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> Result<()> {
    let (directory, from, to) = (parent.as_fd(), from.as_ref(), to.as_ref());
    let number = directory.as_raw_fd();
    let renamed = from.with_nix_path(|from| {
        to.with_nix_path(|to| {
            let (from, to, flags) = (from.as_ptr(), to.as_ptr(), libc::RENAME_NOREPLACE);
            // SAFETY: both names end in NUL.
            unsafe { libc::syscall(libc::SYS_renameat2, number, from, number, to, flags) }
        })
    })??;
    match Errno::result(renamed).map(drop) {
        Err(Errno::EINVAL | Errno::ENOSYS) => rename(directory, from, to),
        outcome => outcome,
    }
}

/// Gives the file `from` a second name in its directory.
///
/// # Errors
///
/// `EEXIST`: something bears that name. `EPERM`: another user's file, or the file system has no
/// second names. `ENOENT`, `EACCES`, `ENOSPC`.
pub fn link(parent: impl AsFd, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> Result<()> {
    linkat(parent.as_fd(), from.as_ref(), parent.as_fd(), to.as_ref(), AtFlags::empty())
}

/// Has those who clean up old temporary files pass over an open directory and all that is in it, as
/// long as it is open: they try for an exclusive lock (`flock(2)`) on it, as systemd-tmpfiles does.
///
/// Where somebody has just that lock, or the file system none, it is not protected.
pub fn keep_from_cleaning(directory: OwnedFd) -> OwnedFd {
    let directory = File::from(directory);
    let _ = directory.try_lock_shared();
    directory.into()
}

/// Removes the name of a file.
///
/// # Errors
///
/// `ENOENT`, `EISDIR`, `EACCES`; `EPERM`: the directory is sticky and the file another user's.
pub fn remove_file(parent: impl AsFd, name: impl AsRef<OsStr>) -> Result<()> {
    unlinkat(parent, name.as_ref(), UnlinkatFlags::NoRemoveDir)
}

/// Removes an empty directory.
///
/// # Errors
///
/// `ENOENT`, `ENOTEMPTY`, `ENOTDIR`, `EACCES`, `EPERM`.
pub fn remove_directory(parent: impl AsFd, name: impl AsRef<OsStr>) -> Result<()> {
    unlinkat(parent, name.as_ref(), UnlinkatFlags::RemoveDir)
}

/// The names in an open directory, in no order, without `.` and `..`.
///
/// # Errors
///
/// `EACCES`, `EMFILE`, `ENFILE`; `ENOENT`: `/proc` is not mounted.
pub fn names(directory: impl AsFd) -> Result<Vec<OsString>> {
    let entries =
        std::fs::read_dir(by_descriptor(directory.as_fd())).map_err(|error| errno(&error))?;
    entries.map(|entry| entry.map(|entry| entry.file_name()).map_err(|e| errno(&e))).collect()
}

/// A path that leads to the open file `descriptor`, whatever its names are, while that is open.
pub fn by_descriptor(descriptor: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
}

/// The effective user of this process.
pub fn own_uid() -> u32 {
    geteuid().as_raw()
}

/// The number of the group of that name, if there is one.
///
/// # Errors
///
/// `EIO`, `EMFILE`, `ENFILE`, `ENOMEM`, of whatever the system looks groups up in.
pub fn group(name: &str) -> Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
}
