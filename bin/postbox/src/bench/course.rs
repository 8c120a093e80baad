//! One case: ours and its references take turns, and the rows that come of it.

use super::arguments::bytes;
use super::contender::{Terms, name};
use super::crew::Trouble;
use super::peers::{Guest, Peers};
use super::plan::{Case, Reference};
use super::progress::Progress;
use super::row::Row;
use super::subjects::Made;
use super::turns::{Attempt, Turns};
use postbox::WaitStrategy;

/// How a case is run.
#[derive(Debug)]
pub struct Course<'t> {
    /// What every run is told.
    pub terms: &'t Terms<'t>,
    /// How the contenders take turns.
    pub turns: Turns<'t>,
    /// Why the rings are no reference, if so.
    pub unfit: Option<String>,
    /// Other libraries, which take turns, too.
    pub peers: Peers,
}

impl Course<'_> {
    /// The rows of that case. Where something fails, one that says what.
    ///
    /// # Errors
    ///
    /// Only [`Trouble::Stopped`].
    pub fn run(&mut self, case: &Case, progress: &Progress) -> Result<Vec<Row>, Trouble> {
        let Course { terms, turns, peers, .. } = self;
        let mut guests = peers.beside(case);
        let references = case.references.len();
        let count = 1 + references + guests.len();
        let mut absent = vec![None; references];
        let run = |round, contender| match contender {
            0 => terms.subject(case).map(Some),
            other if other <= references => {
                let absent = &mut absent[other - 1];
                if absent.is_some() {
                    return Ok(None);
                }
                match terms.reference(case, case.references[other - 1]) {
                    Err(Trouble::Failed(reason)) => {
                        *absent = Some(reason);
                        Ok(None)
                    }
                    measured => measured.map(Some),
                }
            }
            other => {
                let guest = &mut guests[other - references - 1];
                if round == 0 {
                    guest.again();
                }
                peers.turn(guest, case, terms).map(|()| None)
            }
        };
        match turns.take(count, run, progress) {
            Ok(attempt) => Ok(self.rows(case, &attempt, &absent, &guests)),
            Err(Trouble::Stopped) => Err(Trouble::Stopped),
            Err(Trouble::Failed(reason)) => Ok(vec![Row { error: Some(reason), ..row(case) }]),
        }
    }

    /// `absent` says of each reference why it was left out, if it was.
    fn rows(
        &self,
        case: &Case,
        attempt: &Attempt,
        absent: &[Option<String>],
        guests: &[Guest],
    ) -> Vec<Row> {
        let mut shared = row(case);
        attempt.tell_ours(&mut shared);
        let against = |(place, &reference): (usize, &Reference)| {
            let mut row = shared.clone();
            row.reference = name(case, reference).ok();
            if let Some(reason) = &absent[place] {
                let which = row.reference.as_deref().unwrap_or("the bare object");
                row.error = Some(format!("no reference ({which}): {reason}"));
                return row;
            }
            let ring = matches!(reference, Reference::Copying | Reference::InPlace);
            attempt.tell_theirs(place + 1, &mut row, self.unfit.as_ref().filter(|_| ring));
            row
        };
        let (kept, ours) = (attempt.kept(), attempt.values(0));
        let beside = guests.iter().map(|guest| guest.row(&shared, &kept, &ours));
        case.references.iter().enumerate().map(against).chain(beside).collect()
    }
}

/// What is known of a case beforehand.
pub fn row(case: &Case) -> Row {
    let subject = &case.subject;
    let wait = match subject.wait {
        WaitStrategy::Spin => "spin",
        WaitStrategy::Adaptive => "adaptive",
        WaitStrategy::Block => "block",
    };
    let (mechanism, naming) = (mechanism(case), subject.naming.name());
    let unfitted = if subject.made == Made::AsItComes { ", default options" } else { "" };
    Row {
        subject: format!("postbox {mechanism}, {naming}{unfitted}"),
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
