//! Children that live and die together.

use super::child::{Child, ChildError};
use super::ends::Ends;
use super::fork::{ForkError, fork};
use super::spawn::{Spawn, SpawnError};
use crate::remedy::remedy;
use crate::wait::{Ended, Wait};
use postbox_sys::Errno;
use postbox_sys::epoll::{Epoll, Event, Interest};
use std::error::Error;
use std::time::{Duration, Instant};

/// How long the children have together to follow SIGTERM before SIGKILL does.
const GRACE: Duration = Duration::from_secs(1);

/// The children of one task. When it is dropped, or its wait is cancelled, it ends and reaps
/// exactly these.
///
/// ```no_run
/// use postbox::{Capacity, Group, Mechanism};
///
/// let (tx, rx) = postbox::channel::<u64>(Mechanism::Pipe, Capacity::Bounded(8))?;
/// let mut group = Group::new();
/// group.fork(tx, |tx| Ok(tx.send(&7)?))?;
/// group.fork(rx, |rx| Ok(assert_eq!(*rx.receive()?, 7)))?;
/// group.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Group {
    children: Vec<Child>,
}

/// Why a group did not come to a good end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// A child did not end with status 0.
    #[error(transparent)]
    Child(#[from] ChildError),
    /// The deadline passed; the children that were left have been ended.
    #[error("timed out; the remaining children were ended")]
    TimedOut,
    /// The cancel fired; the children that were left have been ended.
    #[error("cancelled; the remaining children were ended")]
    Cancelled,
    /// Nothing to sleep on could be made: `EMFILE` and the like of `epoll_create1(2)`.
    #[error("cannot wait for the children: {0}{advice}", advice = remedy("epoll_create1", *.0))]
    System(#[source] Errno),
}

impl Group {
    /// A group without children.
    pub fn new() -> Self {
        Group::default()
    }

    /// Forks a child into the group; see [`fork`].
    ///
    /// # Errors
    ///
    /// Those of [`fork`].
    pub fn fork<E: Ends>(
        &mut self,
        ends: E,
        body: impl FnOnce(E) -> Result<(), Box<dyn Error>>,
    ) -> Result<u32, ForkError> {
        let child = fork(ends, body)?;
        Ok(self.adopt(child))
    }

    /// Spawns a program into the group.
    ///
    /// # Errors
    ///
    /// Those of [`Spawn::spawn`].
    pub fn spawn(&mut self, program: Spawn) -> Result<u32, SpawnError> {
        let child = program.spawn()?;
        Ok(self.adopt(child))
    }

    /// Takes a child into the group; its pid.
    pub fn adopt(&mut self, child: Child) -> u32 {
        let pid = child.pid();
        self.children.push(child);
        pid
    }

    /// The children that have not been waited for.
    pub fn children(&self) -> &[Child] {
        &self.children
    }

    /// Waits until all have ended.
    ///
    /// # Errors
    ///
    /// The first child that failed, after all have ended.
    pub fn wait(&mut self) -> Result<(), GroupError> {
        self.wait_with(&Wait::forever())
    }

    /// As [`wait`](Self::wait), for as long as `wait` says; then ends those that are left.
    ///
    /// # Errors
    ///
    /// Also [`GroupError::TimedOut`] and [`GroupError::Cancelled`].
    pub fn wait_with(&mut self, wait: &Wait) -> Result<(), GroupError> {
        let mut failed = None;
        let epoll = Epoll::new().map_err(GroupError::System)?;
        if let Some(cancel) = wait.cancel {
            epoll.add(cancel.bell(), Interest::EPOLLIN, 0).map_err(GroupError::System)?;
        }
        for child in &self.children {
            epoll
                .add(child, Interest::EPOLLIN, u64::from(child.pid()))
                .map_err(GroupError::System)?;
        }
        loop {
            let mut left = Vec::new();
            for mut child in self.children.drain(..) {
                let ended = child.try_wait();
                if !matches!(ended, Ok(None)) {
                    // Closing it is not enough: children forked later have copies of the pidfd.
                    let _ = epoll.remove(&child);
                }
                match ended {
                    Ok(None) => left.push(child),
                    Ok(Some(status)) => failed = failed.or(child.judge(status).err()),
                    Err(error) => failed = failed.or(Some(error)),
                }
            }
            self.children = left;
            if self.children.is_empty() {
                return failed.map_or(Ok(()), |error| Err(error.into()));
            }
            match wait.over() {
                None => {}
                Some(ended) => {
                    self.end();
                    return Err(match ended {
                        Ended::TimedOut => GroupError::TimedOut,
                        Ended::Cancelled => GroupError::Cancelled,
                    });
                }
            }
            let mut events = [Event::empty(); 16];
            epoll.wait(&mut events, wait.deadline).map_err(GroupError::System)?;
        }
    }

    /// Ends and reaps all that are left: SIGTERM to each, and SIGKILL to those that are not gone a
    /// second later.
    pub fn end(&mut self) {
        self.children.iter().for_each(Child::terminate);
        let deadline = Instant::now() + GRACE;
        self.children.drain(..).for_each(|mut child| child.reap_by(deadline));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}
