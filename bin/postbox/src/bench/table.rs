//! The rows as a table for people.

use super::arguments::bytes;
use super::row::Row;
use comfy_table::CellAlignment;
use postbox_program::tables::{grouped, table};

/// The columns; the help explains them.
const COLUMNS: [&str; 15] = [
    "metric",
    "subject",
    "bytes",
    "capacity",
    "wait",
    "P×M",
    "value",
    "spread",
    "p50",
    "p99",
    "p99.9",
    "reference",
    "its value",
    "ratio",
    "line ns",
];

/// The table, with a line end.
pub fn render(rows: &[Row]) -> String {
    let mut table = table(COLUMNS);
    for row in rows {
        let nanoseconds = |time: Option<u64>| time.map_or_else(none, grouped);
        table.add_row([
            row.metric.to_owned(),
            row.subject.clone(),
            bytes(row.payload),
            row.capacity.clone(),
            row.wait.to_owned(),
            format!("{}×{}", row.producers, row.consumers),
            row.value.map_or_else(none, |value| format!("{} {}", figure(value), row.unit)),
            row.low.zip(row.high).map_or_else(none, |(low, high)| span(low, high)),
            nanoseconds(row.p50),
            nanoseconds(row.p99),
            nanoseconds(row.p999),
            row.reference.clone().unwrap_or_else(none),
            row.reference_value.map_or_else(none, figure),
            ratio(row),
            line(row),
        ]);
    }
    for column in [2, 3, 5, 6, 7, 8, 9, 10, 12, 13, 14] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut notes: Vec<&String> =
        rows.iter().flat_map(|row| row.note.iter().chain(&row.error)).collect();
    notes.sort();
    notes.dedup();
    let notes: String = notes.iter().map(|note| format!("{note}\n")).collect();
    format!("{table}\n{notes}")
}

/// To about three digits, thousands set apart.
pub fn figure(value: f64) -> String {
    if value < 100.0 { format!("{value:.1}") } else { grouped(value.round() as u64) }
}

fn span(low: f64, high: f64) -> String {
    format!("{}..{}", figure(low), figure(high))
}

/// The ratio with its spread.
pub fn ratio(row: &Row) -> String {
    match (row.ratio, row.ratio_low, row.ratio_high) {
        (Some(ratio), Some(low), Some(high)) => format!("{ratio:.3} ({low:.3}..{high:.3})"),
        _ => none(),
    }
}

/// The probe, and whether it changed.
pub fn line(row: &Row) -> String {
    let probe = row.line.map_or_else(none, |line| format!("{line:.0}"));
    match (row.moved, row.rounds) {
        (false, _) => probe,
        (true, 1) => format!("{probe} moved, 1 round"),
        (true, rounds) => format!("{probe} moved, {rounds} rounds"),
    }
}

fn none() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_about_three_digits() {
        assert_eq!([35.04, 330.4, 17_800_000.2].map(figure), ["35.0", "330", "17,800,000"]);
    }

    #[test]
    fn a_row_without_a_ratio_says_why_below() {
        let row = Row { note: Some("below 0.9 of rtrb".into()), ..Row::default() };
        assert!(render(&[row.clone(), row]).ends_with("\nbelow 0.9 of rtrb\n"));
    }
}
