//! How many system calls a batch takes: counted by strace, where there is one.

use postbox::{Batch, Bytes, Capacity, Mechanism};
use postbox_tests::{Case, Outcome, over, soon};
use std::process::Command;

const PEER: &str = env!("CARGO_BIN_EXE_postbox-peer");
const BATCHES: usize = 50;

pub fn cases() -> Vec<Case> {
    let mut cases = over("a batch of 64 takes as few system calls as it has packets", counted);
    cases.extend(over("nothing of a batch spills that the mechanism can hold", within));
    cases
}

/// The calls that put messages in, those that take them out, and how many packets 64 of 64 bytes make.
fn of(mechanism: Mechanism) -> (&'static [&'static str], &'static [&'static str], usize) {
    match mechanism {
        Mechanism::Pipe => (&["write(", "pwritev2("], &["read(", "preadv2("], 2),
        Mechanism::Socket => (&["sendto(", "sendmsg("], &["recvfrom(", "recvmsg("], 1),
        Mechanism::MessageQueue => (&["mq_timedsend("], &["mq_timedreceive("], 1),
        Mechanism::SharedMemory => (&["write(", "futex("], &["read(", "futex("], 0),
    }
}

fn counted(mechanism: Mechanism) -> Outcome {
    if Command::new("strace").arg("-V").output().is_err() {
        println!("not shown: strace is not installed");
        return Ok(());
    }
    let trace = tempfile::NamedTempFile::new()?;
    let status = Command::new("strace")
        .args(["-f", "-q", "-o"])
        .arg(trace.path())
        .args([PEER, "batches", mechanism.name(), &BATCHES.to_string()])
        .status()?;
    assert!(status.success(), "{status}");
    let trace = std::fs::read_to_string(trace.path())?;
    assert!(trace.contains("exited with 0"), "the trace is not whole");
    // From its first batch on: before, the program is loaded and the channel made.
    let start = trace.find("the batches begin").ok_or("the peer has not begun")?;
    let count = |calls: &[&str]| {
        let made = |line: &&str| calls.iter().any(|call| line.contains(&format!(" {call}")));
        trace[start..].lines().skip(1).filter(made).count()
    };
    let (puts, takes, packets) = of(mechanism);
    let (put, taken) = (count(puts), count(takes));
    assert!(put <= BATCHES * packets + 1, "{put} calls for {BATCHES} batches");
    assert!(taken <= BATCHES * packets + 1, "{taken} calls for {BATCHES} batches");
    assert!(put >= BATCHES * packets && taken >= BATCHES * packets, "{put} and {taken} counted");
    Ok(())
}

fn within(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = postbox::channel::<Bytes>(mechanism, Capacity::Bounded(128))?;
    let messages = [[7; 64]; 64];
    let mut batch = Batch::new();
    for _ in 0..20 {
        for _ in 0..2 {
            assert_eq!(tx.try_send_batch(messages.iter().map(|message| &message[..]))?, 64);
        }
        let mut taken = 0;
        while taken < 128 {
            taken += rx.receive_batch_into_with(&mut batch, 100, &soon())?;
        }
    }
    assert_eq!(tx.statistics().spilled, 0);
    Ok(())
}
