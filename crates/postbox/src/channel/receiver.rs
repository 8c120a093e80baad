//! The receiving end.

mod bytes;
mod in_place;
mod taking;

pub use in_place::InPlace;

pub(super) use self::bytes::ByteReceiver;
use super::carry::Popped;
use super::end::End;
use super::pollable::Pollable;
use super::statistics::Statistics;
use crate::error::{Fault, ReceiveError};
use crate::mechanism::{Capacity, Mechanism, WaitStrategy};
use crate::message::{Bytes, Message};
use crate::peer::Peer;
use crate::wait::{FOREVER, Wait};
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// The receiving end of a channel of `T`.
///
/// `Send` and `Clone`, not `Sync`: each thread has its own. Each message is taken by exactly one
/// of the clones. Iterate over `&receiver` to receive until the last sender is gone.
pub struct Receiver<T: Message> {
    pub(super) bytes: ByteReceiver,
    message: PhantomData<fn() -> T>,
}

/// A message that was taken, and from whom; it derefs to the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery<T> {
    message: T,
    sender: Peer,
}

impl<T> Delivery<T> {
    pub(crate) fn new(message: T, sender: Peer) -> Self {
        Delivery { message, sender }
    }

    /// Who sent it: on a link the partner, otherwise who the sender says it is.
    pub fn sender(&self) -> &Peer {
        &self.sender
    }

    /// The message alone.
    pub fn into_inner(self) -> T {
        self.message
    }
}

impl<T> Deref for Delivery<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.message
    }
}

impl<T> DerefMut for Delivery<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.message
    }
}

impl<T: Message> Receiver<T> {
    pub(crate) fn new(end: End) -> Self {
        Receiver { bytes: ByteReceiver::new(end), message: PhantomData }
    }

    /// The same end, all of whose messages are from the partner of its link.
    #[cfg_attr(not(test), allow(dead_code, reason = "for mailboxes and links"))]
    pub(crate) fn with_partner(self, partner: Peer) -> Self {
        Receiver { bytes: self.bytes.with_partner(partner), message: PhantomData }
    }

    /// The same end, which ends although it is a mailbox's: once a sender has been attached, none is
    /// left and nothing waits, it says [`Disconnected`](ReceiveError::Disconnected). Its clones do
    /// the same.
    pub fn until_drained(self) -> Self {
        self.end().drains.set(true);
        // What was seen so far was seen with other eyes.
        self.end().partners_at.set(u64::MAX);
        self
    }

    /// Waits for a message.
    ///
    /// # Errors
    ///
    /// [`Disconnected`](ReceiveError::Disconnected) when the last sender is gone and nothing is left,
    /// [`Decode`](ReceiveError::Decode) when the message taken is not a `T`, or a [`Fault`]. Of a
    /// mailbox never `Disconnected`, but [`Destroyed`](ReceiveError::Destroyed), or
    /// [`Denied`](ReceiveError::Denied) when the right to receive was taken back.
    pub fn receive(&self) -> Result<Delivery<T>, ReceiveError> {
        self.receive_with(FOREVER)
    }

    /// As [`receive`](Self::receive), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also [`TimedOut`](ReceiveError::TimedOut) and [`Cancelled`](ReceiveError::Cancelled).
    pub fn receive_with(&self, wait: &Wait) -> Result<Delivery<T>, ReceiveError> {
        let mut bytes = self.bytes.taken.borrow_mut();
        bytes.clear();
        let popped = self.bytes.wait_into(&mut bytes, wait)?;
        self.open(popped, &mut bytes)
    }

    /// Never waits: `None` where there is no message. With capacity zero it takes the offer of a
    /// waiting sender.
    ///
    /// # Errors
    ///
    /// Those of [`receive`](Self::receive).
    pub fn try_receive(&self) -> Result<Option<Delivery<T>>, ReceiveError> {
        let mut bytes = self.bytes.taken.borrow_mut();
        bytes.clear();
        match self.bytes.try_take_into(&mut bytes)? {
            Some(popped) => self.open(popped, &mut bytes).map(Some),
            None => Ok(None),
        }
    }

