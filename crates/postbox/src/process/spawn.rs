//! Starting a program with ends of channels, which it picks up by name.

use super::child::Child;
use super::descriptor::OfferedFd;
use super::ends::OneEnd;
use super::identity::Identity;
use super::inherit::{ENVIRONMENT, Offered};
use crate::channel::End;
use crate::error::Fault;
use crate::remedy::remedy;
use command_fds::{CommandFdExt, FdMapping};
use postbox_steps::{Step, at};
use postbox_sys::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Command;

/// The first descriptor number that a program finds passed ends at.
const FIRST_FD: i32 = 10;

/// A program to be started with ends of channels.
///
/// ```no_run
/// use postbox::{Bytes, Capacity, Mechanism, Spawn};
///
/// let (tx, rx) = postbox::channel::<Bytes>(Mechanism::Pipe, Capacity::Bounded(8))?;
/// let child = Spawn::new("worker").arg("--fast").pass("jobs", rx)?.spawn()?;
/// tx.send(b"sort")?;
/// drop(tx);
/// child.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// and in `worker`:
///
/// ```no_run
/// use postbox::{Bytes, Receiver};
///
/// let jobs: Receiver<Bytes> = postbox::inherited("jobs")?;
/// for job in &jobs {
///     println!("{:?}", *job?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing runs before spawn"]
pub struct Spawn {
    command: Command,
    passed: Vec<(String, Passed)>,
}

/// What goes along.
#[derive(Debug)]
enum Passed {
    End(Box<End>),
    Descriptor(OwnedFd),
}

impl Passed {
    /// For the program to keep.
    fn fds(&self) -> Result<Vec<OwnedFd>, SpawnError> {
        Ok(match self {
            Passed::End(end) => end.channel.fds_to_give()?,
            Passed::Descriptor(fd) => vec![fd.try_clone().map_err(failed_call("dup"))?],
        })
    }
}

/// Why a program was not started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpawnError {
    /// A name that nothing passed can have, or that is taken.
    #[error(
        "'{0}' cannot name what is passed: use 1 to 64 letters, digits, '-', '_' or '.', each once"
    )]
    Name(String),
    /// An end is not this process's to give.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The program did not start.
    #[error("cannot start {program}: {source}{}", advice(.source))]
    Start {
        /// Its path.
        program: String,
        /// `ENOENT`, `EACCES` and the like of `execve(2)`, or those of `fork(2)`.
        source: io::Error,
    },
}

impl Spawn {
    /// That program, without arguments.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        Command::new(program).into()
    }

    /// One more argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// More arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Passes an end, which the program finds under `name` with [`inherited`](crate::inherited).
    ///
    /// # Errors
    ///
    /// [`SpawnError::Name`], or an end that was not passed to this process.
    #[allow(private_bounds, reason = "senders and receivers alone are ends")]
    pub fn pass<E: OneEnd>(self, name: &str, end: E) -> Result<Self, SpawnError> {
        let end = end.to_end()?;
        end.check()?;
        self.pass_as(name, Passed::End(Box::new(end)))
    }

    /// Passes a descriptor, which the program finds under `name` with
    /// [`inherited_fd`](crate::inherited_fd): a [`SharedBuffer`](crate::SharedBuffer), a file, or
    /// whatever else the two agree on.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Name`].
    pub fn pass_fd(self, name: &str, fd: impl Into<OwnedFd>) -> Result<Self, SpawnError> {
        self.pass_as(name, Passed::Descriptor(fd.into()))
    }

    fn pass_as(mut self, name: &str, passed: Passed) -> Result<Self, SpawnError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let taken = self.passed.iter().any(|(other, _)| other == name);
        if taken || !(1..=64).contains(&name.len()) || !name.bytes().all(fits) {
            return Err(SpawnError::Name(name.to_owned()));
        }
        self.passed.push((name.to_owned(), passed));
        Ok(self)
    }

    /// Starts the program. The ends are its own from then on.
    ///
    /// # Errors
    ///
    /// [`SpawnError::Start`], or `EMFILE` when descriptors run out. The ends are dropped then.
    pub fn spawn(mut self) -> Result<Child, SpawnError> {
        let giver = Identity::own();
        let mut mappings = Vec::new();
        let mut offered = Vec::new();
        for (name, passed) in &self.passed {
            let first = FIRST_FD + mappings.len() as i32;
            let fds = passed.fds()?;
            offered.push(match passed {
                Passed::End(end) => Offered::new(name, end, giver, first, fds.len()).to_string(),
                Passed::Descriptor(fd) => OfferedFd::new(name, fd.as_fd(), first)
                    .map_err(failed_call("fstat"))?
                    .to_string(),
            });
            for parent_fd in fds {
                let child_fd = FIRST_FD + mappings.len() as i32;
                mappings.push(FdMapping { parent_fd, child_fd });
            }
        }
        let program = self.command.get_program().to_string_lossy().into_owned();
        let failed = |source| SpawnError::Start { program: program.clone(), source };
        self.command.env(ENVIRONMENT, offered.join(";"));
        self.command
            .fd_mappings(mappings)
            .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidInput, error)))?;
        let mut started = self.command.spawn().map_err(failed)?;
        at(Step::ProgramStarted);
        // The standard library neither waits for it nor minds that somebody else does.
        let pid = started.id();
        let taker = Identity::of(pid);
        let ends = || {
            self.passed.iter().filter_map(|(_, passed)| match passed {
                Passed::End(end) => Some(end),
                Passed::Descriptor(_) => None,
            })
        };
        ends().for_each(|end| end.leave_place_to(taker));
        for end in ends() {
            end.hand_over(taker);
        }
        Child::new(pid).map_err(|errno| {
            // Nobody could wait for it.
            let _ = started.kill();
            let _ = started.wait();
            failed(errno.into())
        })
    }
}

/// What to do about it, where a limit is in the way.
fn advice(error: &io::Error) -> String {
    error.raw_os_error().map_or_else(String::new, |raw| remedy("fork", Errno::from_raw(raw)))
}

fn failed_call(call: &'static str) -> impl FnOnce(io::Error) -> Fault {
    move |error| Fault::System { call, errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)) }
}

impl From<Command> for Spawn {
    /// A command set up by other means: environment, directory, standard streams.
    fn from(command: Command) -> Self {
        Spawn { command, passed: Vec::new() }
    }
}
