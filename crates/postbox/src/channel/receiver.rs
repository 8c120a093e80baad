//! The receiving end.

mod in_place;

pub use in_place::InPlace;

use super::Awaited;
use super::carry::{Express, Inbox, Popped};
use super::end::End;
use super::floor::Floor;
use super::lifetime::Over;
use super::names::Senders;
use super::pollable::{PollSet, Pollable};
use super::rendezvous::obliged;
use super::statistics::Statistics;
use super::turn::Turn;
use crate::error::{Fault, ReceiveError};
use crate::mechanism::{Capacity, Mechanism, WaitStrategy};
use crate::message::{Bytes, Message};
use crate::peer::Peer;
use crate::wait::{FOREVER, Wait};
use std::cell::RefCell;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Weak};

/// The receiving end of a channel of `T`.
///
/// `Send` and `Clone`, not `Sync`: each thread has its own. Each message is taken by exactly one
/// of the clones. Iterate over `&receiver` to receive until the last sender is gone.
pub struct Receiver<T: Message> {
    pub(super) end: End,
    pub(super) inbox: Inbox,
    bytes: RefCell<Vec<u8>>,
    polled: RefCell<Weak<PollSet>>,
    senders: Senders,
    /// The error that ended a batch: the next call's.
    pub(super) pending: RefCell<Option<ReceiveError>>,
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
        Receiver {
            senders: Senders::of(&end.channel),
            end,
            inbox: Inbox::default(),
            bytes: RefCell::default(),
            polled: RefCell::default(),
            pending: RefCell::default(),
            message: PhantomData,
        }
    }

    /// The same end, all of whose messages are from the partner of its link.
    #[cfg_attr(not(test), allow(dead_code, reason = "for mailboxes and links"))]
    pub(crate) fn with_partner(self, partner: Peer) -> Self {
        Receiver { senders: Senders::Partner(partner), ..self }
    }

    /// The same end, which ends although it is a mailbox's: once a sender has been attached, none is
    /// left and nothing waits, it says [`Disconnected`](ReceiveError::Disconnected). Its clones do
    /// the same.
    pub fn until_drained(self) -> Self {
        self.end.drains.set(true);
        // What was seen so far was seen with other eyes.
        self.end.partners_at.set(u64::MAX);
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
        let mut bytes = self.bytes.borrow_mut();
        bytes.clear();
        let popped = match self.came_at_once(&mut bytes) {
            Some(popped) => popped,
            None => self.wait_into(&mut bytes, wait)?,
        };
        self.open(popped, &mut bytes)
    }

    /// Never waits: `None` where there is no message. With capacity zero it takes the offer of a
    /// waiting sender.
    ///
    /// # Errors
    ///
    /// Those of [`receive`](Self::receive).
    pub fn try_receive(&self) -> Result<Option<Delivery<T>>, ReceiveError> {
        let mut bytes = self.bytes.borrow_mut();
        bytes.clear();
        if let Some(popped) = self.came_at_once(&mut bytes) {
            return self.open(popped, &mut bytes).map(Some);
        }
        match self.try_into(&mut bytes)? {
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
        self.end.check()?;
        if let Some(shared) = self.polled() {
            return Ok(Pollable::from_shared(shared));
        }
        let pollable = Pollable::new(&self.end)?;
        *self.polled.borrow_mut() = Arc::downgrade(pollable.shared());
        Ok(pollable)
    }

    /// Messages that wait in the channel now.
    pub fn len(&self) -> usize {
        self.end.channel.len() as usize
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the channel was created with.
    pub fn capacity(&self) -> Capacity {
        self.end.channel.config.capacity
    }

    /// What carries the messages.
    pub fn mechanism(&self) -> Mechanism {
        self.end.channel.config.mechanism
    }

    /// Bytes of the largest message.
    pub fn max_message(&self) -> usize {
        self.end.channel.config.max_message
    }

    /// What the channel has carried so far.
    pub fn statistics(&self) -> Statistics {
        self.end.channel.statistics()
    }

    /// The end alone, to be passed on to another program; what it holds of a packet goes where that
    /// finds it.
    pub(crate) fn into_end(self) -> Result<End, Fault> {
        self.end.check()?;
        self.end.channel.put_back(&self.end, &self.inbox)?;
        self.end.forget_bodies();
        Ok(self.end)
    }

    pub(crate) fn end(&self) -> &End {
        &self.end
    }

    pub(crate) fn wait_strategy(&self) -> WaitStrategy {
        self.end.patience.strategy()
    }

    /// The set behind this end's pollable, while somebody holds one.
    fn polled(&self) -> Option<Arc<PollSet>> {
        self.polled.borrow().upgrade().filter(|polled| polled.is_ours())
    }

    pub(super) fn settle_pending(&self) -> Result<(), ReceiveError> {
        if self.pending.borrow().is_none() { Ok(()) } else { self.return_pending() }
    }

    #[cold]
    fn return_pending(&self) -> Result<(), ReceiveError> {
        self.pending.take().map_or(Ok(()), Err)
    }

    fn open(&self, popped: Popped, bytes: &mut Vec<u8>) -> Result<Delivery<T>, ReceiveError> {
        let message = T::decode(bytes)?;
        Ok(Delivery { message, sender: self.peer(popped) })
    }

    #[inline(always)]
    pub(super) fn peer(&self, popped: Popped) -> Peer {
        self.senders.peer(&self.end.channel, popped.sender_pid)
    }

    #[inline(always)]
    fn pop(&self, into: &mut Vec<u8>) -> Result<Option<Popped>, Fault> {
        let channel = &self.end.channel;
        let popped = channel.pop(&self.end, &self.inbox, into)?;
        if channel.queues && popped.is_some() {
            channel.tell_if_drained();
        }
        Ok(popped)
    }

    /// A message that waits in a ring, where nothing is to be done but to copy it.
    #[inline(always)]
    fn came_at_once(&self, into: &mut Vec<u8>) -> Option<Popped> {
        let end = &self.end;
        if !end.channel.express {
            return self.came_among_many(into);
        }
        if !self.may_glance() {
            return None;
        }
        match end.channel.receive_slot(end, &self.inbox, into) {
            Express::Message(popped) => Some(popped),
            Express::Nothing | Express::LongWay => None,
        }
    }

    #[inline(never)]
    fn came_among_many(&self, into: &mut Vec<u8>) -> Option<Popped> {
        let end = &self.end;
        if !end.channel.shared_lane || !self.may_glance() {
            return None;
        }
        match end.channel.receive_among_many(end, &self.inbox, into) {
            Ok(Express::Message(popped)) => Some(popped),
            Ok(Express::Nothing | Express::LongWay) => None,
            Err(fault) => {
                // The long way begins with it.
                self.pending.replace(Some(fault.into()));
                None
            }
        }
    }

    /// Whether nothing comes before a glance at the ring.
    #[inline(always)]
    pub(super) fn may_glance(&self) -> bool {
        self.end.is_ours() && self.pending.borrow().is_none()
    }

    #[inline(never)]
    pub(super) fn wait_into(
        &self,
        into: &mut Vec<u8>,
        wait: &Wait,
    ) -> Result<Popped, ReceiveError> {
        self.end.check()?;
        self.settle_pending()?;
        let empty = wait.is_forever() && self.sleeps_first()
            || match self.receive_express(into)? {
                Express::Message(popped) => return Ok(popped),
                Express::Nothing => true,
                Express::LongWay => false,
            };
        self.look_at_owner()?;
        let _floor = match Floor::wait(&self.end, wait) {
            Ok(floor) => floor,
            Err(error) => return self.leave_line(error),
        };
        let turn = Turn::wait(&self.end);
        let mut attempt = |earnest: bool| {
            if !earnest {
                match self.end.channel.receive_slot(&self.end, &self.inbox, into) {
                    Express::Message(popped) => return Ok(Some(popped)),
                    Express::Nothing => return Ok(None),
                    Express::LongWay => {}
                }
            }
            self.pop_or_end(into)
        };
        let first = if empty && wait.is_forever() { Ok(None) } else { attempt(true) };
        let outcome = match first {
            Ok(Some(popped)) => {
                self.end.was_awake();
                Ok(popped)
            }
            Ok(None) => self.end.wait_for_more(Awaited::Message, wait, attempt),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(popped) => Ok(popped),
            Err(error) => self.leave_without(error, &turn, into),
        }
    }

    /// Whether it is better to sleep at once: the kernel does not let one sleep while there is a message,
    /// unless another receiver has been woken for it.
    #[inline]
    fn sleeps_first(&self) -> bool {
        self.end.patience.expects_sleep()
            && !self.inbox.looks_ahead()
            && self.end.nothing_new(Awaited::Message)
            && self.end.is_alone()
    }

    /// The short ways.
    #[inline(always)]
    fn receive_express(&self, into: &mut Vec<u8>) -> Result<Express, Fault> {
        let channel = &self.end.channel;
        match (channel.express, channel.shared_lane) {
            (true, _) => Ok(channel.receive_slot(&self.end, &self.inbox, into)),
            (_, true) => channel.receive_among_many(&self.end, &self.inbox, into),
            _ => channel.receive_entry(&self.end, &self.inbox, into),
        }
    }

    /// A wait for the floor is over without it.
    #[cold]
    fn leave_line(&self, error: ReceiveError) -> Result<Popped, ReceiveError> {
        if let ReceiveError::Denied(_) | ReceiveError::Disconnected = error {
            self.end.pass_on_wakeups();
        }
        Err(error)
    }

    /// A wait is over without a message.
    #[cold]
    fn leave_without(
        &self,
        error: ReceiveError,
        turn: &Turn<'_>,
        into: &mut Vec<u8>,
    ) -> Result<Popped, ReceiveError> {
        match error {
            // A try_send may have counted on this receiver in the last moment.
            ReceiveError::TimedOut | ReceiveError::Cancelled => {
                obliged(turn, || self.pop(into))?.ok_or(error)
            }
            ReceiveError::Denied(_) => {
                let popped = obliged(turn, || self.pop(into))?;
                self.end.pass_on_wakeups();
                popped.ok_or(error)
            }
            ReceiveError::Disconnected => {
                self.end.pass_on_wakeups();
                Err(error)
            }
            other => Err(other),
        }
    }

    /// What a mailbox's owner can take away is looked at although there is something to receive.
    #[inline]
    fn look_at_owner(&self) -> Result<(), ReceiveError> {
        if self.end.guarded {
            self.end.look_around()?;
        }
        Ok(())
    }

    #[inline(always)]
    fn pop_or_end(&self, into: &mut Vec<u8>) -> Result<Option<Popped>, ReceiveError> {
        self.end.usable()?;
        match self.pop(into)? {
            Some(popped) => Ok(Some(popped)),
            None => self.end_or_none(into),
        }
    }

    /// Nothing was there.
    #[inline(never)]
    fn end_or_none(&self, into: &mut Vec<u8>) -> Result<Option<Popped>, ReceiveError> {
        self.end.mend();
        match self.end.partners() {
            Ok(()) => return Ok(None),
            Err(Over::Disconnected) => {}
            Err(over) => return Err(over.into()),
        }
        // The last sender may have sent and left in between. If it died, what it left half done is
        // in front of the rest until somebody has cleared it, and rings the news then.
        match self.pop(into)? {
            Some(popped) => Ok(Some(popped)),
            None if self.end.channel.is_drained() => Err(ReceiveError::Disconnected),
            None => Ok(None),
        }
    }

    pub(super) fn try_into(&self, into: &mut Vec<u8>) -> Result<Option<Popped>, ReceiveError> {
        self.end.check()?;
        self.settle_pending()?;
        self.look_at_owner()?;
        self.end.usable()?;
        let popped = match Floor::try_take(&self.end) {
            Some(_floor) => self.try_pop(into),
            // Somebody else executes a receive, which may be to wait for ever.
            None => self.end.ended().map(|()| None).map_err(ReceiveError::from),
        };
        if let (Ok(None), Some(polled)) = (&popped, self.polled()) {
            polled.refresh(&self.end)?;
        }
        popped
    }

    #[inline(always)]
    fn try_pop(&self, into: &mut Vec<u8>) -> Result<Option<Popped>, ReceiveError> {
        if let Some(popped) = self.pop(into)? {
            return Ok(Some(popped));
        }
        self.end.look_around()?;
        self.end.wake_a_sender(Awaited::Message);
        self.pop_or_end(into)
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
        let popped = match self.came_at_once(buffer) {
            Some(popped) => popped,
            None => self.wait_into(buffer, wait)?,
        };
        Ok(self.peer(popped))
    }

    /// Never waits: `None`, and an empty buffer, where there is no message.
    ///
    /// # Errors
    ///
    /// Those of [`try_receive`](Self::try_receive).
    pub fn try_receive_into(&self, buffer: &mut Vec<u8>) -> Result<Option<Peer>, ReceiveError> {
        buffer.clear();
        let popped = match self.came_at_once(buffer) {
            Some(popped) => Some(popped),
            None => self.try_into(buffer)?,
        };
        Ok(popped.map(|popped| self.peer(popped)))
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
        let stop_packing = || self.end.channel.stop_packing(&self.end, &self.inbox);
        let end = self.end.another_after(stop_packing);
        Receiver { senders: self.senders.clone(), ..Receiver::new(end) }
    }
}

impl<T: Message> std::fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Receiver").field(&self.end).finish()
    }
}
