//! A process in a domain, under one name: what all its handles share.

use super::error::{JoinError, LinkError, Unanswered};
use super::link::{Confirmed, Link, Partner};
use super::nap::Nap;
use super::options::{Absence, Direction, JoinOptions, LinkOptions};
use super::switchboard::{Switchboard, Unmade, undrained};
use crate::domain::links::{Insists, LinkReply, LinkRequest, LinkTerms};
use crate::domain::protocol::{Reply, Request};
use crate::domain::{
    Address, Answer, Answered, Arrivals, Caller, Claim, ClaimError, Domain, Member, Registrar,
    Served, Service, Serving, Tenant, ask,
};
use crate::error::Fault;
use crate::name::Name;
use crate::process::Identity;
use crate::wait::{Ended, Wait};
use postbox_steps::{Step, at};
use postbox_sys::wipe_on_fork;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

/// A name held in a domain, and all that comes with it, until the last handle is dropped.
pub(crate) struct Membership {
    pub(super) board: Arc<Switchboard>,
    pub(super) defaults: LinkOptions,
    /// The same for calls that never wait: an absent partner is an error.
    pub(super) impatient: LinkOptions,
    /// What else it answers for.
    tenant: Arc<dyn Tenant>,
    domain: Domain,
    /// The fork generation of the process that joined.
    born: u64,
    // Dropped in this order, after `board` was closed.
    served: Option<Served>,
    registrar: Registrar,
    _claim: Claim,
}

/// How often in one call a partner may turn out to be another process than it was a moment before.
const MOST_AGAIN: u32 = 1000;

/// How one attempt to come by a link ended.
enum Attempt {
    Linked(Arc<Link>),
    /// Nobody has the name, or whoever has it is just leaving.
    Absent,
    /// Something has changed on the way.
    Again,
}

impl Membership {
    pub(crate) fn join(
        domain: &Domain,
        name: &str,
        options: JoinOptions,
        tenant: Arc<dyn Tenant>,
    ) -> Result<Self, JoinError> {
        let name = Name::new(name)?;
        let schema = options.links.schema.clone();
        if let Some(schema) = schema.as_ref().filter(|s| s.len() > LinkOptions::MAX_SCHEMA) {
            let (len, max) = (schema.len(), LinkOptions::MAX_SCHEMA);
            return Err(JoinError::SchemaTooLong { len, max });
        }
        Identity::establish()?;
        let address = Address::process(&name);
        let claim = domain.claim(&address).map_err(|error| match error {
            ClaimError::Taken { pid } => {
                JoinError::Taken { name: name.clone(), domain: domain.name().clone(), pid }
            }
            ClaimError::Domain(error) => error.into(),
        })?;
        let board = Arc::new(Switchboard::new(name, schema)?);
        let registrar = Registrar::start(domain)?;
        let front = Front {
            board: board.clone(),
            tenant: tenant.clone(),
            domain: domain.clone(),
            serving: registrar.serving(),
        };
        let served = registrar.serve(address, Arc::new(front))?;
        at(Step::Joined);
        Ok(Membership {
            board,
            impatient: options.links.clone().absent(Absence::Fail),
            defaults: options.links,
            tenant,
            domain: domain.clone(),
            born: wipe_on_fork::generation(),
            served: Some(served),
            registrar,
            _claim: claim,
        })
    }

    pub(crate) fn name(&self) -> &Name {
        &self.board.name
    }

    pub(crate) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// What else it answers for.
    pub(crate) fn tenant(&self) -> &Arc<dyn Tenant> {
        &self.tenant
    }

    pub(crate) fn registrar(&self) -> &Registrar {
        &self.registrar
    }

    /// Whether this process is the one that joined.
    #[inline]
    pub(crate) fn check(&self) -> Result<(), LinkError> {
        if self.born == wipe_on_fork::generation() {
            Ok(())
        } else {
            Err(LinkError::NotJoined { name: self.name().clone() })
        }
    }

