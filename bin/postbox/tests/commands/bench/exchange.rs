//! A number of messages and nothing else, as `scripts/calls.sh` has them counted.

use crate::run::{Run, postbox};

fn exchange(arguments: &[&str]) -> (Option<i32>, String, String) {
    let ended = Run::of(postbox().arg("exchange").args(arguments)).finish();
    (ended.code(), ended.out(), ended.err())
}

#[test]
fn every_exchange_ends_when_the_messages_have_arrived() {
    let done = (Some(0), String::new(), String::new());
    for mechanism in ["pipe", "socket", "mqueue", "shm"] {
        for (by, shape) in [("ours", "stream"), ("ours", "batch"), ("ours", "ping-pong")] {
            assert_eq!(exchange(&[mechanism, by, shape, "100", "--wait=block"]), done);
        }
    }
    for mechanism in ["pipe", "socket", "mqueue"] {
        for (by, shape) in [("bare", "stream"), ("bare", "ping-pong"), ("polled", "ping-pong")] {
            assert_eq!(exchange(&[mechanism, by, shape, "100", "--cores=same"]), done);
        }
    }
}

#[test]
fn a_bare_loop_knows_no_batches() {
    let (code, out, said) = exchange(&["pipe", "bare", "batch", "100"]);
    assert_eq!((code, out), (Some(2), String::new()));
    assert!(said.contains("stream") && said.lines().count() == 1, "{said}");
}
