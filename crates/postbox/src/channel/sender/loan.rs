//! Messages that are written where they will be read.

use super::{ByteSender, Receipt, Sender};
use crate::channel::Awaited;
use crate::channel::carry::InSlot;
use crate::channel::spool::Body;
use crate::error::{DeliverError, SendError, TrySendError};
use crate::message::Bytes;
use crate::wait::{FOREVER, Wait};
use postbox_ring::region::{SharedSlice, SharedSliceMut};
use std::fmt;

/// Room for a message, to be written where it will be read; made by [`Sender::loan`].
///
/// It holds whatever lay there before. The message is as long as the loan, unless
/// [`truncate`](Self::truncate) makes it shorter. Until it is sent nobody sees it and it does not count
/// among those that wait; dropped, it was never there.
///
/// A long one takes bytes of the channel's [byte cap](crate::Options::byte_cap), and none takes another's turn: whoever
/// holds one, stops or dies with one keeps nobody from sending and receiving, as long as there are
/// bytes.
#[must_use = "a loan is sent by one of its methods, or given back when dropped"]
pub struct Loan<'s> {
    /// What was lent lies there: a loan is a word, and moves in a register. One of several words that were just
    /// written is moved by wider instructions, which wait until those are out of the processor's store buffer:
    /// two thirds of the time that a short message took.
    sender: &'s mut ByteSender,
}

/// What a sender has lent, and how long the message is.
#[derive(Default)]
pub(super) struct Lent {
    room: Room,
    len: usize,
}

/// Where a loan is written.
#[derive(Default)]
enum Room {
    /// In shared memory, in place.
    Body(Body),
    /// Likewise, in the next slot: from that byte of the memory on.
    Slot(usize),
    /// In the sending end's buffer: what is short, and what a rendezvous may have to offer again.
    Own(Vec<u8>),
    /// Nothing is lent, or it was sent.
    #[default]
    Spent,
}

impl Sender<Bytes> {
    /// Room for a message of `len` bytes, to be written where it will be read: for a long message the
    /// copy into the channel is spared, and with [`receive_in_place`](crate::Receiver::receive_in_place)
    /// the one out of it. Waits only while such messages take up the byte cap: room among those that wait
    /// is for [`Loan::send`] to find.
    ///
    /// What is written in place is what would not fit an entry of the mechanism, on each of the four; and over
    /// shared memory, [one to one](crate::Form::OneToOne), what does. Another short message,
    /// and any with capacity zero, is written to a buffer of the end and sent as by [`send`](Self::send); the
    /// program is the same.
    ///
    /// The end is borrowed until the loan is sent or dropped. Who wants to send meanwhile has a clone, where there
    /// can be one.
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
    #[inline]
    pub fn loan(&mut self, len: usize) -> Result<Loan<'_>, SendError> {
        self.loan_with(len, FOREVER)
    }

    /// As [`loan`](Self::loan), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also [`TimedOut`](SendError::TimedOut) and [`Cancelled`](SendError::Cancelled).
    #[inline]
    pub fn loan_with(&mut self, len: usize, wait: &Wait) -> Result<Loan<'_>, SendError> {
        let sender = &mut self.bytes;
        if !sender.lends_slot(len) {
            sender.lend_slow_path(len, wait)?;
        }
        Ok(Loan { sender })
    }

    /// As [`loan`](Self::loan), but never waits.
    ///
    /// # Errors
    ///
    /// [`Full`](TrySendError::Full) where bytes are lacking, and those of [`send`](Self::send).
    pub fn try_loan(&mut self, len: usize) -> Result<Loan<'_>, TrySendError> {
        let sender = &mut self.bytes;
        if !sender.lends_slot(len) {
            sender.try_lend(len)?;
        }
        Ok(Loan { sender })
    }
}

impl ByteSender {
    /// Whether the next slot was lent, and there was nothing else to be done.
    #[inline(always)]
    fn lends_slot(&mut self, len: usize) -> bool {
        let end = &self.end;
        let may = end.is_ours()
            && matches!(self.lent.room, Room::Spent)
            && end.channel.config.allows(len)
            && end.has_known_partners();
        let slot = may.then(|| end.channel.lend_slot(&self.outbox, len)).flatten();
        if let Some(at) = slot {
            self.lent = Lent { room: Room::Slot(at), len };
        }
        slot.is_some()
    }

    #[inline(never)]
    fn lend_slow_path(&mut self, len: usize, wait: &Wait) -> Result<(), SendError> {
        if self.lends_slot_after_all(len)? {
            return Ok(());
        }
        let room = match self.end.channel.lends(len) {
            true => Room::Body(self.end.wait_for(Awaited::Space, wait, || self.lend(len))?),
            false => self.own_room(len),
        };
        self.lent = Lent { room, len };
        Ok(())
    }

