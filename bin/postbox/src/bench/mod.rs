//! `postbox bench`: latency and throughput of ours, beside what the machine can do.
//!
//! ```text
//!  case = ours + references         one round                          next round, begun by another
//!  probe ─► ours ─► reference ─► reference ─► probe ─► reference ─► reference ─► ours ─► probe ─► …
//!    │                                         │                                          │
//!    └──────────── one way of a cache line: the same placement, or the case is repeated ──┘
//! ```
//!
//! Every run is processes of its own, forked and pinned. In reading order: [`arguments`], [`plan`]
//! and [`placement`] (what is run, and where), [`ends`], [`ping_pong`] and [`stream`] (the work),
//! [`subjects`] and [`meeting`] (ours), [`references`] (the others), [`crew`] and [`contender`] (one
//! run), [`peers`] (other libraries), [`figures`] and [`statistics`] (what becomes of it), [`turns`], [`gate`] and [`course`] (one
//! case), [`targets`] (what is to be reached), [`mod@exchange`] (work
//! without a clock), [`row`], [`table`], [`report`], [`plot`] and [`machine`] (what is shown).

mod arguments;
mod contender;
mod course;
mod crew;
mod ends;
mod exchange;
mod figures;
mod gate;
mod machine;
mod meeting;
mod peers;
mod ping_pong;
mod placement;
mod plan;
mod plot;
mod progress;
mod references;
mod report;
mod row;
mod statistics;
mod stream;
mod subjects;
mod table;
mod targets;
mod turns;

pub use arguments::Arguments;
pub use exchange::{Arguments as ExchangeArguments, run_exchange as exchange};

use crate::NAME;
use contender::Terms;
use course::{Course, label};
use crew::Trouble;
use peers::Peers;
use placement::{Cores, Placement};
use plan::{Case, Reference};
use postbox_program::ending::{Ending, complain, print};
use postbox_program::stop::Stop;
use postbox_program::tables::json_array;
use progress::Progress;
use row::Row;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use targets::{Extent, Suite, Target};
use turns::Turns;

/// How long a run measures.
const RUN: Duration = Duration::from_millis(150);
/// In a quick bench.
const QUICK_RUN: Duration = Duration::from_millis(30);
/// Rounds of a case, and of a quick one.
const ROUNDS: u32 = 7;
const QUICK_ROUNDS: u32 = 3;
/// A quick bench repeats nothing after the first of these, and begins nothing after the second.
const QUICK_REPEATS: Duration = Duration::from_secs(25);
const QUICK_CASES: Duration = Duration::from_secs(45);

/// Runs the bench and shows what it found.
pub fn run(arguments: &Arguments) -> Ending {
    bench(arguments).unwrap_or_else(|ending| ending)
}

fn bench(arguments: &Arguments) -> Result<Ending, Ending> {
    let placement = Placement::find(arguments.cores)?;
    let programs = peers::find(&arguments.peers)?;
    let stop = Stop::install()?;
    let (plan, strangers) = Plan::of(arguments, &placement, &programs, &stop)?;
    // Found out before minutes are spent.
    let create = |path: &Option<PathBuf>| match path.as_deref() {
        Some(path) => open(path).map(|file| Some((path.to_owned(), file))),
        None => Ok(None),
    };
    let (html, markdown) = (create(&arguments.html)?, create(&arguments.markdown)?);
    if arguments.cores.is_none() && placement.cores == Cores::Same {
        complain(NAME, "one core only: both sides share it, and no cache line is probed");
    }
    if arguments.targets && arguments.only.is_empty() && programs.is_empty() {
        let remedy = "name their programs by --peers (scripts/peers.sh builds some)";
        complain(
            NAME,
            &format!("what is to be reached beside other libraries is left out: {remedy}"),
        );
    }
    let rounds = arguments.rounds.unwrap_or(if arguments.quick { QUICK_ROUNDS } else { ROUNDS });
    let progress = Progress::over(plan.len() as u64 * u64::from(rounds));
    let rows = match &plan {
        Plan::Cases(cases) => {
            measure(arguments, &placement, cases, &programs, rounds, &stop, &progress)
        }
        Plan::Targets(targets) => {
            let suite = suite(arguments, &placement, rounds, &stop);
            [strangers, suite.measure(targets, &progress)].concat()
        }
    };
    progress.finish();
    let table = match plan {
        Plan::Cases(_) => table::render,
        Plan::Targets(_) => targets::render,
    };
    print(&if arguments.json { json_array(&rows) } else { table(&rows) })?;
    if let Some((path, file)) = html {
        write(&path, file, report::render(&rows))?;
    }
    if let Some((path, file)) = markdown {
        write(&path, file, Ok(targets::markdown(&rows)))?;
    }
    if let Some(code) = stop.code() {
        return Ok(Ending::Silent(code));
    }
    for row in &rows {
        if let Some(error) = &row.error {
            complain(NAME, &format!("{}: {error}", row.case()));
        }
    }
    let failed = rows.iter().any(|row| row.error.is_some());
    Ok(if failed { Ending::Silent(1) } else { Ending::Done })
}

