//! The keeper: a process whose only work is to own mailboxes, as the operating system does in the
//! textbook. It hands out descriptors and sees no message.

use super::owned::Owned;
use crate::domain::protocol::{Reply, Request};
use crate::domain::{
    Address, Answer, Caller, Claim, ClaimError, Domain, DomainError, Member, Registrar, Served,
    Service, Serving,
};
use crate::error::Fault;
use crate::name::Name;
use crate::process::Identity;
use crate::wait::{Ended, Wait};
use postbox_steps::{Step, at};
use postbox_sys::epoll::{Epoll, Event, Interest};
use postbox_sys::eventfd;
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a keeper waits at least for the first who wants a mailbox kept.
const FIRST: Duration = Duration::from_secs(10);

/// How often a keeper looks whether it can still be found. A timer and not a watch (`inotify(7)`): of watches a
/// user has few, one tells of no directory further up, and none of ends that their processes drop, which is what
/// a keeper then waits for. The look takes two system calls and no descriptor.
const LOOK: Duration = Duration::from_secs(2);

/// The name that a keeper has in its domain.
pub(super) fn name() -> Name {
    match Name::new(Keeper::NAME) {
        Ok(name) => name,
        Err(_) => unreachable!("it is a name"),
    }
}

/// What a keeper does once it owns nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenIdle {
    /// It ends when it has owned nothing, and nobody has wanted it to, for so long; ten seconds at least before
    /// somebody first does.
    End(Duration),
    /// It stays.
    Stay,
}

impl Default for WhenIdle {
    /// It ends after one second.
    fn default() -> Self {
        WhenIdle::End(Duration::from_secs(1))
    }
}

/// Why there is no keeper here.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum KeeperError {
    /// The domain has one, or a process that took its name.
    #[error("process {pid} is the keeper of the domain already")]
    Running {
        /// That process.
        pid: u32,
    },
    /// The domain's directory was removed, or the keeper's socket in it, and nobody uses its mailboxes.
    #[error(
        "{}: the directory, or the keeper's socket in it, was removed, and nobody can reach this keeper: start \
         another with 'postbox keeper', and remove a domain only when its processes have ended",
        path.display()
    )]
    Unreachable {
        /// The directory.
        path: PathBuf,
    },
    /// The cancel fired.
    #[error("cancelled")]
    Cancelled,
    /// The deadline passed.
    #[error("timed out")]
    TimedOut,
    /// The domain cannot be used.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// The process or the machine is at fault.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// The keeper of a domain: it owns the mailboxes that are to outlive those who use them.
///
/// It works from [`start`](Self::start) on, in a thread of its own; [`run`](Self::run) waits for its
/// end. Its mailboxes are destroyed when it is dropped, and when its process dies.
///
/// Should the domain's directory be removed under it, nobody can open its mailboxes any more, but those
/// who have ends of them go on. It ends soon after the last of them has left, and what waits in the mailboxes
/// then is gone.
///
/// ```no_run
/// use postbox::{Domain, Keeper, Wait, WhenIdle};
///
/// let keeper = Keeper::start(&Domain::open("lab")?, WhenIdle::Stay)?;
/// keeper.run(&Wait::forever())?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Keeper {
    owned: Arc<Owned>,
    when_idle: WhenIdle,
    domain: Domain,
    // Dropped in this order: nobody is answered once the name is free.
    _served: Served,
    _registrar: Registrar,
    claim: Claim,
}

impl Keeper {
    /// The name under which it is found among the processes of the domain.
    pub const NAME: &'static str = "keeper";

    /// Begins to keep mailboxes for a domain.
    ///
    /// # Errors
    ///
    /// [`Running`](KeeperError::Running) where the domain has one; a domain that cannot be used; no
    /// descriptor or thread to be had.
    pub fn start(domain: &Domain, when_idle: WhenIdle) -> Result<Self, KeeperError> {
        Identity::establish()?;
        let address = Address::process(&name());
        let claim = domain.claim(&address).map_err(|error| match error {
            ClaimError::Taken { pid } => KeeperError::Running { pid },
            ClaimError::Domain(error) => error.into(),
        })?;
        let bell = eventfd::create().map_err(Fault::system("eventfd"))?;
        let owned = Owned::of_keeper(bell);
        let registrar = Registrar::start(domain)?;
        let desk = Counter {
            domain: domain.clone(),
            name: name(),
            serving: registrar.serving(),
            owned: owned.clone(),
        };
        let served = registrar.serve(address, Arc::new(desk))?;
        at(Step::KeeperServes);
        let domain = domain.clone();
        Ok(Keeper { owned, when_idle, domain, _served: served, _registrar: registrar, claim })
    }

