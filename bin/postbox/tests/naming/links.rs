//! Records directly from process to process.

use super::scene::{Scene, lines, split};
use serde_json::json;
use std::io::Write;
use std::process::Stdio;

#[test]
fn a_producer_sends_to_a_consumer_by_its_name() {
    for mechanism in ["pipe", "socket", "mqueue", "shm"] {
        let scene = Scene::new();
        let consumer = scene.consumer("--as sink --from source --json");
        scene.await_process("sink");
        let text = lines(3000);
        let words = format!("--to sink --as source --mechanism {mechanism} --capacity 5 --json");
        let sent = scene.producer(&words, &text[..]).finish();
        assert_eq!(sent.code(), Some(0), "{sent:?}");
        // The consumer ends because the one that it names is gone.
        let received = consumer.finish();
        assert_eq!(received.code(), Some(0), "{received:?}");
        assert!(received.lines() == split(&text));
        let from = &received.statistics()["from"][0];
        assert_eq!((&from["name"], &from["records"]), (&json!("source"), &json!(3000)));
        scene.finish();
    }
}

#[test]
fn a_consumer_takes_from_anyone_and_says_who_it_was() {
    let scene = Scene::new();
    let consumer = scene.consumer("--as sink --count 400 --json");
    scene.await_process("sink");
    let producers = ["a", "b", "c", "d"]
        .map(|name| scene.producer(&format!("--to sink --as {name} --deliver --json"), lines(100)));
    for producer in producers {
        let ended = producer.finish();
        assert_eq!(ended.code(), Some(0), "{ended:?}");
        assert_eq!(ended.statistics()["taken"][0]["name"], "sink");
    }
    let received = consumer.finish();
    assert_eq!((received.code(), received.lines().len()), (Some(0), 400));
    let statistics = received.statistics();
    let from = statistics["from"].as_array().unwrap();
    let mut names: Vec<&str> = from.iter().map(|share| share["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    assert_eq!(names, ["a", "b", "c", "d"]);
    assert!(from.iter().all(|share| share["records"] == 100), "{from:?}");
    scene.finish();
}

#[test]
fn from_anyone_until_drained_ends_when_the_last_has_gone() {
    let scene = Scene::new();
    let consumer = scene.consumer("--as sink --until-drained --quiet");
    scene.await_process("sink");
    let text = lines(500);
    scene.producer("--to sink --quiet", &text[..]).good();
    assert!(split(consumer.good().strip_suffix('\n').unwrap().as_bytes()) == split(&text));
    scene.finish();
}

#[test]
fn links_are_listed_with_what_went_through_them() {
    let scene = Scene::new();
    assert_eq!(scene.ask("links"), json!([]));
    scene.postbox("links sink").refused(3);
    let consumer = scene.consumer("--as sink --count 4 --quiet");
    scene.await_process("sink");
    let words = "--to sink --as source --mechanism socket --capacity 7 --deliver --quiet";
    let mut producer = scene.start("producer", words, Stdio::piped(), Stdio::piped());
    let mut input = producer.input();
    input.write_all(b"one\ntwo\nthree\n").unwrap();
    scene.until("three were sent", |scene| scene.ask("links sink")[0]["incoming"]["sent"] == 3);
    let links = scene.ask("links");
    assert_eq!(links.as_array().unwrap().len(), 1, "{links}");
    let link = &links[0];
    assert_eq!((&link["process"], &link["partner"]), (&json!("sink"), &json!("source")));
    assert_eq!(link["partner_pid"], producer.pid());
    assert_eq!((&link["mechanism"], &link["capacity"]), (&json!("socket"), &json!("7")));
    assert_eq!(link["incoming"]["bytes"], 11);
    let table = scene.postbox("links source").good();
    assert!(table.contains("sink") && table.contains("socket"), "{table}");
    input.write_all(b"four\n").unwrap();
    drop(input);
    producer.good();
    consumer.good();
    scene.finish();
}

#[test]
fn a_partner_that_is_not_there_is_waited_for_if_there_is_a_timeout() {
    let scene = Scene::new();
    let said = scene.producer("--to nobody", "record").refused(3);
    assert!(said.contains("'nobody'"), "{said}");
    scene.producer("--to nobody --timeout 0.05", "record").refused(3);
    scene.consumer("--from nobody --timeout 0.05 --quiet").refused(3);
    let producer = scene.producer("--to late --as early --timeout 50 --quiet", "record");
    scene.await_process("early");
    assert_eq!(scene.consumer("--as late --count 1 --quiet").good(), "record\n");
    producer.good();
    scene.finish();
}

#[test]
fn a_name_belongs_to_one_process_at_a_time() {
    let scene = Scene::new();
    let first = scene.consumer("--as sink --quiet");
    scene.await_process("sink");
    let said = scene.consumer("--as sink --quiet").refused(1);
    assert!(said.contains("'sink'") && said.contains(&first.pid().to_string()), "{said}");
    first.signal(nix::sys::signal::Signal::SIGKILL);
    first.finish();
    // At once, and by a process that knows nothing of the first.
    let second = scene.consumer("--as sink --count 1 --quiet");
    scene.await_process("sink");
    scene.producer("--to sink --quiet", "record").good();
    assert_eq!(second.good(), "record\n");
    scene.finish();
}
