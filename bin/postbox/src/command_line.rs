//! The command line.

use crate::{bench, chaos, compare, doctor, keeper, listing, mailbox, receive, send};
use clap::{Parser, Subcommand};
use postbox_program::command_line::EXIT_CODES;

/// Message passing between Unix processes: send and receive over pipes, sockets, POSIX message
/// queues and shared memory, with one exact contract.
#[derive(Debug, Parser)]
#[command(name = "postbox", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Send a file's records between processes over every mechanism, verify them, and measure
    Compare(compare::Arguments),
    /// Measure latency and throughput beside bare system calls and hand-written rings
    Bench(bench::Arguments),
    /// Kill and stop processes in full traffic over every mechanism, and check every message
    Chaos(chaos::Arguments),
    /// Create, list, change and destroy mailboxes
    Mailbox(mailbox::Arguments),
    /// Own the mailboxes of a domain, in the foreground, until Ctrl-C
    Keeper(keeper::Arguments),
    /// Send one message to a process or a mailbox
    Send(send::Arguments),
    /// Receive a message from a process, from a mailbox or from anyone
    Receive(receive::Arguments),
    /// List the processes of a domain
    Processes(listing::Processes),
    /// List the links between the processes of a domain
    Links(listing::Links),
    /// Look at this machine: its limits, what was left behind, and what to do about it
    Doctor(doctor::Arguments),
    /// A process that `chaos` starts, and ends
    #[command(hide = true)]
    Victim(chaos::VictimArguments),
    /// A number of messages between two processes, for `scripts/calls.sh` to watch
    #[command(hide = true)]
    Exchange(bench::ExchangeArguments),
    /// A producer or consumer process that `compare` starts
    #[command(hide = true)]
    Worker(compare::WorkerArguments),
}
