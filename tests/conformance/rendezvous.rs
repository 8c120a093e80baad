//! Capacity zero: the two sides meet, or nothing happens.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use postbox::{Capacity, Group, Mechanism, Options, TrySendError, Wait, fork};
use postbox_tests::{
    Case, Chance, Entry, Gate, Ledger, Naming, Outcome, STRATEGIES, across, channel, connect,
    eventually, pid_of_sender, soon, until_asleep,
};
use std::os::fd::AsFd;
use std::time::Duration;

const ZERO: Capacity = Capacity::Zero;

pub fn cases() -> Vec<Case> {
    [
        across("0::send does not return before the receiver has come", sender_waits),
        across("0::receive does not return before the sender has come", receiver_waits),
        across("0::both sides meet with every wait strategy", strategies_meet),
        across("0::try_send succeeds only with a waiting receiver", try_send_needs_a_waiter),
        across("0::two sides that only try never meet", triers_never_meet),
        across("0::a receiver that polls is not waiting", polling_is_not_waiting),
        across("0::try_receive takes the offer of a waiting sender", try_receive_takes_an_offer),
        across(
            "0::a try_send that succeeded is received although the receiver was leaving",
            leavers,
        ),
        across(
            "0::in a crowd a try_send that succeeded is received although receivers were leaving",
            leavers_in_a_crowd,
        ),
        across("0::senders and receivers of every kind meet exactly once", every_kind),
        across("0::a send that timed out is never received", timed_out_send),
        across("0::a hundred senders wait and each is taken once", many_senders),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn sender_waits(mechanism: Mechanism) -> Outcome {
    for delivering in [false, true] {
        let (tx, rx) = channel::<u32>(mechanism, ZERO)?;
        let returned = Gate::new()?;
        let child = fork(tx, |tx| {
            match delivering {
                true => drop(tx.deliver(&1)?),
                false => tx.send(&1)?,
            }
            returned.open()?;
            Ok(())
        })?;
        until_asleep(child.pid());
        assert!(!returned.is_open()?, "it returned alone");
        assert_eq!((rx.len(), rx.capacity()), (0, ZERO));
        let delivery = rx.receive()?;
        assert_eq!((*delivery, delivery.sender().pid()), (1, pid_of_sender(child.pid())));
        returned.pass()?;
        child.wait()?;
    }
    Ok(())
}

fn receiver_waits(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, ZERO)?;
    let returned = Gate::new()?;
    let child = fork(rx, |rx| {
        assert_eq!(*rx.receive()?, 1);
        returned.open()?;
        Ok(())
    })?;
    until_asleep(child.pid());
    assert!(!returned.is_open()?, "it returned alone");
    tx.send(&1)?;
    returned.pass()?;
    Ok(child.wait()?)
}

fn strategies_meet(mechanism: Mechanism) -> Outcome {
    for wait in STRATEGIES {
        let (tx, rx) = connect::<u32>(&Options::new(mechanism).capacity(ZERO).wait_strategy(wait))?;
        let child = fork(tx, |tx| {
            for i in 0..300 {
                tx.send(&i)?;
            }
            Ok(())
        })?;
        for i in 0..300 {
            assert_eq!(*rx.receive_with(&soon())?, i, "with {wait:?}");
        }
        child.wait()?;
    }
    Ok(())
}

fn try_send_needs_a_waiter(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, ZERO)?;
    for _ in 0..200 {
        assert!(tx.try_send(&0).unwrap_err().is_full());
        assert!(rx.try_receive()?.is_none());
    }
    let (go, took) = (Gate::new()?, Gate::new()?);
    let child = fork(rx, |rx| {
        for i in 0..100 {
            go.pass()?;
            assert_eq!(*rx.receive()?, i);
            took.open()?;
        }
        Ok(())
    })?;
    for i in 0..100 {
        assert!(tx.try_send(&1000).unwrap_err().is_full());
        go.open()?;
        // Awake or asleep, it is waiting from some moment on.
        eventually("a receiver to be waiting", || tx.try_send(&i).ok());
        took.pass()?;
    }
    Ok(child.wait()?)
}

