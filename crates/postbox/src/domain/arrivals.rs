//! Waiting for a name to come, or to go.

use super::address::file_name;
use super::{Address, Domain, Kind};
use crate::error::Fault;
use postbox_sys::inotify::{self, Change};
use postbox_sys::{Errno, directory};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// How often one looks where the kernel does not tell.
const LOOK: Duration = Duration::from_millis(20);

/// Tells that a process may have joined: readable since something happened among the names.
///
/// Make it or [clear](Arrivals::clear) it first and look for the name after; sleep on it only if
/// the name is still absent. The caller must hold a name in the domain, or the directory may go and
/// come again unseen.
pub(crate) struct Arrivals {
    watch: OwnedFd,
}

impl Arrivals {
    /// Watches from now on. A user has few watches (`fs.inotify.max_user_instances`, 128 as a
    /// rule); where they are used up, one looks every 20 ms.
    pub(crate) fn new(domain: &Domain) -> Result<Self, Fault> {
        Arrivals::of(domain, Kind::Process)
    }

    /// The same for names of that kind.
    pub(crate) fn of(domain: &Domain, kind: Kind) -> Result<Self, Fault> {
        Ok(Arrivals { watch: watch(domain, kind, Change::Appears)? })
    }

    /// Forgets what has happened so far.
    pub(crate) fn clear(&self) {
        // Not clear: the next sleep ends at once, and that is all.
        let _ = inotify::clear(&self.watch);
    }
}

impl AsFd for Arrivals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

/// Tells that a process may have left, in the same way: readable since a socket has gone from among
/// those of the processes.
pub(crate) struct Departures {
    watch: OwnedFd,
}

impl Departures {
    /// Watches from now on, or looks every 20 ms as [`Arrivals`] does.
    pub(crate) fn new(domain: &Domain) -> Result<Self, Fault> {
        Ok(Departures { watch: watch(domain, Kind::Process, Change::Goes)? })
    }

    /// Forgets what has happened so far.
    pub(crate) fn clear(&self) {
        let _ = inotify::clear(&self.watch);
    }
}

impl AsFd for Departures {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

fn watch(domain: &Domain, kind: Kind, change: Change) -> Result<OwnedFd, Fault> {
    match inotify::watch(domain.place_now().sockets(kind), change) {
        Err(Errno::EMFILE | Errno::ENOSPC) => {
            inotify::ticks(LOOK).map_err(Fault::system("timerfd_create"))
        }
        watch => watch.map_err(Fault::system("inotify_add_watch")),
    }
}

impl Domain {
    /// Whether that process has a socket at the address. Whoever holds a name and has none is about
    /// to come, or to go.
    pub(crate) fn has_socket(&self, address: &Address, pid: u32) -> bool {
        let file = file_name(&address.name, pid);
        directory::status_of(self.place_now().sockets(address.kind), &file).is_ok()
    }
}
