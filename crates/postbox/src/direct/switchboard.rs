//! The links of one membership, by partner, and the side of them that answers others.
//!
//! Its lock is held for as long as it takes to make the channels of a link, never while anybody
//! else is asked: the registrar's thread, which answers for us, always gets it soon.

use super::link::{Confirmed, Link, Partner, Untaken};
use super::terms::{schemas_agree, shown};
use crate::domain::links::{Insists, LinkOffer, LinkReply, LinkRequest, LinkTerms};
use crate::domain::protocol::{Reply, Request};
use crate::domain::{Answer, Caller, Service, unique};
use crate::error::{CreateError, Fault};
use crate::name::Name;
use crate::process::Identity;
use postbox_steps::{Step, at};
use postbox_sys::eventfd;
use postbox_sys::limits::{self, Resource};
use std::collections::BTreeMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The links of one membership.
pub(super) struct Switchboard {
    /// The name that this membership holds.
    pub(super) name: Name,
    /// Tells this membership from an earlier or later one of the same process.
    pub(super) instance: u64,
    /// What it states about its messages.
    schema: Option<String>,
    table: Mutex<Table>,
    /// Grows with every change of the table, under its lock.
    version: AtomicU64,
    /// Rung with every change; never read, so each ring is an edge.
    bell: OwnedFd,
}

#[derive(Default)]
struct Table {
    /// Oldest first. At most the last one is current; those before it are still to be drained.
    links: BTreeMap<Name, Vec<Arc<Link>>>,
    /// At how many partners those that have gone are looked for.
    sweep_at: usize,
    closed: bool,
}

/// The fewest partners for which that is worth while.
const SWEEP_AT_LEAST: usize = 32;

/// The most descriptors that the links of processes that have gone may keep open, out of those that
/// this process may open at all: half of them, and no more than this.
const MOST_KEPT: usize = 8192;

/// Why a link was not made.
pub(super) enum Unmade {
    /// There is one on other terms, which it has.
    Mismatch {
        has: String,
    },
    /// As much as may be is kept for processes that have gone.
    Undrained {
        links: usize,
    },
    /// This process is just leaving.
    Closed,
    /// What was offered is over already.
    Over,
    Error(CreateError),
}

impl From<CreateError> for Unmade {
    fn from(error: CreateError) -> Self {
        Unmade::Error(error)
    }
}

impl From<Untaken> for Unmade {
    fn from(untaken: Untaken) -> Self {
        match untaken {
            Untaken::Over => Unmade::Over,
            Untaken::Fault(fault) => Unmade::Error(fault.into()),
        }
    }
}

impl Switchboard {
    pub(super) fn new(name: Name, schema: Option<String>) -> Result<Self, Fault> {
        let bell = eventfd::create().map_err(Fault::system("eventfd"))?;
        Ok(Switchboard {
            name,
            instance: unique(),
            schema,
            table: Mutex::default(),
            version: AtomicU64::new(0),
            bell,
        })
    }

