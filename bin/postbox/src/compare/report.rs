//! What workers tell the parent, over a channel of their own.

use super::tally::Total;
use serde::{Deserialize, Serialize};

/// The name under which a worker finds the end of the channel under measurement.
pub const DATA: &str = "data";
/// The name under which a worker finds the sender of its reports.
pub const REPORTS: &str = "reports";
/// The name under which a worker finds the receiver of the start signal.
pub const START: &str = "start";

/// The start signal.
#[derive(Debug, Serialize, Deserialize)]
pub struct Go;

/// A worker's word.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// It waits for the start signal.
    Ready,
    /// A consumer has taken this much so far.
    Progress {
        /// Messages taken.
        messages: u64,
        /// Bytes of their records.
        bytes: u64,
    },
    /// A producer has sent everything.
    Sent(Sent),
    /// A consumer has drained the channel.
    Received(Received),
    /// It cannot go on.
    Failed(String),
}

/// What a producer has done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Sent {
    /// How many messages it has sent.
    pub messages: u64,
    /// From the receipts: pids of takers, and how many messages each took. Empty without.
    pub takers: Vec<(u32, u64)>,
    /// User and system time since the start signal, in nanoseconds.
    pub cpu: u64,
}

/// What a consumer has seen.
#[derive(Debug, Serialize, Deserialize)]
pub struct Received {
    /// The consumer's process.
    pub pid: u32,
    /// What its messages add up to.
    pub total: Total,
    /// Messages that did not come after their sender's last one.
    pub out_of_order: u64,
    /// Latencies in nanoseconds and how often each occurred.
    pub latencies: Vec<(u64, u64)>,
    /// When it had drained the channel, in nanoseconds of the monotonic clock.
    pub drained: u64,
    /// User and system time since the start signal, in nanoseconds.
    pub cpu: u64,
    /// How often ends of the channel went to sleep, as seen now.
    pub waits: u64,
    /// Messages that went beside the mechanism, as seen now.
    pub spilled: u64,
}
