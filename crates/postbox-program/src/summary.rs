//! What a run amounted to: one line on standard error.

use crate::ending::{Ending, say};
use crate::tables::grouped;
use serde::Serialize;
use std::time::Instant;

/// Records that went through, and how long it took.
#[derive(Debug)]
pub struct Tally {
    /// Records sent or received.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
    since: Instant,
}

/// How a summary is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A line for people.
    Text,
    /// A JSON object on one line; it has the reason for a bad end, too.
    Json,
    /// Not at all.
    None,
}

impl Form {
    /// What `--json` and `--quiet` ask for.
    pub fn chosen(json: bool, quiet: bool) -> Self {
        match (json, quiet) {
            (_, true) => Form::None,
            (true, false) => Form::Json,
            (false, false) => Form::Text,
        }
    }
}

impl Default for Tally {
    fn default() -> Self {
        Tally { records: 0, bytes: 0, since: Instant::now() }
    }
}

/// One object of JSON.
#[derive(Debug, Serialize)]
struct Object<'s, D> {
    program: &'s str,
    name: &'s str,
    records: u64,
    bytes: u64,
    seconds: f64,
    records_per_second: f64,
    bytes_per_second: f64,
    #[serde(flatten)]
    details: D,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'s str>,
}

impl Tally {
    /// One more record.
    pub fn add(&mut self, record: &[u8]) {
        self.records += 1;
        self.bytes += record.len() as u64;
    }

    /// Shows it, together with the program's own `details`: as an object, and in `words`. In JSON
    /// the reason of the ending is part of it, and so is not to be told again.
    pub fn show<D: Serialize>(
        &self,
        form: Form,
        (program, name): (&str, &str),
        (details, words): (D, &str),
        ending: Ending,
    ) -> Ending {
        let seconds = self.since.elapsed().as_secs_f64().max(1e-9);
        let per_second = |amount: u64| amount as f64 / seconds;
        let line = match form {
            Form::None => return ending,
            Form::Text => format!(
                "{}: {} record{}, {} bytes in {seconds:.3} s ({} records/s, {:.1} MB/s){words}",
                name,
                grouped(self.records),
                if self.records == 1 { "" } else { "s" },
                grouped(self.bytes),
                grouped(per_second(self.records) as u64),
                per_second(self.bytes) / 1e6,
            ),
            Form::Json => serde_json::to_string(&Object {
                program,
                name,
                records: self.records,
                bytes: self.bytes,
                seconds,
                records_per_second: per_second(self.records),
                bytes_per_second: per_second(self.bytes),
                details,
                error: ending.reason(),
            })
            .unwrap_or_default(),
        };
        say(&format!("{line}\n"));
        match form {
            Form::Json => Ending::Silent(ending.code()),
            _ => ending,
        }
    }
}
