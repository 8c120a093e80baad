//! The mailboxes that a process owns.

use super::desk::Asker;
use super::error::MailboxError;
use super::host::Host;
use super::options::{MailboxOptions, Ownership};
use super::transfer::Offer;
use super::wire::{MailboxReply, MailboxRequest, Refusal, cannot};
use crate::channel::{Attached, Channel};
use crate::direct::Process;
use crate::domain::protocol::Reply;
use crate::domain::{Answer, Caller, Member, Tenant};
use crate::name::Name;
use crate::remedy;
use postbox_steps::{Step, at};
use postbox_sys::directory::own_uid;
use postbox_sys::eventfd;
use std::any::Any;
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The mailboxes that one process, or the keeper, owns. They end with it.
pub(crate) struct Owned {
    hosts: Mutex<Hosts>,
    ownership: Ownership,
    /// Rung when a mailbox comes or goes; the keeper listens.
    changed: Option<OwnedFd>,
}

#[derive(Default)]
struct Hosts {
    of: HashMap<Name, Arc<Host>>,
    /// Its process leaves: no more come in.
    closed: bool,
    /// How often somebody has wanted one to be kept, in vain or not.
    wanted: u64,
    /// Answers that are still to be sent.
    engaged: usize,
}

/// An answer that is still to be sent: a keeper does not end before.
pub(super) struct Engaged(Arc<Owned>);

impl Drop for Engaged {
    fn drop(&mut self) {
        self.0.hosts().engaged -= 1;
        self.0.ring();
    }
}

impl Owned {
    /// None yet, of a process.
    pub(crate) fn new() -> Arc<Self> {
        Self::with(Ownership::Process, None)
    }

    /// Those of this process. Whoever joined brought them.
    pub(super) fn of(process: &Process) -> Option<Arc<Self>> {
        let tenant: Arc<dyn Any + Send + Sync> = process.membership().tenant().clone();
        tenant.downcast().ok()
    }

    /// None yet, of a keeper, which listens to that bell.
    pub(super) fn of_keeper(changed: OwnedFd) -> Arc<Self> {
        Self::with(Ownership::Keeper, Some(changed))
    }

    fn with(ownership: Ownership, changed: Option<OwnedFd>) -> Arc<Self> {
        Arc::new(Owned { hosts: Mutex::default(), ownership, changed })
    }

    pub(super) fn ownership(&self) -> Ownership {
        self.ownership
    }

    pub(super) fn changed(&self) -> Option<&OwnedFd> {
        self.changed.as_ref()
    }

    fn hosts(&self) -> MutexGuard<'_, Hosts> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring(&self) {
        if let Some(bell) = &self.changed {
            let _ = eventfd::ring(bell);
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.hosts().of.is_empty()
    }

    /// How often somebody has wanted one to be kept, in vain or not.
    pub(super) fn wanted(&self) -> u64 {
        self.hosts().wanted
    }

    pub(super) fn names(&self) -> Vec<Name> {
        let mut names: Vec<Name> = self.hosts().of.keys().cloned().collect();
        names.sort();
        names
    }

    /// Takes one in; not when this process is just leaving.
    pub(super) fn add(&self, host: &Arc<Host>) -> Result<(), Refusal> {
        let mut hosts = self.hosts();
        if hosts.closed {
            return Err(Refusal::AskAgain);
        }
        hosts.wanted += 1;
        let before = hosts.of.insert(host.name.clone(), host.clone());
        drop(hosts);
        // Its last act takes the lock again.
        drop(before);
        self.ring();
        Ok(())
    }

    /// A mailbox is no more, or another's.
    pub(super) fn forget(&self, host: &Host) {
        let mut hosts = self.hosts();
        let gone = match hosts.of.get(&host.name) {
            Some(there) if std::ptr::eq(&**there, host) => hosts.of.remove(&host.name),
            _ => None,
        };
        drop(hosts);
        drop(gone);
        self.ring();
    }

    /// The mailbox of that name, if it is this process's.
    pub(super) fn find(&self, name: &Name) -> Option<Arc<Host>> {
        self.hosts().of.get(name).cloned()
    }

    /// Creates one that belongs to this process, for its own user, which takes part at once: of a
    /// pair's two it is the first.
    pub(super) fn create(
        self: &Arc<Self>,
        member: Member<'_>,
        name: &Name,
        options: &MailboxOptions,
    ) -> Result<(Arc<Host>, Attached), MailboxError> {
        Host::create(self, member, name, options, own_uid(), Channel::attach)
    }

