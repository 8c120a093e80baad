//! Who one is, and where.

use clap::Parser;
use postbox_program::command_line::EXIT_CODES;
use postbox_program::place::Member;

/// Talks to everyone in a domain, or to one of them privately. Lines come from the terminal, or from
/// standard input.
#[derive(Debug, Parser)]
#[command(name = "chat", version, after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(flatten)]
    pub member: Member,
}
