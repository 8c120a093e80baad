//! Where messages go: a process, directly, or a mailbox.

use crate::carriage::Carriage;
use crate::ending::Ending;
use crate::refusals::WAIT;
use crate::stop::Stop;
use postbox::{Absence, Bytes, LinkError, Mailbox, MailboxError, Name, Opening, Process, Sender};
use std::time::Instant;

/// How long the way may take to be there.
#[derive(Debug, Clone, Copy)]
pub enum Patience {
    /// As long as it takes; what is not there is an error.
    Unbounded,
    /// Until then; what is not there may come.
    Until(Instant),
    /// No longer than who is there needs to answer; what is not there is an error.
    Moment,
}

impl Patience {
    /// Of a program that waits until `deadline`, if there is one.
    pub fn until(deadline: Option<Instant>) -> Self {
        deadline.map_or(Patience::Unbounded, Patience::Until)
    }

    /// What becomes of a link to somebody who is not there.
    pub fn absence(self) -> Absence {
        if self.deadline().is_some() { Absence::Wait } else { Absence::Fail }
    }

    /// Until when what is not there is waited for, if it is.
    fn deadline(self) -> Option<Instant> {
        match self {
            Patience::Until(deadline) => Some(deadline),
            Patience::Unbounded | Patience::Moment => None,
        }
    }
}

/// One of the two.
#[derive(Debug, Clone, clap::Args)]
#[group(required = true, multiple = false)]
pub struct SendTo {
    /// Send to the process of that name
    #[arg(long, value_name = "NAME")]
    pub to: Option<Name>,
    /// Send to that mailbox
    #[arg(long, value_name = "NAME")]
    pub mailbox: Option<Name>,
}

/// A process or a mailbox, to send to.
#[derive(Debug)]
pub struct Target {
    /// `process 'logger'` or `mailbox 'jobs'`.
    pub name: String,
    /// The way there.
    pub sender: Sender<Bytes>,
}

impl SendTo {
    /// Opens the way, within that patience.
    ///
    /// # Errors
    ///
    /// Nothing if it is not there, or does not answer; a failure if it cannot be opened, or may not.
    pub fn open(
        &self,
        me: &Process,
        carriage: Carriage,
        stop: &Stop,
        patience: Patience,
    ) -> Result<Target, Ending> {
        match (&self.to, &self.mailbox) {
            (Some(partner), _) => {
                let wait = stop.wait(match patience {
                    Patience::Moment => Some(Instant::now() + Process::FIRST_CONTACT),
                    patience => patience.deadline(),
                });
                let name = format!("process '{partner}'");
                let told = |error| unlinked(me, partner, patience, error);
                if carriage.is_explicit() {
                    // A link on other terms is an error then.
                    let links = carriage.links(patience.absence());
                    me.link_within(partner.as_str(), links, &wait).map_err(told)?;
                }
                let sender = me.sender_to_with(partner.as_str(), &wait).map_err(told)?;
                Ok(Target { name, sender })
            }
            (None, Some(mailbox)) => {
                let name = format!("mailbox '{mailbox}'");
                let sender = open_mailbox(me, mailbox, stop, patience.deadline())?.sender()?;
                Ok(Target { name, sender })
            }
            // clap has refused that already.
            (None, None) => Err(Ending::BadInput("give --to NAME or --mailbox NAME".into())),
        }
    }
}

/// Why there is no way to send to that process. Who does not wait has not run out of time.
fn unlinked(me: &Process, partner: &Name, patience: Patience, error: LinkError) -> Ending {
    let waited = if matches!(patience, Patience::Moment) { "" } else { "timed out: " };
    match error {
        LinkError::TimedOut => Ending::Nothing(format!(
            "{waited}process '{partner}' is in domain '{}', but does not answer; if it was \
             stopped, let it go on",
            me.domain().name()
        )),
        LinkError::Absent { name, domain } => Ending::Nothing(format!(
            "no process is called '{name}' in domain '{domain}' now: start it, correct the name, \
             or {WAIT}"
        )),
        error => error.into(),
    }
}

/// Opens a mailbox for bytes; one that is not there yet is waited for if there is a deadline.
pub(crate) fn open_mailbox(
    me: &Process,
    name: &Name,
    stop: &Stop,
    deadline: Option<Instant>,
) -> Result<Mailbox<Bytes>, Ending> {
    let mut opening = Opening::new();
    if deadline.is_some() {
        opening = opening.wait(stop.wait(deadline));
    }
    me.open_mailbox_with(name.as_str(), &opening).map_err(|error| match error {
        MailboxError::Absent { name, domain } => Ending::Nothing(format!(
            "there is no mailbox '{name}' in domain '{domain}': create it, or {WAIT}"
        )),
        error => error.into(),
    })
}
