//! A process among others, each of which it can name.

use super::desk::{Came, Desk, Inlet, Outlet, Trouble, at_once};
use super::error::{DirectError, JoinError, LinkError};
use super::info::LinkInfo;
use super::membership::Membership;
use super::monitor::Monitor;
use super::options::{JoinOptions, LinkOptions};
use crate::channel::{Delivery, Receipt, Receiver, Sender};
use crate::domain::Domain;
use crate::domain::links::Insists;
use crate::error::{DeliverError, ReceiveError, SendError, TrySendError};
use crate::message::{Bytes, Message};
use crate::name::Name;
use crate::wait::Wait;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

/// How long a call that never waits may take to come by a link that is not there yet.
const FIRST_CONTACT: Duration = Duration::from_secs(1);

impl Domain {
    /// Joins: from now on this process has that name in the domain, until the last clone of the
    /// [`Process`] is dropped or the process ends, by whatever means. A process may join under
    /// several names.
    ///
    /// # Errors
    ///
    /// [`JoinError`]: the name is none or a live process has it; or what opening the domain's files
    /// and starting a thread need is short.
    pub fn join(&self, name: &str) -> Result<Process, JoinError> {
        self.join_with(name, JoinOptions::new())
    }

    /// As [`join`](Self::join), with options for all the links of the process.
    ///
    /// # Errors
    ///
    /// Those of [`join`](Self::join).
    pub fn join_with(&self, name: &str, options: JoinOptions) -> Result<Process, JoinError> {
        Ok(Process::of(Arc::new(Membership::join(self, name, options)?)))
    }
}

/// This process in a [`Domain`], under a name: it sends to others, and receives from them, by theirs.
///
/// Made by [`Domain::join`]. The link to a partner appears by itself when either side first names
/// the other: one per pair, whoever begins, and both ways unless asked otherwise. It goes when either
/// of the two has gone; a partner that was restarted is another partner, with a link of its own.
///
/// `Send` and `Clone`, not `Sync`: each thread has its own clone, and all are one member of the
/// domain. In a child of `fork` it is [`NotJoined`](LinkError::NotJoined).
///
/// ```no_run
/// use postbox::Domain;
///
/// // in one program
/// let me = Domain::open("lab")?.join("sensor")?;
/// me.send("logger", &21.5)?;
/// let noted = me.receive_from::<u64>("logger")?.into_inner();
///
/// // in another
/// let me = Domain::open("lab")?.join("logger")?;
/// let reading = me.receive::<f64>()?; // from anyone
/// println!("{} from {}", *reading, reading.sender());
/// me.send("sensor", &1u64)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When the partner goes
///
/// A call that is waiting then, or the next one, says `Disconnected`; nothing was sent. Receiving
/// drains what is left first. The call after that begins anew: with the partner's successor if there
/// is one, otherwise the partner is [`Absent`](LinkError::Absent). To receive from anyone is never
/// ended by absence.
pub struct Process {
    membership: Arc<Membership>,
    desk: RefCell<Desk>,
    /// Where messages are encoded.
    scratch: RefCell<Vec<u8>>,
}

impl Process {
    fn of(membership: Arc<Membership>) -> Self {
        Process { membership, desk: RefCell::default(), scratch: RefCell::default() }
    }

