//! Messages that are read where they were written.

use super::{ByteReceiver, Receiver};
use crate::channel::carry::{FastPath, InSlot, Kept, Popped};
use crate::channel::members::Statistic;
use crate::channel::spool::Body;
use crate::error::ReceiveError;
use crate::message::Bytes;
use crate::peer::Peer;
use crate::wait::{FOREVER, Wait};
use postbox_ring::region::SharedSlice;
use std::fmt;

/// A message that was taken, and is read where it was written; made by
/// [`Receiver::receive_in_place`].
///
/// It is this receiver's as any that was received: its place among those that wait is free, and
/// nobody else will see it. What a long one still takes, until it is dropped, is its bytes of the channel's
/// [byte cap](crate::Options::byte_cap).
///
/// Room for such messages comes back in the order in which it was given out: one that is kept while others
/// worth the byte cap pass by ends up making their senders wait. To keep a message for long is to
/// [copy](SharedSlice::to_vec) it.
#[must_use = "a message that was taken is lost when it is dropped unread"]
pub struct InPlace<'r> {
    receiver: &'r ByteReceiver,
    place: Place,
    len: usize,
    sender: Peer,
}

/// Where a message is read.
enum Place {
    /// In shared memory, where it was written.
    Body(Body),
    /// Likewise, in its slot, until the end takes the next message.
    Slot(InSlot),
    /// In the receiving end's buffer.
    Own(Vec<u8>),
}

impl Receiver<Bytes> {
    /// Waits for a message and leaves it where it lies: for a long one the copy out of the channel is
    /// spared. That is one which would not fit an entry of the mechanism, on each of the four, whether it was
    /// sent by a [loan](crate::Sender::loan) or not. A shorter one is read in its slot, over shared memory that is
    /// [one to one](crate::Form::OneToOne) and of any capacity but zero, and elsewhere from a buffer of the end.
    ///
    /// The end is borrowed until the message is dropped. Who wants to receive meanwhile has a clone.
    ///
    /// ```
    /// use postbox::{Bytes, Capacity, Mechanism};
    /// use std::io::Read;
    ///
    /// let (tx, mut rx) = postbox::channel::<Bytes>(Mechanism::Pipe, Capacity::Bounded(8))?;
    /// tx.send(&[1; 100_000])?;
    /// let message = rx.receive_in_place()?;
    /// let (mut rest, mut piece) = (message.bytes(), [0; 4096]);
    /// let mut sum = 0;
    /// while !rest.is_empty() {
    ///     let len = rest.read(&mut piece)?;
    ///     sum += piece[..len].iter().map(|byte| u32::from(*byte)).sum::<u32>();
    /// }
    /// assert_eq!(sum, 100_000);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`receive`](Self::receive).
    #[inline]
    pub fn receive_in_place(&mut self) -> Result<InPlace<'_>, ReceiveError> {
        self.receive_in_place_with(FOREVER)
    }

    /// As [`receive_in_place`](Self::receive_in_place), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`receive_with`](Self::receive_with).
    #[inline]
    pub fn receive_in_place_with(&mut self, wait: &Wait) -> Result<InPlace<'_>, ReceiveError> {
        let receiver = &self.bytes;
        match receiver.came_in_slot() {
            Some((popped, lies)) => Ok(receiver.in_slot(popped, lies)),
            None => receiver.wait_in_place(wait),
        }
    }

    /// Never waits: `None` where there is no message.
    ///
    /// # Errors
    ///
    /// Those of [`try_receive`](Self::try_receive).
    pub fn try_receive_in_place(&mut self) -> Result<Option<InPlace<'_>>, ReceiveError> {
        self.bytes.try_in_place()
    }
}

impl ByteReceiver {
    #[inline(never)]
    fn wait_in_place(&self, wait: &Wait) -> Result<InPlace<'_>, ReceiveError> {
        let mut own = self.own_place();
        let (popped, kept) = self.end.lending.in_place(|| self.wait_into(&mut own, wait));
        match popped {
            Ok(popped) => Ok(self.placed(popped, kept, own)),
            Err(error) => {
                self.taken.replace(own);
                Err(error)
            }
        }
    }

    fn try_in_place(&self) -> Result<Option<InPlace<'_>>, ReceiveError> {
        if let Some((popped, lies)) = self.came_in_slot() {
            return Ok(Some(self.in_slot(popped, lies)));
        }
        let mut own = self.own_place();
        let (popped, kept) = self.end.lending.in_place(|| self.try_take_into(&mut own));
        match popped {
            Ok(Some(popped)) => Ok(Some(self.placed(popped, kept, own))),
            other => {
                self.taken.replace(own);
                other.map(|_| None)
            }
        }
    }

    /// A message that came by the fast path of two, and stays in its slot.
    #[inline(always)]
    fn came_in_slot(&self) -> Option<(Popped, InSlot)> {
        let end = &self.end;
        if end.channel.fast_path != FastPath::ForTwo || !self.may_glance() {
            return None;
        }
        end.channel.take_slot_in_place(end, &self.inbox).ok()
    }

    #[inline(always)]
    fn in_slot(&self, popped: Popped, lies: InSlot) -> InPlace<'_> {
        let (place, len) = (Place::Slot(lies), lies.len());
        InPlace { receiver: self, place, len, sender: self.peer(popped) }
    }

    fn own_place(&self) -> Vec<u8> {
        let mut own = self.taken.take();
        own.clear();
        own
    }

    fn placed(&self, popped: Popped, kept: Option<Kept>, own: Vec<u8>) -> InPlace<'_> {
        let sender = self.peer(popped);
        let (place, len) = match kept {
            Some(Kept::Slot(lies)) => {
                self.taken.replace(own);
                (Place::Slot(lies), lies.len())
            }
            Some(Kept::Body(body, len)) => {
                self.taken.replace(own);
                // The rest was counted when it was popped.
                self.end.count(Statistic::Bytes, len as u64);
                self.end.patience.passed(len);
                (Place::Body(body), len)
            }
            None => {
                let len = own.len();
                (Place::Own(own), len)
            }
        };
        InPlace { receiver: self, place, len, sender }
    }
}

impl InPlace<'_> {
    /// The message, to be read.
    ///
    /// It is no `&[u8]`, since other members can reach the memory that it lies in; who trusts them has
    /// one by [`as_slice`](SharedSlice::as_slice). Who does not copies first, and checks the copy: what is
    /// read here twice may be two things.
    #[inline]
    pub fn bytes(&self) -> SharedSlice<'_> {
        match &self.place {
            Place::Slot(lies) => self.receiver.end.channel.in_slot(*lies),
            Place::Body(body) => self.receiver.end.channel.body(body, self.len),
            Place::Own(own) => SharedSlice::from(&own[..]),
        }
    }

    /// Bytes of the message.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Who sent it; as [`Delivery::sender`](crate::Delivery::sender).
    pub fn sender(&self) -> &Peer {
        &self.sender
    }
}

impl Drop for InPlace<'_> {
    #[inline]
    fn drop(&mut self) {
        match &mut self.place {
            Place::Slot(_) => {}
            Place::Body(body) => self.receiver.end.channel.give_back(&self.receiver.end, *body),
            Place::Own(own) => drop(self.receiver.taken.replace(std::mem::take(own))),
        }
    }
}

impl fmt::Debug for InPlace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InPlace")
            .field("len", &self.len)
            .field("sender", &self.sender)
            .finish_non_exhaustive()
    }
}
