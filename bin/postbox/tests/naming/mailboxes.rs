//! Records through a mailbox.

use super::scene::{Scene, in_order, lines, split};
use serde_json::json;

#[test]
fn one_producer_and_three_consumers_lose_and_double_nothing() {
    for mechanism in ["pipe", "socket", "mqueue", "shm"] {
        let scene = Scene::new();
        let create = format!("mailbox create jobs --receivers members --mechanism {mechanism}");
        scene.postbox(&create).good();
        let consumers = [(); 3].map(|()| scene.consumer("--mailbox jobs --until-drained --json"));
        scene.await_ends("jobs", "receivers", 3);
        let text = lines(5000);
        let sent = scene.producer("--mailbox jobs --json", &text[..]).finish();
        assert_eq!(sent.code(), Some(0), "{sent:?}");
        assert_eq!(sent.statistics()["records"], json!(5000));
        let all = split(&text);
        let ended = consumers.map(|consumer| consumer.finish());
        let mut received = Vec::new();
        for consumer in &ended {
            assert_eq!(consumer.code(), Some(0), "{consumer:?}");
            let took = consumer.lines();
            assert_eq!(consumer.statistics()["records"], json!(took.len()));
            assert!(in_order(&took, &all));
            received.extend(took);
        }
        let mut expected = all.clone();
        expected.sort_unstable();
        received.sort_unstable();
        assert!(received == expected, "{} of {}", received.len(), expected.len());
        scene.postbox("mailbox destroy jobs").good();
        scene.finish();
    }
}

#[test]
fn a_consumer_that_comes_late_finds_what_is_left_and_ends() {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs --receivers members --capacity unbounded").good();
    scene.producer("--mailbox jobs --as early --quiet", "first\n\nlast").good();
    assert_eq!(scene.ask("mailbox inspect jobs")["queued"], 3);
    let taken = scene.consumer("--mailbox jobs --until-drained --json").finish();
    assert_eq!((taken.code(), &taken.out[..]), (Some(0), &b"first\n\nlast\n"[..]), "{taken:?}");
    // Its sender has gone, and is known all the same.
    assert_eq!(taken.statistics()["from"][0]["name"], "early");
    // Senders have been there, none is now, and nothing is left.
    assert_eq!(scene.consumer("--mailbox jobs --until-drained --quiet").good(), "");
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn a_receipt_names_who_took_the_record() {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs --receivers members --capacity 0").good();
    let consumers = ["one", "two"]
        .map(|name| scene.consumer(&format!("--mailbox jobs --as {name} --until-drained --json")));
    scene.await_ends("jobs", "receivers", 2);
    let sent = scene.producer("--mailbox jobs --deliver --json", lines(300)).finish();
    assert_eq!(sent.code(), Some(0), "{sent:?}");
    let taken = sent.statistics()["taken"].clone();
    for (name, consumer) in ["one", "two"].into_iter().zip(consumers) {
        let pid = consumer.pid();
        let took = consumer.finish().statistics()["records"].clone();
        let receipts = taken.as_array().unwrap().iter().find(|taker| taker["pid"] == pid);
        let receipts = receipts.map_or(json!(0), |taker| {
            assert_eq!(taker["name"], name);
            taker["records"].clone()
        });
        assert_eq!(receipts, took, "{taken}");
    }
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn records_keep_their_framing() {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs --receivers members").good();
    let prefixed = b"\x03\0\0\0a\nb\0\0\0\0\x01\0\0\0c".to_vec();
    scene.producer("--mailbox jobs --framing prefixed --quiet", prefixed.clone()).good();
    let ended = scene.consumer("--mailbox jobs --framing prefixed --until-drained").finish();
    assert_eq!(ended.out, prefixed);
    scene.producer("--mailbox jobs --framing bytes:3 --quiet", "abcdefgh").good();
    assert_eq!(scene.consumer("--mailbox jobs --count 3 --quiet").good(), "abc\ndef\ngh\n");
    scene.producer("--mailbox jobs --framing bytes:3 --quiet", "abcdefgh").good();
    let pieces = scene.consumer("--mailbox jobs --framing bytes:3 --until-drained --quiet");
    assert_eq!(pieces.good(), "abcdefgh");
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn a_mailbox_that_is_not_there_is_waited_for_if_there_is_a_timeout() {
    let scene = Scene::new();
    let said = scene.producer("--mailbox jobs", "record").refused(3);
    assert!(said.starts_with("producer: ") && said.contains("'jobs'"), "{said}");
    scene.consumer("--mailbox jobs --timeout 0.05").refused(3);
    let consumer = scene.consumer("--mailbox jobs --count 1 --timeout 50 --as early --quiet");
    scene.await_process("early");
    scene.postbox("mailbox create jobs --receivers members").good();
    scene.producer("--mailbox jobs --quiet", "record").good();
    assert_eq!(consumer.good(), "record\n");
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn what_is_destroyed_ends_those_who_wait_for_it() {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs --receivers members").good();
    let consumer = scene.consumer("--mailbox jobs --quiet");
    scene.await_ends("jobs", "receivers", 1);
    scene.postbox("mailbox destroy jobs").good();
    assert!(consumer.refused(1).contains("mailbox 'jobs'"));
    scene.finish();
}