    /// Destroys all of them: their owner leaves.
    pub(crate) fn close(&self) {
        let mut hosts = self.hosts();
        hosts.closed = true;
        let of = std::mem::take(&mut hosts.of);
        drop(hosts);
        of.values().for_each(|host| host.destroy());
    }

    /// Takes no more in if there is none and nothing to be answered; whether that is so now.
    pub(super) fn close_if_none(&self) -> bool {
        let mut hosts = self.hosts();
        hosts.closed |= hosts.of.is_empty() && hosts.engaged == 0;
        if hosts.closed {
            at(Step::KeeperClosed);
        }
        hosts.closed
    }

    /// Whether anybody has something of any of them, or there is something to be answered.
    pub(super) fn is_of_use(&self) -> bool {
        let hosts = self.hosts();
        let (engaged, of) = (hosts.engaged > 0, hosts.of.values().cloned().collect::<Vec<_>>());
        // Their last act takes the lock again.
        drop(hosts);
        engaged || of.iter().any(|host| host.is_of_use())
    }

    /// There is an answer to be sent.
    pub(super) fn engage(self: &Arc<Self>) -> Engaged {
        self.hosts().engaged += 1;
        Engaged(self.clone())
    }

    /// Answers what concerns mailboxes at the address of the process itself: takes one over, or as
    /// the keeper creates one.
    pub(crate) fn answer(
        self: &Arc<Self>,
        member: Member<'_>,
        caller: &Caller,
        request: &[u8],
        fds: Vec<OwnedFd>,
    ) -> Answer {
        let Some(request) = MailboxRequest::unpack(request) else {
            return Reply::NotUnderstood.into();
        };
        let asker = Asker { pid: caller.pid, uid: caller.uid, name: caller.name.as_ref() };
        // To keep one, that is.
        let wanted =
            matches!(request, MailboxRequest::Adopt { .. } | MailboxRequest::Create { .. });
        let done = match request {
            MailboxRequest::Adopt { name, terms, rights, nonce } => {
                let offer = Offer::receive(member.domain, asker, name, terms, rights, nonce, fds);
                offer.and_then(|(offer, claim)| Host::adopt(self, member, offer, claim)).map(drop)
            }
            MailboxRequest::Create { name, plan } if self.ownership == Ownership::Keeper => {
                match Host::create(
                    self,
                    member,
                    &name,
                    &plan.into_options(),
                    caller.uid,
                    |_| Ok(()),
                ) {
                    Ok(_) => Ok(()),
                    Err(MailboxError::Exists { pid, .. }) => Err(Refusal::Exists { pid }),
                    Err(MailboxError::TimedOut { .. }) => Err(Refusal::AskAgain),
                    // Whoever asked knows which mailbox it is about.
                    Err(MailboxError::Refused { reason, .. }) => Err(Refusal::Cannot(reason)),
                    Err(error) => Err(cannot(error)),
                }
            }
            MailboxRequest::Create { .. } => {
                Err(Refusal::Cannot(format!("{} is no keeper", member.name)))
            }
            _ => Err(Refusal::Cannot(
                "this is to be asked of a mailbox's owner, at the mailbox".into(),
            )),
        };
        match done {
            Ok(()) => MailboxReply::Done.pack().into(),
            Err(refusal) => {
                self.hosts().wanted += u64::from(wanted);
                self.ring();
                MailboxReply::Refused(self.as_told(member.name, refusal)).pack().into()
            }
        }
    }

    /// The same for one to whom the limits of this process are another's.
    fn as_told(&self, own: &Name, refusal: Refusal) -> Refusal {
        let whose = match self.ownership {
            Ownership::Keeper => "the keeper".to_owned(),
            Ownership::Process => format!("'{own}'"),
        };
        match refusal {
            Refusal::Cannot(said) => {
                Refusal::Cannot(remedy::of_another(&whose, std::process::id(), &said))
            }
            refusal => refusal,
        }
    }
}

impl Tenant for Owned {
    fn answer(
        self: Arc<Self>,
        member: Member<'_>,
        caller: &Caller,
        request: &[u8],
        fds: Vec<OwnedFd>,
    ) -> Answer {
        Owned::answer(&self, member, caller, request, fds)
    }

    fn close(&self) {
        Owned::close(self);
    }
}
