//! The rows as a table for people.

use super::row::Row;
use comfy_table::CellAlignment;
use postbox_program::tables::{grouped, table};

/// The columns; each is explained in the help.
const COLUMNS: [&str; 10] = [
    "mechanism",
    "naming",
    "capacities",
    "messages",
    "kills",
    "stops",
    "repairs",
    "losses explained",
    "longest wait",
    "verdict",
];

/// The table, with a line end.
pub fn render(rows: &[Row]) -> String {
    let mut table = table(COLUMNS);
    for row in rows {
        table.add_row([
            row.mechanism.clone(),
            row.naming.to_owned(),
            row.capacities.join(", "),
            grouped(row.messages),
            grouped(row.kills),
            grouped(row.stops),
            row.repairs.map_or("-".to_owned(), grouped),
            grouped(row.losses),
            duration((row.longest_wait_ms * 1e6) as u64),
            row.verdict.to_owned(),
        ]);
    }
    for column in table.column_iter_mut().skip(3).take(6) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

/// A duration for people.
pub fn duration(nanoseconds: u64) -> String {
    match nanoseconds {
        0..1_000_000 => format!("{:.0} µs", nanoseconds as f64 / 1e3),
        1_000_000..10_000_000_000 => format!("{:.1} ms", nanoseconds as f64 / 1e6),
        _ => format!("{:.0} s", nanoseconds as f64 / 1e9),
    }
}
