//! What is asked of a mailbox's owner and of a keeper, and what they answer. The domain's protocol
//! carries it as bytes, in one packet each way; the descriptors of the channel travel beside `Opened`
//! and `Adopt`.
//!
//! | asked of | request | answer |
//! | --- | --- | --- |
//! | the owner | `Open`, `Status` | `Opened` with descriptors, `Status` |
//! | the owner | `Grant`, `Revoke`, `Transfer`, `Destroy` | `Done`, or `Later` with a pipe that brings it |
//! | a keeper | `Create` | `Done` |
//! | a process | `Adopt`, with descriptors | `Done` once the mailbox is its own |

use super::options::{MailboxOptions, Ownership};
use super::rights::{Access, Rights};
use super::status::MailboxStatus;
use crate::channel::Options;
use crate::denied::Right;
use crate::domain::protocol::{Reply, Request};
use crate::error::Fault;
use crate::mechanism::{Capacity, Mechanism, WaitStrategy};
use crate::name::Name;
use crate::policy::Policy;
use crate::wait::Wait;
use postbox_sys::Errno;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// What somebody wants of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MailboxRequest {
    /// To take part: with whatever rights it has, or because of one that it needs.
    Open { needs: Option<Right>, schema: Option<String> },
    /// To know what it is and how it stands. Needs no name.
    Status { which: Which },
    /// To let a name in.
    Grant { which: Which, right: Right, to: Name },
    /// To shut a name out.
    Revoke { which: Which, right: Right, from: Name },
    /// To make another process the owner, within so many milliseconds.
    Transfer { which: Which, to: Name, within: u64 },
    /// To end it.
    Destroy { which: Which },
    /// To make one, of that name.
    Create { name: Name, plan: Plan },
    /// To own one from now on.
    Adopt { name: Name, terms: Terms, rights: BothRights, nonce: u64 },
}

/// Which mailbox of the name: that one, by its id, or whichever there is.
pub(crate) type Which = Option<u64>;

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum MailboxReply {
    /// With descriptors; `epoch` is that of `Channel::rights_epoch`, read before the rights were.
    Opened {
        terms: Terms,
        may: May,
        epoch: u64,
    },
    Status(MailboxStatus),
    Done,
    /// The answer comes through the pipe whose reading side is here.
    Later,
    Refused(Refusal),
}

impl MailboxRequest {
    /// The packet to ask with.
    ///
    /// # Errors
    ///
    /// Nothing that this module makes cannot be encoded; whether it is too long shows when it is sent.
    pub(crate) fn pack(&self) -> Result<Request, Fault> {
        encode(self).map(Request::Mailbox)
    }

    /// What was asked, if it is a request of this version.
    pub(crate) fn unpack(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }

    /// A transfer for as long as the one who asks has patience.
    pub(super) fn transfer(which: Which, to: Name, wait: &Wait<'_>) -> Self {
        let left = wait.deadline.map(|end| end.saturating_duration_since(Instant::now()));
        let within = left.map_or(u64::MAX, |left| left.as_millis().try_into().unwrap_or(u64::MAX));
        MailboxRequest::Transfer { which, to, within }
    }

    /// Which mailbox it is about.
    pub(super) fn which(&self) -> Which {
        use MailboxRequest::{Adopt, Create, Destroy, Grant, Open, Revoke, Status, Transfer};
        match self {
            Status { which }
            | Grant { which, .. }
            | Revoke { which, .. }
            | Transfer { which, .. }
            | Destroy { which } => *which,
            Open { .. } | Create { .. } | Adopt { .. } => None,
        }
    }

    /// Whether asking twice does no more than asking once.
    pub(super) fn may_be_repeated(&self) -> bool {
        use MailboxRequest::{Destroy, Grant, Open, Revoke, Status, Transfer};
        match self {
            Open { .. } | Status { .. } | Grant { .. } | Revoke { .. } => true,
            // The next of that name is none of it.
            Transfer { which, .. } | Destroy { which } => which.is_some(),
            MailboxRequest::Create { .. } | MailboxRequest::Adopt { .. } => false,
        }
    }

    /// The schema that is asked for.
    pub(super) fn schema(&self) -> Option<&str> {
        match self {
            MailboxRequest::Open { schema, .. } => schema.as_deref(),
            _ => None,
        }
    }
}

impl MailboxReply {
    /// The packet to answer with.
    pub(crate) fn pack(&self) -> Reply {
        match encode(self) {
            Ok(bytes) => Reply::Mailbox(bytes),
            Err(fault) => Reply::Failed { why: fault.to_string() },
        }
    }

    /// The bare bytes, for the pipe of a later answer.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        encode(self).unwrap_or_default()
    }

    /// What was answered, if it is a reply of this version.
    pub(crate) fn unpack(bytes: &[u8]) -> Option<Self> {
        decode(bytes)
    }
}

impl From<Refusal> for MailboxReply {
    fn from(refusal: Refusal) -> Self {
        MailboxReply::Refused(refusal)
    }
}