    /// The process that keeps mailboxes for the domain, if there is one.
    ///
    /// # Errors
    ///
    /// A domain that cannot be used.
    pub fn of(domain: &Domain) -> Result<Option<u32>, KeeperError> {
        Ok(domain.holder(&Address::process(&name()))?)
    }

    /// The mailboxes that it owns now, by name.
    pub fn mailboxes(&self) -> Vec<Name> {
        self.owned.names()
    }

    /// Waits until it is no longer needed, as [`WhenIdle`] says. It takes no more mailboxes then.
    ///
    /// # Errors
    ///
    /// [`Unreachable`](KeeperError::Unreachable) some seconds after nobody can reach it any more;
    /// [`Cancelled`](KeeperError::Cancelled) and [`TimedOut`](KeeperError::TimedOut). The mailboxes are
    /// still in place with all three.
    pub fn run(&self, wait: &Wait<'_>) -> Result<(), KeeperError> {
        let set = Epoll::new().map_err(Fault::system("epoll_create1"))?;
        let add = |fd: BorrowedFd<'_>| {
            set.add(fd, Interest::EPOLLIN, 0).map_err(Fault::system("epoll_ctl"))
        };
        let bell = self.owned.changed();
        if let Some(bell) = bell {
            add(bell.as_fd())?;
        }
        if let Some(cancel) = wait.cancel {
            add(cancel.bell())?;
        }
        // Since when it owns nothing, and how many had wanted it to by then.
        let mut idle: Option<(Instant, u64)> = None;
        // Since when nobody can reach it. One look is not enough: a socket may be away for a moment.
        let mut lost: Option<Instant> = None;
        loop {
            if let Some(bell) = bell {
                let _ = eventfd::clear(bell);
            }
            match wait.over() {
                Some(Ended::Cancelled) => return Err(KeeperError::Cancelled),
                Some(Ended::TimedOut) => return Err(KeeperError::TimedOut),
                None => {}
            }
            let end = if !self.owned.is_empty() {
                idle = None;
                None
            } else {
                let wanted = self.owned.wanted();
                idle = idle.filter(|&(_, before)| before == wanted);
                let (since, _) = *idle.get_or_insert_with(|| (Instant::now(), wanted));
                let grace = match self.when_idle {
                    WhenIdle::Stay => None,
                    WhenIdle::End(after) if wanted > 0 => Some(after),
                    WhenIdle::End(after) => Some(after.max(FIRST)),
                };
                grace.and_then(|grace| since.checked_add(grace))
            };
            if end.is_some_and(|end| Instant::now() >= end) && self.owned.close_if_none() {
                return Ok(());
            }
            if self.claim.can_be_found() || self.owned.is_of_use() {
                lost = None;
            } else if lost.get_or_insert_with(Instant::now).elapsed() >= LOOK {
                return Err(KeeperError::Unreachable { path: self.domain.path() });
            }
            let look = Instant::now().checked_add(LOOK);
            let deadline = wait.deadline.into_iter().chain(end).chain(look).min();
            set.wait(&mut [Event::empty(); 2], deadline).map_err(Fault::system("epoll_wait"))?;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.owned.close();
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper").field("mailboxes", &self.mailboxes()).finish_non_exhaustive()
    }
}

/// Where the keeper is asked to create mailboxes or to take some over.
struct Counter {
    domain: Domain,
    name: Name,
    serving: Serving,
    owned: Arc<Owned>,
}

impl Service for Counter {
    fn answer(&self, caller: &Caller, request: Request, fds: Vec<OwnedFd>) -> Answer {
        match request {
            Request::Mailbox(bytes) => {
                let member =
                    Member { domain: &self.domain, name: &self.name, serving: &self.serving };
                self.owned.answer(member, caller, &bytes, fds)
            }
            Request::Hello => Reply::Hello { caller: caller.name.clone() }.into(),
            _ => Reply::NotUnderstood.into(),
        }
    }
}
