//! Sending to a process by its name.

use super::desk::Outlet;
use super::error::{DirectError, LinkError};
use super::options::LinkOptions;
use super::process::Process;
use crate::channel::{Receipt, Sender};
use crate::domain::links::Insists;
use crate::error::{DeliverError, SendError, TrySendError};
use crate::message::{Bytes, Message};
use crate::wait::Wait;
use std::time::Duration;

impl Process {
    /// How long a call that never waits may take to come by a link that is not there yet.
    pub const FIRST_CONTACT: Duration = Duration::from_secs(1);

    /// Sends to that process: waits for room in the link, and returns when the link holds the
    /// message.
    ///
    /// # Errors
    ///
    /// [`LinkError`] where there is no link and none can be made, otherwise those of
    /// [`Sender::send`]. Nothing was sent then.
    pub fn send<M>(&self, to: &str, message: &M) -> Result<(), DirectError<SendError>>
    where
        M: Message<Borrowed = M>,
    {
        self.send_with(to, message, &Wait::forever())
    }

    /// As [`send`](Self::send), for as long as `wait` says, making the link included.
    ///
    /// # Errors
    ///
    /// Also timed out and cancelled.
    pub fn send_with<M>(
        &self,
        to: &str,
        message: &M,
        wait: &Wait,
    ) -> Result<(), DirectError<SendError>>
    where
        M: Message<Borrowed = M>,
    {
        self.sending::<M, _, _>(to, message, wait, |tx, bytes| tx.send_with(bytes, wait))
    }

    /// Never waits for room. The first call that names a process asks it for the link, for at most
    /// [a second](Self::FIRST_CONTACT): [`link_with`](Self::link_with) does so beforehand.
    ///
    /// # Errors
    ///
    /// [`is_full`](DirectError::is_full), and those of [`send`](Self::send).
    pub fn try_send<M>(&self, to: &str, message: &M) -> Result<(), DirectError<TrySendError>>
    where
        M: Message<Borrowed = M>,
    {
        self.sending_now::<M, _, _>(to, message, |tx, bytes| tx.try_send(bytes))
    }

    /// Waits until the partner has taken the message; the receipt says who that is.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send). No application has seen the message then, or ever will.
    pub fn deliver<M>(&self, to: &str, message: &M) -> Result<Receipt, DirectError<DeliverError>>
    where
        M: Message<Borrowed = M>,
    {
        self.deliver_with(to, message, &Wait::forever())
    }

    /// As [`deliver`](Self::deliver), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also timed out and cancelled, with the same certainty.
    pub fn deliver_with<M>(
        &self,
        to: &str,
        message: &M,
        wait: &Wait,
    ) -> Result<Receipt, DirectError<DeliverError>>
    where
        M: Message<Borrowed = M>,
    {
        self.sending::<M, _, _>(to, message, wait, |tx, bytes| tx.deliver_with(bytes, wait))
    }

    /// Offers the message and takes it back unless the partner took it at once.
    ///
    /// # Errors
    ///
    /// [`is_timeout`](DirectError::is_timeout) unless it was quick enough, and those of
    /// [`deliver`](Self::deliver).
    pub fn try_deliver<M>(
        &self,
        to: &str,
        message: &M,
    ) -> Result<Receipt, DirectError<DeliverError>>
    where
        M: Message<Borrowed = M>,
    {
        self.sending_now::<M, _, _>(to, message, |tx, bytes| tx.try_deliver(bytes))
    }

    /// As [`send`](Self::send), of bare bytes.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send).
    pub fn send_bytes(&self, to: &str, bytes: &[u8]) -> Result<(), DirectError<SendError>> {
        self.send_bytes_with(to, bytes, &Wait::forever())
    }

    /// As [`send_with`](Self::send_with), of bare bytes.
    ///
    /// # Errors
    ///
    /// Those of [`send_with`](Self::send_with).
    pub fn send_bytes_with(
        &self,
        to: &str,
        bytes: &[u8],
        wait: &Wait,
    ) -> Result<(), DirectError<SendError>> {
        self.sending::<Bytes, _, _>(to, bytes, wait, |tx, bytes| tx.send_with(bytes, wait))
    }

    /// As [`try_send`](Self::try_send), of bare bytes.
    ///
    /// # Errors
    ///
    /// Those of [`try_send`](Self::try_send).
    pub fn try_send_bytes(&self, to: &str, bytes: &[u8]) -> Result<(), DirectError<TrySendError>> {
        self.sending_now::<Bytes, _, _>(to, bytes, |tx, bytes| tx.try_send(bytes))
    }

