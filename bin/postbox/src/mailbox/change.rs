//! `postbox mailbox grant`, `revoke`, `transfer` and `destroy`.

use super::Subject;
use postbox::{Name, Right};
use postbox_program::ending::{Ending, print};
use postbox_program::tables::json_object;
use serde::Serialize;

/// A right, as one types it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Which {
    /// To receive from the mailbox
    Receive,
    /// To send to the mailbox
    Send,
}

impl From<Which> for Right {
    fn from(which: Which) -> Right {
        match which {
            Which::Receive => Right::Receive,
            Which::Send => Right::Send,
        }
    }
}

/// What was done, for JSON.
#[derive(Debug, Serialize)]
struct Change<'c> {
    mailbox: &'c Name,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'c Name>,
    #[serde(skip_serializing_if = "Option::is_none")]
    right: Option<Which>,
}

impl Subject {
    fn tell(&self, change: &Change<'_>, words: &str) -> Result<(), Ending> {
        if self.json {
            print(&json_object(change))
        } else {
            print(&format!("mailbox '{}': {words}\n", self.name))
        }
    }
}

/// Whose right, and which.
#[derive(Debug, clap::Args)]
struct RightOf {
    /// The name of the process; it need not be there
    process: Name,
    /// Which right
    #[arg(long, value_enum, default_value_t = Which::Receive)]
    right: Which,
}

/// The arguments of `mailbox grant`.
#[derive(Debug, clap::Args)]
pub struct Grant {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    of: RightOf,
}

impl Grant {
    pub(super) fn run(&self) -> Result<(), Ending> {
        let RightOf { process, right } = &self.of;
        let allowed = Right::from(*right);
        self.subject.open()?.grant(allowed, process.as_str())?;
        let change = Change {
            mailbox: &self.subject.name,
            change: "granted",
            process: Some(process),
            right: Some(*right),
        };
        self.subject.tell(&change, &format!("'{process}' may {allowed}"))
    }
}

/// The arguments of `mailbox revoke`.
#[derive(Debug, clap::Args)]
pub struct Revoke {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    of: RightOf,
}

impl Revoke {
    pub(super) fn run(&self) -> Result<(), Ending> {
        let RightOf { process, right } = &self.of;
        let taken = Right::from(*right);
        self.subject.open()?.revoke(taken, process.as_str())?;
        let change = Change {
            mailbox: &self.subject.name,
            change: "revoked",
            process: Some(process),
            right: Some(*right),
        };
        self.subject.tell(&change, &format!("'{process}' may not {taken} any more"))
    }
}

/// The arguments of `mailbox transfer`.
#[derive(Debug, clap::Args)]
pub struct Transfer {
    #[command(flatten)]
    subject: Subject,
    /// The name of the process that is to own it; it has to be there
    process: Name,
}

impl Transfer {
    pub(super) fn run(&self) -> Result<(), Ending> {
        self.subject.open()?.transfer_to(self.process.as_str())?;
        let change = Change {
            mailbox: &self.subject.name,
            change: "transferred",
            process: Some(&self.process),
            right: None,
        };
        self.subject.tell(&change, &format!("belongs to '{}' now", self.process))
    }
}

/// The arguments of `mailbox destroy`.
#[derive(Debug, clap::Args)]
pub struct Destroy {
    #[command(flatten)]
    subject: Subject,
}

impl Destroy {
    pub(super) fn run(&self) -> Result<(), Ending> {
        self.subject.open()?.destroy()?;
        let mailbox = &self.subject.name;
        let change = Change { mailbox, change: "destroyed", process: None, right: None };
        self.subject.tell(&change, "is destroyed")
    }
}
