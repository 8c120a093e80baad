//! What a mailbox is and how it stands, as its owner tells anybody who asks.

use super::options::Ownership;
use super::rights::Rights;
use crate::mechanism::{Capacity, Mechanism};
use crate::name::Name;
use crate::policy::Policy;
use serde::{Deserialize, Serialize};

/// What a mailbox is and how it stands.
///
/// It serializes to JSON as it is: the mechanism, capacity and policy as the words that programs use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MailboxStatus {
    /// Its name.
    pub name: Name,
    /// Its id: another mailbox of that name, later, has another.
    pub id: u64,
    /// What carries its messages.
    #[serde(with = "super::text")]
    pub mechanism: Mechanism,
    /// How many messages may wait in it.
    #[serde(with = "super::text")]
    pub capacity: Capacity,
    /// Bytes of the largest message.
    pub max_message: usize,
    /// Who gets a message when several receive.
    #[serde(with = "super::text")]
    pub policy: Policy,
    /// What its messages are, in the application's word.
    pub schema: Option<String>,
    /// Messages that wait in it now.
    pub queued: usize,
    /// Sending ends that are attached now, of whichever process.
    pub senders: usize,
    /// Receiving ends that are attached now.
    pub receivers: usize,
    /// To whom it belongs.
    pub owner: MailboxOwner,
    /// Who may receive from it.
    pub may_receive: Rights,
    /// Who may send to it.
    pub may_send: Rights,
}

/// To whom a mailbox belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MailboxOwner {
    /// The name of the process.
    pub name: Name,
    /// Its process id.
    pub pid: u32,
    /// The user that it runs as.
    pub uid: u32,
    /// Whether it is a process among others or the keeper.
    pub ownership: Ownership,
}
