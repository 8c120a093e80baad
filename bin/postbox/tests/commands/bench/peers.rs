//! Peers that are scripts: what the bench makes of their answers, and that none of them holds it up.

use super::support::start;
use crate::run::{Ended, Run};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

/// One case that takes no probes, so that nothing is repeated.
const CASE: [&str; 6] =
    ["--quick", "--json", "--mechanism=shm", "--metric=latency", "--cores=same", "--payload=64"];
/// Answers as it should, and notes who was asked.
const GOOD: &str =
    "echo $subject >>\"$0.asked\"; echo \"latency $id mean=1000 trips=900:3,1100:1\"";

/// A directory of peers.
struct Peers(TempDir);

impl Peers {
    fn new() -> Self {
        Peers(tempfile::tempdir().unwrap())
    }

    /// One that introduces itself with `hello`, and then does `answer` for every run.
    fn with(self, name: &str, hello: &str, answer: &str) -> Self {
        let script = format!(
            "#!/bin/sh\nwhile read -r word id subject metric rest; do\n\
             case $word in hello) {hello};; run) {answer};; esac\ndone\n"
        );
        // By another process: a file that this one had open for writing could not be run while a
        // test beside this one forks.
        let mut write = Command::new("sh");
        write.args(["-c", "cat >\"$1\" && chmod 755 \"$1\"", "sh"]).arg(self.0.path().join(name));
        let mut write = write.stdin(Stdio::piped()).spawn().unwrap();
        write.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
        assert!(write.wait().unwrap().success());
        self
    }

    /// With one subject, `a`.
    fn answering(self, name: &str, answer: &str) -> Self {
        let hello = format!("echo hello 1 {name} 1.0 a");
        self.with(&format!("postbox-peer-{name}"), &hello, answer)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn start(&self, more: &[&str]) -> Run {
        let peers = format!("--peers={}", self.path().display());
        start(&[&CASE[..], &[&peers], more].concat())
    }

    fn run(&self) -> Ended {
        self.start(&["--rounds=3", "--peer-patience=1"]).finish()
    }
}

/// The rows of that subject.
fn rows<'r>(rows: &'r [Value], subject: &str) -> Vec<&'r Value> {
    rows.iter().filter(|row| row["subject"] == subject).collect()
}

/// One row for it, which says why there are no figures, as does one line on standard error; and the
/// figures of ours are there.
fn is_blamed(ended: &Ended, subject: &str, reason: &str) {
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let all = ended.rows();
    let its = rows(&all, subject);
    assert_eq!(its.len(), 1, "{ended:?}");
    assert!(its[0]["error"].as_str().unwrap().contains(reason), "{reason}: {ended:?}");
    assert!(its[0]["value"].is_null() && its[0]["ratio"].is_null(), "{ended:?}");
    let said = ended.err();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains(subject)).collect();
    assert!(lines.len() == 1 && lines[0].contains(reason), "{ended:?}");
    let ours = rows(&all, "postbox shm, channel");
    assert!(ours.len() == 1 && ours[0]["value"].as_f64() > Some(0.0), "{ended:?}");
}

#[test]
fn its_subjects_take_turns_and_have_rows_with_the_ratio_to_ours() {
    let peers = Peers::new().with("postbox-peer-x", "echo hello 1 fake 1.0 a b", GOOD);
    let ended = peers.run();
    assert_eq!((ended.code(), ended.err()), (Some(0), String::new()), "{ended:?}");
    let all = ended.rows();
    for subject in ["fake 1.0, a", "fake 1.0, b"] {
        let [row] = rows(&all, subject)[..] else { panic!("{ended:?}") };
        assert_eq!(row["value"], 1000.0, "{row}");
        assert_eq!((&row["p50"], &row["p99"]), (&900.into(), &1100.into()), "{row}");
        assert_eq!((&row["mechanism"], &row["rounds"]), (&"peer".into(), &3.into()), "{row}");
        assert_eq!(row["reference"], "postbox shm, channel", "{row}");
        let [ours, ratio] = ["reference_value", "ratio"].map(|key| row[key].as_f64().unwrap());
        assert!(ours > 0.0 && (ratio * 1000.0 / ours - 1.0).abs() < 1e-9, "{row}");
    }
    let asked = fs::read_to_string(peers.path().join("postbox-peer-x.asked")).unwrap();
    assert_eq!(asked.split_whitespace().collect::<String>(), "ababab");
}

