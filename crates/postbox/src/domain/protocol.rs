//! What is asked of a registrar and what it answers.
//!
//! ```text
//!  client                                registrar
//!    │  one packet: version, name, request   │   ≤ 8 KiB, ≤ 64 descriptors
//!    ├──────────────────────────────────────►│
//!    │  one packet: version, reply           │   ≤ 8 KiB, ≤ 64 descriptors
//!    │◄──────────────────────────────────────┤   and the connection is closed
//! ```

use super::links::{LinkReply, LinkRequest, WireLink};
use crate::error::Fault;
use crate::name::Name;
use postbox_sys::Errno;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The first byte of every packet. Another number means another, incompatible protocol.
const VERSION: u8 = 1;

/// The most bytes of a packet.
pub(crate) const MAX_PACKET: usize = 8 << 10;

/// The most descriptors that come with a packet.
pub(crate) const MAX_DESCRIPTORS: usize = 64;

/// What is asked. Plain data; descriptors come beside it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Request {
    /// Are you there?
    Hello,
    /// Between processes.
    Link(LinkRequest),
    /// Which links are yours, from that one on?
    Links { first: u32 },
    /// To an owner of mailboxes, or to the keeper: indirect/ knows what it says.
    Mailbox(Vec<u8>),
    /// What the tests of this module ask.
    #[cfg(test)]
    Probe(u32),
}

/// What is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Reply {
    /// To [`Request::Hello`]; whom the registrar took the caller for.
    Hello { caller: Option<Name> },
    /// The request is none that this address answers.
    NotUnderstood,
    /// The service met an error of its own.
    Failed { why: String },
    /// To [`Request::Link`].
    Link(LinkReply),
    /// To [`Request::Links`]; whether there are more.
    Links { page: Vec<WireLink>, more: bool },
    /// Of an owner of mailboxes, or of the keeper.
    Mailbox(Vec<u8>),
    /// What the tests of this module answer.
    #[cfg(test)]
    Probe { number: u32, caller: Option<Name> },
}

/// A request together with the process name that the caller says it holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Envelope<R> {
    pub(crate) from: Option<Name>,
    pub(crate) request: R,
}

/// A packet of this protocol.
///
/// # Errors
///
/// `EMSGSIZE` where it would be longer than a packet may be.
pub(crate) fn encode(content: &impl Serialize) -> Result<Vec<u8>, Fault> {
    let too_long = Fault::System { call: "a request to a registrar", errno: Errno::EMSGSIZE };
    let packet = vec![VERSION];
    match postcard::to_extend(content, packet) {
        Ok(packet) if packet.len() <= MAX_PACKET => Ok(packet),
        _ => Err(too_long),
    }
}

/// The content of a packet, if it is one of this protocol and nothing is left over.
pub(crate) fn decode<C: DeserializeOwned>(packet: &[u8]) -> Option<C> {
    let (&VERSION, content) = packet.split_first()? else { return None };
    match postcard::take_from_bytes(content) {
        Ok((content, [])) => Some(content),
        _ => None,
    }
}
