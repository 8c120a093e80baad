//! A packet is open, and there is to be another receiver, or the same in another process.

use postbox::{Bytes, Capacity, Group, Mechanism, Options, Receiver, Sender, Spawn, fork};
use postbox_tests::{Case, Outcome, over, soon};
use std::collections::HashMap;

const PEER: &str = env!("CARGO_BIN_EXE_postbox-peer");

pub fn cases() -> Vec<Case> {
    [
        over("a clone takes what its original holds, and what waits behind it", a_clone),
        over("a second receiver joins in the middle of a stream of batches", midstream),
        over("what is held goes along by fork", by_fork),
        over("what is held goes along to another program", by_exec),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn channel(
    mechanism: Mechanism,
    n: u32,
) -> Result<(Sender<u64>, Receiver<u64>), postbox::CreateError> {
    Options::new(mechanism).capacity(Capacity::Bounded(n)).channel()
}

fn a_clone(mechanism: Mechanism) -> Outcome {
    const N: u64 = 500;
    let (tx, rx) = channel(mechanism, N as u32)?;
    let numbers: Vec<u64> = (0..N).collect();
    // Packets, and what comes by itself: an offer, one that is long, some in the overflow.
    for some in numbers[..N as usize - 20].chunks(60) {
        tx.send_batch(some)?;
    }
    assert!(tx.try_deliver(&7).is_err(), "withdrawn: it stays as a corpse");
    for number in &numbers[N as usize - 20..] {
        tx.try_send(number)?;
    }
    assert_eq!(*rx.receive()?, 0);
    let pollable = rx.pollable()?;
    let other = rx.clone();
    assert_eq!((tx.len(), other.len()), (N as usize - 1, N as usize - 1));
    // One more for the one taken, and no more.
    assert_eq!(tx.try_send_batch(&[N, N + 1, N + 2])?, 1);
    // The original may sit idle.
    for expected in 1..N / 2 {
        assert_eq!(*other.receive_with(&soon())?, expected);
    }
    for expected in N / 2..=N {
        let rx = if expected % 2 == 0 { &rx } else { &other };
        assert_eq!(*rx.receive_with(&soon())?, expected);
    }
    assert!(rx.try_receive()?.is_none() && other.try_receive()?.is_none());
    drop(pollable);
    // From now on each goes by itself, with the same contract.
    assert_eq!(tx.try_send_batch(&numbers)?, N as usize);
    assert_eq!(tx.try_send_batch(&numbers)?, 0);
    assert_eq!(other.try_receive_batch(9)?.len(), 9);
    assert_eq!(rx.try_receive_batch(usize::MAX)?.len(), N as usize - 9);
    drop(tx);
    assert!(other.receive().unwrap_err().is_disconnected());
    assert!(rx.receive().unwrap_err().is_disconnected());
    Ok(())
}

/// What one receiver saw: its number, the sender's, the message's.
type Seen = (u32, u64, u64);

fn midstream(mechanism: Mechanism) -> Outcome {
    const EACH: u64 = 3000;
    const SENDERS: u64 = 2;
    for before in [1, 30, 700] {
        let options = Options::new(mechanism).capacity(Capacity::Bounded(128));
        let (tx, rx) = options.channel::<(u64, u64)>()?;
        let (note, notes) =
            postbox::channel::<Vec<Seen>>(Mechanism::SharedMemory, Capacity::Unbounded)?;
        let mut group = Group::new();
        for sender in 0..SENDERS {
            group.fork(tx.clone(), move |tx| {
                let messages: Vec<_> = (0..EACH).map(|number| (sender, number)).collect();
                for some in messages.chunks(50) {
                    assert_eq!(tx.send_batch_with(some, &soon())?, some.len());
                }
                Ok(())
            })?;
        }
        drop(tx);
        let mut seen: Vec<Seen> = Vec::new();
        for _ in 0..before {
            let (sender, number) = *rx.receive_with(&soon())?;
            seen.push((0, sender, number));
        }
        for receiver in 1..3 {
            group.fork((rx.clone(), note.clone()), move |(rx, note)| {
                let mut seen = Vec::new();
                loop {
                    match rx.receive_with(&soon()) {
                        Ok(delivery) => seen.push((receiver, delivery.0, delivery.1)),
                        Err(error) if error.is_disconnected() => break,
                        Err(error) => return Err(error.into()),
                    }
                }
                Ok(note.send(&seen)?)
            })?;
        }
        drop(note);
        for delivery in &rx {
            let (sender, number) = *delivery?;
            seen.push((0, sender, number));
        }
        group.wait()?;
        for others in &notes {
            seen.extend(others?.into_inner());
        }
        let mut last = HashMap::new();
        for &(receiver, sender, number) in &seen {
            let before = last.insert((receiver, sender), number);
            assert!(before.is_none_or(|before| before < number), "{receiver} has {number} late");
        }
        let mut all: Vec<_> = seen.iter().map(|(_, sender, number)| (*sender, *number)).collect();
        all.sort_unstable();
        let sent = (0..SENDERS).flat_map(|sender| (0..EACH).map(move |number| (sender, number)));
        assert!(all.into_iter().eq(sent), "lost, or twice");
    }
    Ok(())
}

fn by_fork(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel(mechanism, 64)?;
    let numbers: Vec<u64> = (0..60).collect();
    tx.send_batch(&numbers)?;
    assert_eq!(*rx.receive()?, 0);
    let (found, finding) = channel(mechanism, 1)?;
    let child = fork((rx, found), |(rx, found)| {
        for expected in 1..60 {
            assert_eq!(*rx.receive_with(&soon())?, expected);
        }
        assert!(rx.is_empty() && rx.try_receive()?.is_none());
        found.send(&59)?;
        assert_eq!(*rx.receive_with(&soon())?, 60);
        Ok(())
    })?;
    finding.receive_with(&soon())?;
    tx.send(&60)?;
    Ok(child.wait()?)
}

fn by_exec(mechanism: Mechanism) -> Outcome {
    let options = Options::new(mechanism).capacity(Capacity::Bounded(64));
    let (tx, rx) = options.channel::<Bytes>()?;
    let (out, back) = options.channel::<Bytes>()?;
    let texts: Vec<String> = (0..90).map(|i| format!("message {i}")).collect();
    tx.send_batch(texts[..60].iter().map(String::as_bytes))?;
    assert_eq!(&**rx.receive()?, texts[0].as_bytes());
    let spawn = Spawn::new(PEER).arg("echo").pass("in", rx)?.pass("out", out)?;
    // What was held is still in the channel.
    assert_eq!(tx.len(), 59);
    let child = spawn.spawn()?;
    tx.send_batch(texts[60..].iter().map(String::as_bytes))?;
    drop(tx);
    for text in &texts[1..] {
        assert_eq!(&**back.receive_with(&soon())?, text.as_bytes());
    }
    assert!(back.receive_with(&soon()).unwrap_err().is_disconnected());
    Ok(child.wait()?)
}
