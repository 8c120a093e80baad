//! The mailboxes behind the ends of a case.
//!
//! ```text
//!  this process as "owner" ── creates ──► mailbox ──► senders
//!  this process as "user"  ── opens ────► the same ──► receivers      asked for at the owner's socket
//! ```
//!
//! A mailbox ends with its owner, so both stay joined until the case is over.

use crate::Outcome;
use postbox::{Access, Bytes, DomainOptions, Mailbox, MailboxOptions, Message, Options, Process};
use postbox::{Receiver, Sender};
use std::error::Error;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tempfile::TempDir;

/// The two names of this process, and what they have between them.
struct Offices {
    /// A forked child has inherited them, and can do nothing with them.
    pid: u32,
    mailboxes: Vec<Mailbox<Bytes>>,
    created: u32,
    owner: Process,
    user: Process,
    place: TempDir,
}

static OFFICES: Mutex<Option<Offices>> = Mutex::new(None);

fn offices() -> MutexGuard<'static, Option<Offices>> {
    OFFICES.lock().unwrap_or_else(PoisonError::into_inner)
}

fn with<R>(
    act: impl FnOnce(&mut Offices) -> Result<R, Box<dyn Error>>,
) -> Result<R, Box<dyn Error>> {
    let mut offices = offices();
    let offices = match &mut *offices {
        Some(offices) => offices,
        none => none.insert(Offices::open()?),
    };
    if offices.pid != std::process::id() {
        return Err("mailboxes are made by the case itself, not by its children".into());
    }
    act(offices)
}

/// The ends of a new mailbox like that.
pub(crate) fn ends<T: Message>(
    options: &Options,
) -> Result<(Sender<T>, Receiver<T>), Box<dyn Error>> {
    with(|offices| {
        offices.clear()?;
        let name = offices.create(options)?;
        let sender = offices.owner.open_mailbox::<T>(&name)?.sender()?;
        Ok((sender, offices.user.open_mailbox::<T>(&name)?.receiver()?))
    })
}

/// A new mailbox like that, of one name of this process and in the hands of its other.
pub fn mailbox<T: Message>(options: &Options) -> Result<Mailbox<T>, Box<dyn Error>> {
    with(|offices| {
        let name = offices.create(options)?;
        Ok(offices.user.open_mailbox(&name)?)
    })
}

/// The owner destroys all mailboxes that there are.
pub fn destroy() -> Outcome {
    let mut offices = offices();
    let mailboxes = offices.iter_mut().flat_map(|offices| offices.mailboxes.drain(..));
    Ok(mailboxes.into_iter().try_for_each(|mailbox| mailbox.destroy())?)
}

/// Both processes leave their domain, of which nothing may remain.
pub(crate) fn close() -> Outcome {
    let Some(Offices { mailboxes, owner, user, place, .. }) = offices().take() else {
        return Ok(());
    };
    drop((mailboxes, owner, user));
    match std::fs::read_dir(place.path())?.next() {
        None => Ok(()),
        Some(left) => Err(format!("left in the domain's place: {:?}", left?.path()).into()),
    }
}

impl Offices {
    fn open() -> Result<Self, Box<dyn Error>> {
        let place = tempfile::tempdir()?;
        let domain = DomainOptions::new().directory(place.path()).open("conformance")?;
        Ok(Offices {
            pid: std::process::id(),
            mailboxes: Vec::new(),
            created: 0,
            owner: domain.join("owner")?,
            user: domain.join("user")?,
            place,
        })
    }

    /// Creates one more; its name.
    fn create(&mut self, options: &Options) -> Result<String, Box<dyn Error>> {
        let name = format!("box-{}", self.created);
        self.created += 1;
        let options = MailboxOptions::from(options.clone()).receivers(Access::Members);
        let mailbox = self.owner.create_mailbox::<Bytes>(&name, options)?;
        self.mailboxes.push(mailbox);
        Ok(name)
    }

    /// Destroys those that nobody has an end of any more: some cases make many.
    fn clear(&mut self) -> Outcome {
        let mut kept = Vec::new();
        for mailbox in self.mailboxes.drain(..) {
            let status = mailbox.status()?;
            match status.senders + status.receivers {
                0 => mailbox.destroy()?,
                _ => kept.push(mailbox),
            }
        }
        self.mailboxes = kept;
        Ok(())
    }
}
