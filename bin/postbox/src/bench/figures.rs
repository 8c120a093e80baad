//! What the processes of a run tell the parent, and what it amounts to.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// The longest latency that is told apart: a minute.
const LONGEST: u64 = 60_000_000_000;

/// A process's word at its end.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Figures {
    /// It had nothing to measure.
    Done,
    /// Times of one way, in nanoseconds.
    Latency {
        /// On average, without looks at the clock.
        mean: f64,
        /// Each time and how often it occurred.
        counts: Vec<(u64, u64)>,
    },
    /// Messages taken.
    Taken {
        /// When the first one came, in nanoseconds of the monotonic clock; it is not counted.
        first: u64,
        /// When the last one had come.
        last: u64,
        /// How many.
        count: u64,
    },
    /// It cannot go on.
    Failed(String),
}

/// Times in nanoseconds, to three digits.
#[derive(Debug, Clone)]
pub struct Trips(Histogram<u64>);

impl Trips {
    /// None yet.
    pub fn new() -> Self {
        // The bounds are constants that it accepts.
        Trips(Histogram::new_with_bounds(1, LONGEST, 3).expect("good bounds"))
    }

    /// One more.
    pub fn add(&mut self, nanoseconds: u64) {
        self.0.saturating_record(nanoseconds);
    }

    /// Each time and how often it occurred.
    pub fn counts(&self) -> Vec<(u64, u64)> {
        let recorded = self.0.iter_recorded();
        recorded.map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
    }

    /// Those of another round.
    pub fn merge(&mut self, counts: &[(u64, u64)]) {
        for &(value, count) in counts {
            self.0.saturating_record_n(value, count);
        }
    }

    /// The time that this share of the trips did not exceed.
    pub fn quantile(&self, share: f64) -> u64 {
        self.0.value_at_quantile(share)
    }
}

/// One run of one contender.
#[derive(Debug, Clone)]
pub struct Measured {
    /// Nanoseconds of one way, or messages in a second.
    pub value: f64,
    /// Each time and how often it occurred; empty for throughput.
    pub counts: Vec<(u64, u64)>,
}

/// What the processes of a run told, put together. None if they measured nothing.
pub fn sum(figures: &[Figures]) -> Option<Measured> {
    let (mut first, mut last, mut all) = (u64::MAX, 0, 0);
    for figure in figures {
        match figure {
            Figures::Latency { mean, counts } => {
                return Some(Measured { value: *mean, counts: counts.clone() });
            }
            Figures::Taken { first: from, last: to, count } if *count > 0 => {
                (first, last, all) = (first.min(*from), last.max(*to), all + count);
            }
            _ => {}
        }
    }
    let nanoseconds = last.checked_sub(first).filter(|&time| time > 0)?;
    Some(Measured { value: all as f64 * 1e9 / nanoseconds as f64, counts: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumers_add_up_over_the_time_of_all() {
        let taken = |first, last, count| Figures::Taken { first, last, count };
        let figures = [Figures::Done, taken(100, 600, 30), taken(50, 550, 25), taken(9, 9, 0)];
        let rate = sum(&figures).unwrap().value;
        assert!((rate - 55.0 * 1e9 / 550.0).abs() < 1e-3, "{rate}");
        assert!(sum(&[Figures::Done]).is_none());
    }

    #[test]
    fn trips_keep_their_counts_on_the_way() {
        let mut trips = Trips::new();
        (1..=1000).for_each(|time| trips.add(time));
        let mut merged = Trips::new();
        merged.merge(&trips.counts());
        assert_eq!((merged.quantile(0.5), merged.quantile(0.99)), (500, 990));
    }
}
