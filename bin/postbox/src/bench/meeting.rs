//! How the processes of a run come by ends of ours: passed on, or found by name in a private domain.

use super::ends::Outcome;
use crate::bench::arguments::Naming;
use crate::scratch::User;
use postbox::{
    Absence, Access, Bytes, DomainOptions, JoinOptions, LinkOptions, Mailbox, MailboxOptions,
    Options, Process,
};
use std::path::PathBuf;
use tempfile::TempDir;

/// The domain.
const DOMAIN: &str = "bench";

/// Where processes meet that find each other by name; gone when this is dropped.
pub struct Meeting {
    /// The owner of the mailboxes. Before the directory, which it uses.
    mailboxes: Option<(Vec<Mailbox<Bytes>>, Process)>,
    directory: Option<TempDir>,
    options: Options,
}

/// What a process needs to know to come there.
#[derive(Clone)]
pub struct Way {
    directory: PathBuf,
    options: Options,
}

impl Meeting {
    /// Prepares it, with mailboxes of those names where they are what is met at.
    pub fn prepare(naming: Naming, options: Options, mailboxes: &[&str]) -> Outcome<Self> {
        if naming == Naming::Channel {
            return Ok(Meeting { mailboxes: None, directory: None, options });
        }
        let directory = User::Bench.directory()?;
        let mut owned = None;
        if naming == Naming::Mailbox {
            let owner = DomainOptions::new().directory(directory.path()).open(DOMAIN)?;
            let owner = owner.join("owner")?;
            let create = |name: &&str| {
                let options = MailboxOptions::from(options.clone()).receivers(Access::Members);
                owner.create_mailbox(name, options)
            };
            owned = Some((mailboxes.iter().map(create).collect::<Result<_, _>>()?, owner));
        }
        Ok(Meeting { mailboxes: owned, directory: Some(directory), options })
    }

    /// Has two receive from each mailbox, where there is nothing yet.
    pub fn share(&self) -> Outcome<()> {
        for mailbox in self.mailboxes.iter().flat_map(|(mailboxes, _)| mailboxes) {
            for receiver in [mailbox.receiver()?, mailbox.receiver()?].each_ref() {
                receiver.try_receive()?;
            }
        }
        Ok(())
    }

    /// For a process to be told.
    pub fn way(&self) -> Way {
        let directory = self.directory.as_ref().map(|directory| directory.path().to_owned());
        Way { directory: directory.unwrap_or_default(), options: self.options.clone() }
    }
}

impl Way {
    /// What its links are.
    pub fn links(&self) -> LinkOptions {
        LinkOptions::new(self.options.clone()).absent(Absence::Wait)
    }

    /// Joins the domain; partners who are not there yet are waited for.
    pub fn join(&self, name: &str) -> Outcome<Process> {
        let links = self.links();
        let domain = DomainOptions::new().directory(&self.directory).open(DOMAIN)?;
        Ok(domain.join_with(name, JoinOptions::new().links(links))?)
    }
}
