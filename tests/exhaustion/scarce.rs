//! Living on little: limits that are lowered and raised again, and what must still hold.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use postbox::{Bytes, Capacity, Receiver, Sender, fork};
use postbox_tests::{Outcome, soon};
use std::fs::File;

/// How many descriptors a process may have while it is out of them.
pub const MOST: u64 = 1000;

/// Runs it in a child, which may lower its limits for good.
pub fn limited(body: impl FnOnce() -> Outcome) -> Outcome {
    Ok(fork((), |()| body())?.wait()?)
}

/// Lowers a limit of this process so that it could be raised again.
pub fn lower(resource: Resource, soft: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    setrlimit(resource, soft.min(hard), hard)
}

/// Lets this process have [`MOST`] descriptors, and takes all but so many of them.
pub fn all_but(left: usize) -> Result<Vec<File>, Box<dyn std::error::Error>> {
    lower(Resource::RLIMIT_NOFILE, MOST)?;
    let mut taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    taken.truncate(taken.len().checked_sub(left).ok_or("too many are open")?);
    Ok(taken)
}

/// An error says what is short, how much of it there is and what to do, in one line.
#[track_caller]
pub fn says(error: &dyn std::fmt::Display, limit: &str) {
    let text = error.to_string();
    assert!(text.contains(limit) && !text.contains('\n'), "not '{limit}': {text}");
    assert!(text.contains("raise it"), "no remedy: {text}");
}

/// The contract in short: exactly n, order, content, receipts.
pub fn keeps_the_contract(tx: &Sender<Bytes>, rx: &Receiver<Bytes>) -> Outcome {
    let n = match tx.capacity() {
        Capacity::Zero => return meets(tx, rx),
        Capacity::Bounded(n) => n,
        Capacity::Unbounded => 300,
    };
    for round in 0..2u8 {
        for i in 0..n {
            let len = if i % 10 == 3 { 5000 } else { i as usize % 100 };
            tx.try_send(&vec![i as u8 ^ round; len.min(tx.max_message())])
                .map_err(|error| format!("after {i} of {n}: {error}"))?;
        }
        if tx.capacity() != Capacity::Unbounded {
            assert!(tx.try_send(b"more").is_err_and(|error| error.is_full()));
        }
        for i in 0..n {
            let len = if i % 10 == 3 { 5000 } else { i as usize % 100 };
            let delivery = rx.try_receive()?.ok_or("fewer came than went")?;
            assert_eq!(delivery.len(), len.min(tx.max_message()));
            assert!(delivery.iter().all(|byte| *byte == i as u8 ^ round));
        }
        assert!(rx.try_receive()?.is_none());
        assert!(tx.try_deliver(b"none").unwrap_err().is_timeout());
    }
    Ok(())
}

fn meets(tx: &Sender<Bytes>, rx: &Receiver<Bytes>) -> Outcome {
    assert!(tx.try_send(b"none").is_err_and(|error| error.is_full()));
    assert!(rx.try_receive()?.is_none());
    let child = fork(rx.clone(), |rx| {
        for i in 0..100u8 {
            assert_eq!(&**rx.receive_with(&soon())?, [i; 70]);
        }
        Ok(())
    })?;
    (0..100).try_for_each(|i| tx.send_with(&[i; 70], &soon()))?;
    Ok(child.wait()?)
}
