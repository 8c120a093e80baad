//! Directories that can be trusted: where domains lie, who may be let in, and what is checked.
//!
//! Everything is looked up in an open directory, never by a path from the root twice, and no
//! symbolic link is followed at the end of one. What others could have put there, or could still
//! replace, is refused. Permission bits are set explicitly: the umask neither widens nor narrows.

use super::DomainError;
use postbox_steps::{Step, at};
use postbox_sys::directory::{self as sys, FileKind, Status};
use postbox_sys::{Errno, Result as SysResult};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

/// Who may be in a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// Its owner.
    Owner,
    /// The members of a group.
    Group(u32),
}

impl Audience {
    fn directory_mode(self) -> u32 {
        match self {
            Audience::Owner => 0o700,
            // Sticky: members do not remove each other's files. Set-group-id: files are the group's.
            Audience::Group(_) => 0o3770,
        }
    }

    fn file_mode(self) -> u32 {
        match self {
            Audience::Owner => 0o600,
            Audience::Group(_) => 0o660,
        }
    }

    /// Whether that user may ask for something, provided that it got in.
    pub(super) fn admits(self, uid: u32) -> bool {
        matches!(self, Audience::Group(_)) || uid == sys::own_uid() || uid == 0
    }

    /// Gives a directory that this process has made its group and permissions.
    pub(super) fn admit_to_directory(self, directory: &OwnedFd) -> SysResult<()> {
        self.give(directory)?;
        sys::set_mode(directory, self.directory_mode())
    }

    /// Likewise the file of claims.
    pub(super) fn admit_to_file(self, file: &OwnedFd) -> SysResult<()> {
        self.give(file)?;
        sys::set_mode(file, self.file_mode())
    }

    /// Likewise a socket, whose group is its directory's.
    pub(super) fn admit_to_socket(self, socket: &OwnedFd) -> SysResult<()> {
        sys::set_mode(socket, self.file_mode())
    }

    /// Changing the group clears bits of the mode, so it comes first.
    fn give(self, file: &OwnedFd) -> SysResult<()> {
        match self {
            Audience::Owner => Ok(()),
            Audience::Group(gid) => sys::set_group(file, gid),
        }
    }
}

/// Where domains lie.
#[derive(Debug, Clone)]
pub(super) struct Base {
    pub(super) path: PathBuf,
    origin: Origin,
}

/// What said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// An option or a variable: somebody's directory, which is never removed.
    Given,
    /// Nothing: the directory is Postbox's own, and goes when the last domain goes.
    Usual,
}

impl Base {
    /// The directory given by the option, else by `POSTBOX_DIR`, else in the user's runtime
    /// directory, else in `/tmp`.
    pub(super) fn find(option: Option<&Path>) -> Result<Self, DomainError> {
        if let Some(path) = option {
            return Base::given(path, "the directory of the options");
        }
        match std::env::var_os("POSTBOX_DIR") {
            Some(path) if !path.is_empty() => Base::given(Path::new(&path), "POSTBOX_DIR"),
            _ => Ok(Base { path: usual_path(), origin: Origin::Usual }),
        }
    }

    fn given(path: &Path, origin: &'static str) -> Result<Self, DomainError> {
        if !path.is_absolute() {
            return Err(DomainError::Relative { path: path.into(), origin });
        }
        Ok(Base { path: path.into(), origin: Origin::Given })
    }

    /// Opens it, making it where it is missing.
    pub(super) fn open(&self, audience: Audience) -> Result<OwnedFd, DomainError> {
        let (parent, name) = self.split();
        let failed = |call, path: &Path| {
            let path = path.to_owned();
            move |errno| DomainError::System { call, path, errno }
        };
        let parent_fd = sys::open_path(&parent).map_err(failed("open", &parent))?;
        let here = &*self.path;
        let located = match sys::locate(&parent_fd, &name) {
            Err(Errno::ENOENT) => {
                self.create(&parent_fd, &name, audience).map_err(failed("mkdir", here))?;
                sys::locate(&parent_fd, &name).map_err(failed("open", here))?
            }
            located => located.map_err(failed("open", here))?,
        };
        let status = sys::status(&located).map_err(failed("stat", here))?;
        self.check(&status, audience)?;
        if status.uid == sys::own_uid() && status.mode & 0o700 != 0o700 {
            // Made by a process of ours whose umask left too little, and which has not come, or
            // never came, to correct that.
            let mode = status.mode | 0o700;
            sys::set_mode(&located, mode).map_err(failed("chmod", here))?;
        }
        let base = sys::open_directory(&parent_fd, &name).map_err(failed("open", here))?;
        // Judged is what was opened, not what bore the name a moment ago.
        let opened = sys::status(&base).map_err(failed("stat", here))?;
        self.check(&opened, audience)?;
        Ok(base)
    }

