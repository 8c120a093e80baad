//! Ends that come early: signals, deaths, a reader that leaves.

use super::support::{await_workers, file, lines, start, with};
use crate::run::{Run, limited, living};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Slow enough to be met on its way: every message is a rendezvous.
const SLOW: [&str; 3] = ["--capacity=0", "--producers=2", "--consumers=2"];

fn slow(path: &str) -> Run {
    start([&SLOW[..], &["--json", path]].concat())
}

/// Signals a run in its second row: it ends with `code`, and shows what it has.
fn stopped_by(signal: Signal, send: fn(&Run, Signal), code: i32) {
    let file = file(&lines(20_000).0);
    let run = slow(file.path().to_str().unwrap());
    let first = await_workers(&run, 4, &BTreeSet::new());
    await_workers(&run, 4, &first);
    send(&run, signal);
    let ended = run.finish();
    assert_eq!((ended.code(), ended.err()), (Some(code), String::new()), "{ended:?}");
    let rows = ended.rows();
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert_eq!((&rows[0]["mechanism"], &rows[0]["verified"]), (&"pipe".into(), &true.into()));
    assert_eq!((&rows[1]["error"], &rows[1]["verified"]), (&"interrupted".into(), &false.into()));
}

#[test]
fn ctrl_c_ends_it_with_130_and_a_partial_table() {
    stopped_by(Signal::SIGINT, Run::signal_all, 130);
}

#[test]
fn an_interrupt_for_the_program_alone_ends_its_workers_too() {
    stopped_by(Signal::SIGINT, Run::signal, 130);
}

#[test]
fn sigterm_ends_it_with_143() {
    stopped_by(Signal::SIGTERM, Run::signal_all, 143);
    stopped_by(Signal::SIGTERM, Run::signal, 143);
}

#[test]
fn ctrl_c_while_standard_input_is_awaited_ends_it() {
    let mut run = with(["-"], Stdio::piped(), Stdio::piped());
    // Held open: the program never sees its end.
    let input = run.input();
    // Once its second thread reads, the handlers stand.
    let tasks = format!("/proc/{}/task", run.pid());
    while std::fs::read_dir(&tasks).unwrap().count() < 3 {
        std::thread::yield_now();
    }
    run.signal_all(Signal::SIGINT);
    let ended = run.finish();
    assert_eq!((ended.code(), ended.err()), (Some(130), String::new()));
    drop(input);
}

#[test]
fn a_killed_worker_fails_its_row_and_no_other() {
    let file = file(&lines(5_000).0);
    for which in 0..4 {
        let run = slow(file.path().to_str().unwrap());
        let workers = await_workers(&run, 4, &BTreeSet::new());
        let victim = *workers.iter().nth(which).unwrap();
        kill(Pid::from_raw(victim), Signal::SIGKILL).unwrap();
        let ended = run.finish();
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        let rows = ended.rows();
        let verified: Vec<bool> =
            rows.iter().map(|row| row["verified"].as_bool().unwrap()).collect();
        assert_eq!(verified.iter().filter(|verified| !**verified).count(), 1, "{ended:?}");
        // Each mechanism as a channel and as a mailbox.
        assert_eq!((verified[0], verified.len()), (false, 8), "{ended:?}");
        let said = ended.err();
        assert!(said.contains(&victim.to_string()) && said.lines().count() == 1, "{said}");
        assert!(rows[0]["error"].as_str().unwrap().contains(&victim.to_string()));
    }
}

#[test]
fn a_worker_that_dies_as_for_want_of_memory_is_told_with_the_limit() {
    let file = file(&lines(5_000).0);
    // A limit that stops nobody: what a process dies of when it cannot have memory is sent to it instead.
    for (limit, remedy) in [
        ("100000000", "RLIMIT_AS is 102400000000 bytes of address space: raise it (ulimit -v)"),
        ("unlimited", "run it again"),
    ] {
        let mut command = limited(&format!("ulimit -v {limit}"));
        let run = Run::of(command.arg("compare").args(SLOW).arg(file.path()));
        let workers = await_workers(&run, 4, &BTreeSet::new());
        kill(Pid::from_raw(*workers.first().unwrap()), Signal::SIGABRT).unwrap();
        let said = run.finish().err();
        assert!(said.contains("signal 6") && said.contains(remedy), "{said}");
    }
}

#[test]
fn workers_do_not_outlive_a_program_that_is_killed() {
    let file = file(&lines(20_000).0);
    let run = slow(file.path().to_str().unwrap());
    await_workers(&run, 4, &BTreeSet::new());
    run.signal(Signal::SIGKILL);
    let deadline = Instant::now() + Duration::from_secs(30);
    while !living(run.pid()).is_empty() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(run.finish().code(), None);
}

#[test]
fn a_reader_that_has_left_ends_it_quietly() {
    let file = file(&lines(100).0);
    for form in ["--json", "--repeat=1"] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let arguments = [form, file.path().to_str().unwrap()];
        let ended = with(arguments, Stdio::null(), writer.into()).finish();
        assert_eq!((ended.code(), ended.err()), (Some(0), String::new()));
    }
}

#[test]
fn a_full_disk_is_an_error() {
    let file = file(b"line\n");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let ended = with([file.path()], Stdio::null(), full.into()).finish();
    assert_eq!((ended.code(), ended.err().lines().count()), (Some(1), 1));
}
