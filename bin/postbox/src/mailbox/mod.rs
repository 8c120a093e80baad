//! `postbox mailbox`: mailboxes that outlive the processes that use them, and a look at all.

mod change;
mod create;
mod existing;
mod show;

use clap::Subcommand;
use postbox::{MailboxAdmin, Name};
use postbox_program::command_line::EXIT_CODES;
use postbox_program::ending::Ending;
use postbox_program::place::Place;

/// The arguments of `mailbox`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What can be done with mailboxes.
#[derive(Debug, Subcommand)]
enum Command {
    /// Create a mailbox that the domain's keeper owns; starts the keeper if there is none
    #[command(after_help = EXIT_CODES)]
    Create(create::Create),
    /// List the mailboxes of a domain
    #[command(after_help = EXIT_CODES)]
    List(show::List),
    /// Show everything about a mailbox
    #[command(after_help = EXIT_CODES)]
    Inspect(show::Inspect),
    /// Let a process receive from a mailbox, or send to it
    #[command(after_help = EXIT_CODES)]
    Grant(change::Grant),
    /// Take that right away
    #[command(after_help = EXIT_CODES)]
    Revoke(change::Revoke),
    /// Make a process the owner of a mailbox; messages stay where they are
    #[command(after_help = EXIT_CODES)]
    Transfer(change::Transfer),
    /// Destroy a mailbox and what is in it; all who wait on it are told
    #[command(after_help = EXIT_CODES)]
    Destroy(change::Destroy),
}

/// Which mailbox, and how to speak of it.
#[derive(Debug, clap::Args)]
struct Subject {
    /// The mailbox
    #[arg(value_name = "MAILBOX")]
    name: Name,
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Subject {
    fn open(&self) -> Result<MailboxAdmin, Ending> {
        Ok(self.place.open()?.mailbox(self.name.as_str())?)
    }
}

/// Does it. None of it takes long.
pub fn run(arguments: &Arguments) -> Ending {
    let done = match &arguments.command {
        Command::Create(create) => create.run(),
        Command::List(list) => list.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Grant(grant) => grant.run(),
        Command::Revoke(revoke) => revoke.run(),
        Command::Transfer(transfer) => transfer.run(),
        Command::Destroy(destroy) => destroy.run(),
    };
    done.err().unwrap_or(Ending::Done)
}
