//! One process of a run: what it is to do, and what it writes down.

use super::stage::{Mark, Stage, now};
use nix::sys::signal::{SaFlags, Signal};
use postbox::{
    Absence, Cancel, Capacity, DeliverError, DirectError, JoinOptions, LinkError, LinkOptions,
    MailboxError, Options, Process, ReceiveError, SelectError, SendError, Wait,
};
use postbox_tests::{Entry, Outcome, PATIENCE, on_signal};
use std::cell::Cell;
use std::error::Error;
use std::process::id;
use std::sync::OnceLock;
use std::time::Duration;

/// A message: who sent it, and its number among those of that process.
pub type Message = (u32, u64);
pub type Failure = Box<dyn Error>;

/// Messages that a link or mailbox holds.
pub const ROOM: u32 = 4;

/// Fires when the process has done its part.
static FINALE: OnceLock<Cancel> = OnceLock::new();

extern "C" fn finale(_: i32) {
    if let Some(cancel) = FINALE.get() {
        cancel.fire();
    }
}

/// How long a process plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// It does its part once, and leaves.
    Once,
    /// It does so again and again until the others have done theirs.
    UntilFinale,
}

/// One process's part.
pub struct Part<'s> {
    pub stage: &'s Stage,
    pub name: &'static str,
    /// With whom it has to do, where that is one.
    pub partner: &'static str,
    task: Task,
    begun: Duration,
    done: Cell<bool>,
    sent: Cell<u64>,
}

impl<'s> Part<'s> {
    /// In the process itself, before it does anything.
    pub fn begin(
        stage: &'s Stage,
        name: &'static str,
        partner: &'static str,
        task: Task,
    ) -> Result<Self, Failure> {
        FINALE.set(Cancel::new()?).map_err(|_| "a process has one part")?;
        on_signal(Signal::SIGUSR1, finale, SaFlags::SA_RESTART)?;
        let (begun, done, sent) = (now(), Cell::new(false), Cell::new(0));
        Ok(Part { stage, name, partner, task, begun, done, sent })
    }

    fn finale(&self) -> &'static Cancel {
        FINALE.get().expect("set at the beginning")
    }

    /// Joins under the name of the part.
    pub fn join(&self) -> Result<Process, Failure> {
        let options = Options::new(self.stage.mechanism).capacity(Capacity::Bounded(ROOM));
        let links = LinkOptions::new(options).absent(Absence::Wait);
        let me = self.stage.domain()?.join_with(self.name, JoinOptions::new().links(links))?;
        self.mark(Mark::Named)?;
        Ok(me)
    }

    /// Leaves again.
    pub fn leave(&self, me: Process) -> Outcome {
        self.mark(Mark::Ending)?;
        self.mark(Mark::Leaving)?;
        drop(me);
        Ok(())
    }

    /// It is there: the victim may come.
    pub fn ready(&self) -> Outcome {
        match self.task {
            Task::Once => Ok(()),
            Task::UntilFinale => Ok(self.stage.ready.open()?),
        }
    }

    /// Whether it is to play on.
    pub fn goes_on(&self) -> bool {
        assert!(now() < self.begun + 2 * PATIENCE, "{} does not come to an end", self.name);
        match self.task {
            Task::Once => !self.done.get(),
            Task::UntilFinale => !self.finale().is_fired(),
        }
    }

    /// Whether it is one that dies, or does what that one did once more.
    pub fn plays_once(&self) -> bool {
        self.task == Task::Once
    }

    /// It has done what there is to do.
    pub fn done(&self) {
        self.done.set(true);
    }

    /// For what must happen, unless it is over before.
    pub fn wait(&self) -> Wait<'static> {
        Wait::timeout(PATIENCE).cancelled_by(self.finale())
    }

    /// A moment, before something is tried again of which nobody tells.
    pub fn nap(&self) {
        std::thread::sleep(Duration::from_micros(500));
    }

    /// Looks again and again until it sees what it looks for; nothing if it is over before.
    pub fn until<R>(
        &self,
        what: &str,
        mut look: impl FnMut() -> Result<Option<R>, Failure>,
    ) -> Result<Option<R>, Failure> {
        let deadline = now() + PATIENCE;
        while self.goes_on() {
            if let Some(seen) = look()? {
                return Ok(Some(seen));
            }
            if now() > deadline {
                return Err(format!("{}: {what} did not happen", self.name).into());
            }
            self.nap();
        }
        Ok(None)
    }

    /// The next message to send.
    pub fn message(&self) -> Message {
        self.sent.set(self.sent.get() + 1);
        (id(), self.sent.get())
    }

    pub fn note_sent(&self, (sender, seq): Message) -> Outcome {
        Ok(self.stage.sent.note(Entry { by: id(), sender, seq })?)
    }

    pub fn note_taken(&self, (sender, seq): Message) -> Outcome {
        Ok(self.stage.taken.note(Entry { by: id(), sender, seq })?)
    }

    pub fn mark(&self, mark: Mark) -> Outcome {
        Ok(self.stage.mark(mark, Duration::ZERO)?)
    }

    /// What a call came to that may wait: nothing where it is over, which is written down.
    pub fn over<R, E: Ending>(
        &self,
        call: impl FnOnce() -> Result<R, E>,
    ) -> Result<Option<R>, Failure> {
        let before = now();
        let error = match call() {
            Ok(result) => return Ok(Some(result)),
            Err(error) => error,
        };
        let waited = now() - before;
        match error.end() {
            End::Over => self.stage.mark(Mark::Told, waited)?,
            End::Denied => {
                self.stage.mark(Mark::Denied, waited)?;
                self.nap();
            }
            End::Absent => self.nap(),
            End::Cancelled => {}
            End::Wrong => return Err(format!("{}: {error} ({error:?})", self.name).into()),
        }
        Ok(None)
    }
}

/// How a call ended that did nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The partner or the mailbox has gone.
    Over,
    Absent,
    Denied,
    Cancelled,
    /// Otherwise than it may.
    Wrong,
}

/// Errors of calls that may end because somebody has died.
pub trait Ending: Error + 'static {
    fn end(&self) -> End;
}

macro_rules! endings {
    ($($error:ty)+) => {$(
        impl Ending for $error {
            fn end(&self) -> End {
                match () {
                    () if self.is_disconnected() || self.is_destroyed() => End::Over,
                    () if self.is_denied() => End::Denied,
                    () if self.is_cancelled() => End::Cancelled,
                    () => End::Wrong,
                }
            }
        }

        impl Ending for DirectError<$error> {
            fn end(&self) -> End {
                match self.call() {
                    Some(error) => error.end(),
                    None if self.is_cancelled() => End::Cancelled,
                    None if self.is_absent() => End::Absent,
                    None => End::Wrong,
                }
            }
        }
    )+};
}

endings! { SendError DeliverError ReceiveError }

impl Ending for LinkError {
    fn end(&self) -> End {
        match () {
            () if self.is_cancelled() => End::Cancelled,
            () if self.is_absent() => End::Absent,
            () => End::Wrong,
        }
    }
}

impl Ending for MailboxError {
    fn end(&self) -> End {
        match self {
            MailboxError::Destroyed { .. } => End::Over,
            MailboxError::Cancelled => End::Cancelled,
            _ => End::Wrong,
        }
    }
}

impl Ending for SelectError {
    fn end(&self) -> End {
        match self {
            SelectError::Receiver { reason, .. } => reason.end(),
            SelectError::Cancelled => End::Cancelled,
            _ => End::Wrong,
        }
    }
}
