//! A process among others, each of which it can name.

use super::desk::Desk;
use super::error::LinkError;
use super::info::LinkInfo;
use super::membership::Membership;
use super::monitor::Monitor;
use super::options::LinkOptions;
use crate::domain::Domain;
use crate::domain::links::Insists;
use crate::name::Name;
use crate::wait::Wait;
use std::cell::RefCell;
use std::sync::Arc;

/// This process in a [`Domain`], under a name: it sends to others, and receives from them, by theirs.
///
/// Made by [`Domain::join`]. The link to a partner appears by itself when either side first names
/// the other: one per pair, whoever begins, and both ways unless asked otherwise. It goes when either
/// of the two has gone; a partner that was restarted is another partner, with a link of its own.
///
/// `Send` and `Clone`, not `Sync`: each thread has its own clone, and all are one member of the
/// domain. In a child of `fork` it is [`NotJoined`](LinkError::NotJoined).
///
/// ```no_run
/// use postbox::Domain;
///
/// // in one program
/// let me = Domain::open("lab")?.join("sensor")?;
/// me.send("logger", &21.5)?;
/// let noted = me.receive_from::<u64>("logger")?.into_inner();
///
/// // in another
/// let me = Domain::open("lab")?.join("logger")?;
/// let reading = me.receive::<f64>()?; // from anyone
/// println!("{} from {}", *reading, reading.sender());
/// me.send("sensor", &1u64)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # When the partner goes
///
/// A call that is waiting then, or the next one, says `Disconnected`; nothing was sent. Receiving
/// drains what is left first. The call after that begins anew: with the partner's successor if there
/// is one, otherwise the partner is [`Absent`](LinkError::Absent). To receive from anyone is never
/// ended by absence, and so says nothing of it: a partner that it has drained is simply absent.
///
/// What a partner has left is kept until it is received, by either kind of call, however many
/// partners come and go under one name or many. It is never dropped. Once what the gone have left
/// takes half of the descriptors that the process may open, new links are
/// [`Refused`](LinkError::Refused), to those who ask for them too, until some of it has been
/// received. A process that never receives asks for links
/// [outward](crate::Direction::Outward) and keeps nothing.
pub struct Process {
    pub(super) membership: Arc<Membership>,
    pub(super) desk: RefCell<Desk>,
    /// Where messages are encoded.
    pub(super) scratch: RefCell<Vec<u8>>,
}

impl Process {
    /// The first handle of a member, or one more.
    pub(crate) fn of(membership: Arc<Membership>) -> Self {
        Process { membership, desk: RefCell::default(), scratch: RefCell::default() }
    }

    /// What the handles share.
    pub(crate) fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        self.membership.name()
    }

    /// The domain that it has joined.
    pub fn domain(&self) -> &Domain {
        self.membership.domain()
    }

    /// Makes the link with that process, on these terms; or finds that it is there, on these terms.
    ///
    /// ```no_run
    /// use postbox::{Absence, Capacity, LinkOptions, Mechanism, Options};
    ///
    /// # let me = postbox::Domain::open("lab")?.join("sensor")?;
    /// let options = Options::new(Mechanism::Socket).capacity(Capacity::Zero);
    /// me.link_with("logger", LinkOptions::new(options).schema("reading/2").absent(Absence::Wait))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Mismatch`](LinkError::Mismatch) where there is one on other terms, and the other
    /// [`LinkError`]s.
    pub fn link_with(
        &self,
        partner: &str,
        options: impl Into<LinkOptions>,
    ) -> Result<LinkInfo, LinkError> {
        self.link_within(partner, options, &Wait::forever())
    }

    /// As [`link_with`](Self::link_with), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also timed out and cancelled.
    pub fn link_within(
        &self,
        partner: &str,
        options: impl Into<LinkOptions>,
        wait: &Wait,
    ) -> Result<LinkInfo, LinkError> {
        self.membership.check()?;
        let name = self.membership.partner(partner)?;
        let link = self.membership.link(&name, &options.into(), Insists::Yes, wait)?;
        Ok(LinkInfo::of(&link))
    }

    /// The links that there are, by partner.
    ///
    /// ```no_run
    /// # let me = postbox::Domain::open("lab")?.join("sensor")?;
    /// for link in me.links()? {
    ///     let waiting = link.outgoing().map_or(0, |(waiting, _)| waiting);
    ///     println!("{}: {}, {waiting} on the way", link.partner(), link.mechanism());
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotJoined`](LinkError::NotJoined) in a child of `fork`.
    pub fn links(&self) -> Result<Vec<LinkInfo>, LinkError> {
        self.membership.check()?;
        let all = self.membership.board.all();
        Ok(all.iter().filter(|link| !link.is_over()).map(|link| LinkInfo::of(link)).collect())
    }

    /// Watches that process, to be told when it has gone. No link is made for it.
    ///
    /// # Errors
    ///
    /// [`Absent`](LinkError::Absent), or descriptors are short.
    pub fn monitor(&self, name: &str) -> Result<Monitor, LinkError> {
        self.membership.check()?;
        Monitor::new(&self.membership, self.membership.partner(name)?)
    }
}

impl Clone for Process {
    /// One more handle of the same member, with ends of its own.
    fn clone(&self) -> Self {
        Process::of(self.membership.clone())
    }
}

impl std::fmt::Debug for Process {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Process")
            .field("name", self.name())
            .field("domain", self.domain().name())
            .finish_non_exhaustive()
    }
}
