//! Why two processes did not come together.

use crate::domain::{AskError, DomainError};
use crate::error::{
    CreateError, DeliverError, Fault, ReceiveError, SendBatchError, SendError, TrySendError,
};
use crate::name::{InvalidName, Name};
use crate::wait::Ended;

/// Why a process could not join a domain.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// The name is none.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// A live process has that name.
    #[error(
        "'{name}' is the name of process {pid} in the domain '{domain}': join under another, or end it"
    )]
    Taken {
        /// The name.
        name: Name,
        /// The domain.
        domain: Name,
        /// Whose name it is; 0 where that process is in a pid namespace that cannot be seen.
        pid: u32,
    },
    /// The schema of the links is too long.
    #[error("the schema has {len} bytes, more than {max}")]
    SchemaTooLong {
        /// Its length in bytes.
        len: usize,
        /// The most that it can have.
        max: usize,
    },
    /// The domain cannot be used.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// The process or the machine is at fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why there is no link.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// No process has that name now.
    #[error(
        "no process is called '{name}' in the domain '{domain}' now: start it, correct the name, or \
         wait for it with Absence::Wait"
    )]
    Absent {
        /// The name.
        name: Name,
        /// The domain.
        domain: Name,
    },
    /// The deadline passed, and all the while no process had that name.
    #[error("timed out: no process is called '{name}' in the domain '{domain}'")]
    StillAbsent {
        /// The name.
        name: Name,
        /// The domain.
        domain: Name,
    },
    /// There is a link already, on other terms, or the partner insists on another schema.
    #[error("the link with '{name}' is to be {asked}, but it has {has}: agree on one of them")]
    Mismatch {
        /// The partner.
        name: Name,
        /// What was asked for.
        asked: String,
        /// What is there.
        has: String,
    },
    /// The link carries messages the other way only.
    #[error("the link with '{name}' carries messages the other way only: it was asked for so")]
    Unidirectional {
        /// The partner.
        name: Name,
    },
    /// A process is no partner of its own.
    #[error("'{name}' is this process itself: a link is between two; use a channel")]
    Oneself {
        /// The name.
        name: Name,
    },
    /// The name is none.
    #[error(transparent)]
    InvalidName(#[from] InvalidName),
    /// The membership was inherited by `fork`.
    #[error("'{name}' joined the domain in another process: a child of fork joins for itself")]
    NotJoined {
        /// The name that the other process has.
        name: Name,
    },
    /// The deadline passed before there was a link, though a process has the name; nothing was sent.
    #[error("timed out before the link was there; nothing was sent")]
    TimedOut,
    /// The cancel fired before there was a link; nothing was sent.
    #[error("cancelled before the link was there; nothing was sent")]
    Cancelled,
    /// The partner could not take part, or this process could not, whose name it is then.
    #[error("'{name}' cannot take part in a link: {why}")]
    Refused {
        /// Which of the two.
        name: Name,
        /// What it says.
        why: String,
    },
    /// The options are out of range, or the machine refused the channels.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The process, the machine or the partner is at fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl LinkError {
    /// Whether nobody has the name.
    pub fn is_absent(&self) -> bool {
        matches!(self, LinkError::Absent { .. } | LinkError::StillAbsent { .. })
    }

    /// Whether the deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, LinkError::TimedOut | LinkError::StillAbsent { .. })
    }

    /// Whether the cancel fired.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, LinkError::Cancelled)
    }

    /// Whether there is a link on other terms.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, LinkError::Mismatch { .. })
    }

    /// Whether the link carries messages the other way only.
    pub fn is_unidirectional(&self) -> bool {
        matches!(self, LinkError::Unidirectional { .. })
    }
}

impl From<Ended> for LinkError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::TimedOut => LinkError::TimedOut,
            Ended::Cancelled => LinkError::Cancelled,
        }
    }
}

/// How asking a registrar failed, where that ends the whole matter.
pub(super) enum Unanswered {
    /// Nobody has the name.
    Absent,
    /// Whoever had it died on the way: look again.
    Gone,
    Error(LinkError),
}

impl From<LinkError> for Unanswered {
    fn from(error: LinkError) -> Self {
        Unanswered::Error(error)
    }
}

impl From<AskError> for Unanswered {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Absent => Unanswered::Absent,
            AskError::Gone { .. } => Unanswered::Gone,
            AskError::TimedOut => Unanswered::Error(LinkError::TimedOut),
            AskError::Cancelled => Unanswered::Error(LinkError::Cancelled),
            AskError::Fault(fault) => Unanswered::Error(fault.into()),
        }
    }
}

/// Why a call that names a process, or receives from any, did not do it: for want of a link, or as
/// the same call on a channel. `E` is [`SendError`], [`TrySendError`], [`DeliverError`],
/// [`ReceiveError`] or [`SendBatchError`].
#[derive(Debug, Clone, thiserror::Error)]
pub enum DirectError<E> {
    /// There is no link.
    #[error(transparent)]
    Link(LinkError),
    /// There is one.
    #[error(transparent)]
    Call(E),
}

impl<E> From<LinkError> for DirectError<E> {
    fn from(error: LinkError) -> Self {
        DirectError::Link(error)
    }
}

impl<E> DirectError<E> {
    /// Whether nobody has the partner's name.
    pub fn is_absent(&self) -> bool {
        matches!(self, DirectError::Link(error) if error.is_absent())
    }

    /// Whether the link carries messages the other way only.
    pub fn is_unidirectional(&self) -> bool {
        matches!(self, DirectError::Link(error) if error.is_unidirectional())
    }

    /// Whether there is a link on other terms.
    pub fn is_mismatch(&self) -> bool {
        matches!(self, DirectError::Link(error) if error.is_mismatch())
    }

    /// The reason, where there is a link.
    pub fn call(&self) -> Option<&E> {
        match self {
            DirectError::Link(_) => None,
            DirectError::Call(error) => Some(error),
        }
    }
}

macro_rules! answers_of {
    ($($error:ty { $($ask:ident: $doc:literal),* })+) => {$(
        impl From<$error> for DirectError<$error> {
            fn from(error: $error) -> Self {
                DirectError::Call(error)
            }
        }

        impl DirectError<$error> {$(
            #[doc = $doc]
            pub fn $ask(&self) -> bool {
                matches!(self, DirectError::Call(error) if error.$ask())
            }
        )*}
    )+};
}

macro_rules! answers_of_both {
    ($($error:ty)+) => {$(
        impl DirectError<$error> {
            /// Whether the deadline passed, with a link or before there was one.
            pub fn is_timeout(&self) -> bool {
                match self {
                    DirectError::Link(error) => error.is_timeout(),
                    DirectError::Call(error) => error.is_timeout(),
                }
            }

            /// Whether the cancel fired, with a link or before there was one.
            pub fn is_cancelled(&self) -> bool {
                match self {
                    DirectError::Link(error) => error.is_cancelled(),
                    DirectError::Call(error) => error.is_cancelled(),
                }
            }
        }
    )+};
}

answers_of! {
    SendError { is_disconnected: "Whether the partner has gone." }
    TrySendError {
        is_full: "Whether there was merely no room.",
        is_disconnected: "Whether the partner has gone."
    }
    DeliverError { is_disconnected: "Whether the partner has gone." }
    ReceiveError { is_disconnected: "Whether the partner has gone, and nothing is left of it." }
    SendBatchError {}
}

answers_of_both! { SendError DeliverError ReceiveError }
