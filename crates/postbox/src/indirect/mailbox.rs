//! A mailbox, as a process that takes part in it holds it.

use super::asking::PATIENCE;
use super::error::MailboxError;
use super::open::{Opened, ask_to_open, create, joined, open};
use super::options::{MailboxOptions, Opening};
use super::outcome::{self, EndError};
use crate::channel::{Delivery, Receipt, Receiver, Role, Sender};
use crate::denied::Right;
use crate::direct::Process;
use crate::error::{DeliverError, ReceiveError, SendError, TrySendError};
use crate::message::Message;
use crate::name::Name;
use crate::wait::Wait;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::Duration;

/// How long a call that never waits may take to find out whether a right is there again.
const MOMENT: Duration = Duration::from_millis(250);

/// A mailbox of messages `T`, in the hands of a process that created or opened it.
///
/// It sends and receives by ends of its own, made at the first call that needs them;
/// [`sender`](Self::sender) and [`receiver`](Self::receiver) give further ones. `Send` and `Clone`,
/// not `Sync`: each thread has its own. A handle keeps its own process joined.
///
/// ```no_run
/// use postbox::{Access, Domain, MailboxOptions, Mechanism};
///
/// // One process
/// let me = Domain::open("lab")?.join("dispatcher")?;
/// let options = MailboxOptions::new(Mechanism::MessageQueue).receivers(Access::Members);
/// let jobs = me.create_mailbox::<String>("jobs", options)?;
/// let receipt = jobs.deliver(&"sweep the floor".into())?;
/// println!("{} does it", receipt.receiver());
///
/// // Another
/// let me = Domain::open("lab")?.join("worker-1")?;
/// let jobs = me.open_mailbox::<String>("jobs")?;
/// let job = jobs.receive()?;
/// println!("{} wants me to {}", job.sender(), *job);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Owner, and end
///
/// A mailbox belongs to the process that created it, or to the domain's [keeper](crate::Keeper), until
/// it is [transferred](Self::transfer_to). Absence never ends it: receivers wait for the next sender,
/// senders fill it. It ends when its owner [destroys](Self::destroy) it, leaves the domain or dies, by
/// SIGKILL too; everyone who waits then gets [`Destroyed`](SendError::Destroyed), what waited in it is
/// gone, and its name is free. Dropping a handle ends nothing. A keeper's mailbox outlives those who
/// use it.
///
/// The owner hands out the channel and sees no message: once a process has an end, its messages go
/// straight to the receiver, also while the owner is stopped. A first end may take a word of the
/// owner's, if rights have been revoked since the mailbox was opened.
///
/// # Rights
///
/// Who may receive and who may send is set at creation ([`Access`](crate::Access)) and changed by the
/// owner. A right is a name's and its user's, so it is there again after a restart. A call that lacks
/// it is `Denied`, which names those who have it. A right that is revoked ends calls that wait; what a
/// receiver had taken by then is its own.
///
/// # Sharing
///
/// Each message is taken by one receiver, once. Which one, when several wait, is the
/// [`Policy`](crate::Policy)'s: with `Any` those that wait take turns; with `OneAtATime` the one whose turn it
/// is; with `Pair` only two processes use the mailbox at all. There a process counts from the creating
/// or opening call on, whatever the number of its handles, threads and ends, until the last of them is
/// dropped or the process dies; a third is refused at opening. The keeper does not count, nor does an
/// owner that has dropped its handles. A receipt names the taker, a delivery its sender (unless the
/// sender's ends are gone when it is taken).
///
/// # What the kernel enforces
///
/// Descriptors are handed out, and nothing takes a descriptor back. So:
///
/// | who | may send only | right revoked, or mailbox given away |
/// | --- | --- | --- |
/// | another user, over pipe, socket or message queue | it has no reading side, and cannot reopen one through `/proc` | if it had the right to receive, its library refuses; the descriptors it holds would still work |
/// | another user, over shared memory | its library refuses; the memory is mapped whole | its library refuses |
/// | the same user | its library refuses; through `/proc` it could open what it likes | its library refuses |
///
/// What does not fit an entry of the mechanism waits in shared memory beside it, for everybody who
/// takes part. Who may look at the domain at all is the kernel's to enforce, by the permissions of its
/// directory. Where a right has to be taken from another user for certain, destroy the mailbox and
/// create another.
pub struct Mailbox<T: Message> {
    pub(super) process: Process,
    pub(super) name: Name,
    pub(super) id: u64,
    schema: Option<String>,
    opened: RefCell<Option<Opened>>,
    // Boxed because a call takes them out and puts them back: a message whose encoding uses this
    // very mailbox finds none there and makes another.
    sender: Cell<Option<Box<Sender<T>>>>,
    receiver: Cell<Option<Box<Receiver<T>>>>,
}

