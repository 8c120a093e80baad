//! How a program ends: its exit code, and one line on standard error where there is a reason.

use crate::plain::plain;
use postbox::{CreateError, DeliverError, Fault, ReceiveError, SendError, TrySendError};
use postbox_sys::limits::{self, Resource};
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// All is well: 0.
    Done,
    /// Something failed: 1.
    Failure(String),
    /// The command line or the input is at fault: 2.
    BadInput(String),
    /// Nothing is there, or the time is up: 3.
    Nothing(String),
    /// This exit code; what there is to say has been said.
    Silent(u8),
    /// A wait was cancelled; [`Stop::explain`](crate::stop::Stop::explain) knows why.
    Cancelled,
}

impl Ending {
    /// Says why on behalf of `program`, and yields the exit code.
    pub fn conclude(self, program: &str) -> ExitCode {
        if let Some(reason) = self.reason() {
            complain(program, reason);
        }
        ExitCode::from(self.code())
    }

    /// What there is to say.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Ending::Failure(reason) | Ending::BadInput(reason) | Ending::Nothing(reason) => {
                Some(reason)
            }
            Ending::Done | Ending::Silent(_) | Ending::Cancelled => None,
        }
    }

    /// The exit code alone.
    pub fn code(&self) -> u8 {
        match self {
            Ending::Done | Ending::Cancelled => 0,
            Ending::Failure(_) => 1,
            Ending::BadInput(_) => 2,
            Ending::Nothing(_) => 3,
            Ending::Silent(code) => *code,
        }
    }

    /// The same, with `place` before the reason.
    pub fn at(self, place: &str) -> Self {
        let told = |reason: String| format!("{place}: {reason}");
        match self {
            Ending::Failure(reason) => Ending::Failure(told(reason)),
            Ending::BadInput(reason) => Ending::BadInput(told(reason)),
            Ending::Nothing(reason) => Ending::Nothing(told(reason)),
            other => other,
        }
    }
}

impl From<SendError> for Ending {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Cancelled => Ending::Cancelled,
            SendError::TimedOut => Ending::Nothing(error.to_string()),
            SendError::TooLarge(_) => Ending::BadInput(error.to_string()),
            SendError::ByteCap { cap } => Ending::Failure(format!(
                "the channel holds {cap} bytes, its byte cap: have some received first"
            )),
            other => Ending::Failure(other.to_string()),
        }
    }
}

impl From<TrySendError> for Ending {
    fn from(error: TrySendError) -> Self {
        match error {
            TrySendError::Full => Ending::Nothing(error.to_string()),
            TrySendError::Send(error) => error.into(),
            other => Ending::Failure(other.to_string()),
        }
    }
}

impl From<DeliverError> for Ending {
    fn from(error: DeliverError) -> Self {
        error.reason().clone().into()
    }
}

impl From<ReceiveError> for Ending {
    fn from(error: ReceiveError) -> Self {
        match error {
            ReceiveError::Cancelled => Ending::Cancelled,
            ReceiveError::TimedOut => Ending::Nothing(error.to_string()),
            other => Ending::Failure(other.to_string()),
        }
    }
}

impl From<CreateError> for Ending {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::Option { .. } => Ending::BadInput(error.to_string()),
            other => Ending::Failure(other.to_string()),
        }
    }
}

impl From<Fault> for Ending {
    fn from(fault: Fault) -> Self {
        Ending::Failure(fault.to_string())
    }
}

/// One line on standard error, fit for a terminal whoever has had a say in it.
pub fn complain(program: &str, reason: &str) {
    say(&format!("{program}: {}\n", plain(reason)));
}

/// Writes to standard error, all at once: other programs may do so, too.
pub(crate) fn say(line: &str) {
    // Nobody is left to tell if this fails.
    let _ = io::stderr().write_all(line.as_bytes());
}

/// Writes to standard output. That it is closed (`EPIPE`) is the reader's business, no error.
///
/// # Errors
///
/// The ending, with whatever else is wrong with standard output.
pub fn print(text: &str) -> Result<(), Ending> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(unwritable(&error)),
        _ => Ok(()),
    }
}

/// Standard output does not take what it is given.
pub fn unwritable(error: &io::Error) -> Ending {
    let remedy = file_size(error).map_or_else(String::new, |remedy| format!(": {remedy}"));
    Ending::Failure(format!("cannot write to standard output: {error}{remedy}"))
}

/// What to do about a file that must not grow any more, if that is the error.
pub fn file_size(error: &io::Error) -> Option<String> {
    (error.kind() == ErrorKind::FileTooLarge).then(|| {
        let limit =
            limits::rlimit(Resource::RLIMIT_FSIZE).ok().filter(|&(soft, _)| soft < u64::MAX);
        let limit = limit.map_or("not set".into(), |(soft, _)| format!("{soft} bytes"));
        format!("RLIMIT_FSIZE is {limit}: raise it (ulimit -f)")
    })
}

/// What to do about memory that cannot be had.
pub fn memory() -> String {
    let limit = limits::rlimit(Resource::RLIMIT_AS).ok().filter(|&(soft, _)| soft < u64::MAX);
    limit.map_or("free some".into(), |(soft, _)| {
        format!("RLIMIT_AS is {soft} bytes of address space: raise it (ulimit -v), or free memory")
    })
}
