//! The pollable descriptor: readable exactly while a receive could return something.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use postbox::{Bytes, Capacity, Mechanism, Pollable, Receiver, fork};
use postbox_tests::{
    CAPACITIES, Case, Chance, Gate, Outcome, across_capacities, channel, eventually, holder,
    own_thread, soon,
};
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    [
        across_capacities(
            "it is readable while messages wait and not when drained",
            &WAITING,
            level,
        ),
        across_capacities("it is readable for what came before it was made", &WAITING, made_late),
        across_capacities("it is readable when the last sender has gone", &CAPACITIES, gone),
        across_capacities("it is readable when the last sender was killed", &CAPACITIES, killed),
        across_capacities("it wakes a poll in a child for each message", &CAPACITIES, child_polls),
        across_capacities("it is readable for the offer of a waiting sender", &CAPACITIES, offers),
        across_capacities("it sees senders that join after it was made", &CAPACITIES, late_joiners),
        across_capacities("two receivers that poll share the messages", &CAPACITIES, two_pollers),
        across_capacities("large and spilled messages keep it readable", &WAITING, spilled),
        across_capacities("one that was dropped leaves the others true", &WAITING, dropped),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The capacities with which messages wait.
const WAITING: [Capacity; 4] =
    [Capacity::Bounded(1), Capacity::Bounded(3), Capacity::Bounded(1000), Capacity::Unbounded];

fn ready_within(pollable: &Pollable, patience: Duration) -> bool {
    let mut fds = [PollFd::new(pollable.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(patience).expect("a timeout for poll");
    poll(&mut fds, timeout) == Ok(1)
}

fn is_ready(pollable: &Pollable) -> bool {
    ready_within(pollable, Duration::ZERO)
}

fn becomes_ready(pollable: &Pollable) -> bool {
    ready_within(pollable, postbox_tests::PATIENCE)
}

/// Receives until there is nothing, as whoever polls is to do; what came, and whether it was the end.
fn drain(rx: &Receiver<u32>) -> (Vec<u32>, bool) {
    let mut taken = Vec::new();
    loop {
        match rx.try_receive() {
            Ok(Some(delivery)) => taken.push(*delivery),
            Ok(None) => return (taken, false),
            Err(error) if error.is_disconnected() => return (taken, true),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Polls and drains until the end, never sleeping anywhere but in poll.
fn poll_to_the_end(rx: &Receiver<u32>) -> Result<Vec<u32>, Box<dyn std::error::Error>> {
    let pollable = rx.pollable()?;
    let mut all = Vec::new();
    loop {
        assert!(becomes_ready(&pollable), "asleep for ever after {} messages", all.len());
        let (taken, end) = drain(rx);
        all.extend(taken);
        if end {
            return Ok(all);
        }
    }
}

fn level(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let count = match capacity {
        Capacity::Bounded(n) => n,
        _ => 3000,
    };
    let pollable = rx.pollable()?;
    for round in 0..3 {
        assert!(!is_ready(&pollable), "ready with nothing there in round {round}");
        for i in 0..count {
            tx.try_send(&i)?;
            assert!(is_ready(&pollable), "not ready with {} there", i + 1);
        }
        for i in 0..count {
            assert!(is_ready(&pollable), "not ready with {} left", count - i);
            assert!(is_ready(&pollable), "it is not level-triggered");
            assert_eq!(*rx.try_receive()?.unwrap(), i);
        }
        assert!(rx.try_receive()?.is_none());
    }
    assert!(!is_ready(&pollable));
    let again = rx.pollable()?;
    tx.try_send(&1)?;
    assert!(is_ready(&again) && is_ready(&pollable));
    Ok(())
}

fn made_late(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    tx.try_send(&1)?;
    let pollable = rx.pollable()?;
    assert!(is_ready(&pollable));
    assert_eq!(drain(&rx), (vec![1], false));
    assert!(!is_ready(&pollable));
    drop(pollable);
    // Nobody polled while this one came and went.
    tx.try_send(&2)?;
    assert_eq!(*rx.receive()?, 2);
    let pollable = rx.pollable()?;
    drain(&rx);
    assert!(!is_ready(&pollable));
    drop(tx);
    assert!(is_ready(&rx.pollable()?));
    Ok(())
}

fn gone(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let pollable = rx.pollable()?;
    let second = tx.clone();
    drop(tx);
    // The news may stir it; it settles when looked at.
    eventually("rest", || {
        assert_eq!(drain(&rx), (vec![], false));
        (!is_ready(&pollable)).then_some(())
    });
    let leaving = thread::spawn(move || drop(second));
    assert!(becomes_ready(&pollable));
    leaving.join().unwrap();
    eventually("the end", || drain(&rx).1.then_some(()));
    for _ in 0..3 {
        assert!(is_ready(&pollable), "the end stays to be received");
        assert_eq!(drain(&rx), (vec![], true));
    }
    Ok(())
}

fn killed(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for _ in 0..5 {
        let (tx, rx) = channel::<u32>(mechanism, capacity)?;
        let mut child = holder(tx)?;
        let pollable = rx.pollable()?;
        let polling = own_thread();
        let death = thread::spawn(move || {
            eventually("polling", || {
                let place = std::fs::read_to_string(format!("/proc/{polling}/wchan")).ok()?;
                (place.contains("poll") || place == "0").then_some(())
            });
            child.signal(9).unwrap();
            child.wait_status().unwrap();
        });
        // Joins and the like may wake it before.
        eventually("the end", || {
            assert!(becomes_ready(&pollable));
            drain(&rx).1.then_some(())
        });
        assert!(is_ready(&pollable));
        death.join().unwrap();
    }
    Ok(())
}

fn child_polls(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    const COUNT: u32 = 1000;
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let child = fork(rx, |rx| {
        assert!(poll_to_the_end(&rx)?.into_iter().eq(0..COUNT));
        Ok(())
    })?;
    let mut chance = Chance::new();
    for i in 0..COUNT {
        if chance.once_in(100) {
            // Lets it fall asleep in poll.
            for _ in 0..200_000 {
                std::hint::spin_loop();
            }
        }
        tx.send_with(&i, &soon())?;
    }
    drop(tx);
    Ok(child.wait()?)
}

fn offers(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let child = fork(tx, |tx| {
        (0..300).try_for_each(|i| tx.deliver_with(&i, &soon()).map(drop))?;
        Ok(())
    })?;
    assert!(poll_to_the_end(&rx)?.into_iter().eq(0..300));
    Ok(child.wait()?)
}

fn late_joiners(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let pollable = rx.pollable()?;
    let (go, joined) = (Gate::new()?, Gate::new()?);
    // The first sender's clone is passed on by its child, in processes that come later.
    let mut child = fork(tx, |tx| {
        go.pass()?;
        let grandchild = fork(tx, |tx| {
            joined.open()?;
            tx.send(&1)?;
            loop {
                nix::unistd::pause();
                let _ = &tx;
            }
        })?;
        go.pass()?;
        grandchild.signal(9)?;
        let mut grandchild = grandchild;
        grandchild.wait_status()?;
        Ok(())
    })?;
    go.open()?;
    joined.pass()?;
    let mut taken = Vec::new();
    while taken.is_empty() {
        assert!(becomes_ready(&pollable));
        taken = drain(&rx).0;
    }
    assert_eq!(taken, [1]);
    eventually("rest", || {
        assert_eq!(drain(&rx), (vec![], false));
        (!is_ready(&pollable)).then_some(())
    });
    go.open()?;
    eventually("the end", || {
        assert!(becomes_ready(&pollable));
        drain(&rx).1.then_some(())
    });
    assert!(child.wait_status()?.success());
    Ok(())
}

fn two_pollers(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    const COUNT: u32 = 600;
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let (all, all_rx) = channel::<Vec<u32>>(mechanism, Capacity::Bounded(2))?;
    let first = fork((rx.clone(), all.clone()), |(rx, all)| Ok(all.send(&poll_to_the_end(&rx)?)?))?;
    let second = fork((rx, all), |(rx, all)| Ok(all.send(&poll_to_the_end(&rx)?)?))?;
    (0..COUNT).try_for_each(|i| tx.send_with(&i, &soon()))?;
    drop(tx);
    let mut taken = Vec::new();
    for part in &all_rx {
        let part = part?;
        assert!(part.is_sorted());
        taken.extend(part.iter().copied());
    }
    taken.sort();
    assert!(taken.into_iter().eq(0..COUNT));
    first.wait()?;
    Ok(second.wait()?)
}

fn spilled(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
    let pollable = rx.pollable()?;
    let most = match capacity {
        Capacity::Bounded(n) => n.min(600),
        _ => 600,
    };
    for i in 0..most {
        tx.try_send(&vec![0; if i % 2 == 0 { 70_000 } else { 10 }])?;
        assert!(is_ready(&pollable));
    }
    for _ in 0..most {
        assert!(is_ready(&pollable));
        assert!(rx.try_receive()?.is_some());
    }
    assert!(rx.try_receive()?.is_none());
    assert!(!is_ready(&pollable));
    Ok(())
}

fn dropped(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let other = rx.clone();
    let (first, second) = (rx.pollable()?, other.pollable()?);
    drop(first);
    assert!(!is_ready(&second));
    tx.try_send(&1)?;
    assert!(is_ready(&second));
    assert_eq!(drain(&rx), (vec![1], false));
    // The other receiver's descriptor goes down when that one has looked, if not at once.
    assert_eq!(drain(&other), (vec![], false));
    assert!(!is_ready(&second));
    // A process that dies with one takes nothing away from the rest.
    let mut child = fork(rx, |rx| {
        let _pollable = rx.pollable()?;
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL)?;
        Ok(())
    })?;
    assert!(!child.wait_status()?.success());
    // The death is news, which settles when looked at.
    eventually("rest", || {
        assert_eq!(drain(&other), (vec![], false));
        (!is_ready(&second)).then_some(())
    });
    for i in 0..10 {
        tx.try_send(&i)?;
        assert!(is_ready(&second));
        assert_eq!(drain(&other), (vec![i], false));
        assert!(!is_ready(&second));
    }
    Ok(())
}