impl Process {
    /// Creates a mailbox, or opens the one that is there: as [`MailboxOptions::existing`] says. It
    /// belongs to this process or to the domain's keeper, as [`MailboxOptions::owner`] says.
    ///
    /// With [`Policy::Pair`](crate::Policy::Pair) this process is one of the two from now on, for as
    /// long as it holds the handle or an end.
    ///
    /// # Errors
    ///
    /// A name that is none; [`Exists`](MailboxError::Exists); [`NoKeeper`](MailboxError::NoKeeper);
    /// options out of their range; what the machine refuses a channel; and those of
    /// [`open_mailbox`](Self::open_mailbox) where one is opened.
    pub fn create_mailbox<T: Message>(
        &self,
        name: &str,
        options: impl Into<MailboxOptions>,
    ) -> Result<Mailbox<T>, MailboxError> {
        let (name, options) = (Name::new(name)?, options.into());
        options.check()?;
        joined(self)?;
        let (id, opened) = create(self, &name, &options)?;
        Ok(Mailbox::new(self.clone(), name, id, options.schema, opened))
    }

    /// Opens a mailbox of the domain.
    ///
    /// # Errors
    ///
    /// [`Absent`](MailboxError::Absent); [`NoRight`](MailboxError::NoRight) where this process may
    /// neither send nor receive; two other processes use it, and its policy is
    /// [`Pair`](crate::Policy::Pair); [`TimedOut`](MailboxError::TimedOut) if its owner does not
    /// answer within five seconds, because it was stopped for instance.
    pub fn open_mailbox<T: Message>(&self, name: &str) -> Result<Mailbox<T>, MailboxError> {
        self.open_mailbox_with(name, &Opening::new())
    }

    /// Opens a mailbox that has to have a schema, or that is not there yet.
    ///
    /// # Errors
    ///
    /// Those of [`open_mailbox`](Self::open_mailbox), [`Schema`](MailboxError::Schema), and
    /// [`StillAbsent`](MailboxError::StillAbsent) where it did not come in time.
    pub fn open_mailbox_with<T: Message>(
        &self,
        name: &str,
        opening: &Opening<'_>,
    ) -> Result<Mailbox<T>, MailboxError> {
        let name = Name::new(name)?;
        opening.check()?;
        joined(self)?;
        let opened = open(self, &name, opening)?;
        let schema = opening.schema.map(str::to_owned);
        Ok(Mailbox::new(self.clone(), name, opened.id(), schema, Some(opened)))
    }
}

