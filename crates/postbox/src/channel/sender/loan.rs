//! Messages that are written where they will be read.

use super::{Receipt, Sender};
use crate::channel::Awaited;
use crate::channel::spool::Body;
use crate::error::{DeliverError, SendError, TooLarge, TrySendError};
use crate::message::Bytes;
use crate::wait::Wait;
use postbox_ring::region::{SharedSlice, SharedSliceMut};
use std::fmt;

/// Room for a message, to be written where it will be read; made by [`Sender::loan`].
///
/// What lay there before is still there. The message is as long as the loan, unless
/// [`truncate`](Self::truncate) makes it shorter. Until it is sent nobody sees it and it does not count
/// among those that wait; dropped, it was never there.
///
/// A loan takes bytes of the channel's [byte cap](crate::Options::byte_cap), and no other's turn: whoever
/// holds one, stops or dies with one keeps nobody from sending and receiving, as long as there are
/// bytes.
#[must_use = "a loan is sent by one of its methods, or given back when dropped"]
pub struct Loan<'s> {
    sender: &'s Sender<Bytes>,
    room: Room,
    len: usize,
}

/// Where a loan is written.
enum Room {
    /// In shared memory, in place.
    Body(Body),
    /// In the sending end's buffer: what is short, and what a rendezvous may have to offer again.
    Own(Vec<u8>),
    /// It was sent.
    Spent,
}

impl Sender<Bytes> {
    /// Room for a message of `len` bytes, to be written where it will be read: for a long message the
    /// copy into the channel is spared, and with [`receive_in_place`](crate::Receiver::receive_in_place)
    /// the one out of it. Waits only while such messages take up the byte cap: room among those that wait
    /// is for [`Loan::send`] to find.
    ///
    /// What is written in place is what would not fit an entry of the mechanism, on each of the four. A
    /// shorter message, and any with capacity zero, is written to a buffer of the end and sent as by
    /// [`send`](Self::send); the program is the same.
    ///
    /// The end is borrowed until the loan is sent or dropped. Who wants to send meanwhile has a clone.
    ///
    /// ```
    /// use postbox::{Bytes, Capacity, Mechanism};
    ///
    /// let (mut tx, mut rx) = postbox::channel::<Bytes>(Mechanism::SharedMemory, Capacity::Bounded(8))?;
    /// let mut loan = tx.loan(1 << 20)?;
    /// loan.bytes_mut().fill(7);
    /// loan.bytes_mut().copy_from(0, b"frame")?;
    /// loan.send()?;
    ///
    /// let message = rx.receive_in_place()?;
    /// let mut five = [0; 5];
    /// message.bytes().copy_to(0, &mut five)?;
    /// assert_eq!((&five, message.len()), (b"frame", 1 << 20));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn loan(&mut self, len: usize) -> Result<Loan<'_>, SendError> {
        self.loan_with(len, &Wait::forever())
    }

    /// As [`loan`](Self::loan), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also [`TimedOut`](SendError::TimedOut) and [`Cancelled`](SendError::Cancelled).
    pub fn loan_with(&mut self, len: usize, wait: &Wait) -> Result<Loan<'_>, SendError> {
        let sender: &Self = self;
        sender.may_send(len)?;
        let room = match sender.end.channel.lends(len) {
            true => Room::Body(sender.end.wait_for(Awaited::Space, wait, || sender.lend(len))?),
            false => sender.own_room(len)?,
        };
        Ok(Loan { sender, room, len })
    }

    /// As [`loan`](Self::loan), but never waits.
    ///
    /// # Errors
    ///
    /// [`Full`](TrySendError::Full) where bytes are lacking, and those of [`send`](Self::send).
    pub fn try_loan(&mut self, len: usize) -> Result<Loan<'_>, TrySendError> {
        let sender: &Self = self;
        sender.may_send(len)?;
        let room = match sender.end.channel.lends(len) {
            // The second time after a repair, if one was due.
            true => match sender.lend(len)? {
                Some(body) => Room::Body(body),
                None => Room::Body(sender.lend(len)?.ok_or(TrySendError::Full)?),
            },
            false => sender.own_room(len)?,
        };
        Ok(Loan { sender, room, len })
    }

    /// Whether a message that long may be sent by this end now.
    fn may_send(&self, len: usize) -> Result<(), SendError> {
        self.end.check()?;
        let config = &self.end.channel.config;
        if !config.allows(len) {
            let fixed = config.fixed_size.is_some();
            return Err(TooLarge { len, max: config.max_message, fixed }.into());
        }
        Ok(self.end.look_around()?)
    }

    fn lend(&self, len: usize) -> Result<Option<Body>, SendError> {
        self.has_receivers()?;
        match self.end.channel.lend(&self.end, len) {
            Ok(body) => Ok(Some(body)),
            Err(refused) => self.not_pushed(refused, len),
        }
    }

    fn own_room(&self, len: usize) -> Result<Room, SendError> {
        self.has_receivers()?;
        let mut own = self.encoded.take();
        if own.len() < len {
            own.resize(len, 0);
        }
        Ok(Room::Own(own))
    }
}

