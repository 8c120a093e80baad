//! The sockets of addresses: made so that whoever sees the file can connect.

use super::address::{Address, file_name};
use super::place::{Place, temporary_name};
use crate::error::Fault;
use crate::remedy::LISTENING;
use postbox_steps::{Step, at};
use postbox_sys::{Errno, Result as SysResult, directory as sys, listener, wipe_on_fork};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Device and inode of a file.
type FileId = (u64, u64);

/// The files of this process's listeners. There may be two for one address, which have one file
/// name: while a mailbox is handed over within the process. Then the later one has it, and gives it
/// back if it is the first to end. Held while names change.
static OWN: Mutex<BTreeSet<FileId>> = Mutex::new(BTreeSet::new());

fn own() -> MutexGuard<'static, BTreeSet<FileId>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How often another temporary name is tried.
const ATTEMPTS: u32 = 16;

/// A listening socket with a name in the domain. Dropping it ends listening and removes the file;
/// in a child of `fork` it does neither.
pub(super) struct Listener {
    place: Arc<Place>,
    address: Address,
    socket: OwnedFd,
    /// The socket's file, to tell it from one that has taken its name since.
    id: FileId,
    /// Where the file is now whose name it took, if that was another one of this process.
    replaced: Option<String>,
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
        let Published { socket, id, replaced } = outcome.map_err(Fault::system(LISTENING))?;
        Ok(Listener { place, address, socket, id, replaced, born: wipe_on_fork::generation() })
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
        let mut own = own();
        own.remove(&self.id);
        let is_there = |name: &str, known: &dyn Fn(FileId) -> bool| {
            sys::status_of(directory, name).is_ok_and(|there| known(there.id))
        };
        let has_name = is_there(&file, &|id| id == self.id);
        let aside = self.replaced.as_deref();
        match aside.filter(|aside| has_name && is_there(aside, &|id| own.contains(&id))) {
            Some(aside) => {
                let _ = sys::rename(directory, aside, &file);
                at(Step::SocketGivenBack);
            }
            None => {
                for name in has_name.then_some(&*file).into_iter().chain(aside) {
                    let _ = sys::remove_file(directory, name);
                }
                at(Step::SocketRemoved);
            }
        }
        drop(own);
        // A forked child may have a copy of the socket, on which nobody would ever answer: closing
        // it here would neither refuse anybody nor hang up on those who wait to be accepted.
        let _ = listener::shut(&self.socket);
        at(Step::SocketShut);
        while listener::accept(&self.socket).is_ok() {}
    }
}

/// A socket that can be connected to by its name.
struct Published {
    socket: OwnedFd,
    id: FileId,
    replaced: Option<String>,
}

/// Listens under a temporary name and then takes the right one, replacing what a dead process with
/// our pid may have left there.
fn publish(place: &Place, address: &Address) -> SysResult<Published> {
    let directory = place.sockets(address.kind);
    let temporary = temporary_name();
    let socket = listener::listen(directory, &temporary)?;
    at(Step::SocketBound);
    let named = || {
        let file = sys::locate(directory, &temporary)?;
        place.audience().admit_to_socket(&file)?;
        let id = sys::status(&file)?.id;
        let name = file_name(&address.name, std::process::id());
        let mut own = own();
        let mut replaced = None;
        if sys::status_of(directory, &name).is_ok_and(|there| own.contains(&there.id)) {
            let aside = temporary_name();
            replaced = sys::link(directory, &name, &aside).is_ok().then_some(aside);
            at(Step::SocketDoubled);
        }
        sys::rename(directory, &temporary, &name)?;
        at(Step::SocketNamed);
        own.insert(id);
        Ok((id, replaced))
    };
    match named() {
        Ok((id, replaced)) => Ok(Published { socket, id, replaced }),
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
