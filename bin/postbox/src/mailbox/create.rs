//! `postbox mailbox create`.

use super::show::sentence;
use super::{Subject, existing};
use crate::keeper;
use clap::builder::NonEmptyStringValueParser;
use postbox::{Access, MailboxError, MailboxOptions, MailboxStatus, Policy};
use postbox_program::carriage::Carriage;
use postbox_program::ending::{Ending, print};
use postbox_program::tables::json_object;

/// How often a keeper is started: one that was there a moment ago may just have ended.
const ATTEMPTS: u32 = 3;

/// The arguments of `mailbox create`.
#[derive(Debug, clap::Args)]
pub struct Create {
    #[command(flatten)]
    subject: Subject,
    #[command(flatten)]
    pub(super) carriage: Carriage,
    /// Who gets a message when several receive: any of them; or at most a pair of processes may use
    /// the mailbox; or one at a time executes receive, the others queue [default: any]
    #[arg(long, value_name = "any|pair|one-at-a-time")]
    pub(super) policy: Option<Policy>,
    /// Who may receive: the owner and whom it lets in, these processes, or every member [default:
    /// owner]
    #[arg(long, value_name = "owner|members|NAME,…")]
    pub(super) receivers: Option<Access>,
    /// Who may send [default: members]
    #[arg(long, value_name = "owner|members|NAME,…")]
    pub(super) senders: Option<Access>,
    /// What the messages are, in a word of your own; who opens it with another is refused
    #[arg(long, value_name = "WORD", value_parser = NonEmptyStringValueParser::new())]
    pub(super) schema: Option<String>,
    /// Let it be if there is one of that name already, and it has the mechanism, capacity, largest
    /// message, policy and schema that are given here; other rights are told
    #[arg(long)]
    or_open: bool,
}

impl Create {
    pub(super) fn run(&self) -> Result<(), Ending> {
        let status = self.create()?;
        print(&if self.subject.json { json_object(&status) } else { sentence(&status) })
    }

    fn create(&self) -> Result<MailboxStatus, Ending> {
        let domain = self.subject.place.open()?;
        let mailbox = domain.mailbox(self.subject.name.as_str())?;
        let mut attempt = 1;
        loop {
            keeper::ensure(&domain)?;
            match mailbox.create(self.options()) {
                Err(MailboxError::NoKeeper { .. }) if attempt < ATTEMPTS => attempt += 1,
                Err(MailboxError::Exists { .. }) if self.or_open => {
                    let there = mailbox.status()?;
                    return existing::accept(self, &there).map(|()| there);
                }
                created => return Ok(created?),
            }
        }
    }

    fn options(&self) -> MailboxOptions {
        let mut options = MailboxOptions::from(self.carriage.options());
        if let Some(policy) = self.policy {
            options = options.policy(policy);
        }
        if let Some(receivers) = &self.receivers {
            options = options.receivers(receivers.clone());
        }
        if let Some(senders) = &self.senders {
            options = options.senders(senders.clone());
        }
        if let Some(schema) = &self.schema {
            options = options.schema(schema);
        }
        options
    }
}
