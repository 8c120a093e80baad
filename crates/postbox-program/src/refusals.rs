//! What the library refuses, as the end of a program: where the library's words are for programmers,
//! in words of the command line.

use crate::ending::Ending;
use postbox::{DirectError, LinkError, MailboxError, ReceiveError};

/// What whoever sends or receives can do about somebody, or something, that is not there.
pub(crate) const WAIT: &str = "wait for it with --timeout SECONDS";

impl From<LinkError> for Ending {
    fn from(error: LinkError) -> Self {
        let said = error.to_string();
        match error {
            LinkError::Absent { name, domain } => Ending::Nothing(format!(
                "no process is called '{name}' in domain '{domain}' now: 'postbox processes' lists \
                 those that there are"
            )),
            LinkError::StillAbsent { name, domain } => Ending::Nothing(format!(
                "timed out: no process is called '{name}' in domain '{domain}'"
            )),
            LinkError::TimedOut => Ending::Nothing(said),
            LinkError::Oneself { name } => Ending::BadInput(format!(
                "'{name}' is this process itself: name another, or use a mailbox"
            )),
            LinkError::InvalidName(_) => Ending::BadInput(said),
            LinkError::Create(error) => error.into(),
            LinkError::Cancelled => Ending::Cancelled,
            _ => Ending::Failure(said),
        }
    }
}

impl From<DirectError<ReceiveError>> for Ending {
    fn from(error: DirectError<ReceiveError>) -> Self {
        match error {
            DirectError::Link(error) => error.into(),
            DirectError::Call(error) => error.into(),
        }
    }
}

impl From<MailboxError> for Ending {
    fn from(error: MailboxError) -> Self {
        let said = error.to_string();
        match error {
            MailboxError::Absent { name, domain } => Ending::Nothing(format!(
                "there is no mailbox '{name}' in domain '{domain}': 'postbox mailbox list' shows \
                 those that there are"
            )),
            MailboxError::Exists { name, pid } => Ending::Failure(format!(
                "mailbox '{name}' exists already, at process {pid}: use it as it is (--or-open), or \
                 take another name"
            )),
            MailboxError::StillAbsent { .. }
            | MailboxError::TimedOut { .. }
            | MailboxError::NoSuchProcess { .. }
            | MailboxError::NoKeeper { .. } => Ending::Nothing(said),
            MailboxError::Name(_) | MailboxError::Option { .. } => Ending::BadInput(said),
            MailboxError::Create(error) => error.into(),
            MailboxError::Domain(error) => error.into(),
            MailboxError::Cancelled => Ending::Cancelled,
            _ => Ending::Failure(said),
        }
    }
}
