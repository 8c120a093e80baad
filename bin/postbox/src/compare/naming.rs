//! How workers come by the channel: passed on by their parent, or found by name, as programs that
//! know nothing of each other find it.
//!
//! ```text
//!  channel    parent creates ── ends by inheritance ──► workers
//!  direct     producers and consumer join a domain; the link appears between their names
//!  mailbox    parent owns it; workers join the domain and open it by its name
//! ```

use super::report::DATA;
use super::worker::Outcome;
use crate::scratch::User;
use postbox::{
    Absence, Access, Bytes, Capacity, DomainOptions, JoinOptions, LinkOptions, Mailbox,
    MailboxOptions, Mechanism, Options, Process, Receiver, Sender, inherited,
};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// How the two sides come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Naming {
    /// Ends are passed on from parent to child
    Channel,
    /// Processes name each other
    Direct,
    /// Processes name a mailbox
    Mailbox,
}

impl Naming {
    /// All three, in the order in which they are shown.
    pub const ALL: [Naming; 3] = [Naming::Channel, Naming::Direct, Naming::Mailbox];

    /// `channel`, `direct` or `mailbox`.
    pub fn name(self) -> &'static str {
        match self {
            Naming::Channel => "channel",
            Naming::Direct => "direct",
            Naming::Mailbox => "mailbox",
        }
    }
}

/// The domain in which workers meet.
const DOMAIN: &str = "compare";
/// The mailbox through which they send.
const MAILBOX: &str = "records";

/// A way to the channel, as a worker is told it.
#[derive(Debug, Clone, clap::Args)]
pub struct Way {
    #[arg(long)]
    pub naming: Naming,
    #[arg(long)]
    pub mechanism: Mechanism,
    #[arg(long)]
    pub capacity: Capacity,
    #[arg(long)]
    pub max_message: usize,
    /// The directory of their domain.
    #[arg(long)]
    pub directory: Option<PathBuf>,
}

impl Way {
    /// As arguments of a worker.
    pub fn arguments(&self) -> Vec<OsString> {
        let words = [
            format!("--naming={}", self.naming.name()),
            format!("--mechanism={}", self.mechanism),
            format!("--capacity={}", self.capacity),
            format!("--max-message={}", self.max_message),
        ];
        let mut arguments: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        if let Some(directory) = &self.directory {
            arguments.extend(["--directory".into(), directory.into()]);
        }
        arguments
    }

    /// What the channel is to be.
    pub fn options(&self) -> Options {
        Options::new(self.mechanism).capacity(self.capacity).max_message(self.max_message)
    }

    /// The sending end of producer `index`. The membership goes when it is dropped.
    pub fn sender(&self, index: u32) -> Outcome<(Option<Process>, Sender<Bytes>)> {
        match self.naming {
            Naming::Channel => Ok((None, inherited(DATA)?)),
            Naming::Direct => {
                let me = self.join(&producer(index))?;
                let sender = me.sender_to(CONSUMER)?;
                Ok((Some(me), sender))
            }
            Naming::Mailbox => {
                let me = self.join(&producer(index))?;
                let sender = me.open_mailbox(MAILBOX)?.sender()?;
                Ok((Some(me), sender))
            }
        }
    }

    /// The receiving ends of consumer `index`, one for each link if there are several.
    pub fn receivers(
        &self,
        index: u32,
        producers: u32,
    ) -> Outcome<(Option<Process>, Vec<Receiver<Bytes>>)> {
        match self.naming {
            Naming::Channel => Ok((None, vec![inherited(DATA)?])),
            Naming::Direct => {
                let me = self.join(CONSUMER)?;
                let links = (0..producers).map(|index| me.receiver_from(&producer(index)));
                let links = links.collect::<Result<_, _>>()?;
                Ok((Some(me), links))
            }
            Naming::Mailbox => {
                let me = self.join(&format!("{CONSUMER}-{index}"))?;
                let receiver = me.open_mailbox(MAILBOX)?.receiver()?.until_drained();
                Ok((Some(me), vec![receiver]))
            }
        }
    }

    fn join(&self, name: &str) -> Outcome<Process> {
        let links = LinkOptions::new(self.options()).absent(Absence::Wait);
        let mut domain = DomainOptions::new();
        if let Some(directory) = &self.directory {
            domain = domain.directory(directory);
        }
        Ok(domain.open(DOMAIN)?.join_with(name, JoinOptions::new().links(links))?)
    }
}

/// The name of the process that receives over links.
const CONSUMER: &str = "consumer";

fn producer(index: u32) -> String {
    format!("producer-{index}")
}

/// Where workers meet that find each other by name: a private directory, gone when this is dropped.
#[derive(Debug)]
pub struct Meeting {
    /// The owner of the mailbox, if that is how they meet. Before the directory, which it uses.
    _mailbox: Option<(Mailbox<Bytes>, Process)>,
    directory: TempDir,
}

impl Meeting {
    /// Prepares it for that way.
    pub fn prepare(way: &Way) -> Outcome<Self> {
        let directory = User::Compare.directory()?;
        let mailbox = if way.naming == Naming::Mailbox {
            let domain = DomainOptions::new().directory(directory.path()).open(DOMAIN)?;
            let owner = domain.join("compare")?;
            let options = MailboxOptions::from(way.options()).receivers(Access::Members);
            Some((owner.create_mailbox(MAILBOX, options)?, owner))
        } else {
            None
        };
        Ok(Meeting { _mailbox: mailbox, directory })
    }

    /// The directory of the domain.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}
