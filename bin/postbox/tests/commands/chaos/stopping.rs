//! Ends that come early.

use super::support::{await_victims, start};
use crate::run::{Run, living};
use nix::sys::signal::Signal;
use std::time::{Duration, Instant};

/// Far longer than the test.
const LONG: [&str; 4] = ["--seconds=600", "--mechanism=pipe", "--naming=mailbox", "--json"];

fn stopped_by(signal: Signal, send: fn(&Run, Signal), code: i32) {
    let run = start(&LONG);
    await_victims(&run, 9);
    send(&run, signal);
    let ended = run.finish();
    assert_eq!((ended.code(), ended.err().lines().count()), (Some(code), 1), "{ended:?}");
    let rows = ended.rows();
    assert_eq!((rows.len(), &rows[0]["verdict"]), (1, &"interrupted".into()), "{rows:?}");
    assert!(rows[0].get("account").is_none(), "{rows:?}");
}

#[test]
fn ctrl_c_ends_it_with_130_a_partial_table_and_no_process_left() {
    stopped_by(Signal::SIGINT, Run::signal_all, 130);
    stopped_by(Signal::SIGINT, Run::signal, 130);
}

#[test]
fn sigterm_ends_it_with_143() {
    stopped_by(Signal::SIGTERM, Run::signal, 143);
    stopped_by(Signal::SIGTERM, Run::signal_all, 143);
}

#[test]
fn victims_do_not_outlive_a_ledger_that_is_killed() {
    let run = start(&LONG);
    await_victims(&run, 9);
    run.signal(Signal::SIGKILL);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !living(run.pid()).is_empty() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(run.finish().code(), None);
}

#[test]
fn a_victim_that_ends_by_itself_fails_the_run_with_an_account_and_the_command_to_repeat_it() {
    let what = ["--mechanism=shm", "--naming=channel", "--capacity=3", "--seconds=2", "--seed=5"];
    let run = start(&[&what[..], &["--kills=0", "--stops=0", "--json"]].concat());
    await_victims(&run, 8);
    let group = run.pid().as_raw();
    let victim = living(run.pid()).into_iter().find(|&pid| pid != group).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(victim), Signal::SIGKILL).unwrap();
    let ended = run.finish();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let row = ended.rows().remove(0);
    assert_eq!((&row["verdict"], &row["rule"]), (&"VIOLATED".into(), &"a call failed".into()));
    let (account, repeat) = (row["account"].as_str().unwrap(), row["repeat"].as_str().unwrap());
    assert!(account.contains(&victim.to_string()), "{account}");
    for part in ["--mechanism shm", "--naming channel", "--capacity 3", "--seed 5", "--kills 0"] {
        assert!(repeat.contains(part), "{repeat}");
    }
    let said: Vec<String> = ended.err().lines().map(str::to_owned).collect();
    assert_eq!(said[1], "postbox: shm channel: a call failed");
    assert_eq!(said[2..], [format!("postbox: {account}"), format!("postbox: {repeat}")]);
}