fn triers_never_meet(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, ZERO)?;
    let end = Gate::new()?;
    let child = fork(rx, |rx| {
        while !end.is_open()? {
            for _ in 0..50 {
                assert!(rx.try_receive()?.is_none(), "two triers met");
            }
        }
        Ok(())
    })?;
    for _ in 0..20_000 {
        assert!(tx.try_send(&0).unwrap_err().is_full(), "two triers met");
    }
    end.open()?;
    child.wait()?;
    if Naming::chosen().senders_are_told() {
        assert!(matches!(tx.send(&0), Err(error) if error.is_disconnected()));
    }
    Ok(())
}

fn polling_is_not_waiting(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, ZERO)?;
    let ready = Gate::new()?;
    let child = fork(rx, |rx| {
        let pollable = rx.pollable()?;
        ready.open()?;
        let mut fds = [PollFd::new(pollable.as_fd(), PollFlags::POLLIN)];
        // The offer of a sender that waits is something to poll for.
        poll(&mut fds, PollTimeout::NONE)?;
        assert_eq!(*eventually("the offer", || rx.try_receive().transpose())?, 2);
        Ok(())
    })?;
    ready.pass()?;
    for _ in 0..2000 {
        assert!(tx.try_send(&1).unwrap_err().is_full());
    }
    tx.send_with(&2, &soon())?;
    Ok(child.wait()?)
}

fn try_receive_takes_an_offer(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, ZERO)?;
    let next = Gate::new()?;
    let child = fork(tx, |tx| {
        for i in 0..50 {
            match i % 2 {
                0 => tx.send(&i)?,
                _ => assert_eq!(
                    tx.deliver(&i)?.receiver().pid(),
                    nix::unistd::getppid().as_raw() as u32
                ),
            }
            next.pass()?;
        }
        Ok(())
    })?;
    for i in 0..50 {
        until_asleep(child.pid());
        assert_eq!(*rx.try_receive()?.ok_or("a waiting sender was overlooked")?, i);
        assert!(rx.try_receive()?.is_none());
        next.open()?;
    }
    Ok(child.wait()?)
}

fn leavers(mechanism: Mechanism) -> Outcome {
    leave(mechanism, false)
}

fn leavers_in_a_crowd(mechanism: Mechanism) -> Outcome {
    leave(mechanism, true)
}

/// Two receivers that hardly wait, and a sender that only tries; in a `crowd` one that hardly waits, too. Nobody comes
/// later who could have what was left.
fn leave(mechanism: Mechanism, crowd: bool) -> Outcome {
    let (tx, rx) = channel::<(u32, u64)>(mechanism, ZERO)?;
    let mut chance = Chance::new();
    let (sent, received, stop, end) = (Ledger::new()?, Ledger::new()?, Gate::new()?, Gate::new()?);
    let mut group = Group::new();
    for _ in 0..2 {
        let mut chance = chance.branch();
        let (received, end) = (&received, &end);
        group.fork(rx.clone(), move |rx| {
            let by = std::process::id();
            loop {
                let patience = Duration::from_micros(chance.below(60));
                match rx.receive_with(&Wait::timeout(patience)) {
                    Ok(message) => {
                        received.note(Entry { by, sender: message.0, seq: message.1 })?;
                    }
                    Err(error) if error.is_timeout() && end.is_open()? => return Ok(()),
                    Err(error) if error.is_timeout() => {}
                    Err(error) => return Err(error.into()),
                }
            }
        })?;
    }
    drop(rx);
    let impatient = crowd.then(|| {
        let mut chance = chance.branch();
        fork(tx.clone(), |tx| {
            let mut entries = Vec::new();
            for seq in 0.. {
                let patience = Wait::timeout(Duration::from_micros(chance.below(60)));
                if tx.send_with(&(1, seq), &patience).is_ok() {
                    entries.push(Entry { by: 1, sender: 1, seq });
                }
                if stop.is_open()? {
                    break;
                }
            }
            Ok(sent.note_all(&entries)?)
        })
    });
    let mut met = 0;
    let mut tries = 0u64;
    while met < 2000 && tries < 3_000_000 {
        tries += 1;
        match tx.try_send(&(0, met)) {
            Ok(()) => met += 1,
            Err(TrySendError::Full) => {}
            Err(error) => return Err(error.into()),
        }
    }
    println!("{met} of {tries} tries met");
    assert!(met > 100, "hardly any try met");
    stop.open()?;
    if let Some(impatient) = impatient {
        impatient?.wait()?;
    }
    // Both see the gate open: it holds two openings.
    end.open()?;
    end.open()?;
    group.wait()?;
    let mut sent: Vec<_> = sent.entries()?.iter().map(|entry| (entry.sender, entry.seq)).collect();
    sent.extend((0..met).map(|seq| (0, seq)));
    let received = received.in_order_and_nothing_twice()?;
    let mut received: Vec<_> = received.iter().map(|entry| (entry.sender, entry.seq)).collect();
    sent.sort();
    received.sort();
    assert!(sent == received, "what was sent is not what was received");
    Ok(())
}

