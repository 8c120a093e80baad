//! The sending end.

mod bytes;
mod delivery;
mod loan;
mod plain;

pub use delivery::Receipt;
pub use loan::Loan;

pub(super) use self::bytes::ByteSender;
use super::end::End;
use super::statistics::Statistics;
use crate::error::{DeliverError, SendError, TrySendError};
use crate::mechanism::{Capacity, Mechanism};
use crate::message::Message;
use crate::peer::Peer;
use crate::wait::{FOREVER, Wait};
use std::marker::PhantomData;
use std::time::Duration;

/// The sending end of a channel of `T`.
///
/// `Send` and `Clone`, not `Sync`: each thread has its own. Clones are ends of their own: the
/// receivers are told of the end of the channel when the last of them is gone, by drop or by death.
pub struct Sender<T: Message> {
    pub(super) bytes: ByteSender,
    message: PhantomData<fn(T)>,
}

impl<T: Message> Sender<T> {
    pub(crate) fn new(end: End) -> Self {
        Sender { bytes: ByteSender::new(end), message: PhantomData }
    }

    /// The same end, whose receipts name the partner of its link.
    #[cfg_attr(not(test), allow(dead_code, reason = "for mailboxes and links"))]
    pub(crate) fn with_partner(self, partner: Peer) -> Self {
        Sender { bytes: self.bytes.with_partner(partner), message: PhantomData }
    }

    /// Waits for room, and returns when the channel holds the message. With capacity zero it waits
    /// until a receiver has taken it, as [`deliver`](Self::deliver).
    ///
    /// # Errors
    ///
    /// [`Disconnected`](SendError::Disconnected) when the last receiver is gone,
    /// [`TooLarge`](SendError::TooLarge), [`ByteCap`](SendError::ByteCap) when an unbounded channel
    /// has reached it, or a [`Fault`](crate::Fault). Of a mailbox never `Disconnected`, but
    /// [`Destroyed`](SendError::Destroyed), or [`Denied`](SendError::Denied) when the right to send
    /// was taken back. Nothing was sent then.
    #[inline]
    pub fn send(&self, message: &T::Borrowed) -> Result<(), SendError> {
        self.send_with(message, FOREVER)
    }

    /// As [`send`](Self::send), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also [`TimedOut`](SendError::TimedOut) and [`Cancelled`](SendError::Cancelled).
    #[inline]
    pub fn send_with(&self, message: &T::Borrowed, wait: &Wait) -> Result<(), SendError> {
        match T::bare(message) {
            Some(bytes) if self.bytes.went_at_once(bytes) => Ok(()),
            Some(bytes) => self.bytes.send_slow_path(bytes, wait),
            None => self.encoded(message, |bytes| match self.bytes.went_at_once(bytes) {
                true => Ok(()),
                false => self.bytes.send_slow_path(bytes, wait),
            }),
        }
    }

    /// Never waits. With capacity zero it succeeds only while a receiver is inside a waiting call.
    ///
    /// # Errors
    ///
    /// [`Full`](TrySendError::Full), and those of [`send`](Self::send). Nothing was sent then.
    pub fn try_send(&self, message: &T::Borrowed) -> Result<(), TrySendError> {
        self.encoded(message, |bytes| match self.bytes.went_at_once(bytes) {
            true => Ok(()),
            false => self.bytes.try_slow_path(bytes),
        })
    }

    /// Waits until a receiver has taken the message, and says who.
    ///
    /// A receiver that dies before it has taken the message changes nothing: it is offered again.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send). No application has seen the message then, or ever will:
    /// sending it again cannot double it.
    pub fn deliver(&self, message: &T::Borrowed) -> Result<Receipt, DeliverError> {
        self.deliver_with(message, FOREVER)
    }

    /// As [`deliver`](Self::deliver), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also [`TimedOut`](SendError::TimedOut) and [`Cancelled`](SendError::Cancelled), with the same
    /// certainty.
    pub fn deliver_with(
        &self,
        message: &T::Borrowed,
        wait: &Wait,
    ) -> Result<Receipt, DeliverError> {
        self.encoded(message, |bytes| Ok(self.bytes.deliver(bytes, wait)?))
    }

    /// Offers the message and takes it back unless a receiver took it at once.
    ///
    /// # Errors
    ///
    /// [`TimedOut`](SendError::TimedOut) unless some receiver was quick enough, and those of
    /// [`deliver`](Self::deliver).
    pub fn try_deliver(&self, message: &T::Borrowed) -> Result<Receipt, DeliverError> {
        self.deliver_with(message, &Wait::timeout(Duration::ZERO))
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

    /// The end alone, to be passed on.
    pub(crate) fn into_end(self) -> End {
        if self.end().check().is_ok() {
            self.end().forget_bodies();
        }
        self.bytes.end
    }

    pub(crate) fn end(&self) -> &End {
        &self.bytes.end
    }

    /// Acts upon the message's bytes: those that it is, or into which it is encoded, once.
    #[inline(always)]
    fn encoded<R, E: From<SendError>>(
        &self,
        message: &T::Borrowed,
        act: impl FnOnce(&[u8]) -> Result<R, E>,
    ) -> Result<R, E> {
        if let Some(bytes) = T::bare(message) {
            return act(bytes);
        }
        self.end().check().map_err(SendError::from)?;
        let mut scratch = self.bytes.encoded.borrow_mut();
        act(T::encode(message, &mut scratch).map_err(SendError::from)?)
    }

    /// The same, if there may be so many.
    #[inline(always)]
    pub(super) fn with_bytes<R>(
        &self,
        message: &T::Borrowed,
        act: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, SendError> {
        self.encoded(message, |bytes| {
            self.bytes.allows(bytes.len())?;
            Ok(act(bytes))
        })
    }
}

impl<T: Message> Clone for Sender<T> {
    /// One more end. Should the channel have no place for it, every operation on it says so.
    fn clone(&self) -> Self {
        Sender { bytes: self.bytes.another(), message: PhantomData }
    }
}

impl<T: Message> std::fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sender").field(self.end()).finish()
    }
}
