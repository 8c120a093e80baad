//! Batches: many messages in one call, and where it can be in one system call.
//!
//! Over a kernel object messages share packets while the channel has one receiver
//! (see the module `carry`). The contract is that of single messages: a batch is
//! a way to pay less, and no unit of anything. Its messages go one by one as far as room is concerned, may
//! be received one by one, and if one does not go those before it have gone.

use super::carry::{Gathered, Popped, Went};
use super::floor::Floor;
use super::{Carrier, Channel, Delivery, Receiver, Sender};
use crate::error::{ReceiveError, SendBatchError, SendError, TooLarge, TrySendError};
use crate::mechanism::{Capacity, WaitStrategy};
use crate::message::{Bytes, Message};
use crate::peer::Peer;
use crate::wait::Wait;
use postbox_sys::cpu;
use std::ops::ControlFlow;

/// How often a sender looks for room for the rest of its packet before it takes what there is: some
/// microseconds.
const LINGER: u32 = 64;

/// Messages in a ring of which no receiver was told, at most.
const MOST_UNTOLD: u64 = 64;

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

/// Messages in a ring of which no receiver was told; they are when this is dropped, whatever the
/// iterator does.
struct Untold<'c> {
    channel: &'c Channel,
    count: u64,
}

impl Untold<'_> {
    fn tell(&mut self) {
        self.channel.tell(std::mem::take(&mut self.count));
    }
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        self.tell();
    }
}