    /// A partner's name, checked.
    pub(super) fn partner(&self, name: &str) -> Result<Name, LinkError> {
        let name = Name::new(name)?;
        if name == *self.name() { Err(LinkError::Oneself { name }) } else { Ok(name) }
    }

    pub(super) fn absent(&self, name: &Name) -> LinkError {
        LinkError::Absent { name: name.clone(), domain: self.domain.name().clone() }
    }

    /// Why the wait for a partner ended that has not come, if it has ended.
    fn in_vain(&self, name: &Name, wait: &Wait) -> Option<LinkError> {
        Some(match wait.over()? {
            Ended::TimedOut => {
                let (name, domain) = (name.clone(), self.domain.name().clone());
                LinkError::StillAbsent { name, domain }
            }
            Ended::Cancelled => LinkError::Cancelled,
        })
    }

    /// The link with that partner, on terms of this process's where there is none yet.
    pub(super) fn link(
        &self,
        name: &Name,
        options: &LinkOptions,
        insists: Insists,
        wait: &Wait,
    ) -> Result<Arc<Link>, LinkError> {
        let terms = LinkTerms::of(options)?;
        let mut arrivals = None;
        let mut again = 0;
        loop {
            if let Some(link) = self.board.current(name).filter(|link| link.has_arrived()) {
                return match insists {
                    Insists::Yes if !link.terms.agree_with(&terms) => {
                        let (asked, has) = (terms.to_string(), link.terms.to_string());
                        Err(LinkError::Mismatch { name: name.clone(), asked, has })
                    }
                    _ => Ok(link),
                };
            }
            match self.attempt(name, &terms, insists, wait)? {
                Attempt::Linked(link) => return Ok(link),
                Attempt::Again if again < MOST_AGAIN => {
                    again += 1;
                    std::thread::yield_now();
                }
                Attempt::Again => {
                    let why = "whoever has the name changes, or cannot be seen in /proc".into();
                    return Err(LinkError::Refused { name: name.clone(), why });
                }
                Attempt::Absent => self.until_arrival(name, options, &mut arrivals, wait)?,
            }
            if let Some(ended) = wait.over() {
                return Err(ended.into());
            }
        }
    }

    /// The partner is not there: an error, or a sleep until somebody has joined.
    fn until_arrival(
        &self,
        name: &Name,
        options: &LinkOptions,
        arrivals: &mut Option<(Arrivals, Nap)>,
        wait: &Wait,
    ) -> Result<(), LinkError> {
        if options.absent == Absence::Fail {
            return Err(self.absent(name));
        }
        match arrivals {
            // It may have come since: only who has watched from before may sleep.
            None => {
                let watch = Arrivals::new(&self.domain)?;
                let nap = Nap::new()?;
                nap.level(watch.as_fd())?;
                *arrivals = Some((watch, nap));
            }
            Some((watch, nap)) => {
                nap.sleep(wait)?;
                watch.clear();
            }
        }
        self.in_vain(name, wait).map_or(Ok(()), Err)
    }

    fn attempt(
        &self,
        name: &Name,
        terms: &LinkTerms,
        insists: Insists,
        wait: &Wait,
    ) -> Result<Attempt, LinkError> {
        let attempted = if self.name() < name {
            self.attempt_as_maker(name, terms, insists, wait)
        } else {
            self.attempt_as_other(name, terms, insists, wait)
        };
        match attempted {
            Err(Unanswered::Gone) => Ok(Attempt::Again),
            Err(Unanswered::Absent) => Ok(Attempt::Absent),
            Err(Unanswered::Error(error)) => Err(error),
            Ok(attempt) => Ok(attempt),
        }
    }

