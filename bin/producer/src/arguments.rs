//! What to send, where to, and how.

use clap::Parser;
use postbox_program::carriage::Carriage;
use postbox_program::command_line::{EXIT_CODES, Seconds};
use postbox_program::pace::Rate;
use postbox_program::place::Member;
use postbox_program::records::Framing;
use postbox_program::target::SendTo;
use std::path::PathBuf;

/// Sends the records of a file, or of standard input, to a process or a mailbox.
#[derive(Debug, Parser)]
#[command(name = "producer", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// The file whose records are sent; - for standard input
    #[arg(default_value = "-")]
    pub file: PathBuf,
    #[command(flatten)]
    pub target: SendTo,
    #[command(flatten)]
    pub member: Member,
    /// How the input is cut into records: every line, N bytes each, each after its length (4 bytes,
    /// the lowest first), or all in one
    #[arg(long, value_name = "lines|bytes:N|prefixed|whole", default_value_t)]
    pub framing: Framing,
    /// Send synchronously: each send waits for the receipt that says who took the record
    #[arg(long)]
    pub deliver: bool,
    /// Send no more than that many records a second
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub rate: Option<Rate>,
    /// Send that many records at most
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub count: Option<u64>,
    /// Wait for a partner or mailbox that is not there yet; and end after that time, with exit
    /// code 3
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    pub timeout: Option<Seconds>,
    #[command(flatten)]
    pub carriage: Carriage,
    /// Print the statistics as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Print no statistics
    #[arg(long, conflicts_with = "json")]
    pub quiet: bool,
}