    /// As [`deliver`](Self::deliver), of bare bytes.
    ///
    /// # Errors
    ///
    /// Those of [`deliver`](Self::deliver).
    pub fn deliver_bytes(
        &self,
        to: &str,
        bytes: &[u8],
    ) -> Result<Receipt, DirectError<DeliverError>> {
        self.deliver_bytes_with(to, bytes, &Wait::forever())
    }

    /// As [`deliver_with`](Self::deliver_with), of bare bytes.
    ///
    /// # Errors
    ///
    /// Those of [`deliver_with`](Self::deliver_with).
    pub fn deliver_bytes_with(
        &self,
        to: &str,
        bytes: &[u8],
        wait: &Wait,
    ) -> Result<Receipt, DirectError<DeliverError>> {
        self.sending::<Bytes, _, _>(to, bytes, wait, |tx, bytes| tx.deliver_with(bytes, wait))
    }

    /// An end of its own for messages to that process, which can be passed on as any other.
    ///
    /// # Errors
    ///
    /// [`LinkError`].
    pub fn sender_to<T: Message>(&self, to: &str) -> Result<Sender<T>, LinkError> {
        self.sender_to_with(to, &Wait::forever())
    }

    /// As [`sender_to`](Self::sender_to), waiting for the link for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also timed out and cancelled.
    pub fn sender_to_with<T: Message>(
        &self,
        to: &str,
        wait: &Wait,
    ) -> Result<Sender<T>, LinkError> {
        self.membership.check()?;
        let (membership, name) = (&self.membership, self.membership.partner(to)?);
        let link = membership.link(&name, &membership.defaults, Insists::No, wait)?;
        Ok(Sender::new(link.sender_end(membership)?).with_partner(link.peer()))
    }

    /// Encodes, comes by the link and acts.
    fn sending<M: Message, R, E>(
        &self,
        to: &str,
        message: &M::Borrowed,
        wait: &Wait,
        act: impl FnOnce(&Sender<Bytes>, &[u8]) -> Result<R, E>,
    ) -> Result<R, DirectError<E>>
    where
        E: From<SendError> + SaysDisconnected,
        DirectError<E>: From<E>,
    {
        self.sending_by::<M, R, E>(&self.membership.defaults, to, message, wait, act)
    }

    /// The same for a call that never waits.
    fn sending_now<M: Message, R, E>(
        &self,
        to: &str,
        message: &M::Borrowed,
        act: impl FnOnce(&Sender<Bytes>, &[u8]) -> Result<R, E>,
    ) -> Result<R, DirectError<E>>
    where
        E: From<SendError> + SaysDisconnected,
        DirectError<E>: From<E>,
    {
        let wait = Wait::timeout(Self::FIRST_CONTACT);
        self.sending_by::<M, R, E>(&self.membership.impatient, to, message, &wait, act)
    }

    fn sending_by<M: Message, R, E>(
        &self,
        links: &LinkOptions,
        to: &str,
        message: &M::Borrowed,
        wait: &Wait,
        act: impl FnOnce(&Sender<Bytes>, &[u8]) -> Result<R, E>,
    ) -> Result<R, DirectError<E>>
    where
        E: From<SendError> + SaysDisconnected,
        DirectError<E>: From<E>,
    {
        self.membership.check()?;
        // Taken out for the while: encoding is the message's own affair, which may send in turn.
        let mut scratch = self.scratch.take();
        let bytes = M::encode(message, &mut scratch).map_err(|error| E::from(error.into()))?;
        let mut desk = self.desk.borrow_mut();
        let Outlet { link, sender } = desk.outlet(&self.membership, to, links, wait)?;
        let outcome = act(sender, bytes);
        if let Err(error) = &outcome
            && error.says_disconnected()
        {
            // The next call begins anew.
            self.membership.board.retire(link);
        }
        self.scratch.replace(scratch);
        Ok(outcome?)
    }
}

/// Errors of a call that sends.
trait SaysDisconnected {
    fn says_disconnected(&self) -> bool;
}

macro_rules! says_disconnected {
    ($($error:ty)+) => {$(
        impl SaysDisconnected for $error {
            fn says_disconnected(&self) -> bool {
                self.is_disconnected()
            }
        }
    )+};
}

says_disconnected! { SendError TrySendError DeliverError }
