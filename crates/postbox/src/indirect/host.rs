//! The owner's side of one mailbox: its channel, its name and socket, and the answers to those who
//! ask. The rules are [`Desk`]'s; here they are acted on.
//!
//! ```text
//!   opener ── Open ──► owner's registrar ── rights? ──► descriptors
//!      │                                                    │
//!      └──────────── sends and receives itself ◄────────────┘   the owner sees no message
//! ```
//!
//! While a host exists, its claim holds the name, its socket answers, and the owner word of the
//! channel is this process's, so that everyone attached watches for its death.

use super::desk::{Asker, Closed, Desk, Move, Moved, Owner};
use super::error::MailboxError;
use super::options::MailboxOptions;
use super::owned::Owned;
use super::rights::{Access, Grant, Rights};
use super::status::{MailboxOwner, MailboxStatus};
use super::users::{user_of, user_of_member};
use super::wire::{BothRights, MailboxReply, MailboxRequest, Refusal, Terms, cannot};
use super::{later, transfer};
use crate::channel::{Channel, Lifetime, Role};
use crate::denied::Right;
use crate::domain::protocol::{Reply, Request};
use crate::domain::{
    Address, Answer, Caller, Claim, ClaimError, Domain, Member, Served, Service, unique,
};
use crate::error::{CreateError, Fault};
use crate::name::Name;
use crate::process::Identity;
use postbox_steps::{Step, at};
use postbox_sys::Errno;
use postbox_sys::directory::own_uid;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// One mailbox at its owner.
pub(crate) struct Host {
    pub(super) domain: Domain,
    pub(super) name: Name,
    pub(super) channel: Arc<Channel>,
    desk: Mutex<Desk>,
    /// None once the mailbox is no more, or another's.
    tenure: Mutex<Option<Tenure>>,
    owned: Weak<Owned>,
}

/// What makes this process the one that answers for the name. Dropped in this order: a socket never
/// outlives its claim.
pub(super) struct Tenure {
    pub(super) served: Served,
    pub(super) claim: Claim,
}

impl Host {
    /// Creates a mailbox that belongs to this process, for `creator`; `first` comes before anybody
    /// else can take part.
    pub(super) fn create<R>(
        owned: &Arc<Owned>,
        member: Member<'_>,
        name: &Name,
        options: &MailboxOptions,
        creator: u32,
        first: impl FnOnce(&Channel) -> Result<R, Fault>,
    ) -> Result<(Arc<Self>, R), MailboxError> {
        options.check()?;
        let domain = member.domain;
        let claim = domain.claim(&Address::mailbox(name)).map_err(|error| match error {
            ClaimError::Taken { pid } => MailboxError::Exists { name: name.clone(), pid },
            ClaimError::Domain(error) => error.into(),
        })?;
        let rights = |access: &Access| {
            Rights::new(access, |name| user_of(domain, name).map(|uid| uid.unwrap_or(creator)))
        };
        let both =
            BothRights { send: rights(&options.senders)?, receive: rights(&options.receivers)? };
        let terms = Terms {
            id: unique(),
            schema: options.schema.clone(),
            strategy: options.options.strategy().into(),
            owner: member.name.clone(),
            ownership: owned.ownership(),
        };
        let channel = Arc::new(create_channel(name, options)?);
        let result = first(&channel)?;
        let desk = Desk::new(terms, both, this_process());
        let host = Self::establish(owned, member, name, channel, desk, claim)
            .map_err(|refusal| MailboxError::refused(refusal, name, None))?;
        Ok((host, result))
    }

    /// Takes over a mailbox that its owner offers; the claim is half of its name.
    pub(super) fn adopt(
        owned: &Arc<Owned>,
        member: Member<'_>,
        offer: transfer::Offer,
        claim: Claim,
    ) -> Result<Arc<Self>, Refusal> {
        let nonce = offer.nonce;
        let (host, arriving) = Self::arrive(owned, member, offer, claim)?;
        host.take_over(arriving, nonce)?;
        Ok(host)
    }

