//! Why a domain cannot be used.

use crate::error::Fault;
use crate::name::InvalidName;
use crate::remedy;
use postbox_sys::Errno;
use std::path::PathBuf;

/// Why a domain could not be opened or looked at.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DomainError {
    /// The domain's name is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The directory for domains must be given by a path from the root.
    #[error("{} is no absolute path: set {origin} to one", path.display())]
    Relative {
        /// What was given.
        path: PathBuf,
        /// What gave it: an environment variable or an option.
        origin: &'static str,
    },
    /// Others could meddle with the directory, or it is none.
    #[error("{} cannot be trusted: {problem}; {remedy}", path.display())]
    Unsafe {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it.
        problem: &'static str,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The domain is used in another time namespace, where start times are told by another clock. By
    /// these processes are told apart, so each would take the other for dead.
    #[error(
        "{}: {} is in the domain, in another time namespace than this process: run all processes of a \
         domain in one, or use another domain here (POSTBOX_DOMAIN, or POSTBOX_DIR)",
        path.display(),
        match pid { 0 => "a process of another pid namespace".into(), pid => format!("process {pid}") }
    )]
    AnotherTime {
        /// The domain's directory.
        path: PathBuf,
        /// One that is in it; 0 where it is in a pid namespace that cannot be seen.
        pid: u32,
    },
    /// There is no such group.
    #[error("there is no group '{0}'")]
    NoGroup(String),
    /// A system call failed.
    #[error("{}: {call} failed: {errno}{}", path.display(), remedy(*.errno))]
    System {
        /// The call.
        call: &'static str,
        /// What it was about.
        path: PathBuf,
        /// Its error.
        #[source]
        errno: Errno,
    },
    /// The process or the machine is at fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// What to do about the errors that have a remedy.
fn remedy(errno: Errno) -> String {
    let remedy = match errno {
        Errno::EACCES => {
            ": it is another user's; have that user open the domain to a group of yours, or set \
             POSTBOX_DIR to a directory of your own"
        }
        Errno::EPERM => ": only a member of the group can open a domain to it",
        Errno::ENOENT => ": make the directory above it, and see that /proc is mounted",
        Errno::ENOSPC | Errno::EDQUOT => {
            ": the file system is full, of bytes or of inodes: make room there, or set POSTBOX_DIR to a \
             directory elsewhere"
        }
        Errno::EROFS => ": set POSTBOX_DIR to a directory that can be written to",
        // The limits of the process, as everywhere.
        errno => return remedy::remedy("", errno),
    };
    remedy.into()
}
