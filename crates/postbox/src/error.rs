//! One small error type per operation. None carries the message: `send` borrows it, so the
//! caller still has it.

use crate::denied::Denied;
use crate::remedy::remedy;
use crate::wait::Ended;
use postbox_sys::Errno;
use std::fmt;

/// Why a call on an end could not even begin, or could not go on: not a turn of the contract but
/// a fault of the process, the machine or a peer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// This end was inherited by `fork` without having been passed on.
    #[error(
        "this end was not passed to this process: give it to postbox::fork or spawn, \
         or use the one in the parent"
    )]
    NotPassed,
    /// The channel has as many ends as it can tell apart, or is one-to-one.
    #[error("the channel already has the {limit} {role} end(s) that it can have: drop one first")]
    TooManyEnds {
        /// Which kind of end.
        role: &'static str,
        /// How many of them there can be.
        limit: usize,
    },
    /// The process was not given the way in or out that the call needs.
    #[error(transparent)]
    Denied(Denied),
    /// Two other processes use what is for two.
    #[error(
        "this is for two processes, and {} and {} use it already: wait until one has left",
        .pids[0], .pids[1]
    )]
    PairTaken {
        /// Their process ids.
        pids: [u32; 2],
    },
    /// Shared state or a message does not make sense: some member has scribbled over it.
    #[error("the channel is corrupt ({0}): a member wrote what no member may write; recreate it")]
    Corrupt(&'static str),
    /// A system call failed.
    #[error("{call} failed: {errno}{}", remedy(.call, *.errno))]
    System {
        /// The call, in words.
        call: &'static str,
        /// Its error.
        #[source]
        errno: Errno,
    },
}

impl Fault {
    pub(crate) fn system(call: &'static str) -> impl FnOnce(Errno) -> Fault {
        move |errno| Fault::System { call, errno }
    }
}

/// Why a channel could not be created or an end not be taken over.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CreateError {
    /// An option is out of its range.
    #[error("{option} is {value}, outside {range}")]
    Option {
        /// The option.
        option: &'static str,
        /// What was asked for.
        value: u64,
        /// What can be asked for.
        range: &'static str,
    },
    /// The machine or a limit refused.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A message that is longer than the channel carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message has {len} bytes, the channel takes {}{max}: nothing was sent", if *.fixed {"exactly "} else {"at most "})]
pub struct TooLarge {
    /// Its length in bytes.
    pub len: usize,
    /// The channel's limit in bytes.
    pub max: usize,
    pub(crate) fixed: bool,
}

/// A message that serde or postcard could not encode.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the message cannot be encoded: {0}")]
pub struct EncodeError(postcard::Error);

impl EncodeError {
    pub(crate) fn new(error: postcard::Error) -> Self {
        EncodeError(error)
    }
}

/// Bytes that are not the encoding of a message of the expected type.
#[derive(Debug, Clone)]
pub struct DecodeError(DecodeReason);

#[derive(Debug, Clone)]
enum DecodeReason {
    Postcard(postcard::Error),
    Trailing(usize),
}

impl DecodeError {
    pub(crate) fn new(error: postcard::Error) -> Self {
        DecodeError(DecodeReason::Postcard(error))
    }