impl Loan<'_> {
    /// Bytes of the message.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Makes the message shorter; a `len` beyond its length changes nothing.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// The message, to be written.
    ///
    /// It is no `&mut [u8]`, since other members can reach the memory that it lies in; who trusts them has
    /// one by [`as_mut_slice`](SharedSliceMut::as_mut_slice).
    pub fn bytes_mut(&mut self) -> SharedSliceMut<'_> {
        match &mut self.room {
            Room::Body(body) => self.sender.end.channel.body_mut(body, self.len),
            Room::Own(own) => SharedSliceMut::from(&mut own[..self.len]),
            Room::Spent => SharedSliceMut::from(&mut [][..]),
        }
    }

    /// The message as it is so far.
    pub fn bytes(&self) -> SharedSlice<'_> {
        match &self.room {
            Room::Body(body) => self.sender.end.channel.body(body, self.len),
            Room::Own(own) => SharedSlice::from(&own[..self.len]),
            Room::Spent => SharedSlice::from(&[][..]),
        }
    }

    /// Sends it as [`Sender::send`] does: waits for room, and returns when the channel holds the message.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::send`]. Nothing was sent, and the loan is given back.
    pub fn send(self) -> Result<(), SendError> {
        self.send_with(&Wait::forever())
    }

    /// As [`send`](Self::send), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::send_with`], likewise.
    pub fn send_with(mut self, wait: &Wait) -> Result<(), SendError> {
        let sender = self.sender;
        sender.may_send(self.len)?;
        match &self.room {
            Room::Own(own) => sender.send_bytes(&own[..self.len], wait),
            Room::Body(_) | Room::Spent => sender.wait_for_room(wait, || self.push()),
        }
    }

    /// As [`send`](Self::send), but never waits.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::try_send`], likewise.
    pub fn try_send(self) -> Result<(), TrySendError> {
        self.try_send_or_keep().map_err(|(_, error)| error)
    }

    /// As [`try_send`](Self::try_send), but a loan that was not sent is kept, as it was written.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::try_send`], with the loan.
    pub fn try_send_or_keep(mut self) -> Result<(), (Self, TrySendError)> {
        self.attempt().map_err(|error| (self, error))
    }

    /// Sends it as [`Sender::deliver`] does, and waits until a receiver has taken it. That may take more
    /// than one offer, each of which takes its bytes along: so they are copied.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::deliver`]. The loan is given back.
    pub fn deliver(self) -> Result<Receipt, DeliverError> {
        self.deliver_with(&Wait::forever())
    }

    /// As [`deliver`](Self::deliver), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::deliver_with`], likewise.
    pub fn deliver_with(self, wait: &Wait) -> Result<Receipt, DeliverError> {
        let sender = self.sender;
        sender.may_send(self.len)?;
        let receipt = match &self.room {
            Room::Own(own) => sender.deliver_bytes(&own[..self.len], wait),
            Room::Body(_) | Room::Spent => {
                let mut copy = sender.encoded.borrow_mut();
                copy.clear();
                self.bytes().append_to(&mut copy);
                sender.deliver_bytes(&copy, wait)
            }
        };
        Ok(receipt?)
    }

    fn attempt(&mut self) -> Result<(), TrySendError> {
        self.sender.may_send(self.len)?;
        match &self.room {
            Room::Own(own) => self.sender.try_send_bytes(&own[..self.len]),
            // The second time after a repair, if one was due.
            Room::Body(_) | Room::Spent => match self.push()?.is_some() || self.push()?.is_some() {
                true => Ok(()),
                false => Err(TrySendError::Full),
            },
        }
    }

    /// Some if the message is in the channel, none if there is no room.
    fn push(&mut self) -> Result<Option<()>, SendError> {
        let Sender { end, outbox, .. } = self.sender;
        let Room::Body(body) = self.room else { return Ok(Some(())) };
        self.sender.has_receivers()?;
        match end.channel.push_lent(end, outbox, body, self.len) {
            Ok(()) => {
                self.room = Room::Spent;
                end.count_message(self.len);
                Ok(Some(()))
            }
            Err(refused) => self.sender.not_pushed(refused, self.len),
        }
    }
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.room, Room::Spent) {
            Room::Body(body) => self.sender.end.channel.give_back(&self.sender.end, body),
            Room::Own(own) => *self.sender.encoded.borrow_mut() = own,
            Room::Spent => {}
        }
    }
}

impl fmt::Debug for Loan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.len).finish_non_exhaustive()
    }
}
