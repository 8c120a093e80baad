//! Which process an end belongs to, and whether that process still lives.

use crate::error::Fault;
use postbox_sys::process::{start_time, try_start_time};
use postbox_sys::{Errno, pidfd, wipe_on_fork};
use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// A process, told apart from a later one with the same pid by when it started.
///
/// One word: the low 42 bits of the start time (clock ticks since boot) above 22 bits of pid,
/// which is as far as Linux counts. The start time is 0 where `/proc` does not show it: it may be missing, or hide
/// the processes of others from this one (`hidepid`), which then calls them by pid alone; see [`names`](Self::names).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Identity(u64);

const PID_BITS: u32 = 22;

/// This process's identity and the fork generation that it was read in.
static OWN: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// Descriptors by which the deaths of other processes are told, shared by all channels.
static WATCHED: Mutex<Option<HashMap<Identity, Weak<OwnedFd>>>> = Mutex::new(None);

impl Identity {
    fn new(pid: u32, start: u64) -> Self {
        Identity(start << PID_BITS | u64::from(pid) & ((1 << PID_BITS) - 1))
    }

    pub(crate) fn of(pid: u32) -> Self {
        Identity::new(pid, start_time(pid).unwrap_or(0))
    }

    /// As [`Identity::of`], for what another process is to compare with its own: an identity that
    /// lacks the start time merely because descriptors are short would never be the right one.
    pub(crate) fn read(pid: u32) -> Result<Self, Fault> {
        let start = try_start_time(pid).map_err(Fault::system("looking a process up in /proc"))?;
        Ok(Identity::new(pid, start.unwrap_or(0)))
    }

    /// Makes sure that this process knows itself and its fork generation: before it becomes a member
    /// of anything, since it goes by what it finds out here for the rest of its life.
    pub(crate) fn establish() -> Result<(), Fault> {
        let generation = wipe_on_fork::renew().map_err(Fault::system("madvise"))?;
        // As in `own`.
        if OWN[1].load(Ordering::Acquire) != generation {
            Identity::read(std::process::id())?.remember(generation);
        }
        Ok(())
    }

    fn remember(self, generation: u64) {
        OWN[0].store(self.0, Ordering::Relaxed);
        OWN[1].store(generation, Ordering::Release);
    }

    /// The calling process.
    pub(crate) fn own() -> Self {
        let generation = wipe_on_fork::generation();
        // The pair is written in this order and read in the other, by threads of one process.
        if generation != 0 && OWN[1].load(Ordering::Acquire) == generation {
            return Identity(OWN[0].load(Ordering::Relaxed));
        }
        let own = Identity::of(std::process::id());
        own.remember(generation);
        own
    }

    pub(crate) fn from_word(word: u64) -> Option<Self> {
        (word != 0).then_some(Identity(word))
    }

    pub(crate) fn to_word(self) -> u64 {
        self.0
    }

    pub(crate) fn pid(self) -> u32 {
        (self.0 & ((1 << PID_BITS) - 1)) as u32
    }

    fn start(self) -> u64 {
        self.0 >> PID_BITS
    }

    /// As one calls it that may not see when it started.
    pub(crate) fn by_pid_alone(self) -> Self {
        Identity::new(self.pid(), 0)
    }

    /// Whether by this that process is meant, which lives.
    pub(crate) fn names(self, process: Identity) -> bool {
        self == process || self == process.by_pid_alone()
    }

    /// A descriptor that becomes readable when this process dies; `None` if it is dead.
    ///
    /// # Errors
    ///
    /// Those of `pidfd_open(2)`, `EMFILE` above all.
    pub(crate) fn watch(self) -> Result<Option<Arc<OwnedFd>>, Errno> {
        let mut watched = WATCHED.lock().unwrap_or_else(PoisonError::into_inner);
        let watched = watched.get_or_insert_default();
        if let Some(fd) = watched.get(&self).and_then(Weak::upgrade) {
            return Ok(Some(fd));
        }
        let fd = match pidfd::open(self.pid()) {
            Ok(fd) => Arc::new(fd),
            // The second of a word that somebody has scribbled: no process has that number.
            Err(Errno::ESRCH | Errno::EINVAL) => return Ok(None),
            Err(errno) => return Err(errno),
        };
        // The descriptor pins whoever has that pid now: is it the one that was meant?
        let start = start_time(self.pid());
        if self.start() != 0 && start.is_some_and(|s| Identity::new(self.pid(), s) != self) {
            return Ok(None);
        }
        watched.retain(|_, fd| fd.strong_count() > 0);
        watched.insert(self, Arc::downgrade(&fd));
        Ok(Some(fd))
    }

    /// Whether the process is known to be dead.
    pub(crate) fn is_dead(self) -> bool {
        if self == Identity::own() {
            return false;
        }
        match self.watch() {
            Ok(Some(fd)) => pidfd::is_dead(&*fd).unwrap_or(false),
            Ok(None) => true,
            Err(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_meant_by_what_others_may_know_of_it() {
        let process = Identity::new(4711, 99);
        assert!(process.names(process) && Identity::new(4711, 0).names(process));
        assert!(!Identity::new(4711, 98).names(process), "an earlier one with that pid");
        assert!(
            !process.names(Identity::new(4711, 0)),
            "it is known when it started, and that is not seen"
        );
        assert!(!Identity::new(4712, 0).names(process));
    }
}
