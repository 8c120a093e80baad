//! The worker processes of one row: started, heard, and ended.

use super::report::{Go, REPORTS, Report, START};
use crate::shrinkage;
use postbox::{
    Capacity, Child, Group, GroupError, Mechanism, Options, ReceiveError, Receiver, Sender, Spawn,
    SpawnError, Wait,
};
use postbox_program::stop::Stop;
use std::error::Error;
use std::ffi::OsString;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// This program, even if its file has been replaced meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// How often the parent looks whether a worker has died.
const TICK: Duration = Duration::from_millis(50);
/// How long workers have to end after their last report.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a row did not come to its end.
#[derive(Debug)]
pub enum Trouble {
    /// A signal came.
    Stopped,
    /// Something failed.
    Failed(String),
}

impl<E: Error> From<E> for Trouble {
    fn from(error: E) -> Self {
        Trouble::Failed(error.to_string())
    }
}

/// Worker processes, and the channels over which the parent talks with them. Dropped, it ends
/// and reaps those that are left.
#[derive(Debug)]
pub struct Crew {
    children: Vec<Child>,
    reports: Receiver<Report>,
    reporter: Sender<Report>,
    start: Sender<Go>,
    starter: Receiver<Go>,
    looked: Instant,
}

impl Crew {
    /// Nobody yet, with room for `workers`.
    pub fn new(workers: u32) -> Result<Self, Trouble> {
        let control = Options::new(Mechanism::SharedMemory).capacity(Capacity::Bounded(workers));
        let (reporter, reports) = control.channel()?;
        let (start, starter) = control.channel()?;
        let looked = Instant::now();
        Ok(Crew { children: Vec::new(), reports, reporter, start, starter, looked })
    }

    /// Starts a worker with those arguments, that standard input, and what `give` passes to it;
    /// its pid.
    pub fn start(
        &mut self,
        part: &[OsString],
        input: Stdio,
        give: impl FnOnce(Spawn) -> Result<Spawn, SpawnError>,
    ) -> Result<u32, Trouble> {
        let mut command = Command::new(OWN_PROGRAM);
        // No worker holds on to standard output: whoever reads it sees its end with the parent's.
        command.arg0("postbox").arg("worker").args(part).stdin(input).stdout(Stdio::null());
        let program = Spawn::from(command)
            .pass(REPORTS, self.reporter.clone())?
            .pass(START, self.starter.clone())?;
        let child = give(program)?.spawn()?;
        let pid = child.pid();
        self.children.push(child);
        Ok(pid)
    }

    /// Gives the start signal to all.
    pub fn go(&self) -> Result<(), Trouble> {
        for _ in &self.children {
            self.start.send(&Go)?;
        }
        Ok(())
    }

    /// The next report, and from whom; none if it is quiet for a moment.
    pub fn hear(&mut self, stop: &Stop) -> Result<Option<(u32, Report)>, Trouble> {
        let wait = Wait::timeout(TICK).cancelled_by(stop.cancel());
        let heard = match self.reports.receive_with(&wait) {
            Ok(delivery) => Some((delivery.sender().pid(), delivery.into_inner())),
            Err(ReceiveError::TimedOut) => None,
            Err(ReceiveError::Cancelled) => return Err(Trouble::Stopped),
            Err(error) => return Err(error.into()),
        };
        if heard.is_none() || self.looked.elapsed() > TICK {
            self.look(stop, heard.is_none())?;
        }
        if let Some((_, Report::Failed(reason))) = heard {
            // It may have failed only because another one died, which then is the reason.
            self.look(stop, false)?;
            return Err(Trouble::Failed(reason));
        }
        Ok(heard)
    }

    /// Finds workers that were killed, or, if it is `quiet`, that ended without telling why.
    fn look(&mut self, stop: &Stop, quiet: bool) -> Result<(), Trouble> {
        self.looked = Instant::now();
        for child in &mut self.children {
            let Some(status) = child.try_wait()? else { continue };
            let pid = child.pid();
            if let Some(signal) = status.signal() {
                // One from the terminal is meant for all of us.
                return Err(match (stop.code_soon(), shrinkage::of_end(status)) {
                    (Some(_), _) => Trouble::Stopped,
                    (None, remedy) => {
                        let remedy = if remedy.is_empty() { ": run it again" } else { &remedy };
                        let said =
                            format!("its process {pid} was ended by signal {signal}{remedy}");
                        Trouble::Failed(said)
                    }
                });
            }
            if quiet && !status.success() {
                return Err(Trouble::Failed(format!("its process {pid} ended early: {status}")));
            }
        }
        Ok(())
    }

    /// Waits for the end of all, who have nothing left to do.
    pub fn dismiss(mut self, stop: &Stop) -> Result<(), Trouble> {
        let wait = Wait::timeout(PATIENCE).cancelled_by(stop.cancel());
        match self.group().wait_with(&wait) {
            Err(GroupError::Cancelled) => Err(Trouble::Stopped),
            other => Ok(other?),
        }
    }

    fn group(&mut self) -> Group {
        let mut group = Group::new();
        for child in self.children.drain(..) {
            group.adopt(child);
        }
        group
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.group().end();
    }
}