    /// Makes the link, then tells the other of it.
    fn attempt_as_maker(
        &self,
        name: &Name,
        terms: &LinkTerms,
        insists: Insists,
        wait: &Wait,
    ) -> Result<Attempt, Unanswered> {
        let address = Address::process(name);
        let pid = match self.domain.holder(&address).map_err(LinkError::from)? {
            None => return Ok(Attempt::Absent),
            Some(0) => {
                let why = "it is in another pid namespace".into();
                return Err(LinkError::Refused { name: name.clone(), why }.into());
            }
            Some(pid) => pid,
        };
        let identity = Identity::read(pid).map_err(LinkError::from)?;
        let partner = Partner { name: name.clone(), identity };
        let to = partner.identity.to_word();
        let made = self.board.make(partner, None, terms.clone(), insists);
        let link = made.map_err(|unmade| self.unmade(name, terms, unmade))?;
        let (offer, fds) = link.offer(self.board.instance).map_err(LinkError::from)?;
        let request = LinkRequest::Take { to, link: offer };
        // Where the answer is missing the link stays: the other may have it, and use it.
        let (reply, answered) = match self.ask(name, request, &fds, wait) {
            Err(gone @ (Unanswered::Gone | Unanswered::Absent)) => {
                self.board.retire(&link);
                return Err(gone);
            }
            answered => answered?,
        };
        match reply {
            LinkReply::Taken { instance } => {
                link.confirm(Confirmed { uid: answered.uid, instance });
                link.has_come();
                at(Step::LinkArrived);
                Ok(Attempt::Linked(link))
            }
            other => {
                self.board.retire(&link);
                self.refused(name, other)
            }
        }
    }

    /// Asks the maker for the link.
    fn attempt_as_other(
        &self,
        name: &Name,
        terms: &LinkTerms,
        insists: Insists,
        wait: &Wait,
    ) -> Result<Attempt, Unanswered> {
        let instance = self.board.instance;
        let request = LinkRequest::Make { instance, terms: terms.clone(), insists };
        let (reply, mut answered) = self.ask(name, request, &[], wait)?;
        let LinkReply::Made { link: offer } = reply else { return self.refused(name, reply) };
        let identity = Identity::read(answered.pid).map_err(LinkError::from)?;
        let partner = Partner { name: name.clone(), identity };
        let fds = std::mem::take(&mut answered.fds);
        let link = match self.board.take(&offer, fds, partner, answered.uid) {
            Err(Unmade::Over) => return Ok(Attempt::Again),
            taken => taken.map_err(|unmade| self.unmade(name, terms, unmade))?,
        };
        // An older one, if this was the answer to an old question.
        Ok(if link.is_retired() { Attempt::Again } else { Attempt::Linked(link) })
    }

    fn ask(
        &self,
        name: &Name,
        request: LinkRequest,
        fds: &[Arc<OwnedFd>],
        wait: &Wait,
    ) -> Result<(LinkReply, Answered), Unanswered> {
        let fds: Vec<_> = fds.iter().map(|fd| fd.as_fd()).collect();
        let (to, request) = (Address::process(name), Request::Link(request));
        let answered = ask(&self.domain, &to, Some(self.name()), &request, &fds, wait)?;
        match &answered.reply {
            Reply::Link(reply) => Ok((reply.clone(), answered)),
            Reply::Failed { why } => {
                let why = why.clone();
                Err(LinkError::Refused { name: name.clone(), why }.into())
            }
            _ => {
                let why = "it does not understand: it runs another version".into();
                Err(LinkError::Refused { name: name.clone(), why }.into())
            }
        }
    }

    fn refused(&self, name: &Name, reply: LinkReply) -> Result<Attempt, Unanswered> {
        let name = name.clone();
        Err(match reply {
            LinkReply::Stranger => return Ok(Attempt::Again),
            LinkReply::Leaving => return Ok(Attempt::Absent),
            LinkReply::Mismatch { asked, has } => LinkError::Mismatch { name, asked, has },
            LinkReply::Cannot { why } => LinkError::Refused { name, why },
            LinkReply::Taken { .. } | LinkReply::Made { .. } => {
                LinkError::Refused { name, why: "its answer makes no sense".into() }
            }
        }
        .into())
    }