    pub(crate) fn trailing(bytes: usize) -> Self {
        DecodeError(DecodeReason::Trailing(bytes))
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the message is not of the expected type: ")?;
        match &self.0 {
            DecodeReason::Postcard(error) => error.fmt(f),
            DecodeReason::Trailing(bytes) => write!(f, "{bytes} bytes are left over"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// Why `send` did not send.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// Every receiver is gone.
    #[error("every receiver is gone")]
    Disconnected,
    /// The mailbox was destroyed, or its owner died. Nothing was sent.
    #[error("the mailbox no longer exists: it was destroyed, or its owner died; nothing was sent")]
    Destroyed,
    /// The right to send was taken back. Nothing was sent.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The deadline passed; nothing was sent.
    #[error("timed out; nothing was sent")]
    TimedOut,
    /// The cancel fired; nothing was sent.
    #[error("cancelled; nothing was sent")]
    Cancelled,
    /// The message is over the channel's limit.
    #[error(transparent)]
    TooLarge(#[from] TooLarge),
    /// The message cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The byte cap is reached.
    #[error("the channel holds {cap} bytes, its byte cap: receive some, or create it with more")]
    ByteCap {
        /// The cap, in bytes.
        cap: u64,
    },
    /// The process, the machine or a peer is at fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why `try_send` did not send.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TrySendError {
    /// There is no room, or with capacity zero no waiting receiver; nothing was sent.
    #[error("the channel is full; nothing was sent")]
    Full,
    /// Any other reason.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl TrySendError {
    /// Whether there was merely no room.
    pub fn is_full(&self) -> bool {
        matches!(self, TrySendError::Full)
    }

    /// Whether every receiver is gone.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, TrySendError::Send(SendError::Disconnected))
    }

    /// Whether the mailbox no longer exists.
    pub fn is_destroyed(&self) -> bool {
        matches!(self, TrySendError::Send(SendError::Destroyed))
    }

    /// Whether the right to send was taken back.
    pub fn is_denied(&self) -> bool {
        matches!(self, TrySendError::Send(error) if error.is_denied())
    }
}

impl SendError {
    /// Whether every receiver is gone.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, SendError::Disconnected)
    }

    /// Whether the mailbox no longer exists.
    pub fn is_destroyed(&self) -> bool {
        matches!(self, SendError::Destroyed)
    }

    /// Whether the right to send was taken back.
    pub fn is_denied(&self) -> bool {
        matches!(self, SendError::Denied(_) | SendError::Fault(Fault::Denied(_)))
    }

    /// Whether the deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, SendError::TimedOut)
    }

    /// Whether the cancel fired.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, SendError::Cancelled)
    }
}

/// How far a batch went, and why no further.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{sent} messages were sent, the next was not: {reason}")]
pub struct SendBatchError {
    /// How many messages went.
    pub sent: usize,
    /// Why the next did not.
    #[source]
    pub reason: SendError,
}

/// Why nobody took the message. No application has seen it, or ever will.
#[derive(Debug, Clone, thiserror::Error)]
#[error("not delivered: {0}")]
pub struct DeliverError(#[from] SendError);

impl DeliverError {
    /// The reason.
    pub fn reason(&self) -> &SendError {
        &self.0
    }

    /// Whether every receiver is gone.
    pub fn is_disconnected(&self) -> bool {
        self.0.is_disconnected()
    }

    /// Whether the mailbox no longer exists.
    pub fn is_destroyed(&self) -> bool {
        self.0.is_destroyed()
    }

    /// Whether the right to send was taken back.
    pub fn is_denied(&self) -> bool {
        self.0.is_denied()
    }

    /// Whether the deadline passed before anybody took the message.
    pub fn is_timeout(&self) -> bool {
        self.0.is_timeout()
    }

    /// Whether the cancel fired before anybody took the message.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled()
    }
}

/// Why `receive` returned without a message.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// Every sender is gone and nothing is left.
    #[error("every sender is gone and nothing is left")]
    Disconnected,
    /// The mailbox was destroyed, or its owner died, and what waited in it is gone.
    #[error("the mailbox no longer exists: it was destroyed, or its owner died")]
    Destroyed,
    /// The right to receive was taken back.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The deadline passed.
    #[error("timed out; there was no message")]
    TimedOut,
    /// The cancel fired.
    #[error("cancelled; there was no message")]
    Cancelled,
    /// A message was taken that is not of the expected type.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The process, the machine or a peer is at fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl ReceiveError {
    /// Whether every sender is gone and nothing is left.
    pub fn is_disconnected(&self) -> bool {
        matches!(self, ReceiveError::Disconnected)
    }

    /// Whether the mailbox no longer exists.
    pub fn is_destroyed(&self) -> bool {
        matches!(self, ReceiveError::Destroyed)
    }

    /// Whether the right to receive was taken back.
    pub fn is_denied(&self) -> bool {
        matches!(self, ReceiveError::Denied(_) | ReceiveError::Fault(Fault::Denied(_)))
    }

    /// Whether the deadline passed.
    pub fn is_timeout(&self) -> bool {
        matches!(self, ReceiveError::TimedOut)
    }

    /// Whether the cancel fired.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, ReceiveError::Cancelled)
    }
}

impl From<Ended> for SendError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::TimedOut => SendError::TimedOut,
            Ended::Cancelled => SendError::Cancelled,
        }
    }
}

impl From<Ended> for ReceiveError {
    fn from(ended: Ended) -> Self {
        match ended {
            Ended::TimedOut => ReceiveError::TimedOut,
            Ended::Cancelled => ReceiveError::Cancelled,
        }
    }
}
