//! Where messages come from: a process, a mailbox, or anyone.

use crate::ending::Ending;
use crate::stop::Stop;
use crate::target::open_mailbox;
use postbox::{
    Absence, Bytes, DirectError, Direction, LinkError, LinkOptions, Name, Peer, Process,
    ReceiveError, Receiver, Wait,
};
use std::time::{Duration, Instant};

/// How often it is looked whether anybody is left who might send directly.
const LOOK: Duration = Duration::from_millis(50);

/// The links of a program that only receives: it never asks for one, so that whoever sends says
/// what the link is.
pub fn links() -> LinkOptions {
    LinkOptions::default().direction(Direction::Outward).absent(Absence::Wait)
}

/// One of the two, or neither: from anyone.
#[derive(Debug, Clone, clap::Args)]
#[group(multiple = false)]
pub struct ReceiveFrom {
    /// Receive from the process of that name alone, until it is gone [default: from anyone]
    #[arg(long, value_name = "NAME")]
    pub from: Option<Name>,
    /// Receive from that mailbox
    #[arg(long, value_name = "NAME")]
    pub mailbox: Option<Name>,
}

/// When to stop receiving.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Not because nobody is there.
    Asked,
    /// Once somebody has been there to send, nobody is any more, and nothing is left.
    Drained,
}

/// A process, a mailbox or everybody, to receive from.
#[derive(Debug)]
pub struct Source {
    /// `process 'sensor'`, `mailbox 'jobs'` or `anyone`.
    pub name: String,
    way: Way,
}

/// How messages come.
#[derive(Debug)]
enum Way {
    /// Through one channel.
    Channel(Box<Receiver<Bytes>>),
    /// Through whatever links there are.
    Anyone(Process),
    /// Likewise, until all that there were are gone.
    Those { me: Process, have_been: bool },
}

impl ReceiveFrom {
    /// Opens the way. A mailbox that is not there yet is waited for if there is a deadline; a
    /// process always is.
    ///
    /// # Errors
    ///
    /// Nothing if it is not there; a failure if it cannot be opened, or may not.
    pub fn open(
        &self,
        me: &Process,
        until: Until,
        stop: &Stop,
        deadline: Option<Instant>,
    ) -> Result<Source, Ending> {
        let (name, way) = match (&self.mailbox, &self.from) {
            (Some(mailbox), _) => {
                let receiver = open_mailbox(me, mailbox, stop, deadline)?.receiver()?;
                let receiver = match until {
                    Until::Asked => receiver,
                    Until::Drained => receiver.until_drained(),
                };
                (format!("mailbox '{mailbox}'"), Way::Channel(receiver.into()))
            }
            (None, Some(partner)) => {
                let told = Unlinked::of(partner, deadline);
                let link = me.receiver_from_with(partner.as_str(), &stop.wait(deadline));
                let link = link.map_err(|error| told.as_ending(me, error))?;
                (format!("process '{partner}'"), Way::Channel(link.into()))
            }
            (None, None) => {
                let me = me.clone();
                let way = match until {
                    Until::Asked => Way::Anyone(me),
                    Until::Drained => Way::Those { me, have_been: false },
                };
                ("anyone".into(), way)
            }
        };
        Ok(Source { name, way })
    }
}

/// Whose messages do not come, and whether that was waited for.
struct Unlinked<'p> {
    partner: &'p Name,
    waited: &'static str,
}

impl<'p> Unlinked<'p> {
    fn of(partner: &'p Name, deadline: Option<Instant>) -> Self {
        let waits = deadline.is_none_or(|at| at > Instant::now());
        Unlinked { partner, waited: if waits { "timed out: " } else { "" } }
    }

    fn as_ending(&self, me: &Process, error: LinkError) -> Ending {
        let (Unlinked { partner, waited }, domain) = (self, me.domain().name());
        Ending::Nothing(match error {
            LinkError::StillAbsent { .. } => {
                format!("{waited}no process is called '{partner}' in domain '{domain}'")
            }
            LinkError::TimedOut => {
                format!("{waited}process '{partner}' of domain '{domain}' has sent nothing")
            }
            error => return error.into(),
        })
    }
}

impl Source {
    /// Replaces what `record` holds by the next one; waits for it. None at the end of all.
    ///
    /// # Errors
    ///
    /// As those of the library.
    pub fn receive(
        &mut self,
        record: &mut Vec<u8>,
        stop: &Stop,
        deadline: Option<Instant>,
    ) -> Result<Option<Peer>, Ending> {
        let wait = stop.wait(deadline);
        match &mut self.way {
            Way::Channel(receiver) => ended(receiver.receive_into_with(record, &wait).map(Some)),
            Way::Anyone(me) => Ok(Some(any(me, record, &wait)?)),
            Way::Those { me, have_been } => loop {
                let look = Instant::now() + LOOK;
                let until = deadline.map_or(look, |deadline| deadline.min(look));
                match any(me, record, &stop.wait(Some(until))) {
                    Err(error) if error.is_timeout() => {}
                    received => {
                        *have_been = true;
                        return Ok(Some(received?));
                    }
                }
                if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                    return Err(ReceiveError::TimedOut.into());
                }
                let someone = !me.links()?.is_empty();
                if *have_been && !someone {
                    // What was sent before the last one went is there by now.
                    return Ok(try_any(me, record)?);
                }
                *have_been |= someone;
            },
        }
    }

    /// As [`receive`](Self::receive), but never waits; none where there is nothing now.
    ///
    /// # Errors
    ///
    /// As those of the library.
    pub fn try_receive(&mut self, record: &mut Vec<u8>) -> Result<Option<Peer>, Ending> {
        match &mut self.way {
            Way::Channel(receiver) => ended(receiver.try_receive_into(record)),
            Way::Anyone(me) => Ok(try_any(me, record)?),
            Way::Those { me, have_been } => {
                let received = try_any(me, record)?;
                *have_been |= received.is_some();
                Ok(received)
            }
        }
    }
}

/// That the partner has gone is the end.
fn ended(received: Result<Option<Peer>, ReceiveError>) -> Result<Option<Peer>, Ending> {
    match received {
        Err(ReceiveError::Disconnected) => Ok(None),
        received => Ok(received?),
    }
}

fn any(me: &Process, record: &mut Vec<u8>, wait: &Wait) -> Result<Peer, DirectError<ReceiveError>> {
    let delivery = me.receive_with::<Bytes>(wait)?;
    let sender = delivery.sender().clone();
    *record = delivery.into_inner().into_vec();
    Ok(sender)
}

fn try_any(me: &Process, record: &mut Vec<u8>) -> Result<Option<Peer>, DirectError<ReceiveError>> {
    let Some(delivery) = me.try_receive::<Bytes>()? else { return Ok(None) };
    let sender = delivery.sender().clone();
    *record = delivery.into_inner().into_vec();
    Ok(Some(sender))
}
