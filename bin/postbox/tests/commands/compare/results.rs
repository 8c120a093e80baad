//! What comes out when all goes well.

use super::support::{file, good_rows, lines, start, started, with};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

/// The ways in which both sides come together.
const NAMINGS: [&str; 3] = ["channel", "direct", "mailbox"];
/// Rows of a run without options: each mechanism with each naming, and the buffer.
const ROWS: usize = 4 * NAMINGS.len() + 1;

fn compare(path: &Path, arguments: &[&str]) -> Vec<Value> {
    let path = path.to_str().unwrap();
    good_rows(&start([&["--json", path], arguments].concat()).finish())
}

#[test]
fn every_mechanism_and_capacity_carries_every_line() {
    let (text, bytes) = lines(500);
    let file = file(&text);
    let capacities = ["--capacity=0", "--capacity=3", "--capacity=unbounded"];
    let rows = compare(file.path(), &capacities);
    let seen: Vec<[&str; 3]> = rows
        .iter()
        .map(|row| ["mechanism", "capacity", "naming"].map(|key| row[key].as_str().unwrap()))
        .collect();
    let mut expected = Vec::new();
    for mechanism in ["pipe", "socket", "mqueue", "shm"] {
        for capacity in ["0", "3", "unbounded"] {
            expected.extend(NAMINGS.map(|naming| [mechanism, capacity, naming]));
        }
    }
    expected.push(["buffer", "3", "channel"]);
    assert_eq!(seen, expected);
    for row in &rows {
        assert_eq!((&row["messages"], &row["bytes"]), (&json!(501), &json!(bytes)), "{row}");
        assert_eq!((&row["producers"], &row["consumers"]), (&json!(1), &json!(1)));
        assert!(row["seconds"].as_f64().unwrap() > 0.0);
        assert!(row["cpu_seconds"].as_f64().unwrap() >= 0.0);
        let [p50, p99] = ["p50_ns", "p99_ns"].map(|key| row[key].as_u64().unwrap());
        assert!(0 < p50 && p50 <= p99);
        assert!(row["waits"].is_u64() && row["spilled"].is_u64());
        assert!(row.get("taken").is_none() && row.get("error").is_none());
    }
}

#[test]
fn within_its_native_capacity_nothing_goes_beside_the_mechanism() {
    let file = file(&lines(500).0);
    for row in compare(file.path(), &[]) {
        assert_eq!((&row["capacity"], &row["spilled"]), (&json!("8"), &json!(0)), "{row}");
    }
}

#[test]
fn many_producers_and_consumers_share_the_lines() {
    let (text, bytes) = lines(400);
    let file = file(&text);
    for (producers, consumers) in [(2, 2), (4, 3)] {
        let arguments = [format!("--producers={producers}"), format!("--consumers={consumers}")];
        let arguments = arguments.each_ref().map(String::as_str);
        let rows =
            compare(file.path(), &[&arguments[..], &["--repeat=3", "--capacity=3"]].concat());
        for row in &rows {
            assert_ne!(row["mechanism"], "buffer", "it has one producer and one consumer");
            let processes = (&row["producers"], &row["consumers"]);
            assert_eq!(processes, (&json!(producers), &json!(consumers)));
            assert_eq!((&row["messages"], &row["bytes"]), (&json!(1203), &json!(3 * bytes)));
        }
    }
}

#[test]
fn a_shared_buffer_holds_as_much_as_it_is_asked_to() {
    let (text, bytes) = lines(300);
    let file = file(&text);
    let capacities = ["--capacity=1", "--capacity=20", "--capacity=1000"];
    let rows = compare(file.path(), &[&["--mechanism=buffer"], &capacities[..]].concat());
    let seen: Vec<_> = rows.iter().map(|row| (&row["capacity"], &row["bytes"])).collect();
    let expected = ["1", "20", "1000"].map(|capacity| (json!(capacity), json!(bytes)));
    assert_eq!(seen, expected.iter().map(|(one, other)| (one, other)).collect::<Vec<_>>());
}

