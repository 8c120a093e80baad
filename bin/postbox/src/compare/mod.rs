//! `postbox compare FILE`: the records of a file, sent between processes over every mechanism.
//!
//! ```text
//!             survey of the file: count, bytes, digest
//!  parent ──┬────────────────────────────────────────────────────── compares ── table
//!           │ go (one each)                                 ▲ report
//!           ▼                                               │
//!   P producers ── header + record ──► channel under ──► M consumers: count, order, digest,
//!   record i % P == p                  measurement          latency
//! ```
//!
//! In reading order: [`arguments`], [`source`] and [`records`] (the file), [`message`], [`chunks`]
//! and [`tally`] (what travels and what is made of it), [`worker`], [`producer`], [`consumer`] and
//! [`report`] (the processes), [`crew`] and [`course`] (one row), [`row`] and [`table`] (what is
//! shown).

mod arguments;
mod chunks;
mod consumer;
mod course;
mod crew;
mod message;
mod producer;
mod progress;
mod records;
mod report;
mod row;
mod source;
mod table;
mod tally;
mod worker;

pub use arguments::Arguments;
pub use worker::{Arguments as WorkerArguments, work};

use crate::ending::{Ending, complain, print};
use crate::stop::Stop;
use progress::Progress;
use source::Source;

/// Runs the comparison and shows it.
pub fn run(arguments: &Arguments) -> Ending {
    compare(arguments).unwrap_or_else(|ending| ending)
}

fn compare(arguments: &Arguments) -> Result<Ending, Ending> {
    let stop = Stop::install()?;
    let source = Source::open(&arguments.file, arguments.records, arguments.repeat, &stop)?;
    let contests = arguments.contests();
    let progress = Progress::over(contests.len() as u64 * source.survey.messages);
    let mut rows = Vec::new();
    for contest in contests {
        progress.begin(&contest);
        rows.push(course::run(&contest, &source, &stop, &progress));
        if stop.code().is_some() {
            break;
        }
    }
    progress.finish();
    print(&if arguments.json { row::json(&rows) } else { table::render(&rows) })?;
    let interrupted = stop.code();
    for row in rows.iter().filter(|_| interrupted.is_none()) {
        if let Some(error) = &row.error {
            complain(&format!("{} {}: {error}", row.mechanism, row.capacity));
        }
    }
    Ok(match interrupted {
        Some(code) => Ending::Stopped(code),
        None if rows.iter().all(|row| row.verified) => Ending::Done,
        None => Ending::Failed,
    })
}
