//! Clocks that are set: no wait goes by one that can be. Nobody's clock is touched here: the calls of a
//! process are looked at, and another one runs where the monotonic clock shows another time.

use postbox::Mechanism;
use postbox_tests::Outcome;
use std::process::Command;

/// The case that waits in every way.
pub fn waiting_in_every_way(mechanism: Mechanism) -> String {
    format!("{mechanism}::{}", crate::DEADLINES)
}

/// That case, in a process under `program`.
fn run_under(program: &mut Command, mechanism: Mechanism) -> std::io::Result<std::process::Output> {
    program.arg(std::env::current_exe()?);
    program.env("POSTBOX_CASE", waiting_in_every_way(mechanism)).output()
}

pub fn what_waits_are_by(mechanism: Mechanism) -> Outcome {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("not shown: strace is not installed");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let calls = "trace=mq_timedsend,mq_timedreceive,clock_nanosleep,futex,timerfd_create,\
        timerfd_settime,timer_create,clock_settime,settimeofday,epoll_pwait2,epoll_wait,ppoll,poll";
    // A file for each thread: in one file, calls that two of them are in at once are cut in pieces.
    let mut strace = Command::new("strace");
    strace.args(["-ff", "-q", "-e", calls, "-o"]).arg(folder.path().join("calls"));
    let output = run_under(&mut strace, mechanism)?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut trace = String::new();
    for file in std::fs::read_dir(folder.path())? {
        trace.push_str(&std::fs::read_to_string(file?.path())?);
    }
    let mut waits = 0;
    for line in trace.lines() {
        // Timeouts of these are lengths of time, on the monotonic clock.
        waits += usize::from(line.contains("epoll_pwait2(") || line.contains("epoll_wait("));
        // Joining a thread names that clock and no time.
        let no_time = line.contains("futex(") && line.contains(", NULL, ");
        let by_the_wall = line.contains("CLOCK_REALTIME") && !no_time;
        assert!(!by_the_wall, "{line}");
        // The deadline of these is a time of day: there must be none, or one that is always past. It is
        // shown when the call returns, and a process that is killed in one never does.
        if line.contains("mq_timed") && !line.contains("<unfinished") {
            let past = line.contains(", {tv_sec=0, tv_nsec=0})");
            assert!(past || line.contains(", NULL)"), "{line}");
        }
    }
    assert!(waits > 20, "it did not wait:\n{trace}");
    Ok(())
}

pub fn another_time(mechanism: Mechanism) -> Outcome {
    let in_another = |offset: &str| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--time", "--fork", "--monotonic", offset, "--boottime", offset]);
        unshare
    };
    if !in_another("1").arg("true").output().is_ok_and(|output| output.status.success()) {
        println!("not shown: there are no time namespaces, or they are not for this user");
        return Ok(());
    }
    for offset in ["1000000", "3"] {
        let output = run_under(&mut in_another(offset), mechanism)?;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
