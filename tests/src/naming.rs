//! How the two ends of a case come together: by a channel of their own, by the names of two
//! processes, or by the name of a mailbox.
//!
//! The suite asks here for its ends, and the case says beforehand what it gets. What processes have
//! between them once they have found each other must keep the whole contract.

use crate::{Outcome, offices};
use postbox::{Capacity, Domain, DomainOptions, JoinOptions, Mechanism, Message, Options, Process};
use postbox::{Receiver, Sender};
use std::error::Error;
use std::sync::atomic::{AtomicU8, Ordering};

/// By what two ends are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Naming {
    /// By nothing: one process makes both and passes them on.
    Channel,
    /// By the names of two processes.
    Direct,
    /// By the name of a mailbox. Its receivers are made to end with the last sender, as those of the
    /// others do of themselves; that no sender ends with the last receiver remains.
    Mailbox,
}

/// All of them.
pub const NAMINGS: [Naming; 3] = [Naming::Channel, Naming::Direct, Naming::Mailbox];

/// What the case of this process, and of those that it forks, gets. Each case has a process of its
/// own, so this is set once.
static CHOSEN: AtomicU8 = AtomicU8::new(Naming::Channel as u8);
/// How many links were made: every other one is made by the receiver's side.
static LINKS: AtomicU8 = AtomicU8::new(0);

impl Naming {
    /// From now on in this process.
    pub(crate) fn choose(self) {
        CHOSEN.store(self as u8, Ordering::Relaxed);
    }

    /// What was chosen.
    pub fn chosen() -> Self {
        match CHOSEN.load(Ordering::Relaxed) {
            chosen if chosen == Naming::Direct as u8 => Naming::Direct,
            chosen if chosen == Naming::Mailbox as u8 => Naming::Mailbox,
            _ => Naming::Channel,
        }
    }

    /// Whether a sender is told when no receiver is left. Absence never ends a mailbox.
    pub fn senders_are_told(self) -> bool {
        self != Naming::Mailbox
    }

    /// What the names of the cases begin with.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Naming::Channel => "",
            Naming::Direct => "direct::",
            Naming::Mailbox => "mailbox::",
        }
    }
}

/// Two ends over that mechanism, with that capacity.
pub fn channel<T: Message>(
    mechanism: Mechanism,
    capacity: Capacity,
) -> Result<(Sender<T>, Receiver<T>), Box<dyn Error>> {
    connect(&Options::new(mechanism).capacity(capacity))
}

/// Two ends like that.
pub fn connect<T: Message>(options: &Options) -> Result<(Sender<T>, Receiver<T>), Box<dyn Error>> {
    match Naming::chosen() {
        Naming::Channel => Ok(options.channel()?),
        Naming::Direct => link(options),
        Naming::Mailbox => {
            let (tx, rx) = offices::ends(options)?;
            Ok((tx, rx.until_drained()))
        }
    }
}

/// What stood behind the ends of a case goes, and leaves nothing.
pub(crate) fn clear_up() -> Outcome {
    offices::close()
}

/// The ends of a link between two processes, which are this one under two names. They leave at once
/// and their ends stay, so that a case ends them as it would those of a channel.
fn link<T: Message>(options: &Options) -> Result<(Sender<T>, Receiver<T>), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let domain = DomainOptions::new().directory(place.path()).open("conformance")?;
    // Whichever has the smaller name makes the channels.
    let names = match LINKS.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => ["a-sender", "b-receiver"],
        _ => ["z-sender", "b-receiver"],
    };
    let [one, other] = [join(&domain, names[0], options)?, join(&domain, names[1], options)?];
    Ok((one.sender_to(names[1])?, other.receiver_from(names[0])?))
}

fn join(domain: &Domain, name: &str, options: &Options) -> Result<Process, Box<dyn Error>> {
    Ok(domain.join_with(name, JoinOptions::new().links(options.clone()))?)
}

/// The pid that a delivery from a child has: over a link, that of the process that has the name,
/// which may have passed its end on.
pub fn pid_of_sender(child: u32) -> u32 {
    match Naming::chosen() {
        Naming::Channel | Naming::Mailbox => child,
        Naming::Direct => std::process::id(),
    }
}
