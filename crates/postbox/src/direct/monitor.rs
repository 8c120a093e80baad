//! Being told when a named process has gone.

use super::error::LinkError;
use super::membership::Membership;
use super::nap::Nap;
use crate::domain::{Address, Domain};
use crate::error::Fault;
use crate::name::Name;
use crate::process::Identity;
use crate::wait::Wait;
use postbox_sys::{inotify, pidfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

/// How often a wait looks whether the process has left the domain and lives on: nothing tells.
const LOOK: Duration = Duration::from_millis(100);

/// Watches one process of the domain; made by [`Process::monitor`](crate::Process::monitor).
///
/// Its death is told at once, by waits and by the descriptor ([`AsFd`], for an event loop: readable
/// from then on). Where it leaves the domain and lives on, a wait tells so within 100 ms.
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
        let identity = Identity::of(pid.ok_or_else(|| membership.absent(&name))?);
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
        let (nap, ticks) = (Nap::new()?, inotify::ticks(LOOK));
        nap.level(&self.death)?;
        let ticks = ticks.map_err(Fault::system("timerfd_create"))?;
        nap.level(&ticks)?;
        loop {
            let _ = inotify::clear(&ticks);
            if let Some(departed) = self.try_wait()? {
                return Ok(departed);
            }
            if let Some(ended) = wait.over() {
                return Err(ended.into());
            }
            nap.sleep(wait)?;
        }
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
