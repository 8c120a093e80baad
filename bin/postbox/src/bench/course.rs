//! One case: ours and its references take turns, with a look at where the cores are in between.

use super::arguments::bytes;
use super::contender::{Terms, name};
use super::crew::Trouble;
use super::figures::{Measured, Trips};
use super::peers::{Guest, Peers};
use super::placement::Cores;
use super::plan::{Case, Reference};
use super::progress::Progress;
use super::references::line;
use super::row::{Figure, Row};
use super::statistics::{Spread, has_moved, rounds_of_one_placement};
use postbox::WaitStrategy;
use std::time::Instant;

/// How often a case is measured at most, if the cores move.
const ATTEMPTS: usize = 3;

/// How a case is run.
#[derive(Debug)]
pub struct Course<'t> {
    /// What every run is told.
    pub terms: &'t Terms<'t>,
    /// How often it is measured.
    pub rounds: u32,
    /// After that nothing is repeated.
    pub deadline: Option<Instant>,
    /// Why the rings are no reference, if so.
    pub unfit: Option<String>,
    /// Other libraries, which take turns, too.
    pub peers: Peers,
}

/// What one attempt brought.
#[derive(Debug, Default)]
struct Attempt {
    probes: Vec<f64>,
    ours: Vec<Measured>,
    /// By reference, then by round.
    theirs: Vec<Vec<f64>>,
    guests: Vec<Guest>,
}

impl Course<'_> {
    /// The rows of that case. Where something fails, one that says what.
    ///
    /// # Errors
    ///
    /// Only [`Trouble::Stopped`].
    pub fn run(&mut self, case: &Case, progress: &Progress) -> Result<Vec<Row>, Trouble> {
        match self.measure(case, progress) {
            Ok(attempt) => Ok(self.rows(case, &attempt)),
            Err(Trouble::Stopped) => Err(Trouble::Stopped),
            Err(Trouble::Failed(reason)) => Ok(vec![Row { error: Some(reason), ..row(case) }]),
        }
    }

    fn measure(&mut self, case: &Case, progress: &Progress) -> Result<Attempt, Trouble> {
        let guests = self.peers.beside(case);
        let mut attempt = self.attempt(case, progress, guests)?;
        for _ in 1..ATTEMPTS {
            let late = self.deadline.is_some_and(|deadline| Instant::now() > deadline);
            if late || !has_moved(&attempt.probes) {
                break;
            }
            progress.again(self.rounds);
            attempt = self.attempt(case, progress, attempt.guests)?;
        }
        Ok(attempt)
    }

    fn attempt(
        &mut self,
        case: &Case,
        progress: &Progress,
        mut guests: Vec<Guest>,
    ) -> Result<Attempt, Trouble> {
        guests.iter_mut().for_each(Guest::again);
        let references = case.references.len();
        let contenders = 1 + references + guests.len();
        let theirs = vec![Vec::new(); references];
        let mut attempt = Attempt { theirs, guests, ..Attempt::default() };
        attempt.probes.extend(self.probe()?);
        for round in 0..self.rounds as usize {
            // Whoever begins has a neighbour that the others do not have.
            for turn in 0..contenders {
                match (round + turn) % contenders {
                    0 => attempt.ours.push(self.terms.subject(case)?),
                    other if other > references => {
                        let guest = &mut attempt.guests[other - references - 1];
                        self.peers.turn(guest, case, self.terms)?;
                    }
                    other => {
                        let reference = case.references[other - 1];
                        let figure = self.terms.reference(case, reference)?.value;
                        attempt.theirs[other - 1].push(figure);
                    }
                }
            }
            attempt.probes.extend(self.probe()?);
            progress.round();
        }
        Ok(attempt)
    }

    /// On one core there is no line to bounce.
    fn probe(&self) -> Result<Option<f64>, Trouble> {
        let Terms { placement, stop, .. } = self.terms;
        match placement.cores {
            Cores::Same => Ok(None),
            Cores::Different => line::probe(placement.pair(), stop).map(Some),
        }
    }

    fn rows(&self, case: &Case, attempt: &Attempt) -> Vec<Row> {
        let kept = match &attempt.probes[..] {
            [] => (0..attempt.ours.len()).collect(),
            probes => rounds_of_one_placement(probes),
        };
        let mut trips = Trips::new();
        kept.iter().for_each(|&round| trips.merge(&attempt.ours[round].counts));
        let ours: Vec<f64> = kept.iter().map(|&round| attempt.ours[round].value).collect();
        let quantile = |share| Some(trips.quantile(share)).filter(|&time| time > 0);
        let line = Spread::of(attempt.probes.iter().copied()).map(|spread| spread.median);
        let mut shared = Row {
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
            rounds: kept.len(),
            line,
            moved: has_moved(&attempt.probes),
            ..row(case)
        };
        shared.set(Figure::Ours, Spread::of(ours.iter().copied()));
        let against = |(place, &reference): (usize, &Reference)| {
            let theirs: Vec<f64> = kept.iter().map(|&at| attempt.theirs[place][at]).collect();
            let mut row = shared.clone();
            // It was found when it was measured.
            row.reference = name(case, reference).ok();
            row.set(Figure::Theirs, Spread::of(theirs.iter().copied()));
            match (&self.unfit, reference) {
                (Some(reason), Reference::Copying | Reference::InPlace) => {
                    row.note = Some(reason.clone());
                }
                _ => row.set(Figure::Ratio, Spread::of_ratios(&ours, &theirs)),
            }
            row
        };
        let beside = attempt.guests.iter().map(|guest| guest.row(&shared, &kept, &ours));
        case.references.iter().enumerate().map(against).chain(beside).collect()
    }
}

/// What is known of a case beforehand.
fn row(case: &Case) -> Row {
    let subject = &case.subject;
    let wait = match subject.wait {
        WaitStrategy::Spin => "spin",
        WaitStrategy::Adaptive => "adaptive",
        WaitStrategy::Block => "block",
    };
    let (mechanism, naming) = (mechanism(case), subject.naming.name());
    Row {
        subject: format!("postbox {mechanism}, {naming}"),
        mechanism,
        naming,
        capacity: subject.capacity.to_string(),
        wait,
        producers: subject.producers,
        consumers: subject.consumers,
        metric: case.metric.name(),
        payload: subject.payload,
        unit: case.metric.unit(),
        ..Row::default()
    }
}

fn mechanism(case: &Case) -> &'static str {
    use postbox::Mechanism;
    match case.subject.mechanism {
        Mechanism::Pipe => "pipe",
        Mechanism::Socket => "socket",
        Mechanism::MessageQueue => "mqueue",
        _ => "shm",
    }
}

/// A case in a few words, for the progress bar.
pub fn label(case: &Case) -> String {
    format!("{} {} {}", case.metric.name(), mechanism(case), bytes(case.subject.payload))
}
