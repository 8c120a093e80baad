//! What is to be reached: rows with every key, a verdict for each, and names that can be chosen.

use super::support::{start, start_on_one_core};
use crate::run::Ended;
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;

/// What every object has; those that something is wanted of have `target` and `met`, too.
const KEYS: [&str; 8] =
    ["name", "subject", "metric", "payload", "value", "unit", "reference", "ratio"];
const VERDICTS: [&str; 4] = ["met", "within the spread", "not met", "not measured"];

fn two_cores() -> bool {
    std::thread::available_parallelism().unwrap().get() >= 2
}

fn run(only: &str, more: &[&str]) -> Vec<Value> {
    let arguments = ["--targets", "--quick", "--rounds=2", "--json", "--only", only];
    good(&start(&[&arguments, more].concat()).finish())
}

/// The rows of a run in which nothing failed. What is not met is no failure.
fn good(ended: &Ended) -> Vec<Value> {
    assert_eq!((ended.code(), ended.err()), (Some(0), String::new()), "{ended:?}");
    let rows = ended.rows();
    assert!(!rows.is_empty());
    for row in &rows {
        assert!(row["error"].is_null() && row["name"].is_string(), "{row}");
    }
    rows
}

/// The name of each, and what it was measured against, once all is seen to be measured.
fn references(rows: &[Value]) -> Vec<(&str, &str)> {
    for row in rows {
        assert!(KEYS.iter().all(|key| row.get(key).is_some()), "{row}");
        assert!(row["value"].as_f64().is_some_and(|value| value >= 0.0), "{row}");
        let compared = row["reference"].is_string() && row["note"].is_null();
        assert!(!compared || row["ratio"].as_f64().is_some_and(|ratio| ratio > 0.0), "{row}");
        let verdict = row["met"].as_str().map(|met| VERDICTS.contains(&met));
        assert_eq!(verdict, row["target"].as_str().map(|_| true), "{row}");
    }
    rows.iter().map(|row| (text(row, "name"), text(row, "reference"))).collect()
}

fn text<'r>(row: &'r Value, key: &str) -> &'r str {
    row[key].as_str().unwrap_or("none")
}

#[test]
fn a_row_says_what_it_is_against_what_is_wanted_and_whether_it_is_met() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (html, markdown) = (path("report.html"), path("targets.md"));
    let rows = run("block-same/pipe", &["--html", &html, "--markdown", &markdown]);
    let expected =
        [("block-same/pipe", "bare packet pipe, polled"), ("block-same/pipe", "bare packet pipe")];
    assert_eq!(references(&rows), expected);
    assert_eq!(rows[0]["target"], "≤ 1.1");
    assert!(rows[1].get("met").is_none(), "it is shown beside the other: {rows:?}");
    let page = fs::read_to_string(html).unwrap();
    assert!(page.contains("<h2>Targets</h2>") && page.contains("≤ 1.1"), "{page}");
    let document = fs::read_to_string(markdown).unwrap();
    assert!(document.contains("| block-same/pipe"), "{document}");
    assert!(document.contains("not measured\n"), "how many of each: {document}");
}

#[test]
fn kernel_objects_are_measured_in_streams_batches_and_mailboxes() {
    if !two_cores() {
        return;
    }
    let rows = run("batch,stream/socket,many/mqueue-mailbox", &[]);
    let expected = [
        ("stream/socket", "bare seqpacket socket"),
        ("many/mqueue-mailbox", "bare POSIX queue"),
        ("batch/pipe", "bare packet pipe"),
        ("batch/socket", "bare seqpacket socket"),
        ("batch/mqueue", "bare POSIX queue, holds 10"),
    ];
    assert_eq!(references(&rows), expected);
}

#[test]
fn shared_memory_is_measured_with_types_receipts_and_beside_threads() {
    if !two_cores() {
        return;
    }
    let rows = run("typed,deliver/adaptive,rendezvous/adaptive,many/shm", &[]);
    let expected = [
        ("many/shm", "crossbeam's bounded channel between threads"),
        ("deliver/adaptive", "cache line, there and back"),
        ("rendezvous/adaptive", "cache line, there and back"),
        ("typed/shm", "bytes of the same length"),
    ];
    assert_eq!(references(&rows), expected);
}

#[test]
fn crowds_are_measured_beside_one() {
    if !two_cores() {
        return;
    }
    let rows = run("links/pipe-10,links/mqueue-10,senders/shm", &[]);
    let expected = [
        ("links/pipe-10", "one link"),
        ("links/mqueue-10", "one link"),
        ("senders/shm", "one sender"),
    ];
    assert_eq!(references(&rows), expected);
}

#[test]
fn the_idle_are_measured_by_themselves() {
    if !two_cores() {
        return;
    }
    let rows = run("idle/shm,memory/link-pipe,memory/mailbox-shm", &[]);
    let expected =
        [("memory/link-pipe", "none"), ("memory/mailbox-shm", "none"), ("idle/shm", "none")];
    assert_eq!(references(&rows), expected);
    let units: Vec<&str> = rows.iter().map(|row| row["unit"].as_str().unwrap()).collect();
    assert_eq!(units, ["KiB", "KiB", "s"]);
    assert!(rows[0]["value"].as_f64() > Some(1.0), "a link takes memory: {}", rows[0]);
}

#[test]
fn on_one_core_what_takes_two_says_so() {
    let arguments =
        ["--targets", "--quick", "--rounds=1", "--json", "--only=block-same/mqueue,typed"];
    let ended = start_on_one_core(&arguments).finish();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let rows = ended.rows();
    assert!(rows[0]["ratio"].as_f64() > Some(0.0), "{rows:?}");
    assert_eq!(
        (&rows[2]["met"], &rows[2]["note"]),
        (&"not measured".into(), &"takes two cores".into())
    );
}

#[test]
fn an_interrupted_suite_shows_what_there_is() {
    for json in [true, false] {
        let mut arguments = vec!["--targets", "--rounds=500", "--only=senders,idle"];
        arguments.extend(json.then_some("--json"));
        let run = start(&arguments);
        run.await_children("processes of a run", |children| !children.is_empty());
        run.signal_all(Signal::SIGINT);
        let ended = run.finish();
        assert_eq!((ended.code(), ended.err()), (Some(130), String::new()), "{ended:?}");
        if json {
            ended.rows();
        } else {
            assert!(ended.out().contains("0 not met"), "{ended:?}");
        }
    }
}

#[test]
fn a_crowd_that_waits_is_gone_with_the_bench() {
    let run = start(&["--targets", "--only=idle/pipe", "--json"]);
    run.await_children("processes of a run", |children| children.len() >= 20);
    run.signal(Signal::SIGTERM);
    let ended = run.finish();
    assert_eq!((ended.code(), ended.err()), (Some(143), String::new()), "{ended:?}");
    assert_eq!(ended.rows(), Vec::<Value>::new());
}
