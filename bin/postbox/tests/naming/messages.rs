//! `postbox send` and `receive`: the textbook's operations, one at a time.

use super::scene::Scene;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::io::{Seek, Write};
use std::process::Stdio;

#[test]
fn a_message_waits_in_the_mailbox_for_its_receiver() {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs --receivers members").good();
    assert_eq!(scene.postbox("send --mailbox jobs hello").good(), "");
    assert_eq!(scene.postbox("receive --mailbox jobs").good(), "hello\n");
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn nothing_to_receive_and_no_room_are_exit_code_3() {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs --receivers members --capacity 1").good();
    scene.postbox("receive --mailbox jobs --try").refused(3);
    scene.postbox("receive --mailbox jobs --timeout 0.05").refused(3);
    scene.postbox("send --mailbox jobs --try one").good();
    assert!(scene.postbox("send --mailbox jobs --try two").refused(3).contains("full"));
    scene.postbox("send --mailbox jobs --timeout 0.05 two").refused(3);
    scene.postbox("send --mailbox jobs --timeout 0.05 --deliver two").refused(3);
    let said = scene.postbox("send --mailbox jobs --try --deliver two").refused(3);
    assert!(said.contains("'jobs': nobody took it at once; nothing was sent"), "{said}");
    // What was not sent is not there.
    assert_eq!(scene.postbox("receive --mailbox jobs --try").good(), "one\n");
    scene.postbox("receive --mailbox jobs --try").refused(3);
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn a_synchronous_send_says_who_took_it_and_a_receiver_who_sent_it() {
    let scene = Scene::new();
    let receiver = scene.postbox("receive --as bob --json");
    scene.await_process("bob");
    let sender = scene.postbox("send --to bob --as alice --deliver --json hello");
    let (sender_pid, receiver_pid) = (sender.pid(), receiver.pid());
    let sent: Value = serde_json::from_str(&sender.good()).unwrap();
    assert_eq!(sent["taken"], json!({"name": "bob", "pid": receiver_pid}));
    let received: Value = serde_json::from_str(&receiver.good()).unwrap();
    assert_eq!(received["text"], "hello");
    assert_eq!(
        (&received["sender"], &received["sender_pid"]),
        (&json!("alice"), &json!(sender_pid))
    );
    assert_eq!(received["sender_uid"], nix::unistd::getuid().as_raw());
    scene.finish();
}

#[test]
fn a_message_may_come_from_standard_input_and_have_no_bytes() {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs --receivers members").good();
    for message in [&b""[..], b"two\nlines\n", b"\xff\0"] {
        let mut run = scene.start("postbox", "send --mailbox jobs", Stdio::piped(), Stdio::piped());
        run.input().write_all(message).unwrap();
        run.good();
        let received = scene.postbox("receive --mailbox jobs --framing whole").finish();
        assert_eq!((received.code(), &received.out[..]), (Some(0), message));
    }
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

#[test]
fn who_or_what_was_waited_for_in_vain_is_named() {
    let scene = Scene::new();
    let said = |program: &str, words: &str| {
        scene.start(program, words, Stdio::null(), Stdio::piped()).refused(3)
    };
    for (program, words) in [
        ("postbox", "send --mailbox none --timeout 0.05 hi"),
        ("postbox", "receive --mailbox none --timeout 0.05"),
        ("producer", "--mailbox none --timeout 0.05"),
        ("consumer", "--mailbox none --timeout 0.05"),
    ] {
        let absent = "timed out: there is no mailbox 'none' in domain 'default'\n";
        assert_eq!(said(program, words), format!("{program}: {absent}"));
    }
    for (program, words) in [
        ("postbox", "send --to x --timeout 0.05 hi"),
        ("postbox", "send --to x --timeout 0.05 --capacity 1 hi"),
        ("producer", "--to x --timeout 0.05"),
        ("postbox", "receive --from x --timeout 0.05"),
        ("consumer", "--from x --timeout 0.05"),
    ] {
        let absent = "timed out: no process is called 'x' in domain 'default'\n";
        assert_eq!(said(program, words), format!("{program}: {absent}"));
    }
    let now = said("postbox", "receive --as a --from x --try");
    assert_eq!(now, "postbox: no process is called 'x' in domain 'default'\n");
    scene.finish();
}

#[test]
fn who_is_there_and_sends_or_answers_nothing_is_not_said_to_be_absent() {
    let scene = Scene::new();
    let x = scene.consumer("--as x --quiet");
    scene.await_process("x");
    let silent = scene.postbox("receive --from x --timeout 0.05").refused(3);
    assert!(silent.contains("timed out: process 'x' of domain 'default' has sent"), "{silent}");
    let silent = scene.postbox("receive --from x --try").refused(3);
    assert_eq!(silent, "postbox: process 'x' of domain 'default' has sent nothing\n");
    x.signal(Signal::SIGSTOP);
    for name in ["a", "z"] {
        let send = format!("send --to x --as {name} --timeout 0.2 hi");
        let stopped = scene.postbox(&send).refused(3);
        assert!(stopped.contains("'x' is in domain 'default', but does not answer"), "{stopped}");
    }
    let stopped = scene.postbox("links x").refused(3);
    assert!(stopped.contains("process 'x' did not answer"), "{stopped}");
    x.signal(Signal::SIGCONT);
    x.signal(Signal::SIGTERM);
    x.finish();
    scene.finish();
}

#[test]
fn who_does_not_wait_does_not_wait_for_a_stopped_process_either() {
    let scene = Scene::new();
    let x = scene.consumer("--as x --quiet");
    scene.await_process("x");
    x.signal(Signal::SIGSTOP);
    // One makes the link, the other asks for it.
    for name in ["a", "z"] {
        for words in ["", "--deliver", "--capacity 1"] {
            let send = format!("send --to x --as {name} --try {words} hi");
            let said = scene.postbox(&send).refused(3);
            let why = "process 'x' is in domain 'default', but does not answer; if it was stopped";
            assert!(said.starts_with(&format!("postbox: {why}")), "{words}: {said}");
        }
    }
    let absent = scene.postbox("send --to y --try hi").refused(3);
    assert!(absent.contains("no process is called 'y' in domain 'default' now"), "{absent}");
    x.signal(Signal::SIGCONT);
    x.signal(Signal::SIGTERM);
    x.finish();
    scene.finish();
}

#[test]
fn a_partner_that_leaves_too_early_is_said_to_have_gone() {
    let scene = Scene::new();
    let bob = scene.postbox("receive --as bob --from al --count 2");
    scene.postbox("send --as al --to bob --timeout 60 one").good();
    let ended = bob.finish();
    assert_eq!((ended.code(), &ended.out[..]), (Some(3), &b"one\n"[..]), "{ended:?}");
    assert_eq!(ended.err, "postbox: process 'al' has gone after 1 of 2 messages\n");
    scene.finish();
}

#[test]
fn the_largest_message_that_was_asked_for_passes() {
    const BYTES: u64 = (256 << 20) + 1;
    let scene = Scene::new();
    let file = tempfile::tempfile().unwrap();
    file.set_len(BYTES).unwrap();
    let input = || {
        let mut file = file.try_clone().unwrap();
        file.rewind().unwrap();
        Stdio::from(file)
    };
    scene.postbox("mailbox create large --max-message 1G --receivers members").good();
    let send = "send --mailbox large --max-message 1G";
    scene.start("postbox", send, input(), Stdio::piped()).good();
    let takes = "--count 1 --framing whole --json";
    let receive = format!("--mailbox large {takes}");
    let taken = scene.start("consumer", &receive, Stdio::null(), Stdio::null()).finish();
    assert_eq!((taken.code(), &taken.statistics()["bytes"]), (Some(0), &json!(BYTES)));
    scene.postbox("mailbox destroy large").good();
    // Likewise through a link.
    let receive = format!("--as sink {takes}");
    let sink = scene.start("consumer", &receive, Stdio::null(), Stdio::null());
    let send = "--to sink --timeout 60 --max-message 257M --framing whole --quiet";
    scene.start("producer", send, input(), Stdio::piped()).good();
    let taken = sink.finish();
    assert_eq!((taken.code(), &taken.statistics()["bytes"]), (Some(0), &json!(BYTES)));
    scene.finish();
}
