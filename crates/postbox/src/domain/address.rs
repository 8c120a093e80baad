//! Addresses: the two kinds of names, and the sockets that answer for them.

use crate::name::Name;
use std::fmt;

/// What a name is the name of. The kinds are separate namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A process that has joined.
    Process,
    /// A mailbox.
    Mailbox,
}

/// A name of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Address {
    pub(crate) kind: Kind,
    pub(crate) name: Name,
}

impl Address {
    /// The address of the process with that name.
    pub(crate) fn process(name: &Name) -> Self {
        Address { kind: Kind::Process, name: name.clone() }
    }

    /// The address of the mailbox with that name.
    pub(crate) fn mailbox(name: &Name) -> Self {
        Address { kind: Kind::Mailbox, name: name.clone() }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Process => write!(f, "process '{}'", self.name),
            Kind::Mailbox => write!(f, "mailbox '{}'", self.name),
        }
    }
}

/// The file of a socket: the name, and the pid of the process that listens there.
pub(super) fn file_name(name: &Name, pid: u32) -> String {
    format!("{name}.{pid}")
}

/// What [`file_name`] has made.
pub(super) fn parse_file_name(file: &str) -> Option<(Name, u32)> {
    let (name, digits) = file.rsplit_once('.')?;
    let pid = digits.parse().ok().filter(|pid: &u32| pid.to_string() == digits)?;
    Some((Name::new(name).ok()?, pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_leads_back_to_its_name_and_pid() {
        for name in ["a", "a.b", "7", "a.7"] {
            let name = Name::new(name).unwrap();
            assert_eq!(parse_file_name(&file_name(&name, 42)), Some((name, 42)));
        }
        for strange in ["a", ".7-1", "a.07", "a.+7", "a.", ".7", "a.b", "a/b.7", "a.99999999999"] {
            assert_eq!(parse_file_name(strange), None, "{strange}");
        }
    }
}
