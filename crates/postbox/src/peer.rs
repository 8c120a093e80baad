//! Who is at the other side.

use std::fmt;

/// Another process, as the sender of a message or the taker of one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Peer {
    pid: u32,
}

impl Peer {
    pub(crate) fn of(pid: u32) -> Self {
        Peer { pid }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {}", self.pid)
    }
}
