//! The targets as a table: for people, for documents, and for the report.

use crate::bench::arguments::bytes;
use crate::bench::report::escaped;
use crate::bench::row::Row;
use crate::bench::table::{figure, line, ratio};
use comfy_table::{CellAlignment, presets};
use postbox_program::tables;

/// The columns; the help explains them.
const COLUMNS: [&str; 10] = [
    "target",
    "what",
    "bytes",
    "value",
    "against",
    "its value",
    "ratio",
    "wanted",
    "met",
    "line ns",
];
/// Those with figures.
const FIGURES: [usize; 6] = [2, 3, 5, 6, 7, 9];

fn table(rows: &[Row]) -> comfy_table::Table {
    let mut table = tables::table(COLUMNS);
    for row in rows {
        table.add_row(cells(row));
    }
    for column in FIGURES {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn cells(row: &Row) -> [String; 10] {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let value =
        |value: Option<f64>| or_none(value.map(|value| format!("{} {}", small(value), row.unit)));
    let spread = row.low.zip(row.high).filter(|(low, high)| low < high && row.ratio.is_none());
    let spread =
        spread.map_or(String::new(), |(low, high)| format!(" ({}..{})", small(low), small(high)));
    [
        or_none(row.name.clone()),
        if row.wait.is_empty() {
            row.subject.clone()
        } else {
            format!("{}, {}", row.subject, row.wait)
        },
        if row.payload == 0 { or_none(None) } else { bytes(row.payload) },
        value(row.value) + &spread,
        or_none(row.reference.clone()),
        value(row.reference_value),
        ratio(row),
        or_none(row.target.clone()),
        or_none(row.met.map(str::to_owned)),
        line(row),
    ]
}

/// As other figures, and what is far below one to three places.
fn small(value: f64) -> String {
    if value < 1.0 { format!("{value:.3}") } else { figure(value) }
}

/// For people, with how many are met below, and why what is missing is missing.
pub fn render(rows: &[Row]) -> String {
    format!("{}\n{}\n{}", table(rows), tally(rows), remarks(rows))
}

/// For documents.
pub fn markdown(rows: &[Row]) -> String {
    let mut table = table(rows);
    table.load_preset(presets::ASCII_MARKDOWN);
    let remarks: String = remarks(rows).lines().map(|line| format!("- {line}\n")).collect();
    format!("{table}\n\n{}\n\n{remarks}", tally(rows))
}

/// For the report; nothing where there are no targets.
pub fn html(rows: &[Row]) -> String {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.name.is_some()).collect();
    if rows.is_empty() {
        return String::new();
    }
    let row = |tag: &str, cells: &[String]| {
        let cells: String =
            cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell))).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let header = row("th", &COLUMNS.map(str::to_owned));
    let body: String = rows.iter().map(|found| row("td", &cells(found))).collect();
    format!("<h2>Targets</h2>\n<table>{header}{body}</table>\n")
}

/// How many there are of each verdict.
fn tally(rows: &[Row]) -> String {
    let of = |verdict: &str| rows.iter().filter(|row| row.met == Some(verdict)).count();
    let verdicts = ["met", "within the spread", "not met", "not measured"];
    let counts: Vec<String> =
        verdicts.iter().map(|verdict| format!("{} {verdict}", of(verdict))).collect();
    counts.join(", ")
}

/// What is to be said of single rows.
fn remarks(rows: &[Row]) -> String {
    let mut remarks: Vec<String> = Vec::new();
    for row in rows {
        let said = row.note.iter().chain(&row.error);
        let name = row.name.as_deref().unwrap_or("-");
        remarks.extend(said.map(|reason| format!("{name}: {reason}\n")));
    }
    remarks.dedup();
    remarks.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, met: &'static str) -> Row {
        Row { name: Some(name.into()), met: Some(met), ..Row::default() }
    }

    #[test]
    fn verdicts_are_counted_and_reasons_given_once() {
        let refused =
            Row { note: Some("the quota is 819200".into()), ..row("links/mqueue", "met") };
        let said = render(&[row("a/b", "met"), refused.clone(), refused, row("a/c", "not met")]);
        assert!(said.contains("3 met, 0 within the spread, 1 not met, 0 not measured"), "{said}");
        assert_eq!(said.matches("links/mqueue: the quota is 819200").count(), 1, "{said}");
    }

    #[test]
    fn a_document_has_a_table_of_bars_and_a_list_of_remarks() {
        let said = markdown(&[Row { note: Some("so".into()), ..row("a/b", "met") }]);
        assert!(said.starts_with('|') && said.contains("\n- a/b: so\n"), "{said}");
    }

    #[test]
    fn the_report_is_left_alone_where_there_is_no_target() {
        assert_eq!(html(&[Row::default()]), "");
        assert!(html(&[row("<a>", "met")]).contains("&lt;a&gt;"));
    }
}
