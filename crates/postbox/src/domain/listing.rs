//! Who and what is in a domain, by looking alone: nobody is asked, so nobody can keep us waiting.

use super::address::{file_name, parse_file_name};
use super::{Address, Domain, DomainError, Kind};
use crate::name::Name;
use postbox_sys::directory::{self as sys, FileKind};

/// A process that has joined a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessEntry {
    name: Name,
    pid: u32,
    uid: u32,
}

/// A mailbox of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxEntry {
    name: Name,
    owner: u32,
}

impl ProcessEntry {
    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The user that it runs as.
    pub fn uid(&self) -> u32 {
        self.uid
    }
}

impl MailboxEntry {
    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The process id of its owner, or of its keeper.
    pub fn owner(&self) -> u32 {
        self.owner
    }
}

impl Domain {
    /// The processes that have joined, by name. Never waits for any of them.
    ///
    /// # Errors
    ///
    /// [`System`](DomainError::System): `EMFILE`, `ENFILE`, `EACCES`.
    pub fn processes(&self) -> Result<Vec<ProcessEntry>, DomainError> {
        let live = self.live(Kind::Process)?;
        Ok(live.into_iter().map(|(name, pid, uid)| ProcessEntry { name, pid, uid }).collect())
    }

    /// The mailboxes, by name. Never waits for anybody.
    ///
    /// # Errors
    ///
    /// [`System`](DomainError::System): `EMFILE`, `ENFILE`, `EACCES`.
    pub fn mailboxes(&self) -> Result<Vec<MailboxEntry>, DomainError> {
        let live = self.live(Kind::Mailbox)?;
        Ok(live.into_iter().map(|(name, owner, _)| MailboxEntry { name, owner }).collect())
    }

    /// The user that the process was when it joined under that name: the one whose socket it is. Nobody else can put
    /// a socket in its place, nor does it join where one is that is another's.
    pub(crate) fn user_who_joined(&self, name: &Name, pid: u32) -> Option<u32> {
        let place = self.place_now();
        // In another pid namespace it may have any: nobody joins by the name of this file, and anybody can make one.
        let file = Some(file_name(name, pid)).filter(|_| pid != 0)?;
        let found = sys::status_of(place.sockets(Kind::Process), file).ok()?;
        (found.kind == FileKind::Socket).then_some(found.uid)
    }

    /// Name, pid and user of each socket whose name is held by the process that made it.
    fn live(&self, kind: Kind) -> Result<Vec<(Name, u32, u32)>, DomainError> {
        let place = self.place_now();
        let directory = place.sockets(kind);
        let names = sys::names(directory).map_err(|errno| DomainError::System {
            call: "readdir",
            path: self.path(),
            errno,
        })?;
        let mut live = Vec::new();
        for file in names {
            let Some((name, pid)) = file.to_str().and_then(parse_file_name) else { continue };
            // While a mailbox is handed over there are two; the first is its owner still.
            if self.holder(&Address { kind, name: name.clone() })? != Some(pid) {
                continue;
            }
            // Gone between the two looks: then it is not there.
            if let Ok(found) = sys::status_of(directory, file_name(&name, pid)) {
                live.push((name, pid, found.uid));
            }
        }
        live.sort();
        Ok(live)
    }
}