impl<T: Message> Mailbox<T> {
    fn new(
        process: Process,
        name: Name,
        id: u64,
        schema: Option<String>,
        opened: Option<Opened>,
    ) -> Self {
        let opened = RefCell::new(opened);
        Mailbox {
            process,
            name,
            id,
            schema,
            opened,
            sender: Cell::default(),
            receiver: Cell::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its id: another mailbox of that name, later, has another.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// One more sending end.
    ///
    /// # Errors
    ///
    /// [`Denied`](MailboxError::Denied), which names who may; [`Destroyed`](MailboxError::Destroyed);
    /// a [`Fault`](crate::Fault), such as too many ends.
    pub fn sender(&self) -> Result<Sender<T>, MailboxError> {
        self.sender_within(&Wait::timeout(PATIENCE))
    }

    fn sender_within(&self, wait: &Wait<'_>) -> Result<Sender<T>, MailboxError> {
        self.seat(Role::Sender, Right::Send, wait).map(Sender::new)
    }

    /// One more receiving end.
    ///
    /// # Errors
    ///
    /// As [`sender`](Self::sender).
    pub fn receiver(&self) -> Result<Receiver<T>, MailboxError> {
        self.receiver_within(&Wait::timeout(PATIENCE))
    }

    fn receiver_within(&self, wait: &Wait<'_>) -> Result<Receiver<T>, MailboxError> {
        self.seat(Role::Receiver, Right::Receive, wait).map(Receiver::new)
    }

    /// Takes a seat in the channel, asking the owner only where what is known does not suffice.
    fn seat(
        &self,
        role: Role,
        right: Right,
        wait: &Wait<'_>,
    ) -> Result<crate::channel::End, MailboxError> {
        joined(&self.process)?;
        loop {
            if self.opened.borrow().as_ref().is_some_and(Opened::is_destroyed) {
                return Err(MailboxError::Destroyed { name: self.name.clone() });
            }
            if let Some(opened) = &*self.opened.borrow()
                && let Some(end) = opened.seat(role, right, self.process.name())?
            {
                return Ok(end);
            }
            let schema = self.schema.as_deref();
            let fresh = match ask_to_open(&self.process, &self.name, Some(right), schema, wait) {
                Ok(fresh) if fresh.id() == self.id => fresh,
                Ok(_) | Err(MailboxError::Absent { .. }) => {
                    return Err(MailboxError::Destroyed { name: self.name.clone() });
                }
                Err(error) => return Err(error),
            };
            let mut opened = self.opened.borrow_mut();
            *opened = Some(match opened.take() {
                Some(before) => before.renewed(fresh),
                None => fresh,
            });
        }
    }

    /// Calls with the handle's own sending end.
    fn sending<R, E: EndError>(
        &self,
        wait: Option<&Wait<'_>>,
        call: impl Fn(&Sender<T>) -> Result<R, E>,
    ) -> Result<R, E> {
        let make = || self.sender_within(&patience(wait)).map(Box::new);
        outcome::call(&self.sender, make, |end| call(end))
    }

    /// Calls with the handle's own receiving end.
    fn receiving<R, E: EndError>(
        &self,
        wait: Option<&Wait<'_>>,
        call: impl Fn(&Receiver<T>) -> Result<R, E>,
    ) -> Result<R, E> {
        let make = || self.receiver_within(&patience(wait)).map(Box::new);
        outcome::call(&self.receiver, make, |end| call(end))
    }

    /// Sends; see [`Sender::send`].
    ///
    /// # Errors
    ///
    /// Those of [`Sender::send`]. [`Denied`](SendError::Denied) names who may.
    pub fn send(&self, message: &T::Borrowed) -> Result<(), SendError> {
        self.send_with(message, &Wait::forever())
    }

    /// As [`send`](Self::send), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::send_with`].
    pub fn send_with(&self, message: &T::Borrowed, wait: &Wait) -> Result<(), SendError> {
        self.sending(Some(wait), |end| end.send_with(message, wait))
    }

    /// Sends if there is room; see [`Sender::try_send`]. It never waits for room; the first call of
    /// a handle may ask the mailbox's owner.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::try_send`].
    pub fn try_send(&self, message: &T::Borrowed) -> Result<(), TrySendError> {
        self.sending(None, |end| end.try_send(message))
    }

    /// Sends and waits until a receiver has taken it; the receipt names the taker. See
    /// [`Sender::deliver`].
    ///
    /// # Errors
    ///
    /// Those of [`Sender::deliver`].
    pub fn deliver(&self, message: &T::Borrowed) -> Result<Receipt, DeliverError> {
        self.deliver_with(message, &Wait::forever())
    }

    /// As [`deliver`](Self::deliver), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`Sender::deliver_with`].
    pub fn deliver_with(
        &self,
        message: &T::Borrowed,
        wait: &Wait,
    ) -> Result<Receipt, DeliverError> {
        self.sending(Some(wait), |end| end.deliver_with(message, wait))
    }

    /// Offers the message and takes it back unless a receiver took it at once; see
    /// [`Sender::try_deliver`].
    ///
    /// # Errors
    ///
    /// Those of [`Sender::try_deliver`].
    pub fn try_deliver(&self, message: &T::Borrowed) -> Result<Receipt, DeliverError> {
        self.sending(None, |end| end.try_deliver(message))
    }

    /// Waits for a message; see [`Receiver::receive`]. Absence of senders never ends it, only
    /// [`Destroyed`](ReceiveError::Destroyed) does, or the loss of the right.
    ///
    /// # Errors
    ///
    /// Those of [`Receiver::receive`]. [`Denied`](ReceiveError::Denied) names who may.
    pub fn receive(&self) -> Result<Delivery<T>, ReceiveError> {
        self.receive_with(&Wait::forever())
    }

    /// As [`receive`](Self::receive), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`Receiver::receive_with`].
    pub fn receive_with(&self, wait: &Wait) -> Result<Delivery<T>, ReceiveError> {
        self.receiving(Some(wait), |end| end.receive_with(wait))
    }

    /// Takes a message if there is one; see [`Receiver::try_receive`].
    ///
    /// # Errors
    ///
    /// Those of [`Receiver::try_receive`].
    pub fn try_receive(&self) -> Result<Option<Delivery<T>>, ReceiveError> {
        self.receiving(None, |end| end.try_receive())
    }
}

/// How long the owner may take to answer within a call that waits like that, or that never waits.
fn patience<'c>(wait: Option<&Wait<'c>>) -> Wait<'c> {
    match wait {
        None => Wait::timeout(MOMENT),
        Some(wait) => {
            let most = Wait::timeout(PATIENCE).deadline;
            Wait { deadline: wait.deadline.into_iter().chain(most).min(), cancel: wait.cancel }
        }
    }
}

impl<T: Message> Clone for Mailbox<T> {
    /// The same mailbox, with ends of its own.
    fn clone(&self) -> Self {
        let opened = self.opened.borrow().clone();
        let (process, name, schema) =
            (self.process.clone(), self.name.clone(), self.schema.clone());
        Mailbox::new(process, name, self.id, schema, opened)
    }
}

impl<T: Message> fmt::Debug for Mailbox<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailbox")
            .field("name", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Bytes;

    #[test]
    fn handles_go_from_thread_to_thread() {
        fn is_send<S: Send>() {}
        is_send::<Mailbox<Bytes>>();
    }
}
