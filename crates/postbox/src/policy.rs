//! How the processes of a mailbox share it.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which of several processes gets a message of a mailbox; chosen when it is created.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Any receiver that waits takes the next message; none starves. Those that sleep are woken in turn; one that is awake may
    /// be quicker.
    #[default]
    Any,
    /// At most two live processes use the mailbox. A keeper does not count, the threads of a process
    /// count once, and a death frees the place. An end that is passed to another process takes the
    /// place along if its giver keeps no other use of the mailbox; if it does, and both places are
    /// taken, every call on that end is refused.
    Pair,
    /// One receiver at a time executes a receive; the others queue, in order. For them
    /// [`try_receive`](crate::Receiver::try_receive) finds nothing and the pollable is not readable.
    /// The death of the one passes its turn on.
    OneAtATime,
}

impl Policy {
    /// All three.
    pub const ALL: [Policy; 3] = [Policy::Any, Policy::Pair, Policy::OneAtATime];

    /// The short name that programs use: `any`, `pair` or `one-at-a-time`.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Any => "any",
            Policy::Pair => "pair",
            Policy::OneAtATime => "one-at-a-time",
        }
    }

    pub(crate) const fn code(self) -> u64 {
        match self {
            Policy::Any => 0,
            Policy::Pair => 1,
            Policy::OneAtATime => 2,
        }
    }

    pub(crate) fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.code() == code)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is not one of `any`, `pair`, `one-at-a-time`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unknown policy '{0}': choose any, pair or one-at-a-time")]
pub struct UnknownPolicy(String);

impl FromStr for Policy {
    type Err = UnknownPolicy;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}