    /// Readable by an edge for every change.
    pub(super) fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }

    pub(super) fn version(&self) -> u64 {
        // Pairs with the increment in `changed`.
        self.version.load(Ordering::Acquire)
    }

    fn changed(&self) {
        // Pairs with the load in `version`.
        self.version.fetch_add(1, Ordering::Release);
        // There is no other error on a good descriptor than that it cannot be rung any louder.
        let _ = eventfd::ring(&self.bell);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The link with that partner, if there is one that is not over.
    pub(super) fn current(&self, name: &Name) -> Option<Arc<Link>> {
        self.table().current(name)
    }

    /// The link to receive from next: the oldest that is not drained, or the current one.
    pub(super) fn oldest(&self, name: &Name) -> Option<Arc<Link>> {
        self.table().links.get(name)?.first().cloned()
    }

    /// All that there are, those that are still to be drained included.
    pub(super) fn all(&self) -> Vec<Arc<Link>> {
        self.table().links.values().flatten().cloned().collect()
    }

    /// As the maker: the link with that partner, made now unless there is one.
    pub(super) fn make(
        &self,
        partner: Partner,
        confirmed: Option<Confirmed>,
        terms: LinkTerms,
        insists: Insists,
    ) -> Result<Arc<Link>, Unmade> {
        let mut table = self.table();
        if table.closed {
            return Err(Unmade::Closed);
        }
        if let Some(link) = table.current(&partner.name) {
            let asks = confirmed.zip(link.confirmed());
            let same = asks.is_none_or(|(asks, is)| asks.instance == is.instance);
            if link.partner == partner && same {
                let fits = match insists {
                    Insists::Yes => link.terms.agree_with(&terms),
                    Insists::No => {
                        schemas_agree(link.terms.schema.as_deref(), terms.schema.as_deref())
                    }
                };
                let has = || link.terms.to_string();
                if let (true, Some(confirmed)) = (fits, confirmed) {
                    link.confirm(confirmed);
                }
                return if fits { Ok(link) } else { Err(Unmade::Mismatch { has: has() }) };
            }
            link.retire();
        }
        table.has_place(most_kept())?;
        let link = Arc::new(Link::make(unique(), partner, confirmed, terms)?);
        table.insert(link.clone());
        self.changed();
        at(Step::LinkEntered);
        Ok(link)
    }

    /// As the other: takes part in what the maker has made, unless it does already.
    pub(super) fn take(
        &self,
        offer: &LinkOffer,
        fds: Vec<OwnedFd>,
        partner: Partner,
        uid: u32,
    ) -> Result<Arc<Link>, Unmade> {
        let mut table = self.table();
        if table.closed {
            return Err(Unmade::Closed);
        }
        let known = table.links.get(&partner.name).into_iter().flatten();
        if let Some(link) = known.into_iter().find(|link| link.id == offer.id) {
            return Ok(link.clone());
        }
        table.has_place(most_kept())?;
        let link = Link::take(offer, fds, partner, uid)?;
        if let Some(before) = table.current(&link.partner.name) {
            before.retire();
        }
        let link = Arc::new(link);
        table.insert(link.clone());
        self.changed();
        at(Step::LinkTaken);
        Ok(link)
    }

    /// The link is over; what it holds can still be received.
    pub(super) fn retire(&self, link: &Link) {
        let mut table = self.table();
        link.retire();
        table.prune(&link.partner.name);
        self.changed();
    }

    /// The link is over, drained, and its end has been told.
    pub(super) fn forget(&self, link: &Link) {
        let mut table = self.table();
        link.retire();
        if let Some(links) = table.links.get_mut(&link.partner.name) {
            links.retain(|other| other.id != link.id);
        }
        table.prune(&link.partner.name);
        self.changed();
    }

    /// Leaves all links: their partners are told.
    pub(super) fn close(&self) {
        let links = {
            let mut table = self.table();
            table.closed = true;
            std::mem::take(&mut table.links)
        };
        links.values().flatten().for_each(|link| link.retire());
        self.changed();
    }

    fn answer_link(
        &self,
        caller: &Caller,
        partner: &Name,
        request: LinkRequest,
        fds: Vec<OwnedFd>,
    ) -> Result<(LinkReply, Vec<Arc<OwnedFd>>), Unmade> {
        let schema = match &request {
            LinkRequest::Take { link, .. } => link.schema.as_deref(),
            LinkRequest::Make { terms, .. } => terms.schema.as_deref(),
        };
        if !schemas_agree(schema, self.schema.as_deref()) {
            let (asked, has) = (shown(schema), shown(self.schema.as_deref()));
            return Ok((LinkReply::Mismatch { asked, has }, Vec::new()));
        }
        let identity = Identity::read(caller.pid).map_err(CreateError::from)?;
        let partner = Partner { name: partner.clone(), identity };
        match request {
            LinkRequest::Take { to, .. } if !is_meant(to) => Ok((LinkReply::Stranger, Vec::new())),
            LinkRequest::Take { link, .. } => {
                self.take(&link, fds, partner, caller.uid)?;
                Ok((LinkReply::Taken { instance: self.instance }, Vec::new()))
            }
            LinkRequest::Make { instance, terms, insists } => {
                let asked = terms.to_string();
                let confirmed = Some(Confirmed { uid: caller.uid, instance });
                let link = match self.make(partner, confirmed, terms.turned(), insists) {
                    Err(Unmade::Mismatch { has }) => {
                        return Ok((LinkReply::Mismatch { asked, has }, Vec::new()));
                    }
                    link => link?,
                };
                let (link, fds) = link.offer(self.instance).map_err(CreateError::from)?;
                Ok((LinkReply::Made { link }, fds))
            }
        }
    }
}

