//! What to receive, where from, and how.

use clap::Parser;
use postbox_program::command_line::{EXIT_CODES, Seconds};
use postbox_program::place::Member;
use postbox_program::records::Framing;
use postbox_program::source::ReceiveFrom;

/// Receives records from a process, from a mailbox, or from anyone, and writes them to standard
/// output.
#[derive(Debug, Parser)]
#[command(name = "consumer", version, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(flatten)]
    pub source: ReceiveFrom,
    #[command(flatten)]
    pub member: Member,
    /// End once somebody has been there to send, nobody is any more, and nothing is left
    #[arg(long)]
    pub until_drained: bool,
    /// Receive that many records
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub count: Option<u64>,
    /// Wait for a mailbox that is not there yet; and end after that time, with exit code 3
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub timeout: Option<Seconds>,
    /// How records are written: each on a line, N bytes each without anything between, each after
    /// its length (4 bytes, the lowest first), or just one after the other
    #[arg(long, value_name = "lines|bytes:N|prefixed|whole", default_value_t)]
    pub framing: Framing,
    /// Print the statistics as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print no statistics
    #[arg(long, conflicts_with = "json")]
    pub quiet: bool,
}
