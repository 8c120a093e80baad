//! When one side is gone, the other is told: after what is left has been drained.

use crate::passing::PEER;
use postbox::{Bytes, Capacity, Mechanism, Spawn, fork};
use postbox_tests::{
    CAPACITIES, Case, Outcome, across_capacities, channel, own_thread, soon, until_asleep,
    where_senders_are_told,
};
use std::thread;

pub fn cases() -> Vec<Case> {
    [
        across_capacities(
            "receivers drain what is left and then see the end",
            &CAPACITIES,
            drained,
        ),
        across_capacities("the end stays the end for every receive", &CAPACITIES, stays_the_end),
        where_senders_are_told(
            "senders see at once that no receiver is left",
            &CAPACITIES,
            senders_see,
        ),
        where_senders_are_told(
            "a waiting sender sees the last receiver go",
            &CAPACITIES,
            waiting_sender,
        ),
        across_capacities(
            "a waiting receiver sees the last sender go",
            &CAPACITIES,
            waiting_receiver,
        ),
        across_capacities("only the last sender's end is the end", &CAPACITIES, only_the_last),
        across_capacities(
            "a program sees the end of what it was started with",
            &CAPACITIES,
            program,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// How many are to wait.
fn some(capacity: Capacity) -> u32 {
    match capacity {
        Capacity::Zero => 0,
        Capacity::Bounded(n) => n,
        Capacity::Unbounded => 500,
    }
}

fn drained(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    fork(tx, |tx| {
        (0..some(capacity)).try_for_each(|i| tx.try_send(&i))?;
        Ok(())
    })?
    .wait()?;
    for i in 0..some(capacity) {
        assert_eq!(*rx.receive()?, i);
    }
    assert!(rx.receive().unwrap_err().is_disconnected());
    Ok(())
}

fn stays_the_end(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    drop(tx);
    for _ in 0..3 {
        assert!(rx.try_receive().unwrap_err().is_disconnected());
        assert!(rx.receive().unwrap_err().is_disconnected());
        assert!(rx.receive_with(&soon()).unwrap_err().is_disconnected());
        assert!(rx.receive_batch(3).unwrap_err().is_disconnected());
        assert!(rx.iter().next().is_none());
    }
    Ok(())
}

fn senders_see(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let second = rx.clone();
    for i in 0..some(capacity) / 2 {
        tx.try_send(&i)?;
    }
    drop(rx);
    if some(capacity) > 0 {
        tx.try_send(&0)?;
    }
    drop(second);
    for _ in 0..3 {
        assert!(tx.try_send(&0).unwrap_err().is_disconnected());
        assert!(tx.send(&0).unwrap_err().is_disconnected());
        assert!(tx.send_with(&0, &soon()).unwrap_err().is_disconnected());
        assert!(tx.deliver(&0).unwrap_err().is_disconnected());
        assert_eq!(tx.send_batch([&0]).unwrap_err().sent, 0);
    }
    Ok(())
}

fn waiting_sender(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for delivering in [false, true] {
        // A plain send never waits in an unbounded channel.
        if capacity == Capacity::Unbounded && !delivering {
            continue;
        }
        let (tx, rx) = channel::<u32>(mechanism, capacity)?;
        for i in 0..some(capacity) {
            tx.try_send(&i)?;
        }
        let own = own_thread();
        let leaving = thread::spawn(move || {
            until_asleep(own);
            drop(rx);
        });
        match delivering {
            true => assert!(tx.deliver(&0).unwrap_err().is_disconnected()),
            false => assert!(tx.send(&0).unwrap_err().is_disconnected()),
        }
        leaving.join().unwrap();
    }
    Ok(())
}

fn waiting_receiver(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let child = fork(rx, |rx| {
        assert!(rx.receive().unwrap_err().is_disconnected());
        Ok(())
    })?;
    until_asleep(child.pid());
    drop(tx);
    Ok(child.wait()?)
}

fn only_the_last(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    fork(tx.clone(), |tx| {
        drop(tx.clone());
        Ok(())
    })?
    .wait()?;
    drop(tx.clone());
    assert!(rx.try_receive()?.is_none());
    let own = own_thread();
    let sender = thread::spawn(move || {
        until_asleep(own);
        drop(tx.clone());
        tx.send(&1)
    });
    assert_eq!(*rx.receive_with(&soon())?, 1);
    sender.join().unwrap()?;
    assert!(rx.receive().unwrap_err().is_disconnected());
    Ok(())
}

fn program(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
    let child = Spawn::new(PEER).arg("wait for the end").pass("in", rx)?.spawn()?;
    until_asleep(child.pid());
    drop(tx);
    child.wait()?;

    let (tx, rx) = channel::<u64>(mechanism, capacity)?;
    let child = Spawn::new(PEER).args(["send", "100"]).pass("out", tx)?.spawn()?;
    let taken = rx.iter().map(|delivery| delivery.map(|delivery| *delivery));
    assert!(taken.collect::<Result<Vec<_>, _>>()?.into_iter().eq(0..100));
    Ok(child.wait()?)
}