    /// Receives until the last sender is gone.
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// A descriptor that is readable while a receive could return something.
    ///
    /// # Errors
    ///
    /// `EMFILE` and the like of `epoll_create1(2)`.
    pub fn pollable(&self) -> Result<Pollable, Fault> {
        self.end().check()?;
        if let Some(shared) = self.bytes.polled() {
            shared.count_on();
            shared.refresh(self.end())?;
            return Ok(Pollable::from_shared(shared));
        }
        let pollable = Pollable::new(self.end())?;
        *self.bytes.polled.borrow_mut() = Arc::downgrade(pollable.shared());
        Ok(pollable)
    }

    /// Messages that wait in the channel now.
    pub fn len(&self) -> usize {
        self.end().channel.len() as usize
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the channel was created with.
    pub fn capacity(&self) -> Capacity {
        self.end().channel.config.capacity
    }

    /// What carries the messages.
    pub fn mechanism(&self) -> Mechanism {
        self.end().channel.config.mechanism
    }

    /// Bytes of the largest message.
    pub fn max_message(&self) -> usize {
        self.end().channel.config.max_message
    }

    /// What the channel has carried so far.
    pub fn statistics(&self) -> Statistics {
        self.end().channel.statistics()
    }

    /// The end alone, to be passed on to another program; what it holds of a packet goes where that
    /// finds it.
    pub(crate) fn into_end(self) -> Result<End, Fault> {
        let ByteReceiver { end, inbox, .. } = self.bytes;
        end.check()?;
        end.channel.put_back(&end, &inbox)?;
        end.forget_bodies();
        Ok(end)
    }

    pub(crate) fn end(&self) -> &End {
        &self.bytes.end
    }

    pub(crate) fn wait_strategy(&self) -> WaitStrategy {
        self.end().patience.strategy()
    }

    fn open(&self, popped: Popped, bytes: &mut Vec<u8>) -> Result<Delivery<T>, ReceiveError> {
        let message = T::decode(bytes)?;
        Ok(Delivery { message, sender: self.bytes.peer(popped) })
    }
}

impl Receiver<Bytes> {
    /// Waits for a message and replaces what `buffer` holds by it. Nothing is allocated if its
    /// capacity suffices.
    ///
    /// # Errors
    ///
    /// Those of [`receive`](Self::receive).
    #[inline]
    pub fn receive_into(&self, buffer: &mut Vec<u8>) -> Result<Peer, ReceiveError> {
        self.receive_into_with(buffer, FOREVER)
    }

    /// As [`receive_into`](Self::receive_into), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`receive_with`](Self::receive_with).
    #[inline]
    pub fn receive_into_with(
        &self,
        buffer: &mut Vec<u8>,
        wait: &Wait,
    ) -> Result<Peer, ReceiveError> {
        buffer.clear();
        let popped = self.bytes.wait_into(buffer, wait)?;
        Ok(self.bytes.peer(popped))
    }

    /// Never waits: `None`, and an empty buffer, where there is no message.
    ///
    /// # Errors
    ///
    /// Those of [`try_receive`](Self::try_receive).
    pub fn try_receive_into(&self, buffer: &mut Vec<u8>) -> Result<Option<Peer>, ReceiveError> {
        buffer.clear();
        let popped = self.bytes.try_take_into(buffer)?;
        Ok(popped.map(|popped| self.bytes.peer(popped)))
    }
}

/// Receives until the last sender is gone; made by [`Receiver::iter`].
///
/// An error other than disconnection is an item, and the iteration can go on after it.
#[derive(Debug)]
pub struct Iter<'r, T: Message> {
    receiver: &'r Receiver<T>,
}

impl<T: Message> Iterator for Iter<'_, T> {
    type Item = Result<Delivery<T>, ReceiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.receiver.receive() {
            Err(ReceiveError::Disconnected) => None,
            other => Some(other),
        }
    }
}

impl<'r, T: Message> IntoIterator for &'r Receiver<T> {
    type Item = Result<Delivery<T>, ReceiveError>;
    type IntoIter = Iter<'r, T>;

    fn into_iter(self) -> Iter<'r, T> {
        self.iter()
    }
}

impl<T: Message> Clone for Receiver<T> {
    /// One more end. Should the channel have no place for it, every operation on it says so.
    ///
    /// The first clone of a channel's receiver ends the sharing of system calls by batches; it waits
    /// for senders that are in the middle of a batch.
    fn clone(&self) -> Self {
        Receiver { bytes: self.bytes.another(), message: PhantomData }
    }
}

impl<T: Message> std::fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Receiver").field(self.end()).finish()
    }
}
