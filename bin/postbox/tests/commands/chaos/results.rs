//! What comes of it.

use super::support::{good_rows, start};
use serde_json::Value;

/// Few processes, for a short while, with many blows.
const SHORT: [&str; 5] = ["--producers=2", "--consumers=2", "--kills=20", "--stops=5", "--json"];

fn number(row: &Value, name: &str) -> u64 {
    row[name].as_u64().unwrap_or_else(|| panic!("no number '{name}' in {row}"))
}

/// Every naming over one mechanism keeps the contract, and was tried in earnest.
fn is_kept_over(mechanism: &str) {
    let mechanism = ["--mechanism", mechanism];
    let sizes = ["--seconds=2.5", "--capacity=0", "--capacity=3"];
    let rows = good_rows(&start(&[&SHORT[..], &mechanism, &sizes].concat()).finish());
    let namings: Vec<&str> = rows.iter().map(|row| row["naming"].as_str().unwrap()).collect();
    assert_eq!(namings, ["channel", "pair", "direct", "mailbox", "keeper"]);
    for row in &rows {
        assert_eq!(row["mechanism"], mechanism[1]);
        assert_eq!(row["capacities"], serde_json::json!(["0", "3"]));
        let pair = row["naming"] == "pair";
        let each = if pair { 1 } else { 2 };
        assert!((number(row, "producers"), number(row, "consumers")) == (each, each));
        // Of pairs that are killed as often as that, few come to it.
        assert!(pair || number(row, "clones") == 0, "{row}");
        assert!(number(row, "messages") > 0 && number(row, "kills") > 0, "{row}");
        let (sent, delivered) = (number(row, "sent"), number(row, "delivered"));
        assert!(0 < delivered && delivered < sent && number(row, "refused") > 0, "{row}");
        let (losses, lost) = (number(row, "losses"), row["lost"].as_array().unwrap());
        assert_eq!(lost.len() as u64, losses);
        for loss in lost {
            assert!(loss["receiver_name"].as_str().unwrap().starts_with("consumer-"), "{loss}");
            assert!(loss["sender_name"].as_str().unwrap().starts_with("producer-"), "{loss}");
            assert!(number(loss, "receiver_pid") > 1);
        }
        let wait = row["longest_wait_ms"].as_f64().unwrap();
        assert!(wait > 0.0 && wait <= 200.0 && row["longest_wait"].is_string(), "{row}");
        assert!((row["seconds"].as_f64().unwrap() - 0.5).abs() < 1e-6, "{row}");
        assert_eq!(row["repairs"].is_null(), pair || row["naming"] == "direct");
        assert!(row.get("account").is_none() && row.get("rule").is_none());
    }
}

#[test]
fn pairs_clone_their_ends_in_the_middle_and_are_killed() {
    let what = ["--naming=pair", "--capacity=3", "--seconds=2", "--kills=5", "--json"];
    let rows = good_rows(&start(&what).finish());
    assert_eq!(rows.len(), 4, "one for each mechanism");
    for row in &rows {
        let messages = number(row, "messages");
        assert!(number(row, "clones") > 0 && number(row, "kills") > 0 && messages > 0, "{row}");
    }
}

#[test]
fn the_contract_is_kept_over_pipes() {
    is_kept_over("pipe");
}

#[test]
fn the_contract_is_kept_over_sockets() {
    is_kept_over("socket");
}

#[test]
fn the_contract_is_kept_over_message_queues() {
    is_kept_over("mqueue");
}

#[test]
fn the_contract_is_kept_over_shared_memory() {
    is_kept_over("shm");
}

#[test]
fn the_same_seed_strikes_as_often_and_is_told() {
    let run = |seed: &str| {
        let what = ["--mechanism=pipe", "--naming=channel", "--capacity=1", "--seconds=1"];
        let ended = start(&[&SHORT[..], &what, &["--seed", seed]].concat()).finish();
        assert_eq!(ended.err(), format!("postbox: chaos with seed {seed}\n"));
        let row = good_rows(&ended).remove(0);
        assert_eq!(row["seed"].to_string(), seed);
        (number(&row, "kills"), number(&row, "stops"))
    };
    assert_eq!(run("11"), run("11"));
}

#[test]
fn every_pass_adds_to_the_same_rows() {
    let what = ["--mechanism=shm", "--naming=channel", "--capacity=2", "--seconds=0.2"];
    let rows = good_rows(&start(&[&SHORT[..], &what, &["--passes=3"]].concat()).finish());
    assert_eq!(rows.len(), 1);
    assert!((rows[0]["seconds"].as_f64().unwrap() - 0.6).abs() < 1e-6, "{rows:?}");
    assert_eq!(rows[0]["capacities"], serde_json::json!(["2"]));
}

#[test]
fn the_table_has_a_row_for_each_and_a_verdict() {
    let what = ["--mechanism=shm", "--naming=channel", "--naming=mailbox", "--capacity=4"];
    let ended = start(&[&what[..], &["--seconds=0.4", "--producers=1"]].concat()).finish();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let table = ended.out();
    let verdicts = table.lines().filter(|line| line.contains("kept")).count();
    assert_eq!(verdicts, 2, "{table}");
    assert!(table.contains("longest wait") && table.contains("mailbox"), "{table}");
}
