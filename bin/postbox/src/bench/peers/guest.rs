//! One peer in one case: its figures round by round, and the row that they make.

use super::Seat;
use super::program::Heard;
use crate::bench::figures::{Measured, Trips};
use crate::bench::row::{Figure, Row};
use crate::bench::statistics::Spread;

/// What rows say instead of a mechanism.
pub const PEER: &str = "peer";

/// A peer that takes part.
#[derive(Debug)]
pub struct Guest {
    name: String,
    /// Whose turn it is.
    pub seat: Seat,
    figures: Vec<Measured>,
    gone: Option<Gone>,
}

/// Why it measures no more in this case.
#[derive(Debug)]
enum Gone {
    Refused(String),
    Failed(String),
}

impl Guest {
    /// One that has measured nothing yet.
    pub fn new(name: String, seat: Seat) -> Self {
        Guest { name, seat, figures: Vec::new(), gone: None }
    }

    /// Whether it takes no more turns.
    pub fn is_gone(&self) -> bool {
        self.gone.is_some()
    }

    /// The case is measured anew.
    pub fn again(&mut self) {
        self.figures.clear();
    }

    /// What it said in its turn.
    pub fn note(&mut self, heard: Heard) {
        match heard {
            Heard::Figures(measured) => self.figures.push(measured),
            Heard::Refused(reason) => self.gone = Some(Gone::Refused(reason)),
            Heard::Failed(reason) => self.gone = Some(Gone::Failed(reason)),
        }
    }

    /// Its row, beside `ours`, whose rounds `kept` count: of those, ours has these figures.
    pub fn row(&self, ours: &Row, kept: &[usize], figures: &[f64]) -> Row {
        let mut row = Row {
            subject: self.name.clone(),
            mechanism: PEER,
            naming: "none",
            wait: "own",
            reference: Some(ours.subject.clone()),
            p50: None,
            p99: None,
            p999: None,
            value: None,
            low: None,
            high: None,
            ..ours.clone()
        };
        let theirs: Vec<&Measured> = match &self.gone {
            None => kept.iter().filter_map(|&round| self.figures.get(round)).collect(),
            Some(Gone::Refused(reason)) => {
                row.note = Some(format!("{} is refused: {reason}", row.case()));
                Vec::new()
            }
            Some(Gone::Failed(reason)) => {
                row.error = Some(reason.clone());
                Vec::new()
            }
        };
        let mut trips = Trips::new();
        theirs.iter().for_each(|measured| trips.merge(&measured.counts));
        let quantile = |share| Some(trips.quantile(share)).filter(|&time| time > 0);
        (row.p50, row.p99, row.p999) = (quantile(0.5), quantile(0.99), quantile(0.999));
        let theirs: Vec<f64> = theirs.iter().map(|measured| measured.value).collect();
        row.set(Figure::Ours, Spread::of(theirs.iter().copied()));
        row.set(Figure::Theirs, Spread::of(figures.iter().copied()));
        row.set(Figure::Ratio, Spread::of_ratios(figures, &theirs));
        row
    }
}
