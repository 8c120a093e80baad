//! Why a wait for several receivers returned without a message.

use crate::error::{Fault, ReceiveError};
use crate::wait::Ended;

/// Why a [`Select`](crate::Select) returned without a message.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// The deadline passed.
    #[error("timed out; none of the receivers had a message")]
    TimedOut,
    /// The cancel fired.
    #[error("cancelled; none of the receivers had a message")]
    Cancelled,
    /// There is nothing to wait for: no receiver was added, or each of them has ended.
    #[error("every receiver has ended: there is none left to wait for")]
    Exhausted,
    /// One receiver has ended, which leaves it out from now on, or what it took is no message.
    #[error("receiver {index}: {reason}")]
    Receiver {
        /// Its index.
        index: usize,
        /// What is the matter with it.
        #[source]
        reason: ReceiveError,
    },
    /// The process or the machine is at fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl SelectError {
    /// Whether the deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, SelectError::TimedOut)
    }

    /// Whether the cancel fired.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, SelectError::Cancelled)
    }

    /// Whether there is no receiver left to wait for.
    pub fn is_exhausted(&self) -> bool {
        matches!(self, SelectError::Exhausted)
    }

    /// The index of the receiver whose last sender is gone, if that is the reason.
    pub fn disconnected(&self) -> Option<usize> {
        match self {
            SelectError::Receiver { index, reason } if reason.is_disconnected() => Some(*index),
            _ => None,
        }
    }
}

impl From<Ended> for SelectError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::TimedOut => SelectError::TimedOut,
            Ended::Cancelled => SelectError::Cancelled,
        }
    }
}
