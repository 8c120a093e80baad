//! Rights to a mailbox, and the error of those who have them not.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What one may be allowed to do with a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Right {
    /// To send to it.
    Send,
    /// To receive from it.
    Receive,
}

impl Right {
    /// `send` or `receive`.
    pub const fn name(self) -> &'static str {
        match self {
            Right::Send => "send",
            Right::Receive => "receive",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A right that this process does not have, or no more.
///
/// One pointer, so that the errors which hold it stay small.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied(Box<Refusal>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Refusal {
    right: Right,
    mailbox: Box<str>,
    who_may: Box<str>,
}

impl Denied {
    /// `who_may` completes the sentence "… may", as `its owner alone` does.
    pub(crate) fn new(right: Right, mailbox: &str, who_may: &str) -> Self {
        Denied(Box::new(Refusal { right, mailbox: mailbox.into(), who_may: who_may.into() }))
    }

    /// The right that is missing.
    pub fn right(&self) -> Right {
        self.0.right
    }

    /// The name of the mailbox; empty where it has none.
    pub fn mailbox(&self) -> &str {
        &self.0.mailbox
    }

    /// Who has the right, in words.
    pub fn who_may(&self) -> &str {
        &self.0.who_may
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to_or_from = match self.0.right {
            Right::Send => "send to",
            Right::Receive => "receive from",
        };
        let Refusal { mailbox, who_may, .. } = &*self.0;
        write!(f, "this process may not {to_or_from} mailbox '{mailbox}': {who_may} may")
    }
}

impl std::error::Error for Denied {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_right_the_mailbox_and_who_may() {
        let denied = Denied::new(Right::Receive, "jobs", "its owner alone");
        let said = denied.to_string();
        assert_eq!(said, "this process may not receive from mailbox 'jobs': its owner alone may");
        assert_eq!(size_of::<Denied>(), size_of::<usize>());
    }
}