    /// Gets ready to serve a mailbox that is still another's.
    pub(super) fn arrive(
        owned: &Arc<Owned>,
        member: Member<'_>,
        offer: transfer::Offer,
        claim: Claim,
    ) -> Result<(Arc<Self>, Move), Refusal> {
        let transfer::Offer { name, mut terms, rights, nonce: _, channel } = offer;
        terms.owner = member.name.clone();
        terms.ownership = owned.ownership();
        let (desk, arriving) = Desk::arriving(terms, rights, this_process());
        let host = Self::establish(owned, member, &name, Arc::new(channel), desk, claim)?;
        Ok((host, arriving))
    }

    /// Makes it this process's. With the desk locked: this process may be leaving, and either does
    /// not take it any more or ends what has become its own.
    pub(super) fn take_over(&self, arriving: Move, nonce: u64) -> Result<(), Refusal> {
        let mut desk = self.desk();
        if !desk.is_moving(&arriving) {
            return Err(Refusal::AskAgain);
        }
        if !self.channel.accept_ownership(nonce, Identity::own()) {
            // Too late: it has stayed with its owner. What was built here is for nothing.
            desk.settle(arriving, Moved::Given);
            drop(desk);
            self.resign();
            return Err(Refusal::Cannot("the offer of it was withdrawn".into()));
        }
        // The last owner's right to receive may have been no more than the owner's. Before it can be
        // given on: the next owner's ends are not this one's to judge.
        self.expel(&desk, Right::Receive);
        self.expel(&desk, Right::Send);
        desk.settle(arriving, Moved::Here);
        at(Step::HeirServes);
        Ok(())
    }

    fn establish(
        owned: &Arc<Owned>,
        member: Member<'_>,
        name: &Name,
        channel: Arc<Channel>,
        desk: Desk,
        claim: Claim,
    ) -> Result<Arc<Self>, Refusal> {
        let host = Arc::new(Host {
            domain: member.domain.clone(),
            name: name.clone(),
            channel,
            desk: Mutex::new(desk),
            tenure: Mutex::new(None),
            owned: Arc::downgrade(owned),
        });
        let front = Arc::new(Front(Arc::downgrade(&host)));
        let served = member.serving.serve(Address::mailbox(name), front).map_err(cannot)?;
        at(Step::MailboxServed);
        *host.tenure() = Some(Tenure { served, claim });
        owned.add(&host)?;
        at(Step::MailboxOwned);
        Ok(host)
    }

    /// The mailbox's id.
    pub(super) fn id(&self) -> u64 {
        self.desk().terms().id
    }

    pub(super) fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tenure(&self) -> MutexGuard<'_, Option<Tenure>> {
        self.tenure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What that process may do here, needing one right or any.
    pub(super) fn open(
        &self,
        asker: Asker<'_>,
        needs: Option<Right>,
        schema: Option<&str>,
    ) -> Result<MailboxReply, Refusal> {
        // Before the rights are looked at.
        let epoch = self.channel.rights_epoch();
        let desk = self.desk();
        let may = desk.open(asker, needs, schema)?;
        Ok(MailboxReply::Opened { terms: desk.terms().clone(), may, epoch })
    }

    /// What the owner itself may do here. It has the channel in any case.
    pub(super) fn opened_by_owner(&self) -> MailboxReply {
        let epoch = self.channel.rights_epoch();
        let desk = self.desk();
        MailboxReply::Opened { terms: desk.terms().clone(), may: desk.owners_rights(), epoch }
    }

    /// Lets a name in, as the user that bears it now, or else as the granter's.
    pub(super) fn grant(&self, right: Right, to: &Name, granter: u32) -> Result<(), Refusal> {
        let uid = user_of(&self.domain, to).map_err(cannot)?.unwrap_or(granter);
        self.desk().grant(right, Grant { name: to.clone(), uid })?;
        at(Step::RightGranted);
        Ok(())
    }

    /// Shuts a name out, its ends that exist included.
    pub(super) fn revoke(&self, right: Right, from: &Name) -> Result<(), Refusal> {
        let mut desk = self.desk();
        desk.revoke(right, from)?;
        at(Step::RightRevoked);
        self.expel(&desk, right);
        Ok(())
    }

    /// Takes the ends that have no right to be there any more from those who hold them.
    fn expel(&self, desk: &Desk, right: Right) {
        let role = match right {
            Right::Send => Role::Sender,
            Right::Receive => Role::Receiver,
        };
        let (rights, owner) = (desk.rights().of(right), &desk.terms().owner);
        self.channel.revoke(role, |identity, name| {
            name.is_some_and(|name| {
                let user = user_of_member(&self.domain, name, identity.pid());
                user.is_some_and(|uid| rights.allow(name, uid, owner))
            })
        });
    }

