//! Something is used up, or was asked for beyond what there is: what can be measured is, and what
//! cannot is named with the limit, its value and what to do about it.

use crate::run::{Ended, Run, limited};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A quick run of one round under those limits.
fn bench(limits: &str, arguments: &[&str]) -> Ended {
    let usual = ["bench", "--quick", "--rounds=1", "--json"];
    Run::of(limited(limits).args(usual).args(arguments)).finish()
}

/// Why there is no figure, or none of the reference; none if all is there.
fn error(row: &Value) -> Option<&str> {
    row["error"].as_str()
}

#[test]
fn a_reference_is_as_deep_as_it_can_be() {
    for capacity in ["--capacity=257", "--capacity=1048576"] {
        let arguments = ["--metric=throughput", "--payload=64", "--mechanism=pipe", capacity];
        let ended = bench("true", &arguments);
        assert_eq!((ended.code(), ended.err()), (Some(0), String::new()), "{ended:?}");
        let rows = ended.rows();
        assert!(rows[0]["reference"].as_str().unwrap().contains(", holds "), "{rows:?}");
        assert!(rows[0]["ratio"].as_f64().unwrap() > 0.0, "{rows:?}");
    }
}

#[test]
fn a_mechanism_that_cannot_be_made_leaves_the_others() {
    let ended = bench("ulimit -q 0", &["--metric=latency", "--payload=64"]);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    for row in ended.rows() {
        let refused = row["mechanism"] == "mqueue";
        assert_eq!((refused, !refused), (error(&row).is_some(), row["value"].is_number()), "{row}");
    }
    let said = ended.err();
    assert_eq!(said.lines().count(), 1, "{said}");
    for words in ["postbox mqueue", "mq_open", "RLIMIT_MSGQUEUE is 0 bytes", "ulimit -q"] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_reference_without_memory_leaves_ours() {
    if std::thread::available_parallelism().unwrap().get() < 2 {
        return; // There are no rings on one core.
    }
    let arguments = ["--metric=latency", "--payload=16M", "--mechanism=shm", "--capacity=1048576"];
    let ended = bench("true", &arguments);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let rows = ended.rows();
    let [without] = rows.iter().filter(|row| error(row).is_some()).collect::<Vec<_>>()[..] else {
        panic!("{rows:?}")
    };
    assert!(without["value"].is_number() && without["reference_value"].is_null(), "{without}");
    let said = error(without).unwrap();
    assert!(said.contains("copying ring") && said.contains("--capacity"), "{said}");
}

#[test]
fn a_low_file_size_limit_is_named() {
    let ended = bench("ulimit -f 0", &["--payload=64"]);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let rows = ended.rows();
    for mechanism in ["pipe", "socket", "mqueue", "shm"] {
        assert!(rows.iter().any(|row| row["mechanism"] == mechanism), "{rows:?}");
    }
    for row in &rows {
        let said = error(row).unwrap();
        assert!(said.contains("RLIMIT_FSIZE is 0 bytes") && said.contains("ulimit -f"), "{said}");
    }
}

#[test]
fn a_low_limit_on_memory_is_named() {
    let ended = bench("ulimit -v 170000", &["--payload=16M", "--mechanism=shm"]);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    for metric in ["latency", "throughput"] {
        let rows = ended.rows();
        let row = rows.iter().find(|row| row["metric"] == metric && row["mechanism"] == "shm");
        let said = error(row.unwrap()).unwrap();
        assert!(
            said.contains("RLIMIT_AS is 174080000 bytes") && said.contains("ulimit -v"),
            "{said}"
        );
    }
}

#[test]
fn a_process_that_has_no_memory_for_a_message_says_so() {
    let ended = bench("ulimit -v 60000", &["--payload=16M", "--mechanism=shm"]);
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let said = ended.err();
    assert!(said.lines().all(|line| line.contains("RLIMIT_AS is 61440000 bytes")), "{said}");
    assert!(said.contains("ulimit -v"), "{said}");
}

#[test]
fn a_process_that_dies_as_for_want_of_memory_is_told_with_the_limit() {
    // A limit that stops nobody: what a process dies of when it cannot have memory is sent to it instead.
    let mut command = limited("ulimit -v 100000000");
    let run = Run::of(command.args(["exchange", "pipe", "ours", "ping-pong", "1000000000"]));
    let children = run.await_children("two processes", |children| children.len() == 2);
    kill(Pid::from_raw(*children.first().unwrap()), Signal::SIGABRT).unwrap();
    let ended = run.finish();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let said = ended.err();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("SIGABRT") && said.contains("RLIMIT_AS is 102400000000 bytes"), "{said}");
}
