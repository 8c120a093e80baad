//! What a figure is to be, and whether it is.

use crate::bench::statistics::Spread;
use std::fmt;

/// Where a figure is to lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// There or above.
    AtLeast(f64),
    /// There or below.
    AtMost(f64),
    /// Above, beyond the spread.
    Above(f64),
    /// Below, beyond the spread.
    Below(f64),
}

/// Whether it lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The median does; every round, where it is to be beyond the spread.
    Met,
    /// One of the rounds does.
    WithinSpread,
    /// No round does.
    NotMet,
    /// There is no figure.
    NotMeasured,
}

impl Bound {
    /// What is to be said of that figure.
    pub fn judge(self, figure: Option<Spread>) -> Verdict {
        let Some(Spread { median, low, high }) = figure else { return Verdict::NotMeasured };
        let (met, best) = match self {
            Bound::AtLeast(bound) => (median >= bound, high >= bound),
            Bound::AtMost(bound) => (median <= bound, low <= bound),
            Bound::Above(bound) => (low > bound, high > bound),
            Bound::Below(bound) => (high < bound, low < bound),
        };
        match (met, best) {
            (true, _) => Verdict::Met,
            (false, true) => Verdict::WithinSpread,
            (false, false) => Verdict::NotMet,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bound::AtLeast(bound) => write!(f, "≥ {bound}"),
            Bound::AtMost(bound) => write!(f, "≤ {bound}"),
            Bound::Above(bound) => write!(f, "> {bound}"),
            Bound::Below(bound) => write!(f, "< {bound}"),
        }
    }
}

impl Verdict {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Met => "met",
            Verdict::WithinSpread => "within the spread",
            Verdict::NotMet => "not met",
            Verdict::NotMeasured => "not measured",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spread(median: f64, low: f64, high: f64) -> Option<Spread> {
        Some(Spread { median, low, high })
    }

    #[test]
    fn beyond_the_spread_is_where_every_round_is() {
        let ahead = [Bound::Above(1.0), Bound::Below(1.0)];
        let judged = |figure| ahead.map(|bound| bound.judge(figure));
        assert_eq!(judged(spread(1.1, 1.01, 1.2)), [Verdict::Met, Verdict::NotMet]);
        assert_eq!(judged(spread(1.1, 0.99, 1.2)), [Verdict::WithinSpread; 2]);
        assert_eq!(judged(spread(0.9, 0.8, 0.99)), [Verdict::NotMet, Verdict::Met]);
        assert_eq!(judged(spread(1.0, 1.0, 1.0)), [Verdict::NotMet; 2]);
        assert_eq!(ahead.map(|bound| bound.to_string()), ["> 1", "< 1"]);
    }

    #[test]
    fn the_median_decides_and_the_spread_excuses() {
        let least = Bound::AtLeast(0.95);
        assert_eq!(least.judge(spread(0.95, 0.1, 2.0)), Verdict::Met);
        assert_eq!(least.judge(spread(0.94, 0.9, 0.96)), Verdict::WithinSpread);
        assert_eq!(least.judge(spread(0.9, 0.8, 0.94)), Verdict::NotMet);
        let most = Bound::AtMost(2.0);
        assert_eq!(most.judge(spread(2.0, 1.9, 3.0)), Verdict::Met);
        assert_eq!(most.judge(spread(2.1, 1.9, 3.0)), Verdict::WithinSpread);
        assert_eq!(most.judge(spread(2.1, 2.05, 3.0)), Verdict::NotMet);
        assert_eq!(most.judge(None), Verdict::NotMeasured);
        assert_eq!([least, most].map(|bound| bound.to_string()), ["≥ 0.95", "≤ 2"]);
    }
}
