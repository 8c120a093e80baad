//! One row: what a mechanism and capacity did with the file.

use serde::Serialize;

/// One row of the table, one object of the JSON array.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Row {
    /// `pipe`, `socket`, `mqueue`, `shm` or `buffer`.
    pub mechanism: String,
    /// `0`, a number or `unbounded`.
    pub capacity: String,
    /// `channel`, `direct` or `mailbox`.
    pub naming: &'static str,
    /// Processes that sent.
    pub producers: u32,
    /// Processes that received.
    pub consumers: u32,
    /// Messages received.
    pub messages: u64,
    /// Bytes of their records.
    pub bytes: u64,
    /// From the start signal until the last consumer had drained the channel.
    pub seconds: f64,
    /// Messages per second.
    pub messages_per_second: f64,
    /// Bytes per second.
    pub bytes_per_second: f64,
    /// Median latency in nanoseconds.
    pub p50_ns: u64,
    /// Latency in nanoseconds that 99 of 100 messages did not exceed.
    pub p99_ns: u64,
    /// User and system time of all workers in those seconds.
    pub cpu_seconds: f64,
    /// How often an end went to sleep.
    pub waits: u64,
    /// Messages that went beside the mechanism.
    pub spilled: u64,
    /// Whether count, order per sender and content are those of the file.
    pub verified: bool,
    /// With synchronous sends: who took how many, as the receipts say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<Vec<Taken>>,
    /// Why it is not verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How many messages a consumer took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Taken {
    /// Which consumer, from 0.
    pub consumer: usize,
    /// Its process.
    pub pid: u32,
    /// How many.
    pub messages: u64,
}

impl Row {
    /// Notes how long it took.
    pub fn took(&mut self, nanoseconds: u64) {
        self.seconds = nanoseconds as f64 / 1e9;
        // Less than a nanosecond is none at all.
        let seconds = self.seconds.max(1e-9);
        self.messages_per_second = self.messages as f64 / seconds;
        self.bytes_per_second = self.bytes as f64 / seconds;
    }
}
