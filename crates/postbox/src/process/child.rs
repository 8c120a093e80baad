//! A child process: waiting for it, and ending it.

use postbox_sys::epoll::{Epoll, Event, Interest};
use postbox_sys::signals::Signal;
use postbox_sys::{Errno, eventfd, pidfd};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

/// How long a child that is being ended has to follow SIGTERM before SIGKILL does.
const GRACE: Duration = Duration::from_secs(1);

/// A child process of this one.
///
/// Its end is never ignored: wait for it, or it is ended (SIGTERM, and SIGKILL a second later) and
/// reaped when dropped.
#[derive(Debug)]
#[must_use = "a child that is dropped is ended"]
pub struct Child {
    pid: u32,
    process: OwnedFd,
    /// Where SIGCHLD is ignored nobody waits for a child: it had ended before it could be looked at, and `process` is
    /// but a bell that sounds.
    is_gone: bool,
    status: Option<ExitStatus>,
}

/// A child that did not end with status 0, or could not be waited for.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ChildError {
    /// It ended otherwise.
    #[error("process {pid} {}", ending(*.status))]
    Failed {
        /// Its process id.
        pid: u32,
        /// How it ended.
        status: ExitStatus,
    },
    /// It could not be waited for.
    #[error("cannot wait for process {pid}: {errno}")]
    Wait {
        /// Its process id.
        pid: u32,
        /// The error of `waitid(2)`: `ECHILD` where SIGCHLD is ignored or somebody else reaped it.
        #[source]
        errno: Errno,
    },
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with status {code}"),
        (None, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("was ended by {signal}"),
            Err(_) => format!("was ended by signal {signal}"),
        },
        (None, None) => format!("ended with {status}"),
    }
}

impl Child {
    /// The child with that pid, which has not been waited for.
    pub(crate) fn new(pid: u32) -> Result<Self, Errno> {
        let process = match pidfd::open(pid) {
            // Unless it is another's by now.
            Ok(process) => Some(process).filter(|process| pidfd::is_child(process) != Ok(false)),
            Err(Errno::ESRCH) => None,
            Err(errno) => return Err(errno),
        };
        let is_gone = process.is_none();
        let process = process.map_or_else(eventfd::create_rung, Ok)?;
        Ok(Child { pid, process, is_gone, status: None })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    ///
    /// [`ChildError::Failed`] unless it ended with status 0.
    pub fn wait(mut self) -> Result<(), ChildError> {
        let status = self.wait_status()?;
        self.judge(status)
    }

    /// Waits until it has ended, and says how.
    ///
    /// # Errors
    ///
    /// Only [`ChildError::Wait`].
    pub fn wait_status(&mut self) -> Result<ExitStatus, ChildError> {
        match self.status {
            Some(status) => Ok(status),
            None => {
                let waited = self.process().ok_or(Errno::ECHILD).and_then(pidfd::wait);
                let status = waited.map_err(|errno| ChildError::Wait { pid: self.pid, errno })?;
                Ok(*self.status.insert(status))
            }
        }
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    ///
    /// Only [`ChildError::Wait`].
    pub fn try_wait(&mut self) -> Result<Option<ExitStatus>, ChildError> {
        if self.status.is_none() {
            let waited = self.process().ok_or(Errno::ECHILD).and_then(pidfd::try_wait);
            self.status = waited.map_err(|errno| ChildError::Wait { pid: self.pid, errno })?;
        }
        Ok(self.status)
    }

    /// Sends it a signal, by number: 15 is SIGTERM, 9 SIGKILL. Nothing happens to a later process
    /// with the same pid.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a number that is no signal, `ESRCH` once it has been waited for.
    pub fn signal(&self, number: i32) -> std::io::Result<()> {
        let signal = Signal::try_from(number)?;
        Ok(pidfd::send_signal(self.process().ok_or(Errno::ESRCH)?, signal)?)
    }

    /// Its pidfd, if it has one.
    fn process(&self) -> Option<&OwnedFd> {
        (!self.is_gone).then_some(&self.process)
    }

    /// Ends it and reaps it: SIGTERM, and SIGKILL if it is not gone a second later.
    pub fn end(mut self) {
        self.terminate();
        self.reap_by(Instant::now() + GRACE);
    }

    pub(crate) fn judge(&self, status: ExitStatus) -> Result<(), ChildError> {
        if status.success() { Ok(()) } else { Err(ChildError::Failed { pid: self.pid, status }) }
    }

    pub(crate) fn terminate(&self) {
        if self.status.is_none() {
            let _ = self.signal(Signal::SIGTERM as i32);
        }
    }

    /// Reaps it by then, by force if need be.
    pub(crate) fn reap_by(&mut self, deadline: Instant) {
        while let Ok(None) = self.try_wait() {
            if Instant::now() >= deadline || self.sleep_until_ended(deadline).is_err() {
                let _ = self.signal(Signal::SIGKILL as i32);
                let _ = self.wait_status();
            }
        }
    }

    fn sleep_until_ended(&self, deadline: Instant) -> Result<(), Errno> {
        let epoll = Epoll::new()?;
        epoll.add(&self.process, Interest::EPOLLIN, 0)?;
        epoll.wait(&mut [Event::empty()], Some(deadline)).map(drop)
    }
}

impl AsFd for Child {
    /// A descriptor that is readable once it has ended: its pidfd, unless it had gone already, SIGCHLD being ignored.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.status.is_none() {
            self.terminate();
            self.reap_by(Instant::now() + GRACE);
        }
    }
}