#[test]
fn a_program_by_another_name_is_run_when_it_is_named_itself() {
    let peers = Peers::new().with("mine", "echo hello 1 fake 1.0 a", GOOD);
    let path = format!("--peers={}", peers.path().join("mine").display());
    let ended = start(&[&CASE[..], &[&path, "--rounds=1"]].concat()).finish();
    assert_eq!((ended.code(), rows(&ended.rows(), "fake 1.0, a").len()), (Some(0), 1), "{ended:?}");
}

#[test]
fn it_is_asked_for_the_same_payload_depth_and_cores() {
    let peers = Peers::new().answering("x", "echo $metric $rest >\"$0.rest\"; echo refused $id no");
    peers.run();
    let rest = fs::read_to_string(peers.path().join("postbox-peer-x.rest")).unwrap();
    let said: Vec<&str> = rest.split_whitespace().collect();
    assert_eq!(said[..3], ["latency", "payload=64", "depth=256"], "{rest}");
    let [near, far] = [said[3], said[4]].map(|word| word.split_once('=').unwrap());
    assert!(near.0 == "near" && far.0 == "far" && near.1 == far.1, "{rest}");
    assert_eq!(said[5..], ["nanoseconds=30000000"], "{rest}");
}

#[test]
fn what_it_refuses_is_noted_and_no_failure() {
    let peers = Peers::new().answering("x", "echo refused $id one core is not enough");
    let ended = peers.run();
    assert_eq!((ended.code(), ended.err()), (Some(0), String::new()), "{ended:?}");
    let all = ended.rows();
    let [row] = rows(&all, "x 1.0, a")[..] else { panic!("{ended:?}") };
    assert!(row["value"].is_null() && row["error"].is_null(), "{row}");
    assert_eq!(row["note"], "x 1.0, a latency 64 is refused: one core is not enough");
}

#[test]
fn one_that_fails_or_dies_is_told_by_name_and_the_others_go_on() {
    let peers = Peers::new()
        .answering("dies", "exit 7")
        .answering("fails", "echo failed $id no memory")
        .answering("good", GOOD)
        .answering("killed", "kill -9 $$");
    let ended = peers.run();
    is_blamed(&ended, "dies 1.0, a", "postbox-peer-dies: it ended with exit code 7");
    is_blamed(&ended, "fails 1.0, a", "no memory");
    is_blamed(&ended, "killed 1.0, a", "postbox-peer-killed: it was ended by SIGKILL");
    assert_eq!(rows(&ended.rows(), "good 1.0, a")[0]["value"], 1000.0);
}

#[test]
fn one_that_hangs_is_ended_with_all_that_it_started() {
    let ended = Peers::new().answering("hangs", "sleep 1000 & sleep 1000").run();
    is_blamed(&ended, "hangs 1.0, a", "postbox-peer-hangs: no answer within 1 s");
}

#[test]
fn nonsense_is_told_and_never_believed() {
    for (answer, reason) in [
        ("echo I am fast", "it answers 'I am fast'"),
        ("echo latency 99 mean=1 trips=1:1", "to request 1"),
        ("echo latency $id mean=0 trips=1:1", "a mean of 0 ns"),
        ("echo latency $id mean=nan trips=1:1", "a mean of NaN ns"),
        ("echo latency $id mean=1 trips=1:18446744073709551615", "are impossible"),
        ("echo latency $id mean=1 trips=", "no TIME:COUNT"),
        ("echo throughput $id first=1 last=2 count=3", "it answers 'throughput"),
        ("printf \"refused $id a\\nrefused $id b\\n\"", "more than was asked"),
        ("yes | tr -d '\\n'", "more than 262144 bytes"),
        ("printf '\\377\\n'", "no UTF-8"),
        ("exec >&-; sleep 1000", "it closed its input or output"),
    ] {
        is_blamed(&Peers::new().answering("liar", answer).run(), "liar 1.0, a", reason);
    }
}

