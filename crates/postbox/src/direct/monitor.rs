//! Being told when a named process has gone.

use super::error::LinkError;
use super::membership::Membership;
use super::nap::Nap;
use crate::domain::{Address, Departures, Domain};
use crate::error::Fault;
use crate::name::Name;
use crate::process::Identity;
use crate::wait::Wait;
use postbox_sys::pidfd;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How soon a wait looks again where the process has a name and no socket: it is just leaving, or
/// has just come.
const LOOK: Duration = Duration::from_millis(20);

/// Watches one process of the domain; made by [`Process::monitor`](crate::Process::monitor).
///
/// Its death is told at once, by waits and by the descriptor ([`AsFd`], for an event loop: readable
/// from then on). Where it leaves the domain and lives on, waits tell so at once too: they watch the
/// domain for names that go, or look every 20 ms where this user's watches are used up
/// (`fs.inotify.max_user_instances`).
///
/// ```no_run
/// use postbox::Domain;
///
/// let me = Domain::open("lab")?.join("supervisor")?;
/// let departed = me.monitor("worker-1")?.wait()?;
/// println!("{} was process {}: starting another", departed.name(), departed.pid());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Monitor {
    domain: Domain,
    name: Name,
    identity: Identity,
    death: Arc<OwnedFd>,
}

/// A process that has gone: it has died, or left the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Departed {
    name: Name,
    pid: u32,
}

impl Departed {
    /// The name that it had.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The process that had it.
    pub fn pid(&self) -> u32 {
        self.pid
    }
}

impl Monitor {
    pub(super) fn new(membership: &Membership, name: Name) -> Result<Self, LinkError> {
        let domain = membership.domain().clone();
        let pid = domain.holder(&Address::process(&name))?;
        let identity = Identity::read(pid.ok_or_else(|| membership.absent(&name))?)?;
        match identity.watch().map_err(Fault::system("pidfd_open"))? {
            Some(death) => Ok(Monitor { domain, name, identity, death }),
            // It has died since.
            None => Err(membership.absent(&name)),
        }
    }

    /// The process that is watched.
    pub fn pid(&self) -> u32 {
        self.identity.pid()
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Waits until the process has gone.
    ///
    /// # Errors
    ///
    /// A [`Fault`].
    pub fn wait(&self) -> Result<Departed, LinkError> {
        self.wait_with(&Wait::forever())
    }

    /// As [`wait`](Self::wait), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also timed out and cancelled.
    pub fn wait_with(&self, wait: &Wait) -> Result<Departed, LinkError> {
        let (nap, departures) = (Nap::new()?, Departures::new(&self.domain)?);
        nap.level(&self.death)?;
        nap.level(&departures)?;
        loop {
            departures.clear();
            // Looked at first: its socket goes before its name does.
            let whole = self.has_socket();
            if let Some(departed) = self.try_wait()? {
                return Ok(departed);
            }
            if let Some(ended) = wait.over() {
                return Err(ended.into());
            }
            if whole {
                nap.sleep(wait)?;
            } else {
                // Nothing will tell when the name goes too.
                let soon = Instant::now() + LOOK;
                let deadline = Some(wait.deadline.map_or(soon, |deadline| deadline.min(soon)));
                nap.sleep(&Wait { deadline, ..*wait })?;
            }
        }
    }

    fn has_socket(&self) -> bool {
        self.domain.has_socket(&Address::process(&self.name), self.identity.pid())
    }

    /// Never waits: `None` while the process is there.
    ///
    /// # Errors
    ///
    /// A [`Fault`].
    pub fn try_wait(&self) -> Result<Option<Departed>, LinkError> {
        let dead = pidfd::is_dead(&*self.death).map_err(Fault::system("poll"))?;
        let pid = self.identity.pid();
        // It may have left and live on.
        if dead || self.domain.holder(&Address::process(&self.name))? != Some(pid) {
            return Ok(Some(Departed { name: self.name.clone(), pid }));
        }
        Ok(None)
    }
}

impl AsFd for Monitor {
    /// Readable once the process has died.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.death.as_fd()
    }
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor")
            .field("name", &self.name)
            .field("pid", &self.identity.pid())
            .finish_non_exhaustive()
    }
}
