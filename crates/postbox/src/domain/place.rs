//! A domain on disk: making it whole, opening it, sweeping it, removing it.
//!
//! ```text
//!  made     .postbox-PID-N/ with all that belongs in it  ── rename ──►  lab/
//!  removed  lab/  ── rename, the whole of claims locked ──►  .postbox-PID-N/, and that is cleared out
//! ```
//!
//! So `lab/` is always whole. What has such a name is somebody's in the middle of something; if that
//! process is dead it is rubbish, which the next one to take a name sweeps up.

use super::DomainError;
use super::address::{Address, Kind, file_name, parse_file_name};
use super::directory::{Audience, Base, check_domain};
use super::ledger::{Ledger, LedgerUse, Slot};
use crate::error::Fault;
use crate::name::Name;
use postbox_steps::{Step, at};
use postbox_sys::directory::{self as sys, FileKind};
use postbox_sys::{Errno, Result as SysResult, pidfd, wipe_on_fork};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

const CLAIMS: &str = "claims";
const PROCESSES: &str = "processes";
const MAILBOXES: &str = "mailboxes";

/// What temporary names begin with: a directory of domains may hold other things of its user's.
const TEMPORARY: &str = ".postbox-";

/// How often a domain is opened anew that was removed or made under us.
const ATTEMPTS: u32 = 100;

/// A domain's directory, open.
pub(super) struct Place {
    base_path: Base,
    base: OwnedFd,
    name: Name,
    id: (u64, u64),
    /// Kept open for its lock: nobody may clean up what is in there because it is old.
    directory: OwnedFd,
    processes: OwnedFd,
    mailboxes: OwnedFd,
    ledger: LedgerUse,
    audience: Audience,
    /// The fork generation that opened it.
    born: u64,
}

