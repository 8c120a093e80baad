//! `postbox bench --targets`: what Postbox is to reach, each beside what it is measured against.
//!
//! ```text
//!  list ──► Target ──build──► Contest = ours + what it is against, each with its bound
//!                                │ turns
//!                                ▼
//!                              a row each: figure, ratio, bound, met or not
//! ```
//!
//! In reading order: [`bound`] (what is to be reached), [`list`] and [`recipe`] (all of it, and
//! how it is put together), [`beside`] (other libraries), [`work`] (what is done where a plain ping-pong or stream is not enough), [`table`] (what is shown).

mod beside;
mod bound;
mod list;
mod recipe;
mod table;
mod work;

pub use table::{html, markdown, render};

use super::contender::Terms;
use super::crew::Trouble;
use super::figures::Measured;
use super::gate;
use super::peers::Peers;
use super::placement::Cores;
use super::progress::Progress;
use super::row::{Figure, Row};
use super::statistics::Spread;
use super::turns::{Attempt, Turns};
use bound::{Bound, Verdict};
use postbox_program::ending::Ending;
use std::time::Instant;

/// One thing that is to be reached.
pub struct Target {
    /// `group/what`.
    name: String,
    /// Where the two sides run.
    cores: Cores,
    build: Build,
}

type Build = Box<dyn Fn(&Terms<'_>) -> Result<Contest, Trouble>>;
type Contender = Box<dyn Fn(&Terms<'_>) -> Result<Measured, Trouble>>;

/// What takes turns for it.
struct Contest {
    /// What is known beforehand.
    row: Row,
    ours: Contender,
    /// At most so many rounds, for what takes long to prepare.
    rounds: u32,
    /// For the value itself, where nothing is measured beside it.
    bound: Option<Bound>,
    against: Vec<Against>,
    /// Who was to be there and is not, and why.
    absent: Vec<(String, String)>,
}

/// What ours is measured against.
struct Against {
    name: String,
    /// For the ratio. Without one it is shown beside the others.
    bound: Option<Bound>,
    kind: Kind,
    run: Contender,
}

/// Whether it has to prove itself first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A hand-written ring: it counts only if it is about as good as rtrb.
    Ring,
    /// Anything else.
    Plain,
}

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Everything as it is meant.
    Full,
    /// Smaller crowds and shorter watches.
    Quick,
}

/// Those that are asked for by name or by group; all if none are. Other libraries are among them if there
/// are any.
///
/// # Errors
///
/// Bad input: a name that nothing has, or a library's where there is none.
pub fn chosen(
    only: &[String],
    extent: Extent,
    peers: Option<Peers>,
) -> Result<Vec<Target>, Ending> {
    let mut all = list::all(extent);
    if let Some(peers) = peers {
        all.extend(beside::all(peers));
    } else if only.iter().any(|name| name.split('/').next() == Some(beside::GROUP)) {
        let remedy = "name their programs by --peers (scripts/peers.sh builds some)";
        return Err(Ending::BadInput(format!("there are no other libraries: {remedy}")));
    }
    let named = |target: &Target, name: &str| target.name == name || target.group() == name;
    for name in only {
        if !all.iter().any(|target| named(target, name)) {
            let mut groups: Vec<&str> = all.iter().map(Target::group).collect();
            groups.dedup();
            return Err(Ending::BadInput(format!(
                "no target is called '{name}': choose from {}, or one of their rows, such as {}",
                groups.join(", "),
                all[0].name,
            )));
        }
    }
    let wanted = |target: &Target| only.is_empty() || only.iter().any(|name| named(target, name));
    Ok(all.into_iter().filter(wanted).collect())
}

impl Target {
    fn group(&self) -> &str {
        self.name.split('/').next().unwrap_or(&self.name)
    }
}

/// What all targets are measured with.
pub struct Suite<'t> {
    /// What every run is told; each target has its own placement.
    pub terms: Terms<'t>,
    /// How often each case is measured.
    pub rounds: u32,
    /// After the first nothing is repeated, after the second nothing is begun.
    pub deadlines: Option<(Instant, Instant)>,
}