    #[inline(never)]
    fn try_lend(&mut self, len: usize) -> Result<(), TrySendError> {
        if self.lends_slot_after_all(len)? {
            return Ok(());
        }
        let room = match self.end.channel.lends(len) {
            // The second time after a repair, if one was due.
            true => match self.lend(len)? {
                Some(body) => Room::Body(body),
                None => Room::Body(self.lend(len)?.ok_or(TrySendError::Full)?),
            },
            false => self.own_room(len),
        };
        self.lent = Lent { room, len };
        Ok(())
    }

    /// The same, with all that comes before it.
    fn lends_slot_after_all(&mut self, len: usize) -> Result<bool, SendError> {
        self.end.check()?;
        if !matches!(self.lent.room, Room::Spent) {
            self.take_back();
        }
        self.may_send(len)?;
        self.has_receivers()?;
        Ok(self.lends_slot(len))
    }

    /// What was lent and not sent is the end's again.
    #[cold]
    fn take_back(&mut self) {
        match std::mem::take(&mut self.lent.room) {
            // Claimed again by whatever comes next.
            Room::Slot(_) | Room::Spent => {}
            Room::Body(body) => self.end.channel.give_back(&self.end, body),
            Room::Own(own) => *self.encoded.borrow_mut() = own,
        }
    }

    fn lend(&self, len: usize) -> Result<Option<Body>, SendError> {
        self.has_receivers()?;
        match self.end.channel.lend(&self.end, len) {
            Ok(body) => Ok(Some(body)),
            Err(refused) => self.not_pushed(refused, len),
        }
    }

    fn own_room(&self, len: usize) -> Room {
        let mut own = self.encoded.take();
        if own.len() < len {
            own.resize(len, 0);
        }
        Room::Own(own)
    }
}