#[test]
fn after_the_second_time_it_is_left_out() {
    let peers = Peers::new().answering("dies", "echo $metric >>\"$0.asked\"; exit 7");
    let ended = peers.start(&["--rounds=1", "--payload=8,512"]).finish();
    let all = ended.rows();
    // The payloads of the case, and those two.
    let errors: Vec<_> = rows(&all, "dies 1.0, a").iter().map(|row| row["error"].clone()).collect();
    assert_eq!(errors.len(), 2, "{ended:?}");
    assert!(errors[1].as_str().unwrap().ends_with("it is left out from here on"), "{ended:?}");
    assert_eq!(rows(&all, "postbox shm, channel").len(), 3, "{ended:?}");
    let asked = fs::read_to_string(peers.path().join("postbox-peer-dies.asked")).unwrap();
    assert_eq!(asked.lines().count(), 2);
}

#[test]
fn one_that_does_not_introduce_itself_is_left_out() {
    for (hello, reason) in [
        ("exit 3", "it ended with exit code 3"),
        ("sleep 1000", "no answer within 1 s"),
        ("echo hello 2 new 1.0 a", "version 2"),
        ("echo bonjour", "instead of 'hello'"),
    ] {
        let peers = Peers::new().with("postbox-peer-odd", hello, "exit 9");
        is_blamed(&peers.run(), "postbox-peer-odd", reason);
    }
}

#[test]
fn a_signal_ends_the_bench_while_a_peer_hangs() {
    let peers = Peers::new().answering("hangs", "echo >\"$0.here\"; sleep 1000");
    let run = peers.start(&["--rounds=1", "--peer-patience=600"]);
    run.await_file(&peers.path().join("postbox-peer-hangs.here"));
    run.signal(Signal::SIGINT);
    let ended = run.finish();
    assert_eq!((ended.code(), ended.err()), (Some(130), String::new()), "{ended:?}");
}

#[test]
fn where_there_is_no_peer_it_says_so() {
    let empty = Peers::new();
    fs::write(empty.path().join("postbox-peer-notes.txt"), "not a program").unwrap();
    let said = |path: &Path| {
        let ended = start(&[&CASE[..], &["--peers", path.to_str().unwrap()]].concat()).finish();
        assert_eq!((ended.code(), ended.out()), (Some(2), String::new()), "{ended:?}");
        ended.err()
    };
    assert!(said(empty.path()).contains("scripts/peers.sh"));
    assert!(said(&empty.path().join("postbox-peer-notes.txt")).contains("no program"));
    assert!(said(&empty.path().join("nowhere")).contains("No such file"));
}

/// A run of the targets in the shared memory of 64 bytes, where there are two cores.
fn beside_targets(peers: &Peers) -> Option<Ended> {
    let two = std::thread::available_parallelism().unwrap().get() >= 2;
    let path = format!("--peers={}", peers.path().display());
    let only = "--only=peers/shm-latency-64";
    two.then(|| start(&["--targets", "--quick", "--rounds=2", "--json", only, &path]).finish())
}

#[test]
fn beside_the_targets_each_has_a_verdict_and_who_refuses_is_not_measured() {
    let peers = Peers::new()
        .with("postbox-peer-x", "echo hello 1 iceoryx2 0.10 copied", GOOD)
        .answering("y", "echo refused $id it cannot");
    let Some(ended) = beside_targets(&peers) else { return };
    assert_eq!((ended.code(), ended.err()), (Some(0), String::new()), "{ended:?}");
    let all = ended.rows();
    let against = |name: &str| all.iter().find(|row| row["reference"] == name).unwrap();
    let row = against("iceoryx2 0.10, copied");
    assert_eq!((&row["target"], &row["reference_value"]), (&"≤ 0.25".into(), &1000.0.into()));
    assert!(row["ratio"].as_f64() > Some(0.0) && row["met"] != "not measured", "{row}");
    let row = against("y 1.0, a");
    assert_eq!((&row["met"], &row["ratio"]), (&"not measured".into(), &Value::Null), "{row}");
    assert!(row["note"].as_str().unwrap().contains("it cannot"), "{row}");
}

#[test]
fn beside_the_targets_a_stranger_is_told_and_holds_nobody_up() {
    let peers = Peers::new()
        .with("postbox-peer-x", "echo hello 1 iceoryx2 0.10 copied", GOOD)
        .with("postbox-peer-z", "echo who are you", "true");
    let Some(ended) = beside_targets(&peers) else { return };
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    assert!(ended.err().contains("postbox-peer-z"), "{ended:?}");
    assert!(ended.rows().iter().any(|row| row["reference"] == "iceoryx2 0.10, copied"));
}
