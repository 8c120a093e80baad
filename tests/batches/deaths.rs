//! Who dies in the middle of a batch, and what is held meanwhile.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use postbox::{Capacity, Child, Mechanism, Options, Receiver, Sender, Wait, fork};
use postbox_tests::{Case, Chance, Gate, Outcome, eventually, over, soon, until_stopped};
use std::thread::sleep;
use std::time::{Duration, Instant};

const N: u32 = 100;
const ROUNDS: usize = 40;

pub fn cases() -> Vec<Case> {
    [
        over("senders of batches are killed while one holds what it received", senders),
        over("a receiver of batches is killed, and its senders are told", a_receiver),
        over("a receiver that is stopped holds what it holds, and no more", stopped),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn strike(child: &Child, signal: Signal) -> Outcome {
    Ok(kill(Pid::from_raw(child.pid() as i32), signal)?)
}

/// Sends batches of all sizes without end.
fn sends_batches(tx: Sender<(u32, u64)>, number: u32) -> Outcome {
    let mut chance = Chance::new();
    for first in (0..).step_by(100) {
        let messages: Vec<_> = (first..first + 100).map(|seq| (number, seq)).collect();
        let mut rest = &messages[..];
        while !rest.is_empty() {
            let some = rest.len().min(1 + chance.below(70) as usize);
            let went = match chance.below(2) {
                0 => tx.send_batch(&rest[..some])?,
                _ => tx.try_send_batch(&rest[..some])?,
            };
            rest = &rest[went..];
        }
    }
    Ok(())
}

/// Nobody is in the middle of anything: exactly what there is room for goes in, and what is inside
/// comes out.
fn fill_and_count(
    tx: &Sender<(u32, u64)>,
    rx: &Receiver<(u32, u64)>,
) -> Result<usize, Box<dyn std::error::Error>> {
    let deadline = Instant::now() + Duration::from_millis(30);
    while Instant::now() < deadline {
        let _ = tx.try_send(&(u32::MAX, 0));
    }
    assert!(tx.len() <= N as usize);
    let mut inside = 0;
    while rx.try_receive()?.is_some() {
        inside += 1;
    }
    Ok(inside)
}

fn senders(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = Options::new(mechanism).capacity(Capacity::Bounded(N)).channel()?;
    let mut chance = Chance::new();
    for round in 0..ROUNDS as u32 {
        let victim = fork(tx.clone(), |tx| sends_batches(tx, round))?;
        let mut last = None;
        // Some are taken, so that the sender is at work, and then this end holds some of a packet.
        for _ in 0..chance.below(400) + 1 {
            let (sender, seq) = *rx.receive_with(&soon())?;
            assert_eq!(sender, round);
            assert!(last.is_none_or(|last| seq == last + 1), "{seq} after {last:?}");
            last = Some(seq);
        }
        sleep(Duration::from_micros(chance.below(300)));
        strike(&victim, Signal::SIGKILL)?;
        assert!(victim.wait().is_err());
        // A repair is due now; what is held is no leak.
        let held = rx.len();
        assert!(held <= N as usize, "{held}");
        let inside = fill_and_count(&tx, &rx)?;
        assert!(inside <= N as usize, "{inside} were in a channel for {N}");
        // Once all that was there before is taken, all the room is back. (In a ring what lies behind a
        // slot of the dead comes when that is noticed.)
        eventually("the room to be back", || {
            while rx.try_receive().expect("it is not over").is_some() {}
            let went = tx.try_send_batch(&[(u32::MAX, 1); N as usize]).expect("it is bounded");
            (went == N as usize).then_some(())
        });
        assert_eq!(fill_and_count(&tx, &rx)?, N as usize);
    }
    Ok(())
}

fn a_receiver(mechanism: Mechanism) -> Outcome {
    let mut chance = Chance::new();
    for _ in 0..ROUNDS / 2 {
        let (tx, rx) = Options::new(mechanism).capacity(Capacity::Bounded(N)).channel()?;
        let (report, reported) = postbox::channel(Mechanism::SharedMemory, Capacity::Unbounded)?;
        let victim = fork((rx, report), |(rx, report): (Receiver<(u32, u64)>, Sender<u64>)| {
            let mut chance = Chance::new();
            loop {
                for delivery in rx.receive_batch(1 + chance.below(70) as usize)? {
                    report.send(&delivery.1)?;
                }
            }
        })?;
        let sender = fork(tx.clone(), |tx| match sends_batches(tx, 1) {
            Err(error) if error.to_string().contains("receiver") => Ok(()),
            other => Err(format!("not told of the end: {other:?}").into()),
        })?;
        sleep(Duration::from_micros(chance.below(3000)));
        strike(&victim, Signal::SIGKILL)?;
        let killed = Instant::now();
        assert!(tx.send_batch_with(&[(0, 0); 300], &soon()).unwrap_err().reason.is_disconnected());
        assert!(
            killed.elapsed() < Duration::from_secs(2),
            "noticed by the pidfd, or a look around"
        );
        assert!(victim.wait().is_err());
        sender.wait()?;
        let mut last = None;
        for number in &reported {
            let number = *number?;
            assert!(last.is_none_or(|last| number == last + 1), "{number} after {last:?}");
            last = Some(number);
        }
    }
    Ok(())
}

fn stopped(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = Options::new(mechanism).capacity(Capacity::Bounded(N)).channel()?;
    let (holds, go) = (Gate::new()?, Gate::new()?);
    assert_eq!(tx.try_send_batch(&[(0, 0); N as usize])?, N as usize);
    let child = fork(rx, |rx: Receiver<(u32, u64)>| {
        assert_eq!(*rx.receive_with(&soon())?, (0, 0));
        holds.open()?;
        go.pass()?;
        let mut count = 1;
        while rx.receive_with(&soon()).is_ok() {
            count += 1;
        }
        assert_eq!(count, N + 21);
        Ok(())
    })?;
    holds.pass()?;
    strike(&child, Signal::SIGSTOP)?;
    until_stopped(child.pid());
    let room = || tx.try_send_batch(&[(1, 1); 10]);
    assert_eq!((room()?, room()?), (1, 0));
    assert_eq!(tx.len(), N as usize);
    // A sender dies busy meanwhile, and its repair waits for what is held.
    let victim = fork(tx.clone(), |tx| sends_batches(tx, 1))?;
    sleep(Duration::from_millis(2));
    strike(&victim, Signal::SIGKILL)?;
    assert!(victim.wait().is_err());
    let in_vain = tx.send_batch_with(&[(1, 1); 10], &Wait::timeout(Duration::from_millis(20)));
    let error = in_vain.unwrap_err();
    assert!(error.sent == 0 && error.reason.is_timeout(), "{error}");
    strike(&child, Signal::SIGCONT)?;
    go.open()?;
    assert_eq!(tx.send_batch_with(&[(1, 1); 20], &soon())?, 20);
    drop(tx);
    Ok(child.wait()?)
}