impl Table {
    fn current(&mut self, name: &Name) -> Option<Arc<Link>> {
        let last = self.links.get(name)?.last()?.clone();
        if !last.is_over() {
            return Some(last);
        }
        last.retire();
        self.prune(name);
        None
    }

    fn insert(&mut self, link: Arc<Link>) {
        let name = link.partner.name.clone();
        self.links.entry(name.clone()).or_default().push(link);
        self.prune(&name);
        if self.links.len() > self.sweep_at {
            self.sweep();
        }
    }

    /// Drops the links of partners that have gone, unless something is left in them: a process that
    /// never receives would keep them for ever.
    fn sweep(&mut self) {
        self.links.retain(|_, links| {
            links.retain(|link| {
                let gone = link.is_over() && link.is_drained();
                if gone {
                    link.retire();
                }
                !gone
            });
            !links.is_empty()
        });
        self.sweep_at = (2 * self.links.len()).max(SWEEP_AT_LEAST);
    }

    /// Whether there may be one more link. What partners have left undrained is theirs to have
    /// received, so it is never dropped: it stands in the way of more instead, as a full queue does.
    fn has_place(&mut self, most_kept: usize) -> Result<(), Unmade> {
        let descriptors = |link: &Arc<Link>| link.descriptors();
        // Most often there is nothing to be found out about any one of them.
        if self.links.values().flatten().map(descriptors).sum::<usize>() < most_kept {
            return Ok(());
        }
        self.sweep();
        let over: Vec<_> = self.links.values().flatten().filter(|link| link.is_over()).collect();
        match over.iter().map(|link| link.descriptors()).sum::<usize>() < most_kept {
            true => Ok(()),
            false => Err(Unmade::Undrained { links: over.len() }),
        }
    }

    /// Drops those that are over and drained. Whoever has an end of one is told by that.
    fn prune(&mut self, name: &Name) {
        let Some(links) = self.links.get_mut(name) else { return };
        links.retain(|link| !link.is_retired() || !link.is_drained());
        if links.is_empty() {
            self.links.remove(name);
        }
    }
}

/// Whether this process is the one that is asked.
fn is_meant(to: u64) -> bool {
    Identity::from_word(to).is_some_and(|to| to.names(Identity::own()))
}

fn most_kept() -> usize {
    let limit = limits::rlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    usize::try_from(limit / 2).unwrap_or(usize::MAX).min(MOST_KEPT)
}

/// Why there is no link where too much is undrained, for the one or the other side.
pub(super) fn undrained(links: usize) -> String {
    format!(
        "it keeps {links} links of processes that have gone and whose messages it has not received: \
         it is to receive them, or to have links outward only"
    )
}

impl Service for Switchboard {
    fn answer(&self, caller: &Caller, request: Request, fds: Vec<OwnedFd>) -> Answer {
        let (Request::Link(request), Some(partner)) = (request, &caller.name) else {
            return Reply::NotUnderstood.into();
        };
        // Which of the two makes the link is settled by their names.
        let from_maker = matches!(request, LinkRequest::Take { .. });
        if *partner == self.name || from_maker != (*partner < self.name) {
            return Reply::NotUnderstood.into();
        }
        let (reply, fds) = match self.answer_link(caller, partner, request, fds) {
            Ok(answer) => answer,
            Err(Unmade::Closed) => (LinkReply::Leaving, Vec::new()),
            Err(Unmade::Over) => (LinkReply::Stranger, Vec::new()),
            Err(Unmade::Error(error)) => (LinkReply::Cannot { why: error.to_string() }, Vec::new()),
            Err(Unmade::Undrained { links }) => {
                (LinkReply::Cannot { why: undrained(links) }, Vec::new())
            }
            Err(Unmade::Mismatch { has }) => {
                (LinkReply::Mismatch { asked: String::new(), has }, Vec::new())
            }
        };
        Answer { reply: Reply::Link(reply), fds }
    }
}
