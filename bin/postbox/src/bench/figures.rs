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
    /// How much there is of what is not a time: added up over the processes.
    Amount(f64),
    /// It goes on with less than was asked for, since the system refused the rest.
    Short {
        /// So many fewer.
        missing: u64,
        /// Of these.
        what: String,
        /// What the system said.
        reason: String,
    },
    /// It cannot go on.
    Failed(String),
    /// Nor can it, since the other side is gone, which knows why.
    Deserted(String),
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
    /// Nanoseconds of one way, messages in a second, or an amount.
    pub value: f64,
    /// Each time and how often it occurred; empty for throughput.
    pub counts: Vec<(u64, u64)>,
    /// What was refused on the way, if anything.
    pub short: Option<String>,
}

impl Measured {
    /// A figure that needs no words.
    pub fn of(value: f64) -> Self {
        Measured { value, counts: Vec::new(), short: None }
    }

    /// Nanoseconds for one of what was counted in a second.
    pub fn each(self) -> Self {
        Measured { value: 1e9 / self.value, ..self }
    }
}

/// What the processes of a run told, put together. None if they measured nothing.
pub fn sum(figures: &[Figures]) -> Option<Measured> {
    let short = shortage(figures);
    let (mut first, mut last, mut all, mut amount) = (u64::MAX, 0, 0, None);
    for figure in figures {
        match figure {
            Figures::Latency { mean, counts } => {
                return Some(Measured { value: *mean, counts: counts.clone(), short });
            }
            Figures::Taken { first: from, last: to, count } if *count > 0 => {
                (first, last, all) = (first.min(*from), last.max(*to), all + count);
            }
            Figures::Amount(part) => amount = Some(amount.unwrap_or(0.0) + part),
            _ => {}
        }
    }
    let rate = || {
        let nanoseconds = last.checked_sub(first).filter(|&time| time > 0)?;
        Some(all as f64 * 1e9 / nanoseconds as f64)
    };
    Some(Measured { short, ..Measured::of(amount.or_else(rate)?) })
}

/// How much is missing in all, and why, in the words of the first that lacks something.
fn shortage(figures: &[Figures]) -> Option<String> {
    let lacks = |figure: &Figures| match figure {
        Figures::Short { missing, .. } => *missing,
        _ => 0,
    };
    let all: u64 = figures.iter().map(lacks).sum();
    figures.iter().find_map(|figure| match figure {
        Figures::Short { what, reason, .. } => Some(format!("{all} {what} fewer: {reason}")),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_adds_up() {
        let short = |missing, reason: &str| Figures::Short {
            missing,
            what: "links".into(),
            reason: reason.into(),
        };
        let figures = [Figures::Amount(1.0), short(75, "the quota"), short(100, "it is full")];
        assert_eq!(sum(&figures).unwrap().short.unwrap(), "175 links fewer: the quota");
        assert!(sum(&figures[..1]).unwrap().short.is_none());
    }

    #[test]
    fn consumers_add_up_over_the_time_of_all() {
        let taken = |first, last, count| Figures::Taken { first, last, count };
        let figures = [Figures::Done, taken(100, 600, 30), taken(50, 550, 25), taken(9, 9, 0)];
        let rate = sum(&figures).unwrap().value;
        assert!((rate - 55.0 * 1e9 / 550.0).abs() < 1e-3, "{rate}");
        assert!(sum(&[Figures::Done]).is_none());
        let amounts = [Figures::Amount(2.0), Figures::Done, Figures::Amount(-0.5)];
        assert_eq!(sum(&amounts).unwrap().value, 1.5);
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