/// A name that begins with a dot, as no [`Name`] does, and that nobody else uses now.
pub(super) fn temporary_name() -> String {
    // Pairs with nothing: a number for each, whatever the order.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{TEMPORARY}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The process that makes or removes something under that name, if it is a temporary one.
#[doc(hidden)]
pub fn temporary_user(name: &str) -> Option<u32> {
    let (pid, number) = name.strip_prefix(TEMPORARY)?.split_once('-')?;
    let (pid, number): (u32, u64) = (pid.parse().ok()?, number.parse().ok()?);
    // Just as it is written, without a sign or zeros before it.
    (format!("{TEMPORARY}{pid}-{number}") == name).then_some(pid)
}

impl Place {
    /// Opens the domain, making it where it is missing.
    pub(super) fn open(base: &Base, name: &Name, wanted: Audience) -> Result<Self, DomainError> {
        let mut last = Errno::ENOENT;
        for _ in 0..ATTEMPTS {
            let base_fd = match base.open(wanted) {
                Err(DomainError::System { errno: Errno::ENOENT, .. }) if base.is_usual() => {
                    continue;
                }
                base_fd => base_fd?,
            };
            if let Some(place) = Place::open_in(base, &base_fd, name, wanted)? {
                return Ok(place);
            }
            match make(&base_fd, name, wanted) {
                // Made by somebody else meanwhile, or the base has gone with its last domain.
                Ok(()) | Err(Errno::ENOTEMPTY | Errno::EEXIST) => (),
                Err(Errno::ENOENT) => last = Errno::ENOENT,
                Err(errno) => return Err(failed("mkdir", base.path.join(name.as_str()))(errno)),
            }
        }
        Err(failed("open", base.path.join(name.as_str()))(last))
    }

    /// Opens the domain, if there is one.
    pub(super) fn open_existing(
        base: &Base,
        name: &Name,
        wanted: Audience,
    ) -> Result<Option<Self>, DomainError> {
        match base.open_existing(wanted)? {
            Some(base_fd) => Place::open_in(base, &base_fd, name, wanted),
            None => Ok(None),
        }
    }

    fn open_in(
        base: &Base,
        base_fd: &OwnedFd,
        name: &Name,
        wanted: Audience,
    ) -> Result<Option<Self>, DomainError> {
        let path = base.path.join(name.as_str());
        let located = match sys::locate(base_fd, name.as_str()) {
            Err(Errno::ENOENT) => return Ok(None),
            located => located.map_err(failed("open", path.clone()))?,
        };
        let status = sys::status(&located).map_err(failed("stat", path.clone()))?;
        let audience = check_domain(&status, wanted, &path)?;
        let parts = || -> SysResult<_> {
            let directory = sys::keep_from_cleaning(sys::open_directory(&located, ".")?);
            let processes = sys::open_directory(&directory, PROCESSES)?;
            let mailboxes = sys::open_directory(&directory, MAILBOXES)?;
            let claims = sys::locate(&directory, CLAIMS)?;
            let kind = sys::status(&claims)?.kind;
            if kind != FileKind::Regular {
                return Err(Errno::ENOENT);
            }
            let ledger = Ledger::open(&claims)?;
            Ok((directory, processes, mailboxes, ledger, base_fd.try_clone()))
        };
        let (directory, processes, mailboxes, ledger, base_clone) = match parts() {
            Ok(parts) => parts,
            Err(Errno::ENOENT | Errno::ENOTDIR) => {
                // Just removed, or somebody has taken something away by hand.
                let now = sys::status_of(base_fd, name.as_str());
                if now.is_ok_and(|now| now.id == status.id) {
                    return Err(DomainError::Unsafe {
                        path,
                        problem: "part of it is missing",
                        remedy: "end the processes in it and remove it",
                    });
                }
                return Ok(None);
            }
            Err(errno) => return Err(failed("open", path)(errno)),
        };
        let born = wipe_on_fork::renew().map_err(Fault::system("madvise"))?;
        let base_clone = base_clone.map_err(|error| {
            let errno = error.raw_os_error().map_or(Errno::EMFILE, Errno::from_raw);
            failed("dup", path)(errno)
        })?;
        Ok(Some(Place {
            base_path: base.clone(),
            base: base_clone,
            name: name.clone(),
            id: status.id,
            directory,
            processes,
            mailboxes,
            ledger,
            audience,
            born,
        }))
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) fn audience(&self) -> Audience {
        self.audience
    }

    /// The directory of the sockets of a kind.
    pub(super) fn sockets(&self, kind: Kind) -> BorrowedFd<'_> {
        match kind {
            Kind::Process => self.processes.as_fd(),
            Kind::Mailbox => self.mailboxes.as_fd(),
        }
    }

    /// Whether it has been removed, or is about to be. While this process holds a name in it, it
    /// cannot be.
    pub(super) fn is_gone(&self) -> bool {
        match sys::status_of(&self.base, self.name.as_str()) {
            // Its name goes first: who was removing it may have been killed before the rest went.
            Ok(now) => now.id != self.id || self.ledger.status().is_ok_and(|s| s.links == 0),
            Err(errno) => errno == Errno::ENOENT,
        }
    }

    /// Removes what dead processes have left.
    pub(super) fn sweep(&self) {
        for kind in [Kind::Process, Kind::Mailbox] {
            let directory = self.sockets(kind);
            for file in self.files(directory) {
                match parse_file_name(&file) {
                    Some((name, pid)) => self.sweep_socket(&Address { kind, name }, pid),
                    None if is_rubbish(&file) => {
                        let _ = sys::remove_file(directory, &file);
                        at(Step::RubbishGone);
                    }
                    None => (),
                }
            }
        }
        for directory in self.files(self.base.as_fd()) {
            if is_rubbish(&directory) {
                clear_out(self.base.as_fd(), &directory);
            }
        }
    }

    fn files(&self, directory: BorrowedFd<'_>) -> Vec<String> {
        let names = sys::names(directory).unwrap_or_default();
        names.into_iter().filter_map(|name| name.into_string().ok()).collect()
    }

    fn sweep_socket(&self, address: &Address, pid: u32) {
        let slot = Slot::of(address.kind, &address.name);
        let is_live = || match self.ledger.holders(slot) {
            // What is held in another pid namespace bears a pid of that one.
            Ok(holders) => holders.contains(&Some(pid)) || holders.contains(&Some(0)),
            Err(_) => true,
        };
        if is_live() {
            return;
        }
        // Between looking and removing, a new process of that very pid may take that very name and
        // put its socket there. So the file is taken aside, and put back if that happened.
        let directory = self.sockets(address.kind);
        let (file, aside) = (file_name(&address.name, pid), temporary_name());
        if sys::rename(directory, &file, &aside).is_ok() {
            at(Step::StaleSocketAside);
            if is_live() {
                // Unless there is another by now, which is the one in use.
                let _ = sys::rename_new(directory, &aside, &file);
            }
            // Nothing is there any more if it was put back.
            let _ = sys::remove_file(directory, &aside);
            at(Step::StaleSocketGone);
        }
    }

    /// Removes the domain if nobody holds a name in it.
    pub(super) fn remove_if_unused(&self) {
        if self.is_gone() {
            return;
        }
        self.ledger.if_unused(|| {
            let now = sys::status_of(&self.base, self.name.as_str());
            let aside = temporary_name();
            // Of a domain opened to a group, only its owner can do that.
            if now.is_ok_and(|now| now.id == self.id)
                && sys::rename(&self.base, self.name.as_str(), &aside).is_ok()
            {
                at(Step::DomainAside);
                // Here it goes even when descriptors are short.
                empty(
                    self.directory.as_fd(),
                    [Some(self.processes.as_fd()), Some(self.mailboxes.as_fd())],
                );
                at(Step::DomainEmptied);
                let _ = sys::remove_directory(&self.base, &aside);
                at(Step::DomainGone);
            }
        });
        if self.is_gone() {
            self.base_path.remove_if_empty();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // What a forked child has merely inherited is none of its business.
        if self.born == wipe_on_fork::generation() {
            self.remove_if_unused();
        }
    }
}

/// Makes a domain whole and gives it its name.
fn make(base: &OwnedFd, name: &Name, audience: Audience) -> SysResult<()> {
    let aside = temporary_name();
    let fill = || -> SysResult<()> {
        sys::create_directory(base, &aside)?;
        at(Step::DomainBegun);
        let directory = open_own(base.as_fd(), &aside)?;
        for part in [PROCESSES, MAILBOXES] {
            sys::create_directory(&directory, part)?;
            audience.admit_to_directory(&open_own(directory.as_fd(), part)?)?;
        }
        // Closed again before the file has a name by which anybody could hold locks on it.
        audience.admit_to_file(&sys::create_file(&directory, CLAIMS)?)?;
        audience.admit_to_directory(&directory)?;
        at(Step::DomainFilled);
        sys::rename(base, &aside, name.as_str())?;
        at(Step::DomainNamed);
        Ok(())
    };
    let made = fill();
    if made.is_err() {
        clear_out(base.as_fd(), &aside);
    }
    made
}

/// Opens a directory that this process has made, even if the umask left it nothing.
fn open_own(parent: BorrowedFd<'_>, name: &str) -> SysResult<OwnedFd> {
    sys::set_mode(sys::locate(parent, name)?, 0o700)?;
    sys::open_directory(parent, name)
}

/// Removes a domain that nobody uses, as far as this user may.
fn clear_out(base: BorrowedFd<'_>, aside: &str) {
    let Ok(directory) = sys::open_directory(base, aside) else {
        // Made by a process that died before it could give itself any right to it.
        let _ = sys::remove_directory(base, aside);
        return;
    };
    let [processes, mailboxes] =
        [PROCESSES, MAILBOXES].map(|part| sys::open_directory(&directory, part).ok());
    empty(directory.as_fd(), [&processes, &mailboxes].map(|part| part.as_ref().map(AsFd::as_fd)));
    at(Step::DomainEmptied);
    let _ = sys::remove_directory(base, aside);
}

/// Removes all that belongs into the directory of a domain, as far as this user may. The directories
/// of sockets come open, if they can be.
fn empty(directory: BorrowedFd<'_>, parts: [Option<BorrowedFd<'_>>; 2]) {
    for (name, part) in [PROCESSES, MAILBOXES].into_iter().zip(parts) {
        if let Some(part) = part {
            for file in sys::names(part).unwrap_or_default() {
                let _ = sys::remove_file(part, &file);
            }
        }
        let _ = sys::remove_directory(directory, name);
    }
    let _ = sys::remove_file(directory, CLAIMS);
}

/// Whether it is the temporary name of a process that is dead.
fn is_rubbish(name: &str) -> bool {
    temporary_user(name).is_some_and(|pid| pidfd::open(pid).err() == Some(Errno::ESRCH))
}

fn failed(call: &'static str, path: PathBuf) -> impl FnOnce(Errno) -> DomainError {
    move |errno| DomainError::System { call, path, errno }
}
