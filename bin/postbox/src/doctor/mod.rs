//! `postbox doctor`: what this machine grants, what is wrong with it, what was left behind, and
//! what to do about each.

mod finding;
mod kernel;
mod leftovers;
mod limits;
mod place;

use finding::Verdict;
use leftovers::Clean;
use postbox_program::command_line::EXIT_CODES;
use postbox_program::ending::{Ending, print};

/// The arguments of `doctor`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    /// Remove what was left behind
    #[arg(long)]
    clean: bool,
    /// Print one JSON array of objects instead of the table
    #[arg(long)]
    json: bool,
}

/// Looks at everything; a failure if something does not work.
pub fn run(arguments: &Arguments) -> Ending {
    let mut findings = kernel::version();
    findings.extend(kernel::mechanisms());
    findings.extend(limits::findings());
    let (directory, finding) = place::directory();
    findings.push(finding);
    let clean = if arguments.clean { Clean::Yes } else { Clean::No };
    findings.extend(leftovers::findings(directory.as_deref(), clean));
    let text = if arguments.json { finding::json(&findings) } else { finding::render(&findings) };
    if let Err(ending) = print(&text) {
        return ending;
    }
    match findings.iter().map(|finding| finding.verdict).max() {
        Some(Verdict::Problem) => Ending::Silent(1),
        _ => Ending::Done,
    }
}
