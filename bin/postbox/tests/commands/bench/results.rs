//! What it finds: rows with every key, and figures that are figures.

use super::support::{start, start_on_one_core};
use crate::run::Ended;
use serde_json::Value;
use std::fs;

/// What every object has.
const KEYS: [&str; 7] = ["subject", "metric", "payload", "value", "unit", "reference", "ratio"];

/// The rows of a run in which all went well.
fn good(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let rows = ended.rows();
    assert!(!rows.is_empty());
    for row in &rows {
        assert!(KEYS.iter().all(|key| row.get(key).is_some()), "{row}");
        assert!(row["error"].is_null(), "{row}");
        positive(&row["value"]);
        positive(&row["reference_value"]);
        // The rings may be unfit on a busy machine, which is then noted.
        if row["note"].is_null() {
            positive(&row["ratio"]);
            assert!(row["ratio_low"].as_f64() <= row["ratio"].as_f64(), "{row}");
        }
    }
    rows
}

fn positive(figure: &Value) {
    let figure = figure.as_f64().unwrap_or_else(|| panic!("{figure} is no number"));
    assert!(figure.is_finite() && figure > 0.0, "{figure}");
}

fn run(arguments: &[&str]) -> Vec<Value> {
    let ended = start(&[&["--quick", "--json", "--rounds=2"], arguments].concat()).finish();
    good(&ended)
}

#[test]
fn a_quick_run_of_one_mechanism_has_every_key_and_an_svg_for_each_plot() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("report.html");
    let rows = run(&["--mechanism=pipe", "--html", path.to_str().unwrap()]);
    let metrics = |name: &str| rows.iter().filter(|row| row["metric"] == name).count();
    // Three payloads; for throughput two more at 64 bytes.
    assert_eq!((metrics("latency"), metrics("throughput")), (3, 5), "{rows:?}");
    let trips = rows.iter().filter(|row| row["metric"] == "latency");
    for row in trips {
        for whose in ["", "reference_"] {
            let quantile = |key| row[format!("{whose}{key}")].as_u64().unwrap();
            let [p50, p99, p999] = ["p50", "p99", "p99.9"].map(quantile);
            assert!(p50 <= p99 && p99 <= p999, "{row}");
        }
    }
    let page = fs::read_to_string(path).unwrap();
    assert_eq!(page.matches("<svg").count(), 4, "latency, median trip, throughput, scaling");
    assert!(page.contains("kernel: Linux") && !page.contains("src=") && !page.contains("href="));
}

#[test]
fn shared_memory_is_compared_with_the_line_the_rings_and_plain_copying() {
    if std::thread::available_parallelism().unwrap().get() < 2 {
        return; // Nothing spins on one core.
    }
    let rows = run(&["--mechanism=shm", "--payload=64,4K"]);
    for reference in
        ["rtrb", "cache line", "two cache lines", "copying ring", "in-place ring", "memcpy"]
    {
        let against = |row: &&Value| row["reference"].as_str().unwrap().starts_with(reference);
        assert!(rows.iter().any(|row| against(&row)), "{reference}: {rows:?}");
    }
}

#[test]
fn every_naming_carries_messages_from_several_producers() {
    for naming in ["channel", "direct", "mailbox"] {
        let naming = format!("--naming={naming}");
        let rows = run(&["--mechanism=socket", "--payload=64", "--producers=1,2", &naming]);
        assert_eq!(rows.len(), 3, "{rows:?}");
    }
}

#[test]
fn a_block_ping_pong_on_one_core_is_compared_with_both_bare_loops() {
    let rows = run(&[
        "--metric=latency",
        "--payload=64",
        "--cores=same",
        "--wait=block",
        "--mechanism=pipe,socket,mqueue",
    ]);
    assert_eq!(rows.len(), 6, "{rows:?}");
    let polled = rows.iter().filter(|row| row["reference"].as_str().unwrap().ends_with("polled"));
    assert_eq!(polled.count(), 3);
    assert!(rows.iter().all(|row| row["line"].is_null()));
}

#[test]
fn a_rendezvous_and_a_queue_without_bounds_can_be_measured() {
    let rows = run(&[
        "--metric=throughput",
        "--payload=64",
        "--capacity=0,unbounded",
        "--mechanism=mqueue",
    ]);
    assert_eq!(rows.len(), 2, "{rows:?}");
}

#[test]
fn one_core_says_what_it_cannot_do() {
    let arguments = ["--quick", "--rounds=1", "--mechanism=pipe", "--payload=64", "--json"];
    let ended = start_on_one_core(&arguments).finish();
    good(&ended);
    assert!(ended.err().contains("one core only"), "{ended:?}");
}