    /// What the handles share.
    pub(crate) fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        self.membership.name()
    }

    /// The domain that it has joined.
    pub fn domain(&self) -> &Domain {
        self.membership.domain()
    }

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
    /// a second: [`link_with`](Self::link_with) does so beforehand.
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

    /// Waits for a message from that process and no other.
    ///
    /// # Errors
    ///
    /// [`LinkError`] where there is no link and none can be made, otherwise those of
    /// [`Receiver::receive`].
    pub fn receive_from<T: Message>(
        &self,
        from: &str,
    ) -> Result<Delivery<T>, DirectError<ReceiveError>> {
        self.receive_from_with(from, &Wait::forever())
    }

    /// As [`receive_from`](Self::receive_from), for as long as `wait` says, waiting for the link
    /// included.
    ///
    /// # Errors
    ///
    /// Also timed out and cancelled.
    pub fn receive_from_with<T: Message>(
        &self,
        from: &str,
        wait: &Wait,
    ) -> Result<Delivery<T>, DirectError<ReceiveError>> {
        let mut bytes = Vec::new();
        self.membership.check()?;
        let mut desk = self.desk.borrow_mut();
        let source = |name: &Name| self.membership.source(name, wait).map(Some);
        let Some(inlet) = desk.inlet(&self.membership, from, source)? else {
            return Err(LinkError::TimedOut.into());
        };
        let received = inlet.receiver.receive_into_with(&mut bytes, wait).map(|_| ());
        let from = Self::settled(&mut desk, &self.membership, from, received)?;
        drop(desk);
        Ok(Delivery::new(T::decode(&mut bytes).map_err(ReceiveError::from)?, from))
    }

    /// Never waits, and asks nobody for a link: `None` where that process has sent nothing.
    ///
    /// # Errors
    ///
    /// Those of [`receive_from`](Self::receive_from).
    pub fn try_receive_from<T: Message>(
        &self,
        from: &str,
    ) -> Result<Option<Delivery<T>>, DirectError<ReceiveError>> {
        let mut bytes = Vec::new();
        self.membership.check()?;
        let mut desk = self.desk.borrow_mut();
        let source = |name: &Name| self.membership.source_now(name);
        let Some(inlet) = desk.inlet(&self.membership, from, source)? else { return Ok(None) };
        let received = match inlet.receiver.try_receive_into(&mut bytes) {
            Ok(None) => return Ok(None),
            other => other.map(|_| ()),
        };
        let from = Self::settled(&mut desk, &self.membership, from, received)?;
        drop(desk);
        Ok(Some(Delivery::new(T::decode(&mut bytes).map_err(ReceiveError::from)?, from)))
    }

    /// Waits for a message from anyone; its [`sender`](Delivery::sender) is the partner as the
    /// kernel tells it: name, pid and user. Fair among those who send.
    ///
    /// It sleeps as [`Select`](crate::Select) does: on links of capacity zero a `try_send` does not
    /// find it.
    ///
    /// # Errors
    ///
    /// [`Decode`](ReceiveError::Decode) when the message taken is no `T`, or a
    /// [`Fault`](crate::Fault), which may be that of one partner's link.
    pub fn receive<T: Message>(&self) -> Result<Delivery<T>, DirectError<ReceiveError>> {
        self.receive_with(&Wait::forever())
    }

    /// As [`receive`](Self::receive), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also timed out and cancelled.
    pub fn receive_with<T: Message>(
        &self,
        wait: &Wait,
    ) -> Result<Delivery<T>, DirectError<ReceiveError>> {
        let mut bytes = Vec::new();
        self.membership.check()?;
        let came = self.desk.borrow_mut().receive_any(&self.membership, &mut bytes, wait);
        match came {
            Ok(Came::Message(from)) => {
                Ok(Delivery::new(T::decode(&mut bytes).map_err(ReceiveError::from)?, from))
            }
            Ok(Came::Over(ended)) => Err(ReceiveError::from(ended).into()),
            Err(Trouble::Link(error)) => Err(error.into()),
            Err(Trouble::Receive(error)) => Err(error.into()),
        }
    }

    /// Never waits: `None` where nobody has sent anything.
    ///
    /// # Errors
    ///
    /// Those of [`receive`](Self::receive).
    pub fn try_receive<T: Message>(
        &self,
    ) -> Result<Option<Delivery<T>>, DirectError<ReceiveError>> {
        match self.receive_with(&at_once()) {
            Err(error) if error.is_timeout() => Ok(None),
            other => other.map(Some),
        }
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

    /// An end of its own for messages from that process.
    ///
    /// # Errors
    ///
    /// [`LinkError`].
    pub fn receiver_from<T: Message>(&self, from: &str) -> Result<Receiver<T>, LinkError> {
        self.receiver_from_with(from, &Wait::forever())
    }

    /// As [`receiver_from`](Self::receiver_from), waiting for the link for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also timed out and cancelled.
    pub fn receiver_from_with<T: Message>(
        &self,
        from: &str,
        wait: &Wait,
    ) -> Result<Receiver<T>, LinkError> {
        self.membership.check()?;
        let name = self.membership.partner(from)?;
        let link = self.membership.source(&name, wait)?;
        Ok(Receiver::new(link.receiver_end(&self.membership)?).with_partner(link.peer()))
    }

    /// Makes the link with that process, on these terms; or finds that it is there, on these terms.
    ///
    /// ```no_run
    /// use postbox::{Absence, Capacity, LinkOptions, Mechanism, Options};
    ///
    /// # let me = postbox::Domain::open("lab")?.join("sensor")?;
    /// let options = Options::new(Mechanism::Socket).capacity(Capacity::Zero);
    /// me.link_with("logger", LinkOptions::new(options).schema("reading/2").absent(Absence::Wait))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Mismatch`](LinkError::Mismatch) where there is one on other terms, and the other
    /// [`LinkError`]s.
    pub fn link_with(
        &self,
        partner: &str,
        options: impl Into<LinkOptions>,
    ) -> Result<LinkInfo, LinkError> {
        self.link_within(partner, options, &Wait::forever())
    }

    /// As [`link_with`](Self::link_with), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also timed out and cancelled.
    pub fn link_within(
        &self,
        partner: &str,
        options: impl Into<LinkOptions>,
        wait: &Wait,
    ) -> Result<LinkInfo, LinkError> {
        self.membership.check()?;
        let name = self.membership.partner(partner)?;
        let link = self.membership.link(&name, &options.into(), Insists::Yes, wait)?;
        Ok(LinkInfo::of(&link))
    }

    /// The links that there are, by partner.
    ///
    /// ```no_run
    /// # let me = postbox::Domain::open("lab")?.join("sensor")?;
    /// for link in me.links()? {
    ///     let waiting = link.outgoing().map_or(0, |(waiting, _)| waiting);
    ///     println!("{}: {}, {waiting} on the way", link.partner(), link.mechanism());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotJoined`](LinkError::NotJoined) in a child of `fork`.
    pub fn links(&self) -> Result<Vec<LinkInfo>, LinkError> {
        self.membership.check()?;
        let all = self.membership.board.all();
        Ok(all.iter().filter(|link| !link.is_over()).map(|link| LinkInfo::of(link)).collect())
    }

    /// Watches that process, to be told when it has gone. No link is made for it.
    ///
    /// # Errors
    ///
    /// [`Absent`](LinkError::Absent), or descriptors are short.
    pub fn monitor(&self, name: &str) -> Result<Monitor, LinkError> {
        self.membership.check()?;
        Monitor::new(&self.membership, self.membership.partner(name)?)
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
        let wait = Wait::timeout(FIRST_CONTACT);
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

    /// Whose message it is; or a link that is over, drained and told so is left behind.
    fn settled(
        desk: &mut Desk,
        membership: &Membership,
        from: &str,
        received: Result<(), ReceiveError>,
    ) -> Result<crate::peer::Peer, DirectError<ReceiveError>> {
        let inlet = desk.inlet(membership, from, |_| Ok(None))?;
        let Some(Inlet { link, peer, .. }) = inlet else { return Err(LinkError::TimedOut.into()) };
        match received {
            Ok(()) => Ok(peer.clone()),
            Err(error) => {
                if error.is_disconnected() {
                    let link = link.id;
                    desk.close_inlet(membership, link);
                }
                Err(error.into())
            }
        }
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

impl Clone for Process {
    /// One more handle of the same member, with ends of its own.
    fn clone(&self) -> Self {
        Process::of(self.membership.clone())
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process")
            .field("name", self.name())
            .field("domain", self.domain().name())
            .finish_non_exhaustive()
    }
}
