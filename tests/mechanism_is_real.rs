//! The mechanism is real: messages go through the kernel object that was asked for.

use postbox::{Bytes, Capacity, Group, Mechanism, Options, fork};
use postbox_tests::{Outcome, over, run, unprivileged_as};
use std::process::{Command, ExitCode};

const PEER: &str = env!("CARGO_BIN_EXE_postbox-peer");

fn main() -> ExitCode {
    let parts = [
        over("nothing spills within the native capacity by try_send", tries_within),
        over("nothing spills within the native capacity in traffic", traffic_within),
        over("what the mechanism cannot hold spills and is counted", beyond),
        over("every payload is in a system call of the mechanism", payloads_are_traced),
    ];
    run(parts.into_iter().flatten().collect())
}

/// Capacities and lengths that the kernel object holds for an unprivileged user, beside the header.
fn native(mechanism: Mechanism) -> Vec<(u32, usize)> {
    let (capacities, lengths): (&[u32], &[usize]) = match mechanism {
        Mechanism::Pipe => (&[1, 2, 7, 16, 64, 256], &[0, 64, 4000]),
        Mechanism::Socket => (&[1, 2, 7, 64], &[0, 64, 8000]),
        Mechanism::MessageQueue => (&[1, 2, 7, 10], &[0, 64, 4000]),
        Mechanism::SharedMemory => (&[1, 2, 7, 64, 1000], &[0, 64, 4000]),
    };
    let pairs = capacities.iter().flat_map(|&n| lengths.iter().map(move |&len| (n, len)));
    // A socket's buffer is one of bytes.
    pairs.filter(|&(n, len)| mechanism != Mechanism::Socket || n * len as u32 <= 100_000).collect()
}

fn options(mechanism: Mechanism, n: u32, len: usize) -> Options {
    // Small messages ask the least of the quotas of the user, of which others may use a part.
    Options::new(mechanism).capacity(Capacity::Bounded(n)).max_message(len)
}

fn tries_within(mechanism: Mechanism) -> Outcome {
    for (n, len) in native(mechanism) {
        let (tx, rx) = options(mechanism, n, len).channel::<Bytes>()?;
        for _ in 0..3 {
            (0..n).try_for_each(|_| tx.try_send(&vec![1; len]))?;
            assert!(tx.try_send(&[]).unwrap_err().is_full());
            assert_eq!(rx.try_receive_batch(usize::MAX)?.len(), n as usize);
        }
        assert_eq!(tx.statistics().spilled, 0, "{n} messages of {len} bytes");
    }
    Ok(())
}

fn traffic_within(mechanism: Mechanism) -> Outcome {
    let zero = [(0, 0), (0, 64), (0, 4000)];
    for (n, len) in native(mechanism).into_iter().chain(zero) {
        let options = match n {
            0 => options(mechanism, 1, len).capacity(Capacity::Zero),
            n => options(mechanism, n, len),
        };
        let (tx, rx) = options.channel::<Bytes>()?;
        let mut group = Group::new();
        for _ in 0..2 {
            group.fork(tx.clone(), |tx| {
                (0..150).try_for_each(|_| tx.send(&vec![1; len]))?;
                Ok(())
            })?;
        }
        drop(tx);
        assert_eq!(rx.iter().filter(Result::is_ok).count(), 300);
        group.wait()?;
        assert_eq!(rx.statistics().spilled, 0, "capacity {n}, {len} bytes");
    }
    Ok(())
}

fn beyond(mechanism: Mechanism) -> Outcome {
    let child = fork((), |()| {
        // A privileged user's socket holds as much as it is asked to.
        unprivileged_as(64_010)?;
        // Shared memory has room of its own for both.
        let has_limits = mechanism != Mechanism::SharedMemory;
        let options = |n| Options::new(mechanism).capacity(Capacity::Bounded(n));
        // Larger than an entry.
        let (tx, rx) = options(3).channel::<Bytes>()?;
        tx.try_send(&[0; 10])?;
        tx.try_send(&[0; 10_000])?;
        assert_eq!(tx.statistics().spilled, u64::from(has_limits));
        assert!(rx.try_receive_batch(9)?.len() == 2);
        // More than it holds.
        let (tx, rx) = options(40_000).channel::<Bytes>()?;
        (0..40_000).try_for_each(|_| tx.try_send(&[0; 64]))?;
        let spilled = tx.statistics().spilled;
        assert!(spilled < 40_000 && (spilled > 0) == has_limits, "{spilled} spilled");
        // Once drained, it is the mechanism's turn again.
        while rx.try_receive()?.is_some() {}
        tx.try_send(&[0; 64])?;
        assert_eq!(tx.statistics().spilled, spilled);
        Ok(())
    })?;
    Ok(child.wait()?)
}

/// The calls by which each mechanism takes a payload.
fn calls(mechanism: Mechanism) -> &'static [&'static str] {
    match mechanism {
        Mechanism::Pipe => &["write", "writev", "pwritev2", "vmsplice"],
        Mechanism::Socket => &["sendto", "sendmsg", "sendmmsg", "write", "writev"],
        Mechanism::MessageQueue => &["mq_timedsend"],
        Mechanism::SharedMemory => &[],
    }
}

fn payloads_are_traced(mechanism: Mechanism) -> Outcome {
    const COUNT: usize = 200;
    if Command::new("strace").arg("-V").output().is_err() {
        println!("not shown: strace is not installed");
        return Ok(());
    }
    let trace = tempfile::NamedTempFile::new()?;
    let status = Command::new("strace")
        .args(["-f", "-q", "-s", "400", "-o"])
        .arg(trace.path())
        .args([PEER, "payloads", mechanism.name(), &COUNT.to_string(), "200"])
        .status()?;
    assert!(status.success(), "{status}");
    let trace = std::fs::read_to_string(trace.path())?;
    for i in 0..COUNT {
        let payload = format!("payload-{i:06}-");
        // Each line begins with the process id.
        let traced: Vec<&str> = trace
            .lines()
            .filter(|line| line.contains(&payload))
            .filter_map(|line| line.split_whitespace().nth(1)?.split('(').next())
            .filter(|call| !call.starts_with("read") && !call.contains("recv") && *call != "<...")
            .filter(|call| *call != "preadv2" && *call != "mq_timedreceive")
            .collect();
        match calls(mechanism) {
            [] => assert!(traced.is_empty(), "{payload} went through {traced:?}"),
            calls => {
                assert_eq!(traced.len(), 1, "{payload}: {traced:?}");
                assert!(calls.contains(&traced[0]), "{payload} went through {traced:?}");
            }
        }
    }
    assert!(trace.contains("exited with 0"), "the trace is not whole");
    Ok(())
}
