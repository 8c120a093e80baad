//! Administration by tools that have no name in the domain.

use super::asking::{Asking, PATIENCE};
use super::error::MailboxError;
use super::options::MailboxOptions;
use super::outcome::{done, out_of_place};
use super::status::MailboxStatus;
use super::wire::{MailboxReply, MailboxRequest, Plan};
use crate::denied::Right;
use crate::domain::Domain;
use crate::name::Name;
use crate::wait::Wait;

/// A mailbox of a domain, to be looked at and changed without taking part in it or in the domain.
///
/// Looking is everybody's who may enter the domain. Changing is its owner's; a keeper's mailboxes may
/// be changed by every process of the keeper's user. Each call waits five seconds at most.
///
/// ```no_run
/// use postbox::{Access, Domain, MailboxOptions, Mechanism, Right};
///
/// let jobs = Domain::open("lab")?.mailbox("jobs")?;
/// jobs.create(MailboxOptions::new(Mechanism::Pipe))?; // at the domain's keeper
/// jobs.grant(Right::Receive, "worker-1")?;
/// let status = jobs.status()?;
/// println!("{} of {} wait; {} may receive", status.queued, status.capacity, status.may_receive);
/// jobs.destroy()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct MailboxAdmin {
    domain: Domain,
    name: Name,
}

impl Domain {
    /// A mailbox by its name, be it there or not.
    ///
    /// # Errors
    ///
    /// A name that is none.
    pub fn mailbox(&self, name: &str) -> Result<MailboxAdmin, MailboxError> {
        Ok(MailboxAdmin { domain: self.clone(), name: Name::new(name)? })
    }
}

impl MailboxAdmin {
    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Has the domain's keeper create it. Whom the options name as owner and what they say about one
    /// that exists is of no account.
    ///
    /// # Errors
    ///
    /// [`NoKeeper`](MailboxError::NoKeeper), [`Exists`](MailboxError::Exists),
    /// [`Refused`](MailboxError::Refused) with what the keeper met.
    pub fn create(
        &self,
        options: impl Into<MailboxOptions>,
    ) -> Result<MailboxStatus, MailboxError> {
        let options = options.into();
        options.check()?;
        let plan = Plan::of(&options);
        let request = MailboxRequest::Create { name: self.name.clone(), plan };
        done(self.asking().keeper(&self.name, &request, &Wait::timeout(PATIENCE))?.reply)?;
        self.status()
    }

    /// What it is and how it stands.
    ///
    /// # Errors
    ///
    /// [`Absent`](MailboxError::Absent), and [`TimedOut`](MailboxError::TimedOut) if its owner does
    /// not answer.
    pub fn status(&self) -> Result<MailboxStatus, MailboxError> {
        match self.ask(&MailboxRequest::Status { which: None })? {
            MailboxReply::Status(status) => Ok(status),
            _ => Err(out_of_place()),
        }
    }

    /// Lets a process send or receive: the one of that name, as the user that bears it now, or as
    /// this one's where nobody does.
    ///
    /// # Errors
    ///
    /// [`Absent`](MailboxError::Absent), [`NotOwner`](MailboxError::NotOwner).
    pub fn grant(&self, right: Right, to: &str) -> Result<(), MailboxError> {
        let to = Name::new(to)?;
        done(self.ask(&MailboxRequest::Grant { which: None, right, to })?)
    }

    /// Takes the right to send or to receive from every process of that name, at once.
    ///
    /// # Errors
    ///
    /// Those of [`grant`](Self::grant).
    pub fn revoke(&self, right: Right, from: &str) -> Result<(), MailboxError> {
        let from = Name::new(from)?;
        done(self.ask(&MailboxRequest::Revoke { which: None, right, from })?)
    }

    /// Makes the process of that name the owner, or the keeper where that is the name. What waits in
    /// the mailbox stays in place.
    ///
    /// # Errors
    ///
    /// Those of [`Mailbox::transfer_to`](crate::Mailbox::transfer_to).
    pub fn transfer_to(&self, to: &str) -> Result<(), MailboxError> {
        let request = MailboxRequest::transfer(None, Name::new(to)?, &Wait::timeout(PATIENCE));
        done(self.ask(&request)?)
    }

    /// Ends it: everyone who waits at it is told, and what waits in it is gone.
    ///
    /// # Errors
    ///
    /// Those of [`grant`](Self::grant).
    pub fn destroy(&self) -> Result<(), MailboxError> {
        done(self.ask(&MailboxRequest::Destroy { which: None })?)
    }

    fn asking(&self) -> Asking<'_> {
        Asking { domain: &self.domain, from: None }
    }

    fn ask(&self, request: &MailboxRequest) -> Result<MailboxReply, MailboxError> {
        // A transfer may take as long, and then be answered.
        let wait = Wait::timeout(PATIENCE + PATIENCE / 5);
        Ok(self.asking().owner(&self.name, request, &wait)?.reply)
    }
}