/// What is measured.
enum Plan {
    /// Whatever was asked for.
    Cases(Vec<Case>),
    /// What is to be reached.
    Targets(Vec<Target>),
}

impl Plan {
    /// And a row for each program beside the targets that does not introduce itself.
    fn of(
        arguments: &Arguments,
        placement: &Placement,
        programs: &[PathBuf],
        stop: &Stop,
    ) -> Result<(Self, Vec<Row>), Ending> {
        if !arguments.targets {
            return Ok((Plan::Cases(plan::cases(arguments, placement)?), Vec::new()));
        }
        let extent = if arguments.quick { Extent::Quick } else { Extent::Full };
        let (peers, strangers) = if programs.is_empty() {
            (None, Vec::new())
        } else {
            let patience = Duration::from_secs(arguments.peer_patience);
            let (peers, strangers) = Peers::meet(programs, &[], patience, stop)
                .map_err(|_| Ending::Silent(stop.code().unwrap_or(1)))?;
            (Some(peers), strangers)
        };
        let targets = targets::chosen(&arguments.only, extent, peers)?;
        Ok((Plan::Targets(targets), strangers))
    }

    fn len(&self) -> usize {
        match self {
            Plan::Cases(cases) => cases.len(),
            Plan::Targets(targets) => targets.len(),
        }
    }
}

fn terms<'s>(arguments: &Arguments, placement: &Placement, stop: &'s Stop) -> Terms<'s> {
    let run = if arguments.quick { QUICK_RUN } else { RUN };
    Terms { placement: placement.clone(), budget: run.as_nanos() as u64, stop }
}

fn suite<'s>(
    arguments: &Arguments,
    placement: &Placement,
    rounds: u32,
    stop: &'s Stop,
) -> Suite<'s> {
    let begun = Instant::now();
    // Of so many targets none is repeated: the minute is for each of them once.
    let deadlines = arguments.quick.then(|| (begun, begun + QUICK_CASES));
    Suite { terms: terms(arguments, placement, stop), rounds, deadlines }
}

/// The rows so far when it ends.
fn measure(
    arguments: &Arguments,
    placement: &Placement,
    cases: &[Case],
    programs: &[PathBuf],
    rounds: u32,
    stop: &Stop,
    progress: &Progress,
) -> Vec<Row> {
    let begun = Instant::now();
    let terms = terms(arguments, placement, stop);
    let mut rows = Vec::new();
    let mut unfit = None;
    let rings = [Reference::Copying, Reference::InPlace];
    if cases.iter().any(|case| rings.iter().any(|ring| case.references.contains(ring))) {
        progress.begin("the ring beside rtrb".into());
        match gate::judge(&terms, rounds.min(ROUNDS)) {
            Ok(row) => {
                unfit = row.note.clone();
                rows.push(row);
            }
            Err(Trouble::Stopped) => return rows,
            Err(Trouble::Failed(reason)) => {
                unfit =
                    Some("not measured beside rtrb: no ratio against the rings is given".into());
                rows.push(Row { error: Some(reason), ..gate::unmeasured() });
            }
        }
    }
    let deadline = arguments.quick.then(|| begun + QUICK_REPEATS);
    let turns = Turns { placement: placement.clone(), rounds, deadline, stop };
    let patience = Duration::from_secs(arguments.peer_patience);
    let peers = match Peers::meet(programs, &arguments.mechanisms, patience, stop) {
        Ok((peers, strangers)) => {
            rows.extend(strangers);
            peers
        }
        // Only a signal.
        Err(_) => return rows,
    };
    let mut course = Course { terms: &terms, turns, unfit, peers };
    for (done, case) in cases.iter().enumerate() {
        if arguments.quick && begun.elapsed() > QUICK_CASES {
            let left = cases.len() - done;
            complain(NAME, &format!("the minute is over: {left} cases are left out"));
            rows.extend(cases[done..].iter().map(left_out));
            break;
        }
        progress.begin(label(case));
        match course.run(case, progress) {
            Ok(found) => rows.extend(found),
            Err(_) => break,
        }
        if stop.code().is_some() {
            break;
        }
    }
    rows
}

/// A case for which there was no time.
fn left_out(case: &Case) -> Row {
    Row { note: Some("the minute was over before it: not measured".into()), ..course::row(case) }
}

fn open(path: &Path) -> Result<File, Ending> {
    File::create(path)
        .map_err(|error| Ending::BadInput(format!("cannot write '{}': {error}", path.display())))
}

fn write(
    path: &Path,
    mut file: File,
    page: Result<String, Box<dyn std::error::Error>>,
) -> Result<(), Ending> {
    let failed = |error: &dyn std::fmt::Display| {
        Ending::Failure(format!("cannot write '{}': {error}", path.display()))
    };
    let page = page.map_err(|error| failed(&error))?;
    file.write_all(page.as_bytes()).map_err(|error| failed(&error))
}
