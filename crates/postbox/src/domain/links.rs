//! What processes ask each other about the link between them: plain data; the descriptors of the
//! channels travel beside it.
//!
//! Of the two names the smaller one is the *maker*: it alone makes channels. So both may start at the
//! same instant, and there is one link.
//!
//! | asked by | of | request | answer |
//! | --- | --- | --- | --- |
//! | the maker | the other | `Take`, with descriptors | `Taken` |
//! | the other | the maker | `Make` | `Made`, with descriptors |

use crate::name::Name;
use serde::{Deserialize, Serialize};

/// What one process asks the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LinkRequest {
    /// Take part in this link, if you are still that process.
    Take {
        /// The [`Identity`](crate::process::Identity) that the maker has made it for.
        to: u64,
        link: LinkOffer,
    },
    /// Let us have a link.
    Make { instance: u64, terms: LinkTerms, insists: Insists },
}

/// What the other answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LinkReply {
    /// It takes part now.
    Taken { instance: u64 },
    /// That is the link: a new one, or the one that there was.
    Made { link: LinkOffer },
    /// There is a link on other terms; it insists on another schema.
    Mismatch { asked: String, has: String },
    /// It is not the process that the link was made for: look again who has the name.
    Stranger,
    /// It is just leaving the domain.
    Leaving,
    /// It cannot: descriptors or memory are short, or what came is no link.
    Cannot { why: String },
}

/// A link, as the maker describes it to the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinkOffer {
    /// Told apart from every other link.
    pub(crate) id: u64,
    /// Tells one membership of the maker's from an earlier one of the same process.
    pub(crate) instance: u64,
    pub(crate) schema: Option<String>,
    /// From the maker to the other.
    pub(crate) forth: Option<WireSeat>,
    /// From the other to the maker.
    pub(crate) back: Option<WireSeat>,
}

/// The other's end of one channel: its seat, and with how many descriptors the channel came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireSeat {
    pub(crate) index: u16,
    pub(crate) generation: u32,
    pub(crate) descriptors: u8,
}

/// What a link is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinkTerms {
    /// The code of the mechanism.
    pub(crate) mechanism: u64,
    /// 0 for zero, none for unbounded.
    pub(crate) capacity: Option<u32>,
    pub(crate) max_message: u64,
    pub(crate) fixed_size: Option<u64>,
    pub(crate) byte_cap: u64,
    pub(crate) schema: Option<String>,
    pub(crate) flow: Flow,
}

/// Which way messages go, as seen by the one who asks for the link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Flow {
    Both,
    Outward,
    Inward,
}

/// Whether a link on other terms will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Insists {
    /// The terms are those of the process for all its links: any link will do.
    No,
    /// They were given for this link.
    Yes,
}

/// A link, as one of its two processes describes it to whoever looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireLink {
    pub(crate) partner: Option<Name>,
    pub(crate) pid: u32,
    pub(crate) uid: Option<u32>,
    pub(crate) mechanism: u64,
    pub(crate) capacity: Option<u32>,
    pub(crate) schema: Option<String>,
    pub(crate) outgoing: Option<WireWay>,
    pub(crate) incoming: Option<WireWay>,
}

/// One of its queues: messages that wait, and its counts so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WireWay {
    pub(crate) waiting: u64,
    pub(crate) counts: [u64; 7],
}
