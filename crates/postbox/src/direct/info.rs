//! What a link is, for those who look at it.

use super::link::Link;
use super::options::Direction;
use crate::channel::{Channel, Statistics};
use crate::domain::links::Flow;
use crate::mechanism::{Capacity, Mechanism};
use crate::peer::Peer;

/// A link, as it was when it was looked at.
#[derive(Debug, Clone)]
pub struct LinkInfo {
    pub(super) partner: Peer,
    pub(super) mechanism: Mechanism,
    pub(super) capacity: Capacity,
    pub(super) schema: Option<String>,
    pub(super) outgoing: Option<Way>,
    pub(super) incoming: Option<Way>,
}

/// One of its queues.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) waiting: usize,
    pub(super) statistics: Statistics,
}

impl LinkInfo {
    pub(super) fn of(link: &Link) -> Self {
        let way = |channel: &Channel| Way {
            waiting: channel.len() as usize,
            statistics: channel.statistics(),
        };
        LinkInfo {
            partner: link.peer(),
            // Checked when the channels were made.
            mechanism: Mechanism::from_code(link.terms.mechanism)
                .unwrap_or(Mechanism::SharedMemory),
            capacity: match link.terms.capacity {
                Some(0) => Capacity::Zero,
                Some(n) => Capacity::Bounded(n),
                None => Capacity::Unbounded,
            },
            schema: link.terms.schema.clone(),
            outgoing: match link.terms.flow {
                Flow::Both | Flow::Outward => link.outgoing.as_deref().map(way),
                Flow::Inward => None,
            },
            incoming: link.incoming.as_deref().map(way),
        }
    }

    /// The process at the other side.
    pub fn partner(&self) -> &Peer {
        &self.partner
    }

    /// What carries the messages.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// How many messages may wait, each way.
    pub fn capacity(&self) -> Capacity {
        self.capacity
    }

    /// What was agreed on about the messages.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// Which way it goes, as seen from this process; none if it is only for receiving.
    pub fn direction(&self) -> Option<Direction> {
        match (&self.outgoing, &self.incoming) {
            (Some(_), Some(_)) => Some(Direction::Both),
            (Some(_), None) => Some(Direction::Outward),
            (None, _) => None,
        }
    }

    /// Messages to the partner that wait, and what went that way so far.
    pub fn outgoing(&self) -> Option<(usize, &Statistics)> {
        self.outgoing.as_ref().map(|way| (way.waiting, &way.statistics))
    }

    /// Messages from the partner that wait, and what came that way so far.
    pub fn incoming(&self) -> Option<(usize, &Statistics)> {
        self.incoming.as_ref().map(|way| (way.waiting, &way.statistics))
    }
}
