//! Whether a channel has exactly the room that it was created with.

use crate::{Outcome, eventually, soon};
use postbox::{Capacity, Receiver, Sender, fork};
use std::time::{Duration, Instant};

/// A message that says whose it is and which: the sender's number, the message's among that sender's,
/// and a filling.
pub type Numbered = (u32, u64, Vec<u8>);

/// Nobody else is there: exactly n go in, for as long as `watch` lasts no more, and come out in order.
pub fn room_is_exact(
    tx: &Sender<Numbered>,
    rx: &Receiver<Numbered>,
    capacity: Capacity,
    watch: Duration,
) -> Outcome {
    let numbered = |seq: u64| (u32::MAX, seq, Vec::new());
    let n = match capacity {
        Capacity::Zero => return meets(tx, rx),
        Capacity::Bounded(n) => n.into(),
        Capacity::Unbounded => 2000,
    };
    let deadline = Instant::now() + Duration::from_secs(1);
    for seq in 0..n {
        while let Err(error) = tx.try_send(&numbered(seq)) {
            if !error.is_full() || Instant::now() > deadline {
                return Err(format!("after {seq} of {n}: {error}").into());
            }
        }
    }
    if capacity != Capacity::Unbounded {
        let until = Instant::now() + watch;
        loop {
            assert!(tx.try_send(&numbered(n)).is_err_and(|error| error.is_full()), "{n} and more");
            if Instant::now() >= until {
                break;
            }
        }
    }
    assert_eq!(tx.len() as u64, n);
    for seq in 0..n {
        assert_eq!(rx.try_receive()?.ok_or("fewer came than went")?.into_inner(), numbered(seq));
    }
    assert!(rx.try_receive()?.is_none() && tx.is_empty());
    Ok(())
}

fn meets(tx: &Sender<Numbered>, rx: &Receiver<Numbered>) -> Outcome {
    for _ in 0..100 {
        assert!(tx.try_send(&(0, 0, Vec::new())).is_err_and(|error| error.is_full()));
        assert!(rx.try_receive()?.is_none());
    }
    let child = fork(rx.clone(), |rx| {
        assert_eq!(rx.receive_with(&soon())?.1, 1);
        assert_eq!(rx.receive_with(&soon())?.1, 2);
        Ok(())
    })?;
    tx.send_with(&(0, 1, Vec::new()), &soon())?;
    eventually("a receiver to be waiting", || tx.try_send(&(0, 2, Vec::new())).ok());
    Ok(child.wait()?)
}
