//! Why something could not be done with a mailbox.

use super::wire::{Doing, Refusal};
use crate::denied::{Denied, Right};
use crate::domain::DomainError;
use crate::error::{CreateError, Fault};
use crate::name::{InvalidName, Name};
use crate::wait::Ended;

/// Why a mailbox could not be created, opened or administered.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MailboxError {
    /// The name is none.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// There is one of that name.
    #[error("mailbox '{name}' exists already, at process {pid}: open it, or take another name")]
    Exists {
        /// Its name.
        name: Name,
        /// The process that owns it.
        pid: u32,
    },
    /// There is none of that name.
    #[error("there is no mailbox '{name}' in domain '{domain}': create it, or wait for it")]
    Absent {
        /// The name that was asked for.
        name: Name,
        /// The domain in which it was looked for.
        domain: Name,
    },
    /// The deadline passed, and all the while there was none of that name.
    #[error("timed out: there is no mailbox '{name}' in domain '{domain}'")]
    StillAbsent {
        /// The name that was waited for.
        name: Name,
        /// The domain in which it was to appear.
        domain: Name,
    },
    /// This process may not send to it, or not receive from it.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// This process may do neither.
    #[error(
        "this process may neither send to mailbox '{name}' nor receive from it ({who_may}): \
         have its owner grant it a right"
    )]
    NoRight {
        /// The mailbox.
        name: Name,
        /// Who may do what.
        who_may: String,
    },
    /// Changing it is its owner's.
    #[error("mailbox '{name}' is not this process's to change: {who_may} may")]
    NotOwner {
        /// The mailbox.
        name: Name,
        /// Who may change it.
        who_may: String,
    },
    /// Its messages are not of the kind that was asked for.
    #[error(
        "mailbox '{name}' has {}, not the schema '{asked}'",
        .there.as_ref().map_or("no schema".into(), |there| format!("the schema '{there}'"))
    )]
    Schema {
        /// The mailbox.
        name: Name,
        /// The schema that was asked for.
        asked: String,
        /// The one that it has.
        there: Option<String>,
    },
    /// It is no more: it was destroyed, or its owner died.
    #[error("mailbox '{name}' is no more: it was destroyed, or its owner has gone")]
    Destroyed {
        /// The mailbox that was.
        name: Name,
    },
    /// Nobody keeps mailboxes in the domain.
    #[error("domain '{domain}' has no keeper: start one with 'postbox keeper'")]
    NoKeeper {
        /// The domain.
        domain: Name,
    },
    /// The process that was to own it is not there.
    #[error("there is no process '{name}' to take the mailbox over")]
    NoSuchProcess {
        /// The process that was named.
        name: Name,
    },
    /// Whoever was asked cannot or will not.
    #[error("mailbox '{name}': {reason}")]
    Refused {
        /// The mailbox.
        name: Name,
        /// Why, in its words.
        reason: String,
    },
    /// An option is beyond its limit.
    #[error("too many {option}: at most {limit}")]
    Option {
        /// What there is too much of.
        option: &'static str,
        /// How much there may be.
        limit: usize,
    },
    /// The deadline passed; without one, whoever was asked did not answer in five seconds.
    #[error("timed out: {what} did not answer; if it was stopped, let it go on")]
    TimedOut {
        /// Who did not answer.
        what: String,
    },
    /// The cancel fired.
    #[error("cancelled")]
    Cancelled,
    /// Its channel could not be created.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The domain cannot be used.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// The process, the machine or a peer is at fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl MailboxError {
    /// Whether there is no mailbox of that name.
    pub fn is_absent(&self) -> bool {
        matches!(self, MailboxError::Absent { .. } | MailboxError::StillAbsent { .. })
    }

    /// Whether there is one of that name already.
    pub fn is_taken(&self) -> bool {
        matches!(self, MailboxError::Exists { .. })
    }

    /// Whether a right is missing: to take part, to send, to receive or to change it.
    pub fn is_denied(&self) -> bool {
        use MailboxError::{Denied, NoRight, NotOwner};
        matches!(self, Denied(_) | NoRight { .. } | NotOwner { .. })
    }

    /// Whether two other processes use it, and its policy is `Pair`.
    pub fn is_pair_taken(&self) -> bool {
        matches!(self, MailboxError::Fault(Fault::PairTaken { .. }))
    }

    /// Whether it is no more.
    pub fn is_destroyed(&self) -> bool {
        matches!(self, MailboxError::Destroyed { .. })
    }

    /// Whether the domain has no keeper.
    pub fn is_no_keeper(&self) -> bool {
        matches!(self, MailboxError::NoKeeper { .. })
    }

    /// Whether the deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, MailboxError::TimedOut { .. } | MailboxError::StillAbsent { .. })
    }

    /// What an owner's refusal means to the one who asked, about that mailbox.
    pub(super) fn refused(refusal: Refusal, name: &Name, schema: Option<&str>) -> Self {
        let name = name.clone();
        match refusal {
            Refusal::Denied { doing: Doing::Send, who_may } => {
                Denied::new(Right::Send, name.as_str(), &who_may).into()
            }
            Refusal::Denied { doing: Doing::Receive, who_may } => {
                Denied::new(Right::Receive, name.as_str(), &who_may).into()
            }
            Refusal::Denied { doing: Doing::Open, who_may } => {
                MailboxError::NoRight { name, who_may }
            }
            Refusal::Denied { doing: Doing::Administer, who_may } => {
                MailboxError::NotOwner { name, who_may }
            }
            Refusal::Schema { theirs } => MailboxError::Schema {
                name,
                asked: schema.unwrap_or_default().into(),
                there: theirs,
            },
            Refusal::AskAgain => MailboxError::TimedOut { what: format!("the owner of '{name}'") },
            Refusal::Another => MailboxError::Destroyed { name },
            Refusal::Cannot(reason) => MailboxError::Refused { name, reason },
            Refusal::Exists { pid } => MailboxError::Exists { name, pid },
            Refusal::NoSuchProcess { name } => MailboxError::NoSuchProcess { name },
        }
    }

    pub(super) fn ended(ended: Ended, what: impl FnOnce() -> String) -> Self {
        match ended {
            Ended::TimedOut => MailboxError::TimedOut { what: what() },
            Ended::Cancelled => MailboxError::Cancelled,
        }
    }
}
