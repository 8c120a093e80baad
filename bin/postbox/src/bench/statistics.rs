//! Medians, spreads, and ratios of figures that were taken side by side.

use serde::Serialize;

/// Cores count as moved where one probe of a case is so many times another.
pub const MOVED: f64 = 1.4;

/// Figures of several rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The one in the middle, or the mean of the two there.
    pub median: f64,
    /// The smallest.
    pub low: f64,
    /// The largest.
    pub high: f64,
}

impl Spread {
    /// Of those figures; none if there are none, or one of them is
    /// negative or no number.
    pub fn of(figures: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = figures.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let good = sorted.iter().all(|figure| figure.is_finite() && *figure >= 0.0);
        let (low, high) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = match sorted.len().is_multiple_of(2) {
            true => f64::midpoint(sorted[middle - 1], sorted[middle]),
            false => sorted[middle],
        };
        good.then_some(Spread { median, low, high })
    }

    /// Of the ratios between figures of the same rounds.
    pub fn of_ratios(ours: &[f64], theirs: &[f64]) -> Option<Self> {
        Spread::of(ours.iter().zip(theirs).map(|(ours, theirs)| ours / theirs))
    }
}

/// Whether the cores moved between some of those probes.
pub fn has_moved(probes: &[f64]) -> bool {
    Spread::of(probes.iter().copied()).is_some_and(|spread| spread.high > spread.low * MOVED)
}

/// The rounds whose probes, before and after, are both near the usual one: `probes` has one more
/// than there are rounds. If the cores never rested, all: a pair of one round still compares best.
pub fn rounds_of_one_placement(probes: &[f64]) -> Vec<usize> {
    let rounds: Vec<usize> = (0..probes.len().saturating_sub(1)).collect();
    let Some(Spread { median, .. }) = Spread::of(probes.iter().copied()) else { return rounds };
    let near = |probe: f64| probe <= median * MOVED && probe >= median / MOVED;
    let kept: Vec<usize> = rounds
        .iter()
        .copied()
        .filter(|&round| near(probes[round]) && near(probes[round + 1]))
        .collect();
    if kept.is_empty() { rounds } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_pairs_not_of_medians() {
        let ratios = Spread::of_ratios(&[10.0, 100.0, 50.0], &[10.0, 50.0, 100.0]).unwrap();
        assert_eq!((ratios.low, ratios.median, ratios.high), (0.5, 1.0, 2.0));
    }

    #[test]
    fn of_an_even_number_neither_half_is_favoured() {
        let median = |figures: &[f64]| Spread::of(figures.iter().copied()).unwrap().median;
        assert_eq!(median(&[4.0, 1.0]), 2.5);
        assert_eq!(median(&[9.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(&[9.0, 1.0, 3.0]), 3.0);
    }

    #[test]
    fn what_is_no_figure_has_no_spread() {
        assert!(Spread::of([]).is_none());
        assert!(Spread::of([1.0, f64::NAN]).is_none());
        assert!(Spread::of([-1.0]).is_none());
        assert!(Spread::of_ratios(&[1.0], &[0.0]).is_none());
    }

    #[test]
    fn rounds_beside_a_move_are_left_out() {
        assert!(!has_moved(&[80.0, 100.0, 90.0]));
        let probes = [80.0, 82.0, 330.0, 81.0, 80.0];
        assert!(has_moved(&probes));
        assert_eq!(rounds_of_one_placement(&probes), [0, 3]);
        assert_eq!(rounds_of_one_placement(&[80.0, 330.0]), [0]);
        assert_eq!(rounds_of_one_placement(&[]), Vec::<usize>::new());
    }
}
