//! `postbox chaos`: processes that send and receive, are killed and stopped at random moments, and a
//! ledger outside them that finds every breach of the contract.
//!
//! ```text
//!   ledger ── spawns, kills, stops, continues ──► victims: P producers, M consumers, an owner
//!     ▲                                              │      │
//!     │ notes: what I am about to do, what came of it │      └──► the channel under trial
//!     └──────────── a pipe per victim ◄──────────────┘
//! ```
//!
//! In reading order: [`arguments`], [`setting`] and [`schedule`] (what is done, all of it from the
//! seed), [`message`] and [`note`] (what travels, and what is written down about it), [`naming`] and
//! [`victims`] (the processes), [`books`] (the ledger: every rule and how it is checked),
//! [`canary`], [`starvation`] and [`waits`] (the longest wait), [`crew`], [`scene`] and [`round`] (one channel, from its making
//! to its end), [`remains`] (nothing may be left), [`row`] and [`table`] (what is shown).

mod arguments;
mod books;
mod canary;
mod crew;
mod message;
mod naming;
mod note;
mod progress;
mod remains;
mod round;
mod row;
mod scene;
mod schedule;
mod setting;
mod starvation;
mod table;
mod victims;
mod waits;

pub use arguments::Arguments;
pub use victims::{Arguments as VictimArguments, work};

use crate::NAME;
use arguments::Ordeal;
use canary::Canary;
use postbox_program::ending::{Ending, complain, print};
use postbox_program::stop::Stop;
use postbox_program::tables::json_array;
use progress::Progress;
use round::Trouble;
use row::{INTERRUPTED, KEPT, Row};
use std::time::Duration;

/// Runs the chaos and shows what came of it.
pub fn run(arguments: &Arguments) -> Ending {
    unleash(arguments).unwrap_or_else(|ending| ending)
}

fn unleash(arguments: &Arguments) -> Result<Ending, Ending> {
    let stop = Stop::install()?;
    let seed = arguments.seed();
    let ordeals = arguments.ordeals(seed)?;
    // Even if nothing else comes of it, it can be had again.
    complain(NAME, &format!("chaos with seed {seed}"));
    let canary = Canary::start();
    let all: Duration = ordeals.iter().map(|o| o.length * o.rounds.len() as u32).sum();
    let progress = Progress::over(all * arguments.passes);
    let mut rows: Vec<Row> = Vec::new();
    'passes: for pass in 0..arguments.passes {
        for (place, ordeal) in ordeals.iter().enumerate() {
            if place == rows.len() {
                rows.push(Row::of(ordeal));
            }
            let row = &mut rows[place];
            undergo(ordeal, pass, row, &canary, &stop, &progress);
            if row.verdict != KEPT {
                break 'passes;
            }
        }
    }
    progress.finish();
    print(&if arguments.json { json_array(&rows) } else { table::render(&rows) })?;
    if let Some(code) = stop.code() {
        return Ok(Ending::Silent(code));
    }
    Ok(match rows.iter().find(|row| row.verdict != KEPT) {
        None => Ending::Done,
        Some(row) => {
            tell(row);
            Ending::Silent(1)
        }
    })
}

/// All rounds of a row, or those up to a violation or signal.
fn undergo(
    ordeal: &Ordeal,
    pass: u32,
    row: &mut Row,
    canary: &Canary,
    stop: &Stop,
    progress: &Progress,
) {
    for setting in &ordeal.rounds {
        let setting = setting.in_pass(pass);
        progress.begin(format!("{} {} {}", row.mechanism, row.naming, setting.capacity));
        let mut left = ordeal.length;
        // One round, or as many pairs as it takes.
        for encounter in 0.. {
            let setting = setting.in_encounter(encounter);
            let (findings, outcome) = round::run(&setting, left, canary, stop, progress);
            row.add(&setting, &findings);
            progress.end(findings.traffic);
            match outcome {
                Ok(()) => left = left.saturating_sub(findings.traffic),
                Err(Trouble::Stopped) => row.verdict = INTERRUPTED,
                // What a signal broke off may look like anything.
                Err(Trouble::Violation(_)) if stop.code_soon().is_some() => {
                    row.verdict = INTERRUPTED;
                }
                Err(Trouble::Violation(violation)) => {
                    row.violated(violation, setting.command(ordeal.length));
                }
            }
            if row.verdict != KEPT {
                return;
            }
            if left.is_zero() {
                break;
            }
        }
    }
}

/// The first violation, for people.
fn tell(row: &Row) {
    let rule = row.rule.unwrap_or_default();
    complain(NAME, &format!("{} {}: {rule}", row.mechanism, row.naming));
    for line in row.account.iter().chain(&row.repeat) {
        complain(NAME, line);
    }
}