    /// Opens it, if it is there.
    pub(super) fn open_existing(&self, audience: Audience) -> Result<Option<OwnedFd>, DomainError> {
        let (parent, name) = self.split();
        match sys::open_path(&parent).and_then(|parent| sys::locate(parent, name)) {
            Err(Errno::ENOENT) => Ok(None),
            _ => self.open(audience).map(Some),
        }
    }

    /// Whether it may go when its last domain goes.
    pub(super) fn is_usual(&self) -> bool {
        self.origin == Origin::Usual
    }

    /// The directory above, and the name in it.
    fn split(&self) -> (PathBuf, OsString) {
        let last = self.path.components().next_back();
        match (self.path.parent(), last) {
            (Some(parent), Some(Component::Normal(name))) => (parent.into(), name.into()),
            // The root, or a path that ends in `..`: a directory that is there.
            _ => (self.path.clone(), ".".into()),
        }
    }

    fn create(&self, parent: &OwnedFd, name: &OsString, audience: Audience) -> SysResult<()> {
        match sys::create_directory(parent, name) {
            Ok(()) => at(Step::BaseMade),
            Err(Errno::EEXIST) => return Ok(()),
            Err(errno) => return Err(errno),
        }
        // The usual place stays its user's own, whoever is let into a domain.
        let audience = if self.origin == Origin::Given { audience } else { Audience::Owner };
        let located = sys::locate(parent, name)?;
        sys::set_mode(&located, 0o700)?;
        audience.admit_to_directory(&sys::open_directory(parent, name)?)
    }

    fn check(&self, status: &Status, audience: Audience) -> Result<(), DomainError> {
        let by_group = matches!(audience, Audience::Group(gid) if gid == status.gid);
        // A domain's group is to say that a member has made it.
        if by_group && status.mode & 0o2002 == 0o2002 {
            return Err(DomainError::Unsafe {
                path: self.path.clone(),
                problem: "others may write to it, and what they make in it is the group's",
                remedy: "take that from them (chmod o-w), or use another directory",
            });
        }
        let owned = status.uid == sys::own_uid() || status.uid == 0 || by_group;
        let remedy = "set POSTBOX_DIR to a directory of your own, or repair it";
        check_directory(status, owned, &self.path, remedy)
    }

    /// Removes it if it is Postbox's own and empty.
    pub(super) fn remove_if_empty(&self) {
        if self.origin == Origin::Usual {
            let (parent, name) = self.split();
            // Not empty, not ours, not there: it stays.
            let _ = sys::open_path(&parent).and_then(|parent| sys::remove_directory(parent, name));
        }
    }
}

/// The place of domains where nothing else is said.
fn usual_path() -> PathBuf {
    let own = sys::own_uid();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // After `su` the variable may still name somebody else's.
    let is_ours = |path: &PathBuf| {
        let status = || sys::status(sys::open_path(path)?);
        path.is_absolute() && status().is_ok_and(|status| status.uid == own)
    };
    match runtime.filter(is_ours) {
        Some(path) => path.join("postbox"),
        None => PathBuf::from(format!("/tmp/postbox-{own}")),
    }
}

/// Whom a domain's directory lets in, if it is one to be trusted by whoever wants `wanted`.
pub(super) fn check_domain(
    status: &Status,
    wanted: Audience,
    path: &Path,
) -> Result<Audience, DomainError> {
    let own = status.uid == sys::own_uid();
    let shared = status.mode & 0o1070 == 0o1070;
    let remedy = "use another domain, or remove it";
    let distrust =
        |problem, remedy| Err(DomainError::Unsafe { path: path.to_owned(), problem, remedy });
    match wanted {
        // Only its owner, root or a member can have given a directory to the group.
        Audience::Group(gid) => {
            check_directory(status, own || status.gid == gid, path, remedy)?;
            if status.gid != gid || !shared {
                return distrust(
                    "it is not open to that group",
                    "end the processes in it and make it anew, or open it without the group",
                );
            }
            Ok(wanted)
        }
        Audience::Owner if !own && shared => {
            distrust("it belongs to another user", "open it with its group if you trust that")
        }
        Audience::Owner => {
            check_directory(status, own, path, remedy)?;
            Ok(if shared { Audience::Group(status.gid) } else { Audience::Owner })
        }
    }
}

fn check_directory(
    status: &Status,
    is_owner_right: bool,
    path: &Path,
    remedy: &'static str,
) -> Result<(), DomainError> {
    let problem = if status.kind != FileKind::Directory {
        "it is no directory, or a symbolic link to one"
    } else if !is_owner_right {
        "it belongs to another user"
    } else if status.mode & 0o022 != 0 && status.mode & 0o1000 == 0 {
        "others may write to it, and it is not sticky"
    } else {
        return Ok(());
    };
    Err(DomainError::Unsafe { path: path.to_owned(), problem, remedy })
}