impl Suite<'_> {
    /// The rows so far when it ends.
    pub fn measure(&self, targets: &[Target], progress: &Progress) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut fitness = Fitness::Unknown;
        for target in targets {
            progress.begin(target.name.clone());
            let late = self.deadlines.is_some_and(|(_, last)| Instant::now() > last);
            let found = if late {
                Ok(vec![Row { note: Some("the minute is over".into()), ..target.unmeasured() }])
            } else {
                self.run(target, &mut fitness, progress)
            };
            match found {
                Ok(found) => rows.extend(found),
                Err(Trouble::Stopped) => break,
                Err(Trouble::Failed(reason)) => {
                    rows.push(Row { error: Some(reason), ..target.unmeasured() });
                }
            }
            if self.terms.stop.code().is_some() {
                break;
            }
        }
        rows
    }

    fn run(
        &self,
        target: &Target,
        fitness: &mut Fitness,
        progress: &Progress,
    ) -> Result<Vec<Row>, Trouble> {
        let apart = self.terms.placement.cores == Cores::Different;
        if target.cores == Cores::Different && !apart {
            let note = Some("takes two cores".into());
            return Ok(vec![Row { note, ..target.unmeasured() }]);
        }
        let terms = Terms { placement: self.terms.placement.on(target.cores), ..self.terms };
        let contest = (target.build)(&terms)?;
        if contest.against.iter().any(|against| against.kind == Kind::Ring) {
            fitness.find_out(&self.terms, self.rounds)?;
        }
        let turns = Turns {
            placement: terms.placement.clone(),
            rounds: self.rounds.min(contest.rounds),
            deadline: self.deadlines.map(|(first, _)| first),
            stop: terms.stop,
        };
        let run = |_round, contender| match contender {
            0 => (contest.ours)(&terms).map(Some),
            other => (contest.against[other - 1].run)(&terms).map(Some),
        };
        let attempt = turns.take(1 + contest.against.len(), run, progress)?;
        Ok(contest.rows(&target.name, &attempt, fitness))
    }
}

impl Target {
    fn unmeasured(&self) -> Row {
        Row {
            name: Some(self.name.clone()),
            subject: self.name.clone(),
            met: Some(Verdict::NotMeasured.name()),
            ..Row::default()
        }
    }
}

impl Contest {
    fn rows(&self, name: &str, attempt: &Attempt, fitness: &Fitness) -> Vec<Row> {
        let mut shared = Row { name: Some(name.to_owned()), ..self.row.clone() };
        attempt.tell_ours(&mut shared);
        if let Some(bound) = self.bound {
            let value = Figure::Ours.of(&shared);
            shared.judge(bound, value);
            return vec![shared];
        }
        let against = |(place, against): (usize, &Against)| {
            let mut row = shared.clone();
            row.reference = Some(against.name.clone());
            let meaningless = fitness.complaint().filter(|_| against.kind == Kind::Ring);
            attempt.tell_theirs(place + 1, &mut row, meaningless);
            if let Some(bound) = against.bound {
                let ratio = Figure::Ratio.of(&row);
                row.judge(bound, ratio);
            }
            row
        };
        let absent = self.absent.iter().map(|(name, reason)| Row {
            reference: Some(name.clone()),
            note: Some(format!("{name}: {reason}")),
            met: Some(Verdict::NotMeasured.name()),
            ..shared.clone()
        });
        self.against.iter().enumerate().map(against).chain(absent).collect()
    }
}

impl Row {
    fn judge(&mut self, bound: Bound, figure: Option<Spread>) {
        self.target = Some(bound.to_string());
        self.met = Some(bound.judge(figure).name());
    }
}

/// Whether the hand-written ring is good enough; found out when it is first needed.
enum Fitness {
    Unknown,
    Found(Option<String>),
}

impl Fitness {
    fn find_out(&mut self, terms: &Terms<'_>, rounds: u32) -> Result<(), Trouble> {
        if matches!(self, Fitness::Unknown) {
            *self = Fitness::Found(gate::judge(terms, rounds)?.note);
        }
        Ok(())
    }

    fn complaint(&self) -> Option<&String> {
        match self {
            Fitness::Unknown => None,
            Fitness::Found(complaint) => complaint.as_ref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a ring that ours is beside, and of something else, with that complaint about rings.
    fn beside(complaint: Option<&str>) -> Vec<Row> {
        let against = |name: &str, kind| Against {
            name: name.to_owned(),
            bound: Some(Bound::AtLeast(0.5)),
            kind,
            run: Box::new(|_| unreachable!("it is not run")),
        };
        let both = vec![against("ring", Kind::Ring), against("pipe", Kind::Plain)];
        let contest = recipe::contest(Row::default(), |_| unreachable!("nor is ours"), both);
        let attempt = Attempt::of(&[&[10.0, 12.0], &[20.0, 20.0], &[40.0, 40.0]]);
        contest.rows("a/b", &attempt, &Fitness::Found(complaint.map(str::to_owned)))
    }

    #[test]
    fn a_ring_that_is_not_good_enough_gets_no_ratio() {
        let good = beside(None);
        assert_eq!([good[0].ratio, good[1].ratio], [Some(0.55), Some(0.275)]);
        assert_eq!([good[0].met, good[1].met], [Some("met"), Some("not met")]);
        let poor = beside(Some("below 0.9 of rtrb"));
        assert_eq!([poor[0].ratio, poor[1].ratio], [None, Some(0.275)]);
        assert_eq!([poor[0].met, poor[1].met], [Some("not measured"), Some("not met")]);
        assert_eq!(poor[0].note.as_deref(), Some("below 0.9 of rtrb"));
        assert_eq!(poor[0].reference_value, Some(20.0));
    }
}