    /// Whether anybody has something of it: it can be found, or a process that lives has an end.
    pub(super) fn is_of_use(&self) -> bool {
        let found = self.tenure().as_ref().is_some_and(|tenure| tenure.claim.can_be_found());
        found || self.channel.members().iter().any(|end| !end.identity.is_dead())
    }

    pub(super) fn status(&self) -> MailboxStatus {
        let desk = self.desk();
        let (terms, Owner { pid, uid }) = (desk.terms(), desk.owner());
        let members = self.channel.members();
        let attached =
            |role| members.iter().filter(|end| end.role == role && !end.identity.is_dead()).count();
        let config = &self.channel.config;
        MailboxStatus {
            name: self.name.clone(),
            id: terms.id,
            mechanism: config.mechanism,
            capacity: config.capacity,
            max_message: config.max_message,
            policy: config.policy,
            schema: terms.schema.clone(),
            queued: self.channel.len() as usize,
            senders: attached(Role::Sender),
            receivers: attached(Role::Receiver),
            owner: MailboxOwner { name: terms.owner.clone(), pid, uid, ownership: terms.ownership },
            may_receive: desk.rights().receive.clone(),
            may_send: desk.rights().send.clone(),
        }
    }

    /// Ends the mailbox: everyone who waits on it is told, and its name is free.
    pub(super) fn destroy(&self) {
        if self.is_ours() {
            let closed = self.desk().close();
            at(Step::DeskClosed);
            let ends = match closed {
                Closed::Before => false,
                Closed::Ends => true,
                // Accepted in this very moment, it is not this process's to end.
                Closed::Offered(nonce) => self.channel.cancel_offer(nonce),
            };
            if ends {
                self.channel.destroy();
            }
        }
        self.resign();
    }

    /// Begins to hand it over.
    pub(super) fn begin_move(&self, to: &Name) -> Result<Move, Refusal> {
        let moving = self.desk().begin_move(to)?;
        at(Step::MoveBegun);
        Ok(moving)
    }

    /// Offers it to whoever learns the nonce, unless it has been ended.
    pub(super) fn offer(&self, moving: &Move) -> Result<u64, Refusal> {
        let mut desk = self.desk();
        if !desk.is_moving(moving) {
            return Err(Refusal::AskAgain);
        }
        let nonce = self.channel.offer_ownership();
        desk.offered(nonce);
        Ok(nonce)
    }

    /// Ends to hand it over, with what came of it.
    pub(super) fn settle(&self, moving: Move, moved: Moved) {
        self.desk().settle(moving, moved);
        at(Step::MoveSettled);
        if moved == Moved::Given {
            // First the name, then the socket: whoever saw this process hold the name is still
            // answered, with the advice to ask again.
            let tenure = self.tenure().take();
            if let Some(Tenure { served, claim }) = tenure {
                drop(claim);
                at(Step::NamePassedOn);
                drop(served);
            }
            self.resign();
        }
    }

    /// Gives up the name and the socket.
    fn resign(&self) {
        let tenure = self.tenure().take();
        drop(tenure);
        at(Step::MailboxResigned);
        if let Some(owned) = self.owned.upgrade() {
            owned.forget(self);
        }
    }

    /// Whether this process is the owner rather than a child that it forked.
    fn is_ours(&self) -> bool {
        self.tenure().as_ref().is_some_and(|tenure| tenure.claim.is_own())
    }

    fn answer(self: &Arc<Self>, caller: &Caller, request: MailboxRequest) -> Answer {
        let asker = Asker { pid: caller.pid, uid: caller.uid, name: caller.name.as_ref() };
        if request.which().is_some_and(|id| id != self.id()) {
            return MailboxReply::Refused(Refusal::Another).pack().into();
        }
        let reply = match request {
            MailboxRequest::Open { needs, schema } => {
                return self.answer_open(asker, needs, schema.as_deref());
            }
            MailboxRequest::Transfer { which: _, to, within } => {
                return self.answer_transfer(asker, to, Duration::from_millis(within));
            }
            MailboxRequest::Status { .. } => Ok(MailboxReply::Status(self.status())),
            MailboxRequest::Grant { which: _, right, to } => {
                self.changed(asker, || self.grant(right, &to, caller.uid))
            }
            MailboxRequest::Revoke { which: _, right, from } => {
                self.changed(asker, || self.revoke(right, &from))
            }
            MailboxRequest::Destroy { .. } => self.changed(asker, || {
                self.destroy();
                Ok(())
            }),
            MailboxRequest::Create { .. } | MailboxRequest::Adopt { .. } => {
                Err(Refusal::Cannot("this is to be asked of a process, not of a mailbox".into()))
            }
        };
        reply.unwrap_or_else(MailboxReply::Refused).pack().into()
    }

