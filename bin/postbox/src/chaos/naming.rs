//! How victims come by their ends: passed on, or found by name.
//!
//! ```text
//!  channel    the ledger creates it ── clones of its ends by inheritance ──► victims
//!  pair       the ledger creates it ── its ends by inheritance ──► two victims, and nobody else has any
//!  direct     victims join a domain; producers send to consumers by name
//!  mailbox    a victim owns it; the others join the domain and open it by its name
//!  keeper     the same, and it belongs to the keeper of the domain
//! ```

use super::message::LARGEST;
use postbox::{
    Absence, Access, Bytes, Capacity, Domain, DomainOptions, JoinOptions, LinkOptions, Mailbox,
    MailboxOptions, Mechanism, Opening, Options, Ownership, Policy, Process, Wait,
};
use std::error::Error;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// What goes wrong, in words.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// How victims come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Naming {
    /// Ends are passed on from parent to child
    Channel,
    /// One process has the one end, one the other; each may clone its own
    Pair,
    /// Processes name each other
    Direct,
    /// Processes name a mailbox, which belongs to one of them
    Mailbox,
    /// Processes name a mailbox, which belongs to a keeper
    Keeper,
}

impl Naming {
    /// All of them, in the order in which they are run.
    pub const ALL: [Naming; 5] =
        [Naming::Channel, Naming::Pair, Naming::Direct, Naming::Mailbox, Naming::Keeper];

    /// As it is given on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Naming::Channel => "channel",
            Naming::Pair => "pair",
            Naming::Direct => "direct",
            Naming::Mailbox => "mailbox",
            Naming::Keeper => "keeper",
        }
    }

    /// Whether victims are given their ends, and have no names.
    pub fn is_inherited(self) -> bool {
        matches!(self, Naming::Channel | Naming::Pair)
    }

    /// Whether somebody owns what the others use.
    pub fn has_owner(self) -> bool {
        matches!(self, Naming::Mailbox | Naming::Keeper)
    }
}

/// The domain in which victims meet.
const DOMAIN: &str = "chaos";
/// The mailbox through which they send.
const MAILBOX: &str = "target";
/// The largest message over a link by message queues.
const SMALL: usize = 800;
/// What waiting messages may take in shared memory: little enough that it is met.
const BYTE_CAP: u64 = 8 << 20;
/// How long to wait for a mailbox that is being made.
const PATIENCE: Duration = Duration::from_secs(20);

/// A way to the channel, as a victim is told it.
#[derive(Debug, Clone, clap::Args)]
pub struct Way {
    #[arg(long)]
    pub naming: Naming,
    #[arg(long)]
    pub mechanism: Mechanism,
    #[arg(long)]
    pub capacity: Capacity,
    #[arg(long)]
    pub policy: Policy,
    /// The directory of their domain.
    #[arg(long)]
    pub directory: Option<PathBuf>,
}

impl Way {
    /// As arguments of a victim.
    pub fn arguments(&self) -> Vec<OsString> {
        let words = [
            format!("--naming={}", self.naming.name()),
            format!("--mechanism={}", self.mechanism),
            format!("--capacity={}", self.capacity),
            format!("--policy={}", self.policy),
        ];
        let mut arguments: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        if let Some(directory) = &self.directory {
            arguments.extend(["--directory".into(), directory.into()]);
        }
        arguments
    }

    /// What the channel is to be.
    pub fn options(&self) -> Options {
        Options::new(self.mechanism)
            .capacity(self.capacity)
            .max_message(self.largest())
            .byte_cap(BYTE_CAP)
    }

    /// Bytes of the largest message. Between many pairs of processes there are many queues, of which
    /// the system grants a user so many bytes in all.
    pub fn largest(&self) -> usize {
        match (self.mechanism, self.naming) {
            (Mechanism::MessageQueue, Naming::Direct) => SMALL,
            _ => LARGEST,
        }
    }

    /// The domain.
    pub fn domain(&self) -> Outcome<Domain> {
        let mut options = DomainOptions::new();
        if let Some(directory) = &self.directory {
            options = options.directory(directory);
        }
        Ok(options.open(DOMAIN)?)
    }

    /// Joins the domain under that name. Who is absent is an error: a partner that was killed is
    /// told so, and not waited for.
    pub fn join(&self, name: &str) -> Outcome<Process> {
        let links = LinkOptions::new(self.options()).absent(Absence::Fail);
        Ok(self.domain()?.join_with(name, JoinOptions::new().links(links))?)
    }

    /// Makes the mailbox, as its owner or through the keeper.
    pub fn create(&self, me: &Process, owner: Ownership) -> Outcome<Mailbox<Bytes>> {
        let options = MailboxOptions::from(self.options())
            .policy(self.policy)
            .receivers(Access::Members)
            .owner(owner);
        Ok(me.create_mailbox(MAILBOX, options)?)
    }

    /// Opens the mailbox.
    pub fn open(&self, me: &Process) -> Outcome<Mailbox<Bytes>> {
        Ok(me.open_mailbox_with(MAILBOX, &Opening::new().wait(Wait::timeout(PATIENCE)))?)
    }
}
