//! What the library refuses, as the end of a program.

use crate::ending::Ending;
use postbox::{DirectError, LinkError, MailboxError, ReceiveError};

impl From<LinkError> for Ending {
    fn from(error: LinkError) -> Self {
        let said = error.to_string();
        match error {
            LinkError::Absent { .. } | LinkError::StillAbsent { .. } | LinkError::TimedOut => {
                Ending::Nothing(said)
            }
            LinkError::InvalidName(_) | LinkError::Oneself { .. } => Ending::BadInput(said),
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
            MailboxError::Absent { .. }
            | MailboxError::StillAbsent { .. }
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
