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
//! In reading order: [`arguments`], [`source`] and [`window`] (the file), [`message`], [`chunks`]
//! and [`tally`] (what travels and what is made of it), [`worker`], [`producer`], [`consumer`] and
//! [`report`] (the processes), [`naming`] (how they come together), [`crew`] and [`course`] (one row), [`row`] and [`table`] (what is
//! shown).

mod arguments;
mod chunks;
mod consumer;
mod course;
mod crew;
mod message;
mod naming;
mod producer;
mod progress;
mod report;
mod row;
mod source;
mod table;
mod tally;
mod window;
mod worker;

pub use arguments::Arguments;
pub use worker::{Arguments as WorkerArguments, work};

use crate::NAME;
use postbox_program::ending::{Ending, complain, print};
use postbox_program::stop::Stop;
use postbox_program::tables::json_array;
use progress::Progress;
use row::Row;
use source::Source;

/// Runs the comparison and shows it.
pub fn run(arguments: &Arguments) -> Ending {
    compare(arguments).unwrap_or_else(|ending| ending)
}

fn compare(arguments: &Arguments) -> Result<Ending, Ending> {
    let stop = Stop::install()?;
    let contests = arguments.contests()?;
    let source = Source::open(&arguments.file, arguments.records, arguments.repeat, &stop)?;
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
    print(&if arguments.json { json_array(&rows) } else { table::render(&rows) })?;
    let interrupted = stop.code();
    for row in rows.iter().filter(|_| interrupted.is_none()) {
        if let Some(error) = &row.error {
            let Row { mechanism, capacity, naming, .. } = row;
            complain(NAME, &format!("{mechanism} {capacity} {naming}: {error}"));
        }
    }
    Ok(match interrupted {
        Some(code) => Ending::Silent(code),
        None if rows.iter().all(|row| row.verified) => Ending::Done,
        None => Ending::Silent(1),
    })
}
