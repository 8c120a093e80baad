//! Domains: where processes that share nothing but the machine find each other by name.
//!
//! A domain is a directory. A name in it is held by a record lock, which ends with its holder, and
//! answered for by a socket, on which the holder's registrar hands out descriptors.
//!
//! ```text
//!  BASE/            POSTBOX_DIR, else $XDG_RUNTIME_DIR/postbox, else /tmp/postbox-UID
//!    lab/           one domain
//!      claims       an empty file: a name is two bytes of it under a record lock
//!      processes/   NAME.PID  listening socket of a process
//!      mailboxes/   NAME.PID  listening socket of a mailbox, at its owner
//! ```
//!
//! In reading order: `options`, `directory` (whom a directory is trusted to), `place` (what a domain
//! is on disk), `ledger` and `claims` (who holds a name), `times` (by which clock), `address` (names,
//! and files of sockets), `socket`, `protocol` (what is asked and answered), `registrar` (who answers),
//! `tenant` (for what else), `client` (who asks), `arrivals` (waiting for a name to come or to go),
//! `listing`.

mod address;
mod arrivals;
mod claims;
mod client;
mod directory;
mod error;
mod ledger;
pub(crate) mod links;
mod listing;
mod options;
mod place;
pub(crate) mod protocol;
mod registrar;
mod socket;
mod tenant;
#[cfg(test)]
mod tests;
mod times;
mod unique;

pub use error::DomainError;
pub use listing::{MailboxEntry, ProcessEntry};
pub use options::{DomainOptions, GroupName};
#[doc(hidden)]
pub use place::temporary_user;

pub(crate) use address::{Address, Kind};
pub(crate) use arrivals::{Arrivals, Departures};
pub(crate) use claims::{Claim, ClaimError};
pub(crate) use client::{Answered, AskError, ask};
pub(crate) use registrar::{Answer, Caller, Registrar, Served, Service, Serving};
pub(crate) use tenant::{Member, Tenant};
pub(crate) use unique::unique;

use crate::name::Name;
use directory::{Audience, Base};
use place::Place;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A namespace of processes and mailboxes, private to one user unless it was opened to a group.
///
/// Clones are one domain. Opening it claims nothing and starts nothing; the directory goes when
/// the last process that held a name in it has gone.
///
/// ```no_run
/// use postbox::Domain;
///
/// let lab = Domain::open("lab")?;
/// for process in lab.processes()? {
///     println!("{} is process {}", process.name(), process.pid());
/// }
/// # Ok::<(), postbox::DomainError>(())
/// ```
#[derive(Clone)]
pub struct Domain {
    inner: Arc<Inner>,
}

struct Inner {
    name: Name,
    base: Base,
    wanted: Audience,
    /// The directory as last opened; replaced when it was removed under us.
    place: Mutex<Arc<Place>>,
}

impl Domain {
    /// Opens the domain of that name for this user alone, making it where it is missing.
    ///
    /// # Errors
    ///
    /// Those of [`DomainOptions::open`].
    pub fn open(name: &str) -> Result<Domain, DomainError> {
        DomainOptions::new().open(name)
    }

    /// The name of the domain that programs use unless they are told another: the value of the
    /// environment variable `POSTBOX_DOMAIN`, else `default`.
    pub fn default_name() -> String {
        let set = std::env::var_os("POSTBOX_DOMAIN").filter(|name| !name.is_empty());
        set.map_or_else(|| "default".into(), |name| name.to_string_lossy().into_owned())
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.inner.name
    }

    /// Its directory. What lies there is for looking at: a process that opens and closes the file
    /// `claims` by itself gives up every name that it holds, as record locks have it.
    pub fn path(&self) -> PathBuf {
        self.inner.base.path.join(self.inner.name.as_str())
    }

    /// The directory as last opened.
    fn place(&self) -> Arc<Place> {
        self.inner.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The directory as it is now; as it was if it is no more.
    fn place_now(&self) -> Arc<Place> {
        let place = self.place();
        if !place.is_gone() {
            return place;
        }
        let Inner { name, base, wanted, .. } = &*self.inner;
        match Place::open_existing(base, name, *wanted) {
            Ok(Some(found)) => self.replace(&place, found),
            _ => place,
        }
    }

    /// The directory anew, made where it is missing, since `gone` has been removed.
    fn reopen(&self, gone: &Arc<Place>) -> Result<Arc<Place>, DomainError> {
        let Inner { name, base, wanted, .. } = &*self.inner;
        Ok(self.replace(gone, Place::open(base, name, *wanted)?))
    }

    /// Puts `found` in the place of `gone`, unless another thread has put another there.
    fn replace(&self, gone: &Arc<Place>, found: Place) -> Arc<Place> {
        let mut place = self.inner.place.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&place, gone) {
            *place = Arc::new(found);
        }
        place.clone()
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Domain").field(&self.path()).finish()
    }
}
