//! The report: one file with plots and all rows, that needs no other.

use super::arguments::bytes;
use super::machine;
use super::peers::PEER;
use super::plot::{self, Curve, Plot};
use super::row::Row;
use super::table::{figure, line, ratio};
use super::targets;
use std::error::Error;
use std::fmt::Write;

/// The look of it.
const STYLE: &str = "body{font:14px sans-serif;margin:2em;color:#222}\
table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2em .5em;text-align:right}\
td:nth-child(-n+2),td:nth-child(10),th{text-align:left}svg{max-width:100%}";

/// The whole file.
///
/// # Errors
///
/// What cannot be plotted.
pub fn render(rows: &[Row]) -> Result<String, Box<dyn Error>> {
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <title>postbox bench</title><style>{STYLE}</style></head>\n<body><h1>postbox bench</h1>\n"
    );
    for (what, value) in machine::describe() {
        writeln!(page, "<div>{what}: {}</div>", escaped(&value))?;
    }
    page.push_str(&targets::html(rows));
    for plot in plots(rows) {
        writeln!(page, "<h2>{}</h2>\n{}", plot.title, plot::svg(&plot)?)?;
    }
    page.push_str("<h2>All figures</h2>\n");
    table(&mut page, rows)?;
    page.push_str("</body></html>\n");
    Ok(page)
}

/// Those plots for which there are figures.
fn plots(rows: &[Row]) -> Vec<Plot> {
    // The targets are single points, each of something else.
    let rows: Vec<&Row> = rows.iter().filter(|row| row.name.is_none()).collect();
    let rows = || rows.iter().copied();
    let of = |title, metric: &'static str, y, value: fn(&Row) -> Option<f64>| Plot {
        title,
        x: "bytes of a message",
        y,
        curves: curves(
            rows().filter(|row| row.metric == metric && row.producers * row.consumers == 1),
            |row| row.payload as f64,
            value,
        ),
    };
    let mut plots = vec![
        of("Latency against payload", "latency", "one way, ns", |row| row.value),
        of("Median trip against payload", "latency", "p50, ns", |row| row.p50.map(|t| t as f64)),
        of("Throughput against payload", "throughput", "MB/s", |row| megabytes(row, row.value)),
    ];
    let least = rows().filter(|row| row.producers > 1).map(|row| row.payload).min();
    let scaled = rows().filter(|row| row.metric == "throughput" && Some(row.payload) == least);
    plots.push(Plot {
        title: "Throughput over producers",
        x: "producers",
        y: "messages/s",
        curves: curves(scaled, |row| row.producers.into(), |row| row.value),
    });
    plots.retain(|plot| !plot.curves.is_empty());
    plots
}

fn megabytes(row: &Row, value: Option<f64>) -> Option<f64> {
    value.map(|value| value * row.payload as f64 / 1e6)
}

/// A curve for each subject, and one for each reference where its unit is that of the plot.
fn curves<'r>(
    rows: impl Iterator<Item = &'r Row>,
    x: impl Fn(&Row) -> f64,
    y: impl Fn(&Row) -> Option<f64>,
) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    let mut add = |name: String, x: f64, y: Option<f64>| {
        let Some(y) = y.filter(|y| y.is_finite() && *y > 0.0) else { return };
        match curves.iter_mut().find(|curve| curve.name == name) {
            // The same case stands in a row for each of its references.
            Some(curve) if curve.points.iter().any(|point| point.0 == x) => {}
            Some(curve) => curve.points.push((x, y)),
            None => curves.push(Curve { name, points: vec![(x, y)] }),
        }
    };
    for row in rows {
        if row.mechanism == PEER {
            add(row.subject.clone(), x(row), y(row));
            continue; // what it is compared with is ours, which has rows of its own
        }
        add(format!("{}, {}", row.subject, row.wait), x(row), y(row));
        if let Some(reference) = &row.reference {
            // Its slots are told in the table; here they would make a curve of each point.
            let kind = reference.split(", ").next().unwrap_or(reference);
            let theirs = Row { value: row.reference_value, p50: row.reference_p50, ..row.clone() };
            add(kind.to_owned(), x(row), y(&theirs));
        }
    }
    for curve in &mut curves {
        curve.points.sort_by(|one, other| one.0.total_cmp(&other.0));
    }
    curves
}

fn table(page: &mut String, rows: &[Row]) -> std::fmt::Result {
    page.push_str("<table><tr>");
    for column in [
        "metric",
        "subject",
        "bytes",
        "capacity",
        "wait",
        "P×M",
        "value",
        "spread",
        "p50 / p99 / p99.9 ns",
        "reference",
        "its value",
        "its p50 / p99 / p99.9 ns",
        "ratio",
        "line ns",
        "note",
    ] {
        write!(page, "<th>{column}</th>")?;
    }
    page.push_str("</tr>\n");
    for row in rows {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
        let time = |value: Option<u64>| number(value.map(|time| time as f64));
        let trips = |p50, p99, p999| format!("{} / {} / {}", time(p50), time(p99), time(p999));
        let cells = [
            row.metric.to_owned(),
            row.subject.clone(),
            bytes(row.payload),
            row.capacity.clone(),
            row.wait.to_owned(),
            format!("{}×{}", row.producers, row.consumers),
            format!("{} {}", number(row.value), row.unit),
            format!("{}..{}", number(row.low), number(row.high)),
            trips(row.p50, row.p99, row.p999),
            row.reference.clone().unwrap_or_default(),
            number(row.reference_value),
            trips(row.reference_p50, row.reference_p99, row.reference_p999),
            ratio(row),
            line(row),
            row.note.clone().or_else(|| row.error.clone()).unwrap_or_default(),
        ];
        page.push_str("<tr>");
        for cell in cells {
            write!(page, "<td>{}</td>", escaped(&cell))?;
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
    Ok(())
}

/// As text within a page.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(payload: usize, producers: u32) -> Row {
        Row {
            subject: "postbox <shm>".into(),
            metric: "throughput",
            payload,
            producers,
            consumers: 1,
            value: Some(1e6),
            reference: Some("copying ring, 4 slots".into()),
            reference_value: Some(2e6),
            ..Row::default()
        }
    }

    #[test]
    fn each_plot_with_figures_is_an_svg() {
        let page = render(&[row(64, 1), row(64, 2), row(4096, 1)]).unwrap();
        assert_eq!(page.matches("<svg").count(), 2, "throughput against payload, and scaling");
        assert!(page.contains("postbox &lt;shm&gt;") && !page.contains("<shm>"));
        assert_eq!(render(&[]).unwrap().matches("<svg").count(), 0);
    }

    #[test]
    fn a_peer_is_a_curve_and_ours_beside_it_none() {
        let peer = Row { mechanism: PEER, subject: "x 1.0, a".into(), ..row(64, 1) };
        let curves = plots(&[peer]).swap_remove(0).curves;
        let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
        assert_eq!(names, ["x 1.0, a"]);
    }

    #[test]
    fn a_case_with_two_references_is_one_point() {
        let curves = plots(&[row(64, 1), row(64, 1)]).swap_remove(0).curves;
        assert_eq!(curves.len(), 2);
        assert!(curves.iter().all(|curve| curve.points.len() == 1));
    }
}
