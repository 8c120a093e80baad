//! One line of the results: ours against one reference.

use super::statistics::Spread;
use serde::Serialize;

/// Ours against one reference, in one case.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Row {
    /// Its name among the targets, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What was measured.
    pub subject: String,
    /// `pipe`, `socket`, `mqueue` or `shm`.
    pub mechanism: &'static str,
    /// `channel`, `direct` or `mailbox`.
    pub naming: &'static str,
    /// Messages that may wait.
    pub capacity: String,
    /// `spin`, `adaptive` or `block`.
    pub wait: &'static str,
    /// Processes that send.
    pub producers: u32,
    /// Processes that receive.
    pub consumers: u32,
    /// `latency` or `throughput`.
    pub metric: &'static str,
    /// Bytes of a message.
    pub payload: usize,
    /// The median of the rounds; none if the case failed.
    pub value: Option<f64>,
    /// The lowest round.
    pub low: Option<f64>,
    /// The highest round.
    pub high: Option<f64>,
    /// `ns` or `messages/s`.
    pub unit: &'static str,
    /// Of all single trips, in nanoseconds.
    pub p50: Option<u64>,
    /// The slowest hundredth.
    pub p99: Option<u64>,
    /// The slowest thousandth.
    #[serde(rename = "p99.9")]
    pub p999: Option<u64>,
    /// What it is compared with.
    pub reference: Option<String>,
    /// The median of the reference's rounds.
    pub reference_value: Option<f64>,
    /// The lowest of them.
    pub reference_low: Option<f64>,
    /// The highest of them.
    pub reference_high: Option<f64>,
    /// Of all its single trips, in nanoseconds.
    pub reference_p50: Option<u64>,
    /// The slowest hundredth.
    pub reference_p99: Option<u64>,
    /// The slowest thousandth.
    #[serde(rename = "reference_p99.9")]
    pub reference_p999: Option<u64>,
    /// The median of ours divided by the reference, round by round.
    pub ratio: Option<f64>,
    /// The lowest such ratio.
    pub ratio_low: Option<f64>,
    /// The highest such ratio.
    pub ratio_high: Option<f64>,
    /// What the ratio is to be, or the value where there is no reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Whether it is: `met`, `within the spread`, `not met` or `not measured`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub met: Option<&'static str>,
    /// Rounds that count.
    pub rounds: usize,
    /// One way of the cache line in nanoseconds, in the median of the probes.
    pub line: Option<f64>,
    /// Whether the cores moved in each of the attempts.
    pub moved: bool,
    /// What else there is to know.
    pub note: Option<String>,
    /// Why there are no figures, or none of the reference.
    pub error: Option<String>,
}

/// Which figure of a row.
#[derive(Debug, Clone, Copy)]
pub enum Figure {
    /// What was measured.
    Ours,
    /// The reference.
    Theirs,
    /// The ratio of both.
    Ratio,
}

impl Figure {
    /// What stands in that row, if anything.
    pub fn of(self, row: &Row) -> Option<Spread> {
        let (median, low, high) = match self {
            Figure::Ours => (row.value, row.low, row.high),
            Figure::Theirs => (row.reference_value, row.reference_low, row.reference_high),
            Figure::Ratio => (row.ratio, row.ratio_low, row.ratio_high),
        };
        Some(Spread { median: median?, low: low?, high: high? })
    }
}

impl Row {
    /// The subject and what was measured of it, if it came to that.
    pub fn case(&self) -> String {
        match self.metric {
            "" => self.subject.clone(),
            metric => format!("{} {metric} {}", self.subject, self.payload),
        }
    }

    /// Puts a figure and its spread in.
    pub fn set(&mut self, figure: Figure, spread: Option<Spread>) {
        let Some(Spread { median, low, high }) = spread else { return };
        let (to_median, to_low, to_high) = match figure {
            Figure::Ours => (&mut self.value, &mut self.low, &mut self.high),
            Figure::Theirs => {
                (&mut self.reference_value, &mut self.reference_low, &mut self.reference_high)
            }
            Figure::Ratio => (&mut self.ratio, &mut self.ratio_low, &mut self.ratio_high),
        };
        (*to_median, *to_low, *to_high) = (Some(median), Some(low), Some(high));
    }
}
