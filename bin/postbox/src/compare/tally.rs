//! What a sequence of messages adds up to, in any order and over any number of receivers.

use super::message::Header;
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The longest latency that is told apart: an hour.
const LONGEST: u64 = 3_600_000_000_000;

/// Count, bytes and digest of messages. The digest is a sum, so it is the same however the
/// messages are spread over receivers; each term covers a record's number (thus its sender and
/// place) and content.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// How many.
    pub messages: u64,
    /// Bytes of the records, headers left out.
    pub bytes: u64,
    digest: u128,
}

impl Total {
    /// One more message.
    pub fn add(&mut self, number: u64, record: &[u8]) {
        self.messages += 1;
        self.bytes += record.len() as u64;
        self.digest = self.digest.wrapping_add(xxh3_128_with_seed(record, number));
    }

    /// Those of another receiver.
    pub fn merge(&mut self, other: &Total) {
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.digest = self.digest.wrapping_add(other.digest);
    }
}

/// Latencies in nanoseconds, to three digits.
#[derive(Debug, Clone)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    /// None yet.
    pub fn new() -> Self {
        // The bounds are constants that it accepts.
        let histogram = Histogram::new_with_bounds(1, LONGEST, 3).expect("good bounds");
        Latencies(histogram)
    }

    fn add(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    /// Values and how often each occurred, to be sent.
    pub fn counts(&self) -> Vec<(u64, u64)> {
        let recorded = self.0.iter_recorded();
        recorded.map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }

    /// Those of another receiver.
    pub fn merge(&mut self, counts: &[(u64, u64)]) {
        for &(value, count) in counts {
            self.0.saturating_record_n(value, count);
        }
    }

    /// The latency that this share of the messages did not exceed; 0 of none.
    pub fn quantile(&self, share: f64) -> u64 {
        self.0.value_at_quantile(share)
    }
}

/// What one receiver makes of the messages it takes.
#[derive(Debug)]
pub struct Tally {
    /// What it adds up to.
    pub total: Total,
    /// How long they were under way.
    pub latencies: Latencies,
    /// The number of the last message of each producer.
    last: Vec<Option<u64>>,
    /// Messages that did not come after their sender's last one, or have no header.
    pub out_of_order: u64,
}

impl Tally {
    /// Of messages of that many producers.
    pub fn new(producers: u32) -> Self {
        Tally {
            total: Total::default(),
            latencies: Latencies::new(),
            last: vec![None; producers as usize],
            out_of_order: 0,
        }
    }

    /// Takes in a message that came at `now`.
    pub fn take(&mut self, message: &[u8], now: u64) {
        let Some((header, record)) = Header::parse(message) else {
            self.out_of_order += 1;
            return;
        };
        self.latencies.add(now.saturating_sub(header.sent));
        self.total.add(header.number, record);
        let producer = (header.number % self.last.len() as u64) as usize;
        let last = self.last[producer].replace(header.number);
        if last.is_some_and(|last| last >= header.number) {
            self.out_of_order += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(number: u64, record: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        Header { number, sent: 0 }.begin(&mut message);
        message.extend(record);
        message
    }

    fn tally(messages: &[(u64, &[u8])]) -> Tally {
        let mut tally = Tally::new(2);
        messages.iter().for_each(|(number, record)| tally.take(&message(*number, record), 1));
        tally
    }

    #[test]
    fn the_digest_is_the_same_however_messages_are_spread() {
        let all = tally(&[(0, b"a"), (1, b""), (2, b""), (3, b"b")]).total;
        let mut spread = tally(&[(1, b""), (2, b"")]).total;
        spread.merge(&tally(&[(3, b"b"), (0, b"a")]).total);
        assert_eq!(all, spread);
    }

    #[test]
    fn the_digest_tells_lost_doubled_and_swapped_records() {
        let good = tally(&[(0, b"a"), (1, b"b")]).total;
        for bad in [[(0, &b"a"[..]), (0, b"a")], [(0, b"b"), (1, b"a")], [(0, b"a"), (1, b"c")]] {
            assert_ne!(good, tally(&bad).total);
        }
    }

    #[test]
    fn order_is_that_of_each_sender() {
        assert_eq!(tally(&[(1, b""), (0, b""), (3, b""), (2, b"")]).out_of_order, 0);
        assert_eq!(tally(&[(2, b""), (0, b"")]).out_of_order, 1);
        assert_eq!(tally(&[(2, b""), (2, b"")]).out_of_order, 1);
    }
}
