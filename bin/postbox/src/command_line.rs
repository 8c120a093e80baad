//! The command line.

use crate::compare;
use crate::ending::Ending;
use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

/// Message passing between Unix processes: send and receive over pipes, sockets, POSIX message
/// queues and shared memory, with one exact contract.
#[derive(Debug, Parser)]
#[command(name = "postbox", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The last words of every help.
pub const EXIT_CODES: &str = "Exit codes: 0 done, 1 failure, 2 usage or bad input, \
3 nothing there or timed out, 130 interrupted (Ctrl-C), 143 terminated";

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send a file's records between processes over every mechanism, verify them, and measure
    Compare(compare::Arguments),
    /// A producer or consumer process that `compare` starts
    #[command(hide = true)]
    Worker(compare::WorkerArguments),
}

/// What clap has to say: help goes out as it is, an error becomes one line.
pub fn refuse(error: &clap::Error) -> Ending {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A closed standard output ends it quietly.
        let _ = error.print();
        return Ending::Done;
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Ending::BadInput(
            "a command is missing: try postbox compare FILE, or --help".into(),
        );
    }
    let text = error.to_string();
    // Tips and usage follow after an empty line.
    let said = text.split("\n\n").next().unwrap_or(&text);
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Ending::BadInput(format!("{} (see --help)", line.strip_prefix("error: ").unwrap_or(&line)))
}
