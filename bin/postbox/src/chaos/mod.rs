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
//! [`canary`] and [`waits`] (the longest wait), [`crew`], [`scene`] and [`round`] (one channel, from its making
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
mod table;
mod victims;
mod waits;

pub use arguments::Arguments;
pub use victims::{Arguments as VictimArguments, work};

use crate::NAME;
use arguments::Ordeal;
use canary::Canary;
use naming::Naming;
use postbox_program::ending::{Ending, complain, print};
use postbox_program::stop::Stop;
use postbox_program::tables::json_array;
use progress::Progress;
use round::Trouble;
use row::{INTERRUPTED, KEPT, Row, VIOLATED};

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
    let all = ordeals.iter().map(|ordeal| ordeal.length * ordeal.rounds.len() as u32).sum();
    let progress = Progress::over(all);
    let mut rows: Vec<Row> = Vec::new();
    for ordeal in &ordeals {
        rows.push(undergo(ordeal, &canary, &stop, &progress));
        if rows.last().is_some_and(|row| row.verdict != KEPT) {
            break;
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
fn undergo(ordeal: &Ordeal, canary: &Canary, stop: &Stop, progress: &Progress) -> Row {
    let mut row = Row { verdict: KEPT, ..Row::default() };
    for setting in &ordeal.rounds {
        let capacity = setting.capacity.to_string();
        let (mechanism, naming) = (setting.mechanism.to_string(), setting.naming.name());
        progress.begin(format!("{mechanism} {naming} {capacity}"));
        row.mechanism = mechanism;
        row.naming = naming;
        row.capacities.push(capacity);
        (row.producers, row.consumers) = (setting.producers, setting.consumers);
        row.seed = setting.seed;
        if setting.naming != Naming::Direct {
            row.repairs.get_or_insert(0);
        }
        let (findings, outcome) = round::run(setting, ordeal.length, canary, stop, progress);
        row.add(&findings);
        match outcome {
            Ok(()) => {}
            Err(Trouble::Stopped) => row.verdict = INTERRUPTED,
            // What a signal broke off may look like anything.
            Err(Trouble::Violation(_)) if stop.code_soon().is_some() => row.verdict = INTERRUPTED,
            Err(Trouble::Violation(violation)) => {
                row.verdict = VIOLATED;
                row.rule = Some(violation.rule.name());
                row.account = Some(violation.account);
                row.repeat = Some(setting.command(ordeal.length));
            }
        }
        progress.end(ordeal.length);
        if row.verdict != KEPT {
            break;
        }
    }
    row
}

/// The first violation, for people.
fn tell(row: &Row) {
    let capacity = row.capacities.last().map_or("", String::as_str);
    let rule = row.rule.unwrap_or_default();
    complain(NAME, &format!("{} {} {capacity}: {rule}", row.mechanism, row.naming));
    for line in row.account.iter().chain(&row.repeat) {
        complain(NAME, line);
    }
}