fn every_kind(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<(u32, u64)>(mechanism, ZERO)?;
    let mut chance = Chance::new();
    let (sent, received) = (Ledger::new()?, Ledger::new()?);
    let mut group = Group::new();
    for sender in 0..3 {
        let (mut chance, sent) = (chance.branch(), &sent);
        group.fork(tx.clone(), move |tx| {
            let mut entries = Vec::new();
            for seq in 0..700 {
                let message = (sender, seq);
                let patience = Wait::timeout(Duration::from_micros(chance.below(100)));
                let went = match chance.below(5) {
                    0 => tx.send(&message).map(|()| true)?,
                    1 => tx.deliver(&message).map(|_| true)?,
                    2 => tx.try_send(&message).is_ok(),
                    3 => tx.send_with(&message, &patience).is_ok(),
                    _ => tx.deliver_with(&message, &patience).is_ok(),
                };
                if went {
                    entries.push(Entry { by: sender, sender, seq });
                }
            }
            Ok(sent.note_all(&entries)?)
        })?;
    }
    drop(tx);
    for _ in 0..3 {
        let (mut chance, received) = (chance.branch(), &received);
        group.fork(rx.clone(), move |rx| {
            let by = std::process::id();
            let mut entries = Vec::new();
            loop {
                let patience = Wait::timeout(Duration::from_micros(chance.below(100)));
                let taken = match chance.below(3) {
                    0 => rx.receive().map(Some),
                    1 => rx.try_receive(),
                    _ => rx.receive_with(&patience).map(Some),
                };
                match taken {
                    Ok(Some(message)) => {
                        entries.push(Entry { by, sender: message.0, seq: message.1 });
                    }
                    Ok(None) => {}
                    Err(error) if error.is_timeout() => {}
                    Err(error) if error.is_disconnected() => break,
                    Err(error) => return Err(error.into()),
                }
            }
            Ok(received.note_all(&entries)?)
        })?;
    }
    drop(rx);
    group.wait()?;
    let mut sent: Vec<_> = sent.entries()?.iter().map(|entry| (entry.sender, entry.seq)).collect();
    let received = received.in_order_and_nothing_twice()?;
    let mut received: Vec<_> = received.iter().map(|entry| (entry.sender, entry.seq)).collect();
    sent.sort();
    received.sort();
    println!("{} of 2100 met", sent.len());
    assert!(sent == received, "what was sent is not what was received");
    Ok(())
}

fn timed_out_send(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, ZERO)?;
    for round in 0..300 {
        let patience = Wait::timeout(Duration::from_micros(round % 7 * 20));
        assert!(tx.send_with(&0, &patience).unwrap_err().is_timeout());
    }
    assert!(rx.try_receive()?.is_none());
    let child = fork(tx, |tx| Ok(tx.send_with(&1, &soon())?))?;
    assert_eq!(*rx.receive_with(&soon())?, 1);
    child.wait()?;
    assert!(rx.try_receive().unwrap_err().is_disconnected());
    Ok(())
}

fn many_senders(mechanism: Mechanism) -> Outcome {
    const SENDERS: u32 = 100;
    let (tx, rx) = channel::<u32>(mechanism, ZERO)?;
    let mut group = Group::new();
    for i in 0..SENDERS {
        group.fork(tx.clone(), move |tx| Ok(tx.send(&i)?))?;
    }
    drop(tx);
    for child in group.children() {
        until_asleep(child.pid());
    }
    let mut taken: Vec<u32> = Vec::new();
    while taken.len() < SENDERS as usize {
        taken.push(*rx.receive_with(&soon())?);
    }
    taken.sort();
    assert!(taken.into_iter().eq(0..SENDERS));
    group.wait()?;
    assert!(rx.receive().unwrap_err().is_disconnected());
    Ok(())
}