impl Loan<'_> {
    /// Bytes of the message.
    pub fn len(&self) -> usize {
        self.sender.lent.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes the message shorter; a `len` beyond its length changes nothing.
    pub fn truncate(&mut self, len: usize) {
        self.sender.lent.len = self.len().min(len);
    }

    /// The message, to be written.
    ///
    /// It is no `&mut [u8]`, since other members can reach the memory that it lies in; who trusts them has
    /// one by [`as_mut_slice`](SharedSliceMut::as_mut_slice). In a child that merely inherited the loan by `fork`
    /// there is nothing to be written.
    #[inline]
    pub fn bytes_mut(&mut self) -> SharedSliceMut<'_> {
        let ByteSender { end, lent: Lent { room, len }, .. } = self.sender;
        if end.check().is_err() {
            // In a child by `fork` what is shared is the parent's.
            return SharedSliceMut::from(&mut [][..]);
        }
        match room {
            Room::Slot(at) => end.channel.in_slot_mut(InSlot::new(*at, *len)),
            Room::Body(body) => end.channel.body_mut(body, *len),
            Room::Own(own) => SharedSliceMut::from(&mut own[..*len]),
            Room::Spent => SharedSliceMut::from(&mut [][..]),
        }
    }

    /// The message as it is so far.
    #[inline]
    pub fn bytes(&self) -> SharedSlice<'_> {
        let ByteSender { end, lent: Lent { room, len }, .. } = &*self.sender;
        match room {
            Room::Slot(at) => end.channel.in_slot(InSlot::new(*at, *len)),
            Room::Body(body) => end.channel.body(body, *len),
            Room::Own(own) => SharedSlice::from(&own[..*len]),
            Room::Spent => SharedSlice::from(&[][..]),
        }
    }

    /// Sends it as [`Sender::send`] does: waits for room, and returns when the channel holds the message.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::send`]. Nothing was sent, and the loan is given back.
    #[inline]
    pub fn send(self) -> Result<(), SendError> {
        self.send_with(FOREVER)
    }

    /// As [`send`](Self::send), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::send_with`], likewise.
    #[inline]
    pub fn send_with(mut self, wait: &Wait) -> Result<(), SendError> {
        if self.went_at_once() {
            return Ok(());
        }
        self.send_slow_path(wait)
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
        self.deliver_with(FOREVER)
    }

    /// As [`deliver`](Self::deliver), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::deliver_with`], likewise.
    pub fn deliver_with(self, wait: &Wait) -> Result<Receipt, DeliverError> {
        let sender = &*self.sender;
        sender.may_send(self.len())?;
        let receipt = match &sender.lent.room {
            Room::Own(own) => sender.deliver_bytes(&own[..self.len()], wait),
            Room::Slot(_) | Room::Body(_) | Room::Spent => {
                let mut copy = sender.encoded.borrow_mut();
                copy.clear();
                self.bytes().append_to(&mut copy);
                sender.deliver_bytes(&copy, wait)
            }
        };
        Ok(receipt?)
    }

    /// Whether it lay in its slot, and there was nothing to be done but to publish that.
    #[inline(always)]
    fn went_at_once(&mut self) -> bool {
        let ByteSender { end, outbox, lent: Lent { room: Room::Slot(at), len }, .. } =
            &*self.sender
        else {
            return false;
        };
        let went =
            end.sends_at_once(*len) && end.channel.put_slot_lent(end, outbox, *at, *len).is_ok();
        if went {
            end.channel.published();
            end.count_message(*len);
            self.sender.lent.room = Room::Spent;
        }
        went
    }

    #[inline(never)]
    fn send_slow_path(&mut self, wait: &Wait) -> Result<(), SendError> {
        let sender = &*self.sender;
        sender.may_send(self.len())?;
        match &sender.lent.room {
            Room::Slot(_) => self.push_slot(),
            Room::Own(own) if sender.went_at_once(&own[..self.len()]) => Ok(()),
            Room::Own(own) => sender.send_bytes(&own[..self.len()], wait),
            Room::Body(body) => {
                sender.wait_for_room(wait, || self.push(*body))?;
                self.sender.lent.room = Room::Spent;
                Ok(())
            }
            Room::Spent => Ok(()),
        }
    }

    fn attempt(&mut self) -> Result<(), TrySendError> {
        let sender = &*self.sender;
        sender.may_send(self.len())?;
        match &sender.lent.room {
            Room::Slot(_) => Ok(self.push_slot()?),
            Room::Own(own) if sender.went_at_once(&own[..self.len()]) => Ok(()),
            Room::Own(own) => sender.try_send_bytes(&own[..self.len()]),
            // The second time after a repair, if one was due.
            Room::Body(body) => {
                match self.push(*body)?.is_some() || self.push(*body)?.is_some() {
                    true => self.sender.lent.room = Room::Spent,
                    false => return Err(TrySendError::Full),
                }
                Ok(())
            }
            Room::Spent => Ok(()),
        }
    }

    /// Sends what was written in a slot, for which there is room.
    fn push_slot(&mut self) -> Result<(), SendError> {
        self.sender.has_receivers()?;
        let ByteSender { end, outbox, lent: Lent { room: Room::Slot(at), len }, .. } =
            &*self.sender
        else {
            return Ok(());
        };
        let len = *len;
        end.channel.put_slot_lent(end, outbox, *at, len)?;
        end.channel.published();
        end.count_message(len);
        end.was_awake();
        self.sender.lent.room = Room::Spent;
        Ok(())
    }

    /// Some if the message is in the channel, none if there is no room.
    fn push(&self, body: Body) -> Result<Option<()>, SendError> {
        let ByteSender { end, outbox, lent: Lent { len, .. }, .. } = &*self.sender;
        self.sender.has_receivers()?;
        match end.channel.push_lent(end, outbox, body, *len) {
            Ok(()) => {
                end.count_message(*len);
                Ok(Some(()))
            }
            Err(refused) => self.sender.not_pushed(refused, *len),
        }
    }
}

impl Drop for Loan<'_> {
    #[inline]
    fn drop(&mut self) {
        if !matches!(self.sender.lent.room, Room::Spent) {
            self.sender.take_back();
        }
    }
}

impl fmt::Debug for Loan<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loan").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capacity, Form, Mechanism, Options};

    /// The slots of these channels hold 16 KiB, and so would any of these messages.
    #[test]
    fn a_loan_of_some_length_is_written_in_place_though_its_slot_could_hold_a_copy() {
        for form in [Form::OneToOne, Form::ManyToMany] {
            let options = Options::new(Mechanism::SharedMemory).capacity(Capacity::Bounded(2));
            let (mut tx, rx) = options.form(form).max_message(16 << 10).channel::<Bytes>().unwrap();
            // An end takes hold of the ring by what it sends first.
            tx.send(b"first").unwrap();
            rx.receive().unwrap();
            for (len, long) in [(4096, false), (4097, true), (16 << 10, true)] {
                let loan = tx.loan(len).unwrap();
                let room = &loan.sender.lent.room;
                let right = match (form, long) {
                    (Form::OneToOne, _) => matches!(room, Room::Slot(_)),
                    (Form::ManyToMany, true) => matches!(room, Room::Body(_)),
                    (Form::ManyToMany, false) => matches!(room, Room::Own(_)),
                };
                assert!(right, "{form:?}, {len}");
                // What is lent at once and what is lent without waiting are the same.
                drop(loan);
                let room = std::mem::discriminant(&tx.try_loan(len).unwrap().sender.lent.room);
                let loan = tx.loan(len).unwrap();
                assert_eq!(room, std::mem::discriminant(&loan.sender.lent.room));
            }
        }
    }
}