fn encode(content: &impl Serialize) -> Result<Vec<u8>, Fault> {
    let unencodable = Fault::System { call: "a packet about a mailbox", errno: Errno::EINVAL };
    postcard::to_stdvec(content).map_err(|_| unencodable)
}

fn decode<C: DeserializeOwned>(bytes: &[u8]) -> Option<C> {
    match postcard::take_from_bytes(bytes) {
        Ok((content, [])) => Some(content),
        _ => None,
    }
}

/// Why not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// The right to do that is not the asker's; these have it.
    Denied { doing: Doing, who_may: String },
    /// It has another schema.
    Schema { theirs: Option<String> },
    /// Its owner is just changing, or has just gone: look once more who answers for it.
    AskAgain,
    /// The one that was meant is no more; there is another of its name.
    Another,
    /// Whoever was asked cannot or will not.
    Cannot(String),
    /// One of that name exists.
    Exists { pid: u32 },
    /// No process of that name is there to take it.
    NoSuchProcess { name: Name },
}

/// An error of the one who was asked.
pub(super) fn cannot(error: impl std::fmt::Display) -> Refusal {
    Refusal::Cannot(error.to_string())
}

/// What a right is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Doing {
    Send,
    Receive,
    /// Opening it without any right to it.
    Open,
    /// Granting, revoking, transferring, destroying.
    Administer,
}

impl From<Right> for Doing {
    fn from(right: Right) -> Self {
        match right {
            Right::Send => Doing::Send,
            Right::Receive => Doing::Receive,
        }
    }
}

/// What the one who opened it may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct May {
    pub(crate) send: bool,
    pub(crate) receive: bool,
}

impl May {
    pub(crate) fn has(self, right: Right) -> bool {
        match right {
            Right::Send => self.send,
            Right::Receive => self.receive,
        }
    }
}

/// The two tables of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BothRights {
    pub(crate) send: Rights,
    pub(crate) receive: Rights,
}

impl BothRights {
    pub(crate) fn of(&self, right: Right) -> &Rights {
        match right {
            Right::Send => &self.send,
            Right::Receive => &self.receive,
        }
    }

    pub(crate) fn of_mut(&mut self, right: Right) -> &mut Rights {
        match right {
            Right::Send => &mut self.send,
            Right::Receive => &mut self.receive,
        }
    }

    pub(crate) fn may(&self, name: &Name, uid: u32, owner: &Name) -> May {
        May {
            send: self.send.allow(name, uid, owner),
            receive: self.receive.allow(name, uid, owner),
        }
    }
}

/// What the channel's memory does not say about a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    /// Told apart from every other mailbox, of the same name too.
    pub(crate) id: u64,
    pub(crate) schema: Option<String>,
    pub(crate) strategy: Strategy,
    pub(crate) owner: Name,
    pub(crate) ownership: Ownership,
}

/// [`WaitStrategy`] in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Strategy {
    Spin,
    Adaptive,
    Block,
}

impl From<WaitStrategy> for Strategy {
    fn from(wait: WaitStrategy) -> Self {
        match wait {
            WaitStrategy::Spin => Strategy::Spin,
            WaitStrategy::Adaptive => Strategy::Adaptive,
            WaitStrategy::Block => Strategy::Block,
        }
    }
}

impl From<Strategy> for WaitStrategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::Spin => WaitStrategy::Spin,
            Strategy::Adaptive => WaitStrategy::Adaptive,
            Strategy::Block => WaitStrategy::Block,
        }
    }
}

/// What a mailbox that another process is to create is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    #[serde(with = "super::text")]
    mechanism: Mechanism,
    #[serde(with = "super::text")]
    capacity: Capacity,
    max_message: u64,
    fixed_size: Option<u64>,
    byte_cap: u64,
    strategy: Strategy,
    #[serde(with = "super::text")]
    policy: Policy,
    receivers: Access,
    senders: Access,
    schema: Option<String>,
}

impl Plan {
    pub(crate) fn of(options: &MailboxOptions) -> Self {
        let config = options.options.config();
        Plan {
            mechanism: config.mechanism,
            capacity: config.capacity,
            max_message: config.max_message as u64,
            fixed_size: config.fixed_size.map(|bytes| bytes as u64),
            byte_cap: config.byte_cap,
            strategy: options.options.strategy().into(),
            policy: options.policy,
            receivers: options.receivers.clone(),
            senders: options.senders.clone(),
            schema: options.schema.clone(),
        }
    }

    /// The options that it was made of, as far as they concern the one who creates it. Nothing is
    /// checked yet.
    pub(crate) fn into_options(self) -> MailboxOptions {
        let bytes = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let mut options = Options::new(self.mechanism)
            .capacity(self.capacity)
            .max_message(bytes(self.max_message))
            .byte_cap(self.byte_cap)
            .wait_strategy(self.strategy.into());
        if let Some(size) = self.fixed_size {
            options = options.fixed_size(bytes(size));
        }
        MailboxOptions {
            policy: self.policy,
            receivers: self.receivers,
            senders: self.senders,
            schema: self.schema,
            owner: Ownership::Keeper,
            ..options.into()
        }
    }
}
