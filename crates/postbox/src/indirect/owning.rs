//! What the owner of a mailbox does with it, and what anybody may ask about it.

use super::asking::{Asking, PATIENCE};
use super::error::MailboxError;
use super::mailbox::Mailbox;
use super::open::joined;
use super::outcome::{done, out_of_place};
use super::owned::Owned;
use super::status::MailboxStatus;
use super::transfer;
use super::wire::{MailboxReply, MailboxRequest, Refusal, Which};
use crate::denied::Right;
use crate::message::Message;
use crate::name::Name;
use crate::wait::Wait;

impl<T: Message> Mailbox<T> {
    /// What it is and how it stands, as its owner says.
    ///
    /// # Errors
    ///
    /// [`Destroyed`](MailboxError::Destroyed) once it is no more, also if there is another of its name;
    /// [`TimedOut`](MailboxError::TimedOut) if the owner does not answer within five seconds.
    pub fn status(&self) -> Result<MailboxStatus, MailboxError> {
        match self.ask(&MailboxRequest::Status { which: self.which() }, &Wait::timeout(PATIENCE))? {
            MailboxReply::Status(status) => Ok(status),
            _ => Err(out_of_place()),
        }
    }

    /// Lets a process receive: the one of that name, as the user that bears the name now, or as this
    /// one's where nobody does. It holds for every later process of that name and user, too.
    ///
    /// # Errors
    ///
    /// [`NotOwner`](MailboxError::NotOwner) unless this process owns the mailbox, or its keeper runs
    /// as the same user; [`Refused`](MailboxError::Refused) where the list is full.
    pub fn grant_receive(&self, to: &str) -> Result<(), MailboxError> {
        self.grant(Right::Receive, to)
    }

    /// Takes the right to receive from every process of that name: its receiving ends are refused
    /// from their next call on, and calls that wait are ended.
    ///
    /// This binds those that keep to the contract; see [what the kernel enforces](#what-the-kernel-enforces).
    ///
    /// # Errors
    ///
    /// As [`grant_receive`](Self::grant_receive); and the owner's right under
    /// [`Access::Owner`](crate::Access::Owner) cannot be taken, only transferred.
    pub fn revoke_receive(&self, from: &str) -> Result<(), MailboxError> {
        self.revoke(Right::Receive, from)
    }

    /// Lets a process send, as [`grant_receive`](Self::grant_receive) does for receiving.
    ///
    /// # Errors
    ///
    /// Those of [`grant_receive`](Self::grant_receive).
    pub fn grant_send(&self, to: &str) -> Result<(), MailboxError> {
        self.grant(Right::Send, to)
    }

    /// Takes the right to send, as [`revoke_receive`](Self::revoke_receive) does for receiving.
    ///
    /// # Errors
    ///
    /// Those of [`revoke_receive`](Self::revoke_receive).
    pub fn revoke_send(&self, from: &str) -> Result<(), MailboxError> {
        self.revoke(Right::Send, from)
    }

    /// Makes the process of that name the owner, or the keeper where that is the name. What waits in
    /// the mailbox stays in place, and those who wait at it notice nothing. What was the owner's right
    /// is the new owner's; the old one keeps only what it was granted.
    ///
    /// # Errors
    ///
    /// [`NotOwner`](MailboxError::NotOwner); [`NoSuchProcess`](MailboxError::NoSuchProcess);
    /// [`Refused`](MailboxError::Refused) with the reason, also when the other process does not
    /// answer within five seconds. The mailbox has then stayed where it was.
    pub fn transfer_to(&self, name: &str) -> Result<(), MailboxError> {
        self.transfer_to_with(name, &Wait::timeout(PATIENCE))
    }

    /// As [`transfer_to`](Self::transfer_to), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`transfer_to`](Self::transfer_to).
    pub fn transfer_to_with(&self, name: &str, wait: &Wait) -> Result<(), MailboxError> {
        let to = Name::new(name)?;
        joined(&self.process)?;
        if let Some(host) = Owned::of(&self.process).and_then(|owned| owned.find(&self.name))
            && host.id() == self.id
        {
            match transfer::give_with(&host, &to, wait) {
                // Just another's, or on its way there: whoever answers for it knows.
                Err(Refusal::AskAgain) => {}
                given => {
                    return given
                        .map_err(|refusal| MailboxError::refused(refusal, &self.name, None));
                }
            }
        }
        done(self.ask(&MailboxRequest::transfer(self.which(), to, wait), wait)?)
    }

    /// Ends the mailbox. Everyone who waits at it gets `Destroyed`; what waited in it is gone; its
    /// name is free at once.
    ///
    /// # Errors
    ///
    /// [`NotOwner`](MailboxError::NotOwner) and [`Destroyed`](MailboxError::Destroyed).
    pub fn destroy(&self) -> Result<(), MailboxError> {
        self.change(&MailboxRequest::Destroy { which: self.which() })
    }

    fn grant(&self, right: Right, to: &str) -> Result<(), MailboxError> {
        let to = Name::new(to)?;
        self.change(&MailboxRequest::Grant { which: self.which(), right, to })
    }

    fn revoke(&self, right: Right, from: &str) -> Result<(), MailboxError> {
        let from = Name::new(from)?;
        self.change(&MailboxRequest::Revoke { which: self.which(), right, from })
    }

    fn change(&self, request: &MailboxRequest) -> Result<(), MailboxError> {
        done(self.ask(request, &Wait::timeout(PATIENCE))?)
    }

    /// This mailbox, and not another that bears its name by now.
    fn which(&self) -> Which {
        Some(self.id)
    }

    fn ask(&self, request: &MailboxRequest, wait: &Wait<'_>) -> Result<MailboxReply, MailboxError> {
        joined(&self.process)?;
        let asking = Asking { domain: self.process.domain(), from: Some(self.process.name()) };
        match asking.owner(&self.name, request, wait) {
            Ok(heard) => Ok(heard.reply),
            Err(MailboxError::Absent { name, .. }) => Err(MailboxError::Destroyed { name }),
            Err(error) => Err(error),
        }
    }
}
