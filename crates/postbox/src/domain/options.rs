//! How a domain is opened: in which directory, and for whom.

use super::directory::{Audience, Base};
use super::place::Place;
use super::{Domain, DomainError, Inner};
use crate::error::Fault;
use crate::name::Name;
use postbox_sys::directory::group;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// How to open a [`Domain`] other than in the usual place for oneself alone.
///
/// ```no_run
/// use postbox::DomainOptions;
///
/// let lab = DomainOptions::new().directory("/srv/lab").group("staff").open("bench")?;
/// # Ok::<(), postbox::DomainError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct DomainOptions {
    directory: Option<PathBuf>,
    group: Option<GroupName>,
}

/// A group of users, by name or by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupName {
    /// As in `/etc/group`.
    Name(String),
    /// Its number.
    Id(u32),
}

impl From<&str> for GroupName {
    fn from(name: &str) -> Self {
        GroupName::Name(name.into())
    }
}

impl From<u32> for GroupName {
    fn from(id: u32) -> Self {
        GroupName::Id(id)
    }
}

impl DomainOptions {
    /// The usual place, for oneself alone.
    pub fn new() -> Self {
        Self::default()
    }

    /// The directory in which domains lie. It has to be a path from the root; the directory is made
    /// where it is missing, the one above it is not.
    ///
    /// Otherwise it is that of the environment variable `POSTBOX_DIR`, else `postbox` in the user's
    /// runtime directory (`XDG_RUNTIME_DIR`), else `/tmp/postbox-UID`.
    pub fn directory(mut self, path: impl Into<PathBuf>) -> Self {
        self.directory = Some(path.into());
        self
    }

    /// Lets in the members of a group, given by its name or number, who can then join as any name
    /// that is free and see all that is there. They have to open the domain with this option too,
    /// and in a directory that they can reach: the usual one is private.
    pub fn group(mut self, group: impl Into<GroupName>) -> Self {
        self.group = Some(group.into());
        self
    }

    /// Opens the domain of that name, making it where it is missing.
    ///
    /// A new domain is open to its user alone, or to the group, whatever the umask says. It is gone
    /// when nobody holds a name in it or has it open; of a group's domain, only its owner can
    /// remove that.
    ///
    /// # Errors
    ///
    /// [`Unsafe`](DomainError::Unsafe) where the directory, or that of all domains, is a symbolic
    /// link, belongs to somebody else, or could be changed by others;
    /// [`Relative`](DomainError::Relative), [`Name`](DomainError::Name),
    /// [`NoGroup`](DomainError::NoGroup). [`System`](DomainError::System): `EACCES`, `ENOENT` (the
    /// directory above all is missing, or `/proc` is not mounted), `ENOTDIR`, `ENOSPC`, `EROFS`,
    /// `EMFILE`, and `EPERM` where one may not give a directory to that group.
    pub fn open(&self, name: &str) -> Result<Domain, DomainError> {
        let name = Name::new(name)?;
        postbox_sys::wipe_on_fork::renew().map_err(Fault::system("madvise"))?;
        let base = Base::find(self.directory.as_deref())?;
        let wanted = match &self.group {
            None => Audience::Owner,
            Some(GroupName::Id(gid)) => Audience::Group(*gid),
            Some(GroupName::Name(name)) => match group(name).map_err(Fault::system("getgrnam"))? {
                Some(gid) => Audience::Group(gid),
                None => return Err(DomainError::NoGroup(name.clone())),
            },
        };
        let place = Mutex::new(Arc::new(Place::open(&base, &name, wanted)?));
        Ok(Domain { inner: Arc::new(Inner { name, base, wanted, place }) })
    }
}
