//! What victims write down, each fact as it becomes one, into a pipe that outlives them.
//!
//! A note is one frame: its length in two bytes, then its content. What a call did is written
//! together with what the next call is about to do, in a single write of less than `PIPE_BUF`
//! bytes, which the kernel does whole or not at all. So of a victim that is killed the ledger
//! knows everything but how its last call ended.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};

/// The most messages in one call.
pub const BATCH: usize = 8;
/// The most that go by calls of their own, one right after the other, and are written down as one.
pub const BURST: usize = 64;
/// The longest reason that is told.
const WORDS: usize = 1000;

/// One fact. Times are nanoseconds of the monotonic clock, taken before a call begins and after it
/// has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Note {
    /// It has its ends and begins.
    Ready,
    /// It is about to send some of its messages.
    Sending(Sending),
    /// That has ended.
    Sent(Sent),
    /// It is about to receive.
    Receiving(Receiving),
    /// That has ended.
    Received(Received),
    /// It is about to clone its end.
    Cloning,
    /// It rests until it is told to go on.
    Resting,
    /// It filled a link until that was full, with so many messages.
    Counted(u32),
    /// It cannot go on.
    Failed(String),
}

/// A sending call that begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// When.
    pub at: u64,
    /// The name of the call.
    pub call: Call,
    /// The number of its first message, from 0 for each sender.
    pub first: u64,
    /// How many there are.
    pub count: u8,
    /// Which of them are empty, as bits.
    pub empty: u64,
    /// The place of the receiver, where it is named.
    pub to: Option<u8>,
}

/// How a sending call ended: of its messages the first `went` went, the others did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// When.
    pub at: u64,
    /// How many went.
    pub went: u8,
    /// The pid that a receipt names.
    pub receipt: Option<u32>,
    /// Why the others did not.
    pub refusal: Option<Refusal>,
}

/// A receiving call that begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receiving {
    /// When.
    pub at: u64,
    /// The name of the call.
    pub call: Call,
    /// The most messages that it takes.
    pub most: u8,
    /// The place of the sender, where it is named.
    pub from: Option<u8>,
}

/// How a receiving call ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// When.
    pub at: u64,
    /// What came.
    pub got: Vec<Got>,
    /// Why nothing did.
    pub refusal: Option<Refusal>,
}

/// A message that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Got {
    /// One of the traffic.
    Traffic {
        /// The sender's number.
        sender: u32,
        /// Which of its messages.
        seq: u64,
    },
    /// An empty one, from that process.
    Empty {
        /// The sender's pid.
        pid: u32,
    },
    /// The ledger's, which sends the receiver to rest.
    Probe,
    /// Something that nobody sent so.
    Spoilt,
}

/// What victims call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    Send,
    TrySend,
    SendWith,
    Deliver,
    DeliverWith,
    TryDeliver,
    SendBatch,
    TrySendBatch,
    SendBurst,
    Receive,
    ReceiveWith,
    TryReceive,
    ReceiveBatch,
    TryReceiveBatch,
    ReceiveBurst,
    ReceiveFrom,
}

impl Call {
    /// As the library calls it.
    pub fn name(self) -> &'static str {
        match self {
            Call::Send => "send",
            Call::TrySend => "try_send",
            Call::SendWith => "send_with",
            Call::Deliver => "deliver",
            Call::DeliverWith => "deliver_with",
            Call::TryDeliver => "try_deliver",
            Call::SendBatch => "send_batch",
            Call::TrySendBatch => "try_send_batch",
            Call::SendBurst => "one send after the other",
            Call::Receive => "receive",
            Call::ReceiveWith => "receive_with",
            Call::TryReceive => "try_receive",
            Call::ReceiveBatch => "receive_batch",
            Call::TryReceiveBatch => "try_receive_batch",
            Call::ReceiveBurst => "one receive after the other",
            Call::ReceiveFrom => "receive_from",
        }
    }

    /// Whether it waits until something has been done.
    pub fn waits(self) -> bool {
        !matches!(
            self,
            Call::TrySend
                | Call::TryDeliver
                | Call::TrySendBatch
                | Call::TryReceive
                | Call::TryReceiveBatch
        )
    }
}

/// Why a call did not do it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There was no room, or nothing there.
    NotNow,
    TimedOut,
    ByteCap,
    /// The partners are gone.
    Disconnected,
    /// Nobody has the partner's name.
    Absent,
    /// The mailbox is gone.
    Destroyed,
}

/// Where a victim writes its notes.
#[derive(Debug)]
pub struct Scribe {
    pipe: File,
    unwritten: Vec<u8>,
}

impl Scribe {
    /// Into that pipe.
    pub fn new(pipe: File) -> Self {
        Scribe { pipe, unwritten: Vec::new() }
    }

    /// Prepares a note; [`write`](Self::write) writes it.
    pub fn note(&mut self, note: &Note) -> io::Result<()> {
        let frame = postcard::to_stdvec(note).map_err(io::Error::other)?;
        self.unwritten.extend((frame.len() as u16).to_le_bytes());
        self.unwritten.extend(frame);
        Ok(())
    }

    /// Writes what was prepared, at once.
    pub fn write(&mut self) -> io::Result<()> {
        self.pipe.write_all(&self.unwritten)?;
        self.unwritten.clear();
        Ok(())
    }

    /// Tells why it cannot go on.
    pub fn fail(&mut self, reason: &str) -> io::Result<()> {
        self.unwritten.clear();
        self.note(&Note::Failed(reason.chars().take(WORDS).collect()))?;
        self.write()
    }
}

/// The notes in what was read so far of a victim's pipe.
#[derive(Debug, Default)]
pub struct Unread {
    bytes: Vec<u8>,
    at: usize,
}

impl Unread {
    /// More of it.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend(bytes);
    }
}

impl Iterator for Unread {
    type Item = Result<Note, postcard::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let (len, rest) = self.bytes[self.at..].split_first_chunk()?;
        let len = usize::from(u16::from_le_bytes(*len));
        let frame = rest.get(..len)?;
        self.at += 2 + len;
        Some(postcard::from_bytes(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek};

    #[test]
    fn notes_are_read_as_they_were_written_however_they_are_cut() {
        let got = vec![Got::Traffic { sender: u32::MAX, seq: u64::MAX }; BURST];
        let notes = [
            Note::Ready,
            Note::Received(Received { at: u64::MAX, got, refusal: Some(Refusal::TimedOut) }),
            Note::Counted(9),
        ];
        let mut file = tempfile::tempfile().unwrap();
        let mut scribe = Scribe::new(file.try_clone().unwrap());
        notes.iter().for_each(|note| scribe.note(note).unwrap());
        assert!(scribe.unwritten.len() < nix::libc::PIPE_BUF, "a write is whole or not at all");
        scribe.write().unwrap();
        let mut bytes = Vec::new();
        file.rewind().unwrap();
        file.read_to_end(&mut bytes).unwrap();
        let mut unread = Unread::default();
        let mut read = Vec::new();
        for byte in bytes {
            unread.extend(&[byte]);
            read.extend(unread.by_ref().map(Result::unwrap));
        }
        assert_eq!(read, notes);
    }
}
