//! `postbox mailbox create`.

use super::Subject;
use super::show::sentence;
use crate::keeper;
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
    carriage: Carriage,
    /// Who gets a message when several receive: any of them; or at most a pair of processes may use
    /// the mailbox; or one at a time executes receive, the others queue
    #[arg(long, value_name = "any|pair|one-at-a-time", default_value_t)]
    policy: Policy,
    /// Who may receive: the owner and whom it lets in, these processes, or every member
    #[arg(long, value_name = "owner|members|NAME,…", default_value = "owner")]
    receivers: Access,
    /// Who may send
    #[arg(long, value_name = "owner|members|NAME,…", default_value = "members")]
    senders: Access,
    /// What the messages are, in a word of your own; who opens it with another is refused
    #[arg(long, value_name = "WORD")]
    schema: Option<String>,
    /// Let it be if there is one of that name already
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
                Err(MailboxError::Exists { .. }) if self.or_open => return Ok(mailbox.status()?),
                created => return Ok(created?),
            }
        }
    }

    fn options(&self) -> MailboxOptions {
        let mut options = MailboxOptions::from(self.carriage.options())
            .policy(self.policy)
            .receivers(self.receivers.clone())
            .senders(self.senders.clone());
        if let Some(schema) = &self.schema {
            options = options.schema(schema);
        }
        options
    }
}
