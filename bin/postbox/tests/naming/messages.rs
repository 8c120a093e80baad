//! `postbox send` and `receive`: the textbook's operations, one at a time.

use super::scene::Scene;
use serde_json::{Value, json};
use std::io::Write;
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