#[test]
fn a_naming_can_be_chosen_and_a_link_takes_any_number_of_producers() {
    let (text, _) = lines(300);
    let file = file(&text);
    let rows = compare(file.path(), &["--naming=direct", "--producers=3", "--deliver"]);
    assert_eq!(rows.len(), 4);
    for row in rows {
        assert_eq!((&row["naming"], &row["messages"]), (&json!("direct"), &json!(301)), "{row}");
        assert_eq!(row["taken"][0]["messages"], 301);
    }
    let rows = compare(file.path(), &["--mechanism=shm", "--naming=mailbox", "--naming=channel"]);
    let namings: Vec<&Value> = rows.iter().map(|row| &row["naming"]).collect();
    assert_eq!(namings, ["channel", "mailbox"]);
    // A link has one receiver.
    let rows = compare(file.path(), &["--mechanism=pipe", "--consumers=2"]);
    let namings: Vec<&Value> = rows.iter().map(|row| &row["naming"]).collect();
    assert_eq!(namings, ["channel", "mailbox"]);
}

#[test]
fn no_domain_is_left_behind() {
    let directory = tempfile::tempdir().unwrap();
    let file = file(&lines(50).0);
    let arguments = ["--mechanism=shm", file.path().to_str().unwrap()];
    started(&arguments, &[("TMPDIR", directory.path())]).finish();
    assert_eq!(directory.path().read_dir().unwrap().count(), 0);
}

#[test]
fn receipts_say_who_took_how_many() {
    let file = file(&lines(300).0);
    let capacities = ["--deliver", "--consumers=3", "--capacity=0", "--capacity=8"];
    for row in compare(file.path(), &capacities) {
        let taken = row["taken"].as_array().unwrap();
        let numbers: Vec<u64> =
            taken.iter().map(|taker| taker["consumer"].as_u64().unwrap()).collect();
        assert_eq!(numbers, [0, 1, 2]);
        let pids: BTreeSet<u64> =
            taken.iter().map(|taker| taker["pid"].as_u64().unwrap()).collect();
        assert_eq!(pids.len(), 3);
        let all: u64 = taken.iter().map(|taker| taker["messages"].as_u64().unwrap()).sum();
        assert_eq!(all, 301, "{row}");
    }
}

#[test]
fn a_file_is_cut_as_asked() {
    let text = vec![b'\n'; 100_001];
    let file = file(&text);
    for (records, messages) in [("whole", 1), ("bytes:10", 10_001), ("bytes:65536", 2)] {
        let cut = format!("--records={records}");
        for row in compare(file.path(), &[&cut, "--capacity=3"]) {
            assert_eq!((&row["messages"], &row["bytes"]), (&json!(messages), &json!(100_001)));
        }
    }
}

#[test]
fn more_producers_than_records_and_a_file_sent_many_times() {
    let file = file(b"a\n\r\n");
    for row in compare(file.path(), &["--producers=5", "--consumers=2", "--repeat=7"]) {
        assert_eq!((&row["messages"], &row["bytes"]), (&json!(14), &json!(14)));
    }
}

#[test]
fn an_empty_file_is_no_message_and_verified() {
    let file = file(b"");
    for cut in ["lines", "whole", "bytes:3"] {
        let rows = compare(file.path(), &[&format!("--records={cut}")]);
        assert_eq!(rows.len(), ROWS);
        for row in rows {
            assert_eq!((&row["messages"], &row["p50_ns"]), (&json!(0), &json!(0)));
        }
    }
}

#[test]
fn standard_input_is_read_once_and_sent_every_time() {
    let (text, bytes) = lines(300);
    let mut run = with(["--json", "-"], Stdio::piped(), Stdio::piped());
    let mut input = run.input();
    input.write_all(&text).unwrap();
    drop(input);
    let rows = good_rows(&run.finish());
    assert_eq!(rows.len(), ROWS);
    for row in rows {
        assert_eq!((&row["messages"], &row["bytes"]), (&json!(301), &json!(bytes)));
    }
}

#[test]
fn the_table_is_for_people() {
    let file = file(&lines(100).0);
    let ended = start([file.path()]).finish();
    assert_eq!((ended.code(), ended.err()), (Some(0), String::new()));
    let table = ended.out();
    for word in ["mechanism", "P×M", "p99 µs", "pipe", "mqueue", "buffer", "1×1", "yes"] {
        assert!(table.contains(word), "{table}");
    }
}
