//! Waiting for a name that is not there yet.

use super::{Domain, Kind};
use crate::error::Fault;
use postbox_sys::{Errno, inotify};
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
        let watch = match inotify::watch(domain.place_now().sockets(kind)) {
            Err(Errno::EMFILE | Errno::ENOSPC) => {
                inotify::ticks(LOOK).map_err(Fault::system("timerfd_create"))
            }
            watch => watch.map_err(Fault::system("inotify_add_watch")),
        };
        Ok(Arrivals { watch: watch? })
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
