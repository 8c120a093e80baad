//! What the processes of the chat send each other.

use postbox::{LinkOptions, MailboxOptions, Mechanism, Name, Options};
use serde::{Deserialize, Serialize};

/// The mailbox that everyone sends to.
pub const LOBBY: &str = "lobby";

/// What the messages are: a process that says it sends something else gets no link.
pub const SCHEMA: &str = "chat/1";

/// Bytes of the longest line.
pub const LONGEST: usize = 4096;

/// A message to the lobby; its holder knows from whom.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToLobby {
    /// I am here.
    Enter,
    /// To everyone.
    Say(String),
    /// I am about to go.
    Leave,
    /// Of the holder to itself: this one has gone, and may not have said so.
    Gone(Person),
}

/// A message to one process.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Note {
    /// From its sender, for nobody else.
    Private(String),
    /// From the lobby, passed on by its holder.
    Lobby(News),
}

/// What happened in the lobby.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum News {
    /// You are in; these are here, you among them.
    Welcome(Vec<Person>),
    /// Somebody has come.
    Joined(Person),
    /// Somebody said something.
    Said { who: Name, text: String },
    /// Somebody has said farewell.
    Left(Name),
    /// Somebody has gone without a word.
    Died(Name),
    /// Somebody does not read: what follows passes them by.
    Deaf(Name),
    /// You did not read, and so many passed you by.
    Missed(u64),
}

/// A name, and the process that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub name: Name,
    pub pid: u32,
}

/// A link between two of us: 64 messages wait each way, large enough for a list of everyone.
pub fn links() -> LinkOptions {
    LinkOptions::new(Options::new(Mechanism::SharedMemory).max_message(64 << 10)).schema(SCHEMA)
}

/// The lobby: everyone sends, its owner alone receives.
pub fn lobby() -> MailboxOptions {
    MailboxOptions::new(Mechanism::SharedMemory).max_message(2 * LONGEST).schema(SCHEMA)
}
