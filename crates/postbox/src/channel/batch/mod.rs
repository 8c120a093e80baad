//! Batches: many messages in one call, and where it can be in one system call.
//!
//! Over a kernel object messages share packets while the channel has one receiver
//! (see the module `carry`). The contract is that of single messages: a batch is
//! a way to pay less, and no unit of anything. Its messages go one by one as far as room is concerned, may
//! be received one by one, and if one does not go those before it have gone.
//!
//! [`sending`] has the one side, [`receiving`] the other.

mod receiving;
mod sending;

pub(super) use sending::Behind;

use crate::peer::Peer;

/// Messages of bare bytes, taken together: a buffer to be used again and again, so that nothing is
/// allocated per message.
///
/// ```
/// use postbox::{Batch, Bytes, Capacity, Mechanism};
///
/// let (tx, rx) = postbox::channel::<Bytes>(Mechanism::Pipe, Capacity::Bounded(128))?;
/// tx.send_batch([&b"one"[..], b"two", b"three"])?; // one write(2)
///
/// let mut batch = Batch::new();
/// rx.receive_batch_into(&mut batch, 64)?; // one read(2), and one that finds nothing more
/// assert_eq!(batch.iter().collect::<Vec<_>>(), [&b"one"[..], b"two", b"three"]);
/// assert_eq!(batch.sender(2).map(postbox::Peer::pid), Some(std::process::id()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each message ends.
    ends: Vec<usize>,
    /// Senders in a row, and how many messages there are up to each one's last.
    senders: Vec<(usize, Peer)>,
}

impl Batch {
    /// An empty one.
    pub fn new() -> Self {
        Batch::default()
    }

    /// How many messages it holds.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The message at that place, in the order in which they were received.
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.bytes.get(start..end)
    }

    /// All of them, in that order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        let mut start = 0;
        self.ends.iter().map(move |&end| &self.bytes[std::mem::replace(&mut start, end)..end])
    }

    /// Who sent the message at that place.
    pub fn sender(&self, index: usize) -> Option<&Peer> {
        let run = self.senders.partition_point(|(until, _)| *until <= index);
        self.senders.get(run).map(|(_, peer)| peer)
    }

    /// Drops the messages, and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.senders.clear();
    }

    /// What was appended to the bytes is one message more.
    fn ended(&mut self) {
        self.ends.push(self.bytes.len());
    }

    /// The messages without a sender are that one's.
    fn sent_by(&mut self, peer: Peer) {
        let until = self.ends.len();
        match self.senders.last_mut() {
            Some((last, same)) if *same == peer => *last = until,
            _ => self.senders.push((until, peer)),
        }
    }
}