    fn unmade(&self, name: &Name, asked: &LinkTerms, unmade: Unmade) -> LinkError {
        match unmade {
            Unmade::Mismatch { has } => {
                LinkError::Mismatch { name: name.clone(), asked: asked.to_string(), has }
            }
            Unmade::Undrained { links } => {
                LinkError::Refused { name: self.name().clone(), why: undrained(links) }
            }
            // The last handle is gone, so nobody can have asked; and nothing was offered.
            Unmade::Closed | Unmade::Over => LinkError::NotJoined { name: self.name().clone() },
            Unmade::Error(error) => error.into(),
        }
    }

    /// The link to receive that partner's messages from.
    pub(super) fn source(&self, name: &Name, wait: &Wait) -> Result<Arc<Link>, LinkError> {
        let link = match (self.board.oldest(name), self.defaults.direction) {
            (Some(link), _) => link,
            (None, Direction::Both) => self.link(name, &self.defaults, Insists::No, wait)?,
            (None, Direction::Outward) => self.until_asked(name, wait)?,
        };
        match link.incoming {
            Some(_) => Ok(link),
            None => Err(LinkError::Unidirectional { name: name.clone() }),
        }
    }

    /// As [`Self::source`], of what there is: none where the partner has not asked for a link yet.
    pub(super) fn source_now(&self, name: &Name) -> Result<Option<Arc<Link>>, LinkError> {
        if let Some(link) = self.board.oldest(name) {
            return match link.incoming {
                Some(_) => Ok(Some(link)),
                None => Err(LinkError::Unidirectional { name: name.clone() }),
            };
        }
        let there = self.domain.holder(&Address::process(name))?.is_some();
        match (there, self.defaults.absent) {
            (false, Absence::Fail) => Err(self.absent(name)),
            _ => Ok(None),
        }
    }

    /// Waits until the partner asks for a link.
    fn until_asked(&self, name: &Name, wait: &Wait) -> Result<Arc<Link>, LinkError> {
        let nap = Nap::new()?;
        nap.edge(self.board.bell())?;
        let arrivals = Arrivals::new(&self.domain)?;
        nap.level(arrivals.as_fd())?;
        loop {
            arrivals.clear();
            let holder = self.domain.holder(&Address::process(name))?;
            // Asked for in the last moment of a process that has gone since: it can be received.
            if let Some(link) = self.board.oldest(name) {
                return Ok(link);
            }
            if holder.is_none() {
                if self.defaults.absent == Absence::Fail {
                    return Err(self.absent(name));
                }
                if let Some(error) = self.in_vain(name, wait) {
                    return Err(error);
                }
            }
            if let Some(ended) = wait.over() {
                return Err(ended.into());
            }
            let death = match holder {
                None | Some(0) => None,
                Some(pid) => {
                    let watch = Identity::of(pid).watch();
                    match watch.map_err(Fault::system("pidfd_open"))? {
                        // It died in between: look again.
                        None => continue,
                        watched => watched,
                    }
                }
            };
            if let Some(death) = &death {
                nap.level(death)?;
            }
            let slept = nap.sleep(wait);
            if let Some(death) = &death {
                nap.forget(death);
            }
            slept?;
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        if self.check().is_err() {
            return;
        }
        // First nobody gets anything new, then tenants and partners are told, then the name is free.
        self.tenant.close();
        at(Step::MailboxesLeft);
        self.board.close();
        at(Step::LinksLeft);
        drop(self.served.take());
    }
}

/// What answers at the address of a process: its links, and its tenant.
struct Front {
    board: Arc<Switchboard>,
    tenant: Arc<dyn Tenant>,
    domain: Domain,
    serving: Serving,
}

impl Service for Front {
    fn answer(&self, caller: &Caller, request: Request, fds: Vec<OwnedFd>) -> Answer {
        match request {
            Request::Mailbox(bytes) => {
                let (domain, name) = (&self.domain, &self.board.name);
                let member = Member { domain, name, serving: &self.serving };
                self.tenant.clone().answer(member, caller, &bytes, fds)
            }
            Request::Links { first } => super::listing::answer(&self.board, first),
            request => self.board.answer(caller, request, fds),
        }
    }
}
