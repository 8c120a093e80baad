//! Contenders take turns, with a look at where the cores are in between.

use super::crew::Trouble;
use super::figures::{Measured, Trips};
use super::placement::{Cores, Placement};
use super::progress::Progress;
use super::references::line;
use super::row::{Figure, Row};
use super::statistics::{Spread, has_moved, rounds_of_one_placement};
use postbox_program::stop::Stop;
use std::time::Instant;

/// How often all is measured at most, if the cores move.
const ATTEMPTS: usize = 3;

/// How turns are taken.
#[derive(Debug, Clone)]
pub struct Turns<'t> {
    /// Whose line is probed.
    pub placement: Placement,
    /// How often each contender has its turn.
    pub rounds: u32,
    /// After that nothing is repeated.
    pub deadline: Option<Instant>,
    /// What ends it early.
    pub stop: &'t Stop,
}

/// What one attempt brought.
#[derive(Debug, Default)]
pub struct Attempt {
    /// One more than there are rounds; none on one core.
    probes: Vec<f64>,
    /// By contender, ours the first, then by round.
    runs: Vec<Vec<Measured>>,
}

impl Turns<'_> {
    /// So many contenders take turns; `run` runs one of them in that round of an attempt. It returns
    /// nothing for one that keeps its figures itself.
    ///
    /// # Errors
    ///
    /// The first run that failed, or [`Trouble::Stopped`].
    pub fn take(
        &self,
        contenders: usize,
        mut run: impl FnMut(usize, usize) -> Result<Option<Measured>, Trouble>,
        progress: &Progress,
    ) -> Result<Attempt, Trouble> {
        let mut attempt = self.attempt(contenders, &mut run, progress)?;
        for _ in 1..ATTEMPTS {
            let late = self.deadline.is_some_and(|deadline| Instant::now() > deadline);
            if late || !has_moved(&attempt.probes) {
                break;
            }
            progress.again(self.rounds);
            attempt = self.attempt(contenders, &mut run, progress)?;
        }
        Ok(attempt)
    }

    fn attempt(
        &self,
        contenders: usize,
        run: &mut impl FnMut(usize, usize) -> Result<Option<Measured>, Trouble>,
        progress: &Progress,
    ) -> Result<Attempt, Trouble> {
        let mut attempt = Attempt { runs: vec![Vec::new(); contenders], ..Attempt::default() };
        attempt.probes.extend(self.probe()?);
        for round in 0..self.rounds as usize {
            // Whoever begins has a neighbour that the others do not have.
            for turn in 0..contenders {
                let contender = (round + turn) % contenders;
                attempt.runs[contender].extend(run(round, contender)?);
            }
            attempt.probes.extend(self.probe()?);
            progress.round();
        }
        Ok(attempt)
    }

    /// On one core there is no line to bounce.
    fn probe(&self) -> Result<Option<f64>, Trouble> {
        match self.placement.cores {
            Cores::Same => Ok(None),
            Cores::Different => line::probe(self.placement.pair(), self.stop).map(Some),
        }
    }
}

impl Attempt {
    /// What each contender reached in each round, on one core.
    #[cfg(test)]
    pub fn of(runs: &[&[f64]]) -> Self {
        let measured = |values: &&[f64]| values.iter().copied().map(Measured::of).collect();
        Attempt { runs: runs.iter().map(measured).collect(), ..Attempt::default() }
    }

    /// The rounds of one placement.
    pub fn kept(&self) -> Vec<usize> {
        match &self.probes[..] {
            [] => (0..self.runs.first().map_or(0, Vec::len)).collect(),
            probes => rounds_of_one_placement(probes),
        }
    }

    /// What that contender reached in them.
    pub fn values(&self, contender: usize) -> Vec<f64> {
        self.kept().into_iter().map(|round| self.runs[contender][round].value).collect()
    }

    /// Half, 0.99 and 0.999 of the single trips of that contender took no longer.
    fn quantiles(&self, contender: usize) -> [Option<u64>; 3] {
        let mut trips = Trips::new();
        let kept = self.kept();
        kept.iter().for_each(|&round| trips.merge(&self.runs[contender][round].counts));
        [0.5, 0.99, 0.999].map(|share| Some(trips.quantile(share)).filter(|&time| time > 0))
    }

    /// Puts what ours reached, and where the cores were, into a row.
    pub fn tell_ours(&self, row: &mut Row) {
        [row.p50, row.p99, row.p999] = self.quantiles(0);
        row.rounds = self.kept().len();
        row.line = Spread::of(self.probes.iter().copied()).map(|spread| spread.median);
        row.moved = has_moved(&self.probes);
        row.note = self.runs[0].iter().find_map(|run| run.short.clone());
        row.set(Figure::Ours, Spread::of(self.values(0)));
    }

    /// Puts what another contender reached into a row; the ratio unless it would mean nothing.
    pub fn tell_theirs(&self, contender: usize, row: &mut Row, meaningless: Option<&String>) {
        let theirs = self.values(contender);
        row.set(Figure::Theirs, Spread::of(theirs.iter().copied()));
        [row.reference_p50, row.reference_p99, row.reference_p999] = self.quantiles(contender);
        match meaningless {
            Some(reason) => row.note = Some(reason.clone()),
            None => row.set(Figure::Ratio, Spread::of_ratios(&self.values(0), &theirs)),
        }
    }
}
