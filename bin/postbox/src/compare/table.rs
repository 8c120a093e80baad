//! The rows as a table for people.

use super::row::{Row, Taken};
use comfy_table::CellAlignment;
use postbox_program::tables::{grouped, table};

/// The columns; each is explained in the help.
const COLUMNS: [&str; 15] = [
    "mechanism",
    "capacity",
    "naming",
    "P×M",
    "messages",
    "bytes",
    "seconds",
    "messages/s",
    "MB/s",
    "p50 µs",
    "p99 µs",
    "CPU s",
    "waits",
    "spilled",
    "verified",
];

/// The table, with a line end.
pub fn render(rows: &[Row]) -> String {
    let receipts = rows.iter().any(|row| row.taken.is_some());
    let mut header = COLUMNS.to_vec();
    header.extend(receipts.then_some("taken by"));
    let mut table = table(header);
    for row in rows {
        // What only the workers' last reports tell is missing from a row that ended early.
        let told = |cell: String| if row.error.is_none() || row.p50_ns > 0 { cell } else { none() };
        let mut cells = vec![
            row.mechanism.clone(),
            row.capacity.clone(),
            row.naming.to_owned(),
            format!("{}×{}", row.producers, row.consumers),
            grouped(row.messages),
            grouped(row.bytes),
            format!("{:.4}", row.seconds),
            grouped(row.messages_per_second as u64),
            format!("{:.1}", row.bytes_per_second / 1e6),
            microseconds(row.p50_ns),
            microseconds(row.p99_ns),
            told(format!("{:.3}", row.cpu_seconds)),
            told(grouped(row.waits)),
            told(grouped(row.spilled)),
            if row.verified { "yes" } else { "NO" }.to_owned(),
        ];
        cells.extend(receipts.then(|| takers(row.taken.as_deref().unwrap_or_default())));
        table.add_row(cells);
    }
    for column in table.column_iter_mut().skip(3).take(11) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

fn takers(taken: &[Taken]) -> String {
    let each = |taker: &Taken| format!("#{}: {}", taker.consumer, grouped(taker.messages));
    taken.iter().map(each).collect::<Vec<_>>().join(", ")
}

/// A latency; there is none without messages.
fn microseconds(nanoseconds: u64) -> String {
    if nanoseconds == 0 { none() } else { format!("{:.1}", nanoseconds as f64 / 1e3) }
}

fn none() -> String {
    "-".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_of_takers_is_there_only_with_receipts() {
        let row = Row { mechanism: "pipe".into(), ..Row::default() };
        assert!(!render(std::slice::from_ref(&row)).contains("taken by"));
        let taken = Some(vec![Taken { consumer: 1, pid: 7, messages: 1000 }]);
        let shown = render(&[Row { taken, ..row }]);
        assert!(shown.contains("taken by") && shown.contains("#1: 1,000"));
    }
}