impl<T: Message> Sender<T> {
    /// Sends all of them in order, each as by [`send`](Self::send), and says how many.
    ///
    /// Over a pipe, a socket or a message queue they share system calls while the channel has one
    /// receiver that was never cloned (channels as such; over links and mailboxes each goes by itself).
    /// So the first may wait in this process for the next ones to come out of the iterator, and the
    /// iterator may be ahead of what was sent by some hundred messages. When the call returns, all have
    /// gone, or the error says which have.
    ///
    /// # Errors
    ///
    /// Says how many went before the one that did not, and why it did not.
    pub fn send_batch<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m T::Borrowed>,
    ) -> Result<usize, SendBatchError>
    where
        T::Borrowed: 'm,
    {
        self.send_batch_with(messages, &Wait::forever())
    }

    /// As [`send_batch`](Self::send_batch), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also [`TimedOut`](SendError::TimedOut) and [`Cancelled`](SendError::Cancelled): then those that
    /// went have gone, and of the others nothing.
    pub fn send_batch_with<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m T::Borrowed>,
        wait: &Wait,
    ) -> Result<usize, SendBatchError>
    where
        T::Borrowed: 'm,
    {
        self.send_all(messages.into_iter(), Some(wait))
    }

    /// Sends as many of them as there is room for, in order, and says how many.
    ///
    /// # Errors
    ///
    /// Any reason but a full channel.
    pub fn try_send_batch<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m T::Borrowed>,
    ) -> Result<usize, SendBatchError>
    where
        T::Borrowed: 'm,
    {
        self.send_all(messages.into_iter(), None)
    }

    /// Waits for room as long as `wait` says, or not at all.
    fn send_all<'m>(
        &self,
        messages: impl Iterator<Item = &'m T::Borrowed>,
        wait: Option<&Wait>,
    ) -> Result<usize, SendBatchError>
    where
        T::Borrowed: 'm,
    {
        let mut sent = 0;
        // Taken out, should the iterator send by this very end.
        let mut gathered = self.outbox.take_gathered();
        let channel = &self.end.channel;
        let outcome = match &channel.carrier {
            _ if channel.config.capacity == Capacity::Zero => {
                self.one_by_one(messages, wait, &mut sent)
            }
            Carrier::Ring(_) => self.publish(messages, wait, &mut sent),
            Carrier::Kernel(_) if channel.packs() => {
                self.gather(messages, &mut gathered, wait, &mut sent)
            }
            Carrier::Kernel(_) => self.one_by_one(messages, wait, &mut sent),
        };
        self.outbox.keep_gathered(gathered);
        match outcome {
            Ok(()) => Ok(sent),
            Err(reason) => Err(SendBatchError { sent, reason }),
        }
    }

    /// Each by itself, until one finds no room and is not to wait.
    fn one_by_one<'m>(
        &self,
        messages: impl Iterator<Item = &'m T::Borrowed>,
        wait: Option<&Wait>,
        sent: &mut usize,
    ) -> Result<(), SendError>
    where
        T::Borrowed: 'm,
    {
        for message in messages {
            if !self.send_one(message, wait)? {
                break;
            }
            *sent += 1;
        }
        Ok(())
    }

    /// Over a ring: receivers are told of many at once.
    fn publish<'m>(
        &self,
        messages: impl Iterator<Item = &'m T::Borrowed>,
        wait: Option<&Wait>,
        sent: &mut usize,
    ) -> Result<(), SendError>
    where
        T::Borrowed: 'm,
    {
        let channel = &self.end.channel;
        let mut untold = Untold { channel, count: 0 };
        for message in messages {
            if untold.count == 0 {
                self.end.check()?;
                self.end.look_around()?;
            }
            self.end.partners()?;
            let went = self.with_bytes(message, |bytes| {
                let pushed = channel.push_untold(&self.end, &self.outbox, bytes).is_ok();
                if pushed {
                    self.end.count_message(bytes.len());
                }
                pushed
            })?;
            untold.count += u64::from(went);
            if !went || untold.count == MOST_UNTOLD {
                untold.tell();
            }
            // Why not, and whether to wait, is told by itself.
            if !went && !self.send_one(message, wait)? {
                break;
            }
            *sent += 1;
        }
        Ok(())
    }

    /// Whether it went; if not, the channel is full and nobody was to wait.
    fn send_one(&self, message: &T::Borrowed, wait: Option<&Wait>) -> Result<bool, SendError> {
        match wait {
            Some(wait) => self.send_with(message, wait).map(|()| true),
            None => match self.try_send(message) {
                Ok(()) => Ok(true),
                Err(TrySendError::Full) => Ok(false),
                Err(TrySendError::Send(reason)) => Err(reason),
            },
        }
    }

    fn gather<'m>(
        &self,
        messages: impl Iterator<Item = &'m T::Borrowed>,
        gathered: &mut Gathered,
        wait: Option<&Wait>,
        sent: &mut usize,
    ) -> Result<(), SendError>
    where
        T::Borrowed: 'm,
    {
        gathered.clear();
        for message in messages {
            // What is wrong with this one is told when those before it have gone.
            let mut added = self.add(message, gathered);
            if !matches!(added, Ok(true)) {
                if !self.flush(gathered, wait, sent)? {
                    return Ok(());
                }
                gathered.clear();
                if added.is_ok() {
                    added = self.add(message, gathered);
                }
            }
            // Alone it is too long for a packet, too.
            if !added? {
                if !self.send_one(message, wait)? {
                    return Ok(());
                }
                *sent += 1;
            }
        }
        self.flush(gathered, wait, sent).map(drop)
    }

    /// Whether there is room for it among what was gathered.
    fn add(&self, message: &T::Borrowed, gathered: &mut Gathered) -> Result<bool, SendError> {
        let limit = self.end.channel.config.entry_limit;
        self.with_bytes(message, |bytes| gathered.add(bytes, limit))
    }

    /// The message's bytes, if it may be that long.
    #[inline]
    fn with_bytes<R>(
        &self,
        message: &T::Borrowed,
        act: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, SendError> {
        let mut scratch = self.encoded.borrow_mut();
        let bytes = T::encode(message, &mut scratch)?;
        let config = &self.end.channel.config;
        if !config.allows(bytes.len()) {
            let fixed = config.fixed_size.is_some();
            return Err(TooLarge { len: bytes.len(), max: config.max_message, fixed }.into());
        }
        Ok(act(bytes))
    }

    /// Sends what was gathered; false if the channel is full and nobody was to wait.
    fn flush(
        &self,
        gathered: &mut Gathered,
        wait: Option<&Wait>,
        sent: &mut usize,
    ) -> Result<bool, SendError> {
        if gathered.left() > 0 {
            self.end.check()?;
            self.end.look_around()?;
        }
        while gathered.left() > 0 {
            let went = match wait {
                Some(wait) => {
                    self.linger(gathered.left());
                    Some(self.wait_for_room(wait, || self.push_gathered(gathered))?)
                }
                // The second time after a repair, if one was due.
                None => match self.push_gathered(gathered)? {
                    None => self.push_gathered(gathered)?,
                    went => went,
                },
            };
            match went {
                Some(went) => *sent += went,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Room comes message by message, and a receiver that takes many at a time makes much of it in an
    /// instant. Whoever took the first of it at once would send its packet in as many calls as it has
    /// messages.
    fn linger(&self, left: usize) {
        let channel = &self.end.channel;
        let Capacity::Bounded(n) = channel.config.capacity else { return };
        if self.end.patience.strategy() == WaitStrategy::Block {
            return;
        }
        let wanted = (left as u64).min(u64::from(n).div_ceil(2));
        let admission = channel.block.control.admission();
        for _ in 0..LINGER {
            if admission.room(Some(n.into())) >= wanted {
                break;
            }
            cpu::breathe(1);
        }
    }

    /// How many went, none if there is no room.
    fn push_gathered(&self, gathered: &mut Gathered) -> Result<Option<usize>, SendError> {
        self.end.partners()?;
        let len = gathered.first().len();
        match self.end.channel.push_gathered(&self.end, &self.outbox, gathered) {
            Ok(Went { messages, bytes }) => {
                self.end.count_messages(messages, bytes);
                Ok(Some(messages))
            }
            Err(refused) => self.not_pushed(refused, len),
        }
    }
}

impl<T: Message> Receiver<T> {
    /// Waits for a message, then takes what else is there, up to `most` in all.
    ///
    /// # Errors
    ///
    /// Those of [`receive`](Self::receive), if not even one came. An error after the first ends
    /// the batch, and is what the next call returns.
    pub fn receive_batch(&self, most: usize) -> Result<Vec<Delivery<T>>, ReceiveError> {
        self.receive_batch_with(most, &Wait::forever())
    }

    /// As [`receive_batch`](Self::receive_batch), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also [`TimedOut`](ReceiveError::TimedOut) and [`Cancelled`](ReceiveError::Cancelled), if not
    /// even one came.
    pub fn receive_batch_with(
        &self,
        most: usize,
        wait: &Wait,
    ) -> Result<Vec<Delivery<T>>, ReceiveError> {
        let mut batch = Vec::new();
        if most > 0 {
            self.end.check()?;
            self.settle_pending()?;
            // One receive, however many messages.
            let _floor = Floor::wait(&self.end, wait)?;
            batch.push(self.receive_with(wait)?);
            self.fill(&mut batch, most);
        }
        Ok(batch)
    }

    /// Takes what is there, up to `most`; none where there is nothing.
    ///
    /// # Errors
    ///
    /// Those of [`try_receive`](Self::try_receive), if not even one came.
    pub fn try_receive_batch(&self, most: usize) -> Result<Vec<Delivery<T>>, ReceiveError> {
        let mut batch = Vec::new();
        self.end.check()?;
        // One receive as well. Without the floor there is nothing, but perhaps an error.
        let floor = Floor::try_take(&self.end);
        if most > 0
            && let Some(first) = self.try_receive()?
        {
            batch.push(first);
            if floor.is_some() {
                self.fill(&mut batch, most);
            }
        }
        Ok(batch)
    }

    fn fill(&self, batch: &mut Vec<Delivery<T>>, most: usize) {
        while batch.len() < most {
            let more = match self.end.channel.next_held(&self.inbox) {
                0 => self.try_receive().map(|next| {
                    let none = next.is_none();
                    batch.extend(next);
                    !none
                }),
                held => {
                    batch.reserve(held.min(most - batch.len()));
                    self.open_held(batch, most).map(|()| true)
                }
            };
            match more {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    *self.pending.borrow_mut() = Some(error);
                    break;
                }
            }
        }
    }

    /// What this end holds of a packet, up to `most` in all, or up to one that is no `T`.
    fn open_held(&self, batch: &mut Vec<Delivery<T>>, most: usize) -> Result<(), ReceiveError> {
        let (channel, end) = (&self.end.channel, &self.end);
        let mut opened = Ok(());
        channel.take_many_held(end, &self.inbox, most - batch.len(), |message, popped| {
            match T::decode(&mut message.to_vec()) {
                Ok(message) => {
                    batch.push(Delivery::new(message, self.peer(popped)));
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    opened = Err(ReceiveError::from(error));
                    ControlFlow::Break(())
                }
            }
        })?;
        opened
    }
}

impl Receiver<Bytes> {
    /// Waits for a message and replaces what `batch` holds by it and by what else is there, up to
    /// `most` in all; how many. Nothing is allocated if its memory suffices.
    ///
    /// # Errors
    ///
    /// Those of [`receive_batch`](Self::receive_batch).
    pub fn receive_batch_into(
        &self,
        batch: &mut Batch,
        most: usize,
    ) -> Result<usize, ReceiveError> {
        self.receive_batch_into_with(batch, most, &Wait::forever())
    }

    /// As [`receive_batch_into`](Self::receive_batch_into), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`receive_batch_with`](Self::receive_batch_with).
    pub fn receive_batch_into_with(
        &self,
        batch: &mut Batch,
        most: usize,
        wait: &Wait,
    ) -> Result<usize, ReceiveError> {
        batch.clear();
        if most > 0 {
            self.end.check()?;
            self.settle_pending()?;
            // One receive, however many messages.
            let _floor = Floor::wait(&self.end, wait)?;
            let popped = self.wait_into(&mut batch.bytes, wait)?;
            batch.ended();
            batch.sent_by(self.peer(popped));
            self.fill_into(batch, most);
        }
        Ok(batch.len())
    }

    /// Replaces what `batch` holds by what is there, up to `most`; how many, and none where there is
    /// nothing.
    ///
    /// # Errors
    ///
    /// Those of [`try_receive_batch`](Self::try_receive_batch).
    pub fn try_receive_batch_into(
        &self,
        batch: &mut Batch,
        most: usize,
    ) -> Result<usize, ReceiveError> {
        batch.clear();
        self.end.check()?;
        let floor = Floor::try_take(&self.end);
        if most > 0
            && let Some(popped) = self.try_into(&mut batch.bytes)?
        {
            batch.ended();
            batch.sent_by(self.peer(popped));
            if floor.is_some() {
                self.fill_into(batch, most);
            }
        }
        Ok(batch.len())
    }

    fn fill_into(&self, batch: &mut Batch, most: usize) {
        while batch.len() < most {
            let (whole, count) = (batch.bytes.len(), batch.len());
            let taken = match self.end.channel.next_held(&self.inbox) {
                0 => {
                    self.try_into(&mut batch.bytes).map(|popped| popped.inspect(|_| batch.ended()))
                }
                _ => self.take_held(batch, most - batch.len()).map(Some),
            };
            match taken {
                Ok(Some(popped)) => batch.sent_by(self.peer(popped)),
                Ok(None) => break,
                Err(error) => {
                    batch.bytes.truncate(whole);
                    batch.ends.truncate(count);
                    *self.pending.borrow_mut() = Some(error);
                    break;
                }
            }
        }
    }

    /// As many of what this end holds of a packet, which are one sender's.
    fn take_held(&self, batch: &mut Batch, most: usize) -> Result<Popped, ReceiveError> {
        let Batch { bytes, ends, .. } = batch;
        let (channel, end) = (&self.end.channel, &self.end);
        let mut popped = Popped { sender_pid: 0 };
        channel.take_many_held(end, &self.inbox, most, |message, by| {
            bytes.extend_from_slice(message);
            ends.push(bytes.len());
            popped = by;
            ControlFlow::Continue(())
        })?;
        Ok(popped)
    }
}
