//! Who is at the other side.

use crate::name::Name;
use std::fmt;
use std::sync::Arc;

/// Another process, as the sender of a message or the taker of one.
///
/// On a channel of its own it is known by its pid. Over a link or a mailbox it also has the name
/// that it joined its domain under, and its user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer {
    pid: u32,
    /// Apart, so that a delivery on a channel without names carries one pointer more and no work.
    known: Option<Arc<Known>>,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Known {
    uid: Option<u32>,
    name: Option<Name>,
}

impl Peer {
    pub(crate) fn of(pid: u32) -> Self {
        Peer { pid, known: None }
    }

    pub(crate) fn known(pid: u32, uid: Option<u32>, name: Option<Name>) -> Self {
        Peer { pid, known: Some(Arc::new(Known { uid, name })) }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The user that it runs as, where that is known.
    pub fn uid(&self) -> Option<u32> {
        self.known.as_ref()?.uid
    }

    /// The name that it joined its domain under, where that is known: an end that has left may have
    /// taken it along.
    pub fn name(&self) -> Option<&Name> {
        self.known.as_ref()?.name.as_ref()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} (process {})", self.pid),
            None => write!(f, "process {}", self.pid),
        }
    }
}
