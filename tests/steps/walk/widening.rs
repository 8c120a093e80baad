//! A ring that two have for themselves becomes one for many, or another's, while one of them is in the middle of
//! something.

use super::Play;
use super::burying::{First, bury};
use super::stage::{Stage, VICTIM};
use postbox::{Capacity, Mechanism, Receiver, Sender};
use postbox_steps::Step;
use postbox_tests::{Numbered, Outcome, eventually};

const SHM: &[Mechanism] = &[Mechanism::SharedMemory];

pub const PLAYS: &[Play] = &[
    Play::only(SHM, "the sender of a pair dies", |stage| of_sender(stage, send)),
    Play::only(SHM, "the sender of a pair that makes a third dies", |stage| {
        of_sender(stage, send_by_two)
    }),
    Play::only(SHM, "the receiver of a pair dies", |stage| of_receiver(stage, receive)),
    Play::only(SHM, "the receiver of a pair that makes a third dies", |stage| {
        of_receiver(stage, receive_by_two)
    }),
    Play::only(SHM, "another sends where the victim did", next_sender),
    Play::only(SHM, "another receives where the victim did", next_receiver),
    Play::only(SHM, "the undertaker of the sender of a pair dies", |stage| {
        bury(stage, Step::PairAnnounced, First::Sender)
    }),
    Play::only(SHM, "the undertaker of the receiver of a pair dies", |stage| {
        bury(stage, Step::PairAnnounced, First::Receiver)
    }),
];

const MOST: u32 = 3;
const LARGE: usize = 9_000;

type Tx = Sender<Numbered>;
type Rx = Receiver<Numbered>;

fn send(stage: &Stage, tx: Tx) -> Outcome {
    let lens = [10, 100, LARGE].into_iter().enumerate();
    lens.into_iter().try_for_each(|(seq, len)| stage.itself().send(&tx, seq as u64, len))
}

fn send_by_two(stage: &Stage, tx: Tx) -> Outcome {
    let member = stage.itself();
    (0..2).try_for_each(|seq| member.send(&tx, seq, 10))?;
    let another = tx.clone();
    member.send(&another, 2, 10)
}

/// Where the victim stands still, a third comes and receives; if it died, what it was in the middle of is cleared.
fn of_sender(stage: &Stage, send: fn(&Stage, Tx) -> Outcome) -> Outcome {
    let (tx, rx) = stage.channel(Capacity::Bounded(MOST))?;
    // From here on it is the pair's receiver.
    assert!(rx.try_receive()?.is_none(), "nothing was sent");
    let victim = stage.victim(tx, |tx| send(stage, tx))?;
    let mut third = None;
    stage.see_out(victim, || take_all(stage, third.get_or_insert_with(|| rx.clone())))?;
    drop(third);
    stage.clear(&rx, 1)?;
    // Whoever comes then makes nothing of it anew.
    drop(rx.clone());
    stage.clear(&rx, 1)
}

fn take_all(stage: &Stage, rx: &Rx) -> Outcome {
    loop {
        match rx.try_receive() {
            Ok(Some(delivery)) => stage.judge().note(&delivery)?,
            Ok(None) => return Ok(()),
            // It stands still behind its leave.
            Err(error) if error.is_disconnected() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn receive(stage: &Stage, rx: Rx) -> Outcome {
    stage.itself().receive(&rx, MOST as usize)?;
    stage.itself().try_receive_all(&rx)
}

fn receive_by_two(stage: &Stage, rx: Rx) -> Outcome {
    let member = stage.itself();
    member.receive(&rx, 1)?;
    let another = rx.clone();
    member.receive(&another, 1)?;
    member.receive(&rx, 1)?;
    member.try_receive_all(&another)
}

/// Where the victim stands still, a third comes and fills the channel; what it had in hand keeps no room.
fn of_receiver(stage: &Stage, receive: fn(&Stage, Rx) -> Outcome) -> Outcome {
    let (tx, rx) = stage.channel(Capacity::Bounded(MOST))?;
    let judge = stage.judge();
    for (seq, len) in [10, LARGE, 100].into_iter().enumerate() {
        judge.send(&tx, seq as u64, len)?;
    }
    // If it dies, nobody is left to receive what waits.
    let victim = stage.victim(rx, |rx| receive(stage, rx))?;
    stage.may_hold(&victim, VICTIM, 2 * MOST as usize);
    let mut third = None;
    stage.see_out(victim, || {
        if third.is_none() {
            fill(third.insert(tx.clone()))?;
        }
        Ok(())
    })?;
    eventually("nobody to receive", || {
        tx.try_send(&(0, 100, vec![])).is_err_and(|error| error.is_disconnected()).then_some(())
    });
    Ok(())
}

/// Whoever was there without sending goes on where the victim was, and the ring stays for two.
fn next_sender(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(Capacity::Bounded(MOST))?;
    let next = tx.clone();
    let victim = stage.victim(tx, |tx| send(stage, tx))?;
    stage.see_out(victim, || take_all(stage, &rx))?;
    stage.clear(&rx, 2)?;
    go_on(stage, &next, &rx)?;
    drop(next);
    stage.clear(&rx, 1)
}

/// The same of a receiver, and of what the victim had in hand.
fn next_receiver(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(Capacity::Bounded(MOST))?;
    let next = rx.clone();
    for (seq, len) in [10, LARGE, 100].into_iter().enumerate() {
        stage.judge().send(&tx, seq as u64, len)?;
    }
    let victim = stage.victim(rx, |rx| receive(stage, rx))?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    stage.clear(&next, 2)?;
    go_on(stage, &tx, &next)?;
    drop(tx);
    stage.clear(&next, 1)
}

/// As much as goes in, and once round the ring.
fn go_on(stage: &Stage, tx: &Tx, rx: &Rx) -> Outcome {
    let judge = stage.judge();
    for first in (u64::from(MOST)..100).step_by(MOST as usize) {
        (first..first + u64::from(MOST)).try_for_each(|seq| judge.send(tx, seq, 10))?;
        assert_eq!(tx.len(), MOST as usize, "it is full");
        judge.receive(rx, MOST as usize)?;
    }
    assert!(rx.is_for_two());
    Ok(())
}

fn fill(tx: &Tx) -> Outcome {
    for seq in u64::from(MOST).. {
        match tx.try_send(&(0, seq, vec![seq as u8; 10])) {
            Ok(()) => {}
            Err(error) if error.is_full() => break,
            // It stands still behind its leave.
            Err(error) if error.is_disconnected() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
    assert_eq!(tx.len(), MOST as usize, "it is full");
    Ok(())
}
