//! Ends that come early.

use super::support::start;
use crate::run::Run;
use nix::sys::signal::Signal;

/// Long enough to be met on its way.
const LONG: [&str; 2] = ["--rounds=500", "--payload=64"];

fn stopped_by(signal: Signal, send: fn(&Run, Signal), code: i32) {
    let run = start(&[&LONG[..], &["--json"]].concat());
    run.await_children("processes of a run", |children| !children.is_empty());
    send(&run, signal);
    let ended = run.finish();
    assert_eq!((ended.code(), ended.err()), (Some(code), String::new()), "{ended:?}");
    ended.rows();
}

#[test]
fn ctrl_c_ends_it_with_130_and_what_there_is() {
    stopped_by(Signal::SIGINT, Run::signal_all, 130);
    stopped_by(Signal::SIGINT, Run::signal, 130);
}

#[test]
fn sigterm_ends_it_with_143() {
    stopped_by(Signal::SIGTERM, Run::signal_all, 143);
}

#[test]
fn a_table_is_shown_although_it_was_interrupted() {
    let run = start(&LONG);
    run.await_children("processes of a run", |children| !children.is_empty());
    run.signal_all(Signal::SIGINT);
    let ended = run.finish();
    assert_eq!(ended.code(), Some(130), "{ended:?}");
    assert!(ended.out().contains("reference"), "{ended:?}");
}
