//! How the program ends: its exit code, and one line on standard error where there is a reason.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// The end of a run.
#[derive(Debug)]
pub enum Ending {
    /// All is well: 0.
    Done,
    /// Something failed, and what has been said already: 1.
    Failed,
    /// Something failed: 1.
    Failure(String),
    /// The command line or the input is at fault: 2.
    BadInput(String),
    /// SIGINT or SIGTERM, with its exit code.
    Stopped(u8),
}

impl Ending {
    /// Says why, and yields the exit code.
    pub fn conclude(self) -> ExitCode {
        match self {
            Ending::Done => ExitCode::SUCCESS,
            Ending::Failed => ExitCode::FAILURE,
            Ending::Failure(reason) => {
                complain(&reason);
                ExitCode::FAILURE
            }
            Ending::BadInput(reason) => {
                complain(&reason);
                ExitCode::from(2)
            }
            Ending::Stopped(code) => ExitCode::from(code),
        }
    }
}

/// One line on standard error.
pub fn complain(reason: &str) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(io::stderr(), "postbox: {reason}");
}

/// Writes to standard output. That it is closed (`EPIPE`) is the reader's business, no error.
pub fn print(text: &str) -> Result<(), Ending> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Ending::Failure(format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}
