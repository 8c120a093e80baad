//! The links of another process, for whoever looks at a domain: it is asked, and answers a page at
//! a time.

use super::error::LinkError;
use super::info::{LinkInfo, Way};
use super::switchboard::Switchboard;
use crate::channel::Statistics;
use crate::domain::links::{WireLink, WireWay};
use crate::domain::protocol::{Reply, Request};
use crate::domain::{Address, Answer, AskError, Domain, ask};
use crate::error::Fault;
use crate::mechanism::{Capacity, Mechanism};
use crate::name::Name;
use crate::peer::Peer;
use crate::wait::Wait;
use std::time::Duration;

/// How long the process has to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Links to a page: as many as surely fit a packet.
const PAGE: usize = 24;

impl Domain {
    /// The links of the process of that name, as it sees them. It is asked, and has five seconds to
    /// answer; no name is needed for that.
    ///
    /// ```no_run
    /// use postbox::Domain;
    ///
    /// let lab = Domain::open("lab")?;
    /// for process in lab.processes()? {
    ///     for link in lab.links_of(process.name().as_str())? {
    ///         println!("{} and {}: {}", process.name(), link.partner(), link.mechanism());
    ///     }
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Absent`](LinkError::Absent), [`TimedOut`](LinkError::TimedOut) where the process does not
    /// answer, [`Refused`](LinkError::Refused) where it has no links to tell of or runs another
    /// version.
    pub fn links_of(&self, process: &str) -> Result<Vec<LinkInfo>, LinkError> {
        let name = Name::new(process)?;
        let wait = Wait::timeout(PATIENCE);
        let mut all = Vec::new();
        loop {
            let request = Request::Links { first: all.len() as u32 };
            let answered = ask(self, &Address::process(&name), None, &request, &[], &wait);
            let answered = answered.map_err(|error| match error {
                AskError::Absent | AskError::Gone { .. } => {
                    LinkError::Absent { name: name.clone(), domain: self.name().clone() }
                }
                AskError::TimedOut => LinkError::TimedOut,
                AskError::Cancelled => LinkError::Cancelled,
                AskError::Fault(fault) => fault.into(),
            })?;
            let Reply::Links { page, more } = answered.reply else {
                let why = "it does not tell of any".into();
                return Err(LinkError::Refused { name, why });
            };
            let none = page.is_empty();
            for link in page {
                all.push(LinkInfo::of_wire(link)?);
            }
            if !more || none {
                return Ok(all);
            }
        }
    }
}

/// One page, from that link on.
pub(super) fn answer(board: &Switchboard, first: u32) -> Answer {
    let mut all = board.all();
    all.retain(|link| !link.is_over());
    let rest = all.iter().skip(first as usize);
    let page: Vec<WireLink> = rest.take(PAGE).map(|link| LinkInfo::of(link).to_wire()).collect();
    let more = first as usize + page.len() < all.len();
    Reply::Links { page, more }.into()
}

impl LinkInfo {
    fn to_wire(&self) -> WireLink {
        let way = |way: &Way| {
            let Statistics { sent, sent_bytes, received, received_bytes, waits, spilled, repairs } =
                way.statistics;
            WireWay {
                waiting: way.waiting as u64,
                counts: [sent, sent_bytes, received, received_bytes, waits, spilled, repairs],
            }
        };
        WireLink {
            partner: self.partner.name().cloned(),
            pid: self.partner.pid(),
            uid: self.partner.uid(),
            mechanism: self.mechanism.code(),
            capacity: match self.capacity {
                Capacity::Zero => Some(0),
                Capacity::Bounded(n) => Some(n),
                Capacity::Unbounded => None,
            },
            schema: self.schema.clone(),
            outgoing: self.outgoing.as_ref().map(way),
            incoming: self.incoming.as_ref().map(way),
        }
    }

    fn of_wire(link: WireLink) -> Result<Self, Fault> {
        let way = |way: WireWay| {
            let [sent, sent_bytes, received, received_bytes, waits, spilled, repairs] = way.counts;
            Way {
                waiting: usize::try_from(way.waiting).unwrap_or(usize::MAX),
                statistics: Statistics {
                    sent,
                    sent_bytes,
                    received,
                    received_bytes,
                    waits,
                    spilled,
                    repairs,
                },
            }
        };
        Ok(LinkInfo {
            partner: Peer::known(link.pid, link.uid, link.partner),
            mechanism: Mechanism::from_code(link.mechanism)
                .ok_or(Fault::Corrupt("a link over a mechanism that there is not"))?,
            capacity: match link.capacity {
                Some(0) => Capacity::Zero,
                Some(n) => Capacity::Bounded(n),
                None => Capacity::Unbounded,
            },
            schema: link.schema,
            outgoing: link.outgoing.map(way),
            incoming: link.incoming.map(way),
        })
    }
}