    fn changed(
        &self,
        asker: Asker<'_>,
        change: impl FnOnce() -> Result<(), Refusal>,
    ) -> Result<MailboxReply, Refusal> {
        self.desk().administer(asker)?;
        change()?;
        Ok(MailboxReply::Done)
    }

    fn answer_open(&self, asker: Asker<'_>, needs: Option<Right>, schema: Option<&str>) -> Answer {
        let opened = self.open(asker, needs, schema).and_then(|reply| {
            // Another user that may only send is not given more than the writing side.
            let own_user = asker.uid == self.desk().owner().uid;
            let receives = matches!(reply, MailboxReply::Opened { may, .. } if may.receive);
            let fds = if own_user || receives {
                self.channel.fds_to_give()
            } else {
                self.channel.fds_for_sending()
            };
            Ok((reply, fds.map_err(cannot)?))
        });
        match opened {
            Ok((reply, fds)) => {
                Answer { reply: reply.pack(), fds: fds.into_iter().map(Arc::new).collect() }
            }
            Err(refusal) => MailboxReply::Refused(refusal).pack().into(),
        }
    }

    /// A transfer asks another process, which a registrar never does: a thread does it, and what came
    /// of it goes through a pipe.
    fn answer_transfer(self: &Arc<Self>, asker: Asker<'_>, to: Name, within: Duration) -> Answer {
        let started = self.desk().administer(asker).and_then(|()| {
            let host = self.clone();
            let engaged = self.owned.upgrade().map(|owned| owned.engage());
            later::answer(engaged, move || match transfer::give(&host, &to, within) {
                Ok(()) => MailboxReply::Done,
                Err(refusal) => MailboxReply::Refused(refusal),
            })
        });
        match started {
            Ok(reading) => {
                Answer { reply: MailboxReply::Later.pack(), fds: vec![Arc::new(reading)] }
            }
            Err(refusal) => MailboxReply::Refused(refusal).pack().into(),
        }
    }
}

impl Drop for Host {
    /// Its owner leaves the domain.
    fn drop(&mut self) {
        self.destroy();
    }
}

/// What the registrar holds, so that a mailbox ends with its owner's last word.
struct Front(Weak<Host>);

impl Service for Front {
    fn answer(&self, caller: &Caller, request: Request, _: Vec<OwnedFd>) -> Answer {
        let Request::Mailbox(bytes) = request else { return Reply::NotUnderstood.into() };
        let Some(request) = MailboxRequest::unpack(&bytes) else {
            return Reply::NotUnderstood.into();
        };
        match self.0.upgrade() {
            Some(host) => host.answer(caller, request),
            None => MailboxReply::Refused(Refusal::AskAgain).pack().into(),
        }
    }
}

fn create_channel(name: &Name, options: &MailboxOptions) -> Result<Channel, CreateError> {
    let mut config = options.options.config();
    config.lifetime = Lifetime::Owned;
    config.policy = options.policy;
    config.name = Some(name.clone());
    let channel = Channel::create(config)?;
    channel.set_owner(Identity::own());
    at(Step::OwnerEntered);
    Ok(channel)
}

/// Descriptors of one's own, to be sent.
pub(super) fn copies(fds: &[BorrowedFd<'_>]) -> Result<Vec<OwnedFd>, Fault> {
    fds.iter().map(|fd| fd.try_clone_to_owned()).collect::<Result<_, _>>().map_err(|error| {
        Fault::System {
            call: "dup",
            errno: Errno::from_raw(error.raw_os_error().unwrap_or_default()),
        }
    })
}

fn this_process() -> Owner {
    Owner { pid: std::process::id(), uid: own_uid() }
}
