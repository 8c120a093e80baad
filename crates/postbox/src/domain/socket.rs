//! The sockets of addresses: made so that whoever sees the file can connect.

use super::address::{Address, file_name};
use super::place::{Place, temporary_name};
use crate::error::Fault;
use postbox_sys::{Errno, Result as SysResult, directory as sys, listener, wipe_on_fork};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

/// How often another temporary name is tried.
const ATTEMPTS: u32 = 16;

/// A listening socket with a name in the domain. Dropping it ends listening and removes the file;
/// in a child of `fork` it does neither.
pub(super) struct Listener {
    place: Arc<Place>,
    address: Address,
    socket: OwnedFd,
    /// The socket's file, to tell it from one that has taken its name since.
    id: (u64, u64),
    born: u64,
}

impl Listener {
    /// Listens at an address that this process has claimed.
    pub(super) fn bind(place: Arc<Place>, address: Address) -> Result<Self, Fault> {
        let mut outcome = Err(Errno::EADDRINUSE);
        for _ in 0..ATTEMPTS {
            outcome = publish(&place, &address);
            // Left by a dead process with our pid; or taken for that by a sweep that does not see
            // this process from where it is.
            if !matches!(outcome, Err(Errno::EADDRINUSE | Errno::ENOENT)) {
                break;
            }
        }
        let (socket, id) = outcome.map_err(Fault::system("listening in the domain"))?;
        Ok(Listener { place, address, socket, id, born: wipe_on_fork::generation() })
    }

    /// Whether that user may ask here. The permissions of the directory have let it in already.
    pub(super) fn admits(&self, uid: u32) -> bool {
        self.place.audience().admits(uid)
    }

    /// Ends listening and removes the file, though somebody may still be looking at the socket.
    pub(super) fn end(&self) {
        if self.born != wipe_on_fork::generation() {
            return;
        }
        let directory = self.place.sockets(self.address.kind);
        let file = file_name(&self.address.name, std::process::id());
        let now = sys::locate(directory, &file).and_then(sys::status);
        if now.is_ok_and(|now| now.id == self.id) {
            let _ = sys::remove_file(directory, &file);
        }
        // A forked child may have a copy of the socket, on which nobody would ever answer: closing
        // it here would neither refuse anybody nor hang up on those who wait to be accepted.
        let _ = listener::shut(&self.socket);
        while listener::accept(&self.socket).is_ok() {}
    }
}

/// Listens under a temporary name and then takes the right one, replacing what a dead process with
/// our pid may have left there.
fn publish(place: &Place, address: &Address) -> SysResult<(OwnedFd, (u64, u64))> {
    let directory = place.sockets(address.kind);
    let temporary = temporary_name();
    let socket = listener::listen(directory, &temporary)?;
    let named = || {
        let file = sys::locate(directory, &temporary)?;
        place.audience().admit_to_socket(&file)?;
        sys::rename(directory, &temporary, file_name(&address.name, std::process::id()))?;
        Ok(sys::status(&file)?.id)
    };
    match named() {
        Ok(id) => Ok((socket, id)),
        Err(errno) => {
            let _ = sys::remove_file(directory, &temporary);
            Err(errno)
        }
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.end();
    }
}
