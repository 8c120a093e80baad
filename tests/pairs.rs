//! A channel's first two ends, and those that come in the middle of their traffic.

use postbox::{Capacity, Mechanism, Options, Receiver, Sender, WaitStrategy, fork};
use postbox_tests::{Case, Outcome, over_capacities, run, soon};
use std::error::Error;
use std::process::ExitCode;
use std::thread;

/// Channels per case: the third end comes at another message in each.
const ROUNDS: u32 = 12;
/// Messages by each sender.
const EACH: u32 = 120;

type Numbered = (u32, u32);
type Failure = Box<dyn Error + Send + Sync>;

fn of_any_thread(failure: Failure) -> Box<dyn Error> {
    failure
}

const CAPACITIES: [Capacity; 5] = [
    Capacity::Zero,
    Capacity::Bounded(1),
    Capacity::Bounded(3),
    Capacity::Bounded(64),
    Capacity::Unbounded,
];

fn main() -> ExitCode {
    let mut cases: Vec<Case> = over_capacities(
        "a sender that comes in the middle of a stream",
        &CAPACITIES,
        |mechanism, capacity| rounds(mechanism, capacity, true, false),
    );
    cases.extend(over_capacities(
        "a receiver that comes in the middle of a stream",
        &CAPACITIES,
        |mechanism, capacity| rounds(mechanism, capacity, false, true),
    ));
    cases.extend(over_capacities(
        "both come in the middle of a stream",
        &CAPACITIES,
        |mechanism, capacity| rounds(mechanism, capacity, true, true),
    ));
    run(cases)
}

fn rounds(mechanism: Mechanism, capacity: Capacity, sender: bool, receiver: bool) -> Outcome {
    for round in 0..ROUNDS {
        let strategy = [WaitStrategy::Adaptive, WaitStrategy::Block][round as usize % 2];
        let options = Options::new(mechanism).capacity(capacity).wait_strategy(strategy);
        let (tx, rx) = options.channel::<Numbered>()?;
        // Anywhere, the first messages included.
        let sending = fork(tx, |tx| send(tx, round * 7 % EACH, sender).map_err(of_any_thread))?;
        let receiving = fork(rx, |rx| {
            let got = receive(rx, round * 11 % EACH, receiver).map_err(of_any_thread)?;
            judge(&got, if sender { 2 } else { 1 });
            Ok(())
        })?;
        sending.wait()?;
        receiving.wait()?;
    }
    Ok(())
}

/// After `alone` messages a clone sends as many as this one, from another thread, if one is to come.
fn send(tx: Sender<Numbered>, alone: u32, third: bool) -> Result<(), Failure> {
    let all = |tx: &Sender<Numbered>, by: u32, from: u32| {
        (from..EACH).try_for_each(|seq| tx.send_with(&(by, seq), &soon()))
    };
    (0..alone).try_for_each(|seq| tx.send_with(&(0, seq), &soon()))?;
    let another = third.then(|| tx.clone());
    thread::scope(|scope| {
        let other = another.map(|tx| scope.spawn(move || all(&tx, 1, 0)));
        all(&tx, 0, alone)?;
        other.map_or(Ok(()), |other| other.join().expect("it ends"))
    })?;
    Ok(())
}

/// What each receiver got, in its order; after `alone` messages there are two of them, if one is to come.
fn receive(rx: Receiver<Numbered>, alone: u32, third: bool) -> Result<Vec<Vec<Numbered>>, Failure> {
    let rest = |rx: &Receiver<Numbered>| -> Result<Vec<Numbered>, Failure> {
        let mut got = vec![];
        loop {
            match rx.receive_with(&soon()) {
                Ok(delivery) => got.push(*delivery),
                Err(error) if error.is_disconnected() => return Ok(got),
                Err(error) => return Err(error.into()),
            }
        }
    };
    let mut got = vec![];
    for _ in 0..alone {
        got.push(*rx.receive_with(&soon())?);
    }
    let another = third.then(|| rx.clone());
    let (own, others) = thread::scope(|scope| {
        let other = another.map(|rx| scope.spawn(move || rest(&rx)));
        (rest(&rx), other.map_or(Ok(vec![]), |other| other.join().expect("it ends")))
    });
    got.extend(own?);
    Ok(vec![got, others?])
}

/// Each message of each sender once, and those of one sender in order to each receiver.
fn judge(got: &[Vec<Numbered>], senders: u32) {
    for (got, by) in got.iter().flat_map(|got| (0..senders).map(move |by| (got, by))) {
        let of = got.iter().filter(|(sender, _)| *sender == by);
        assert!(of.is_sorted_by(|a, b| a.1 < b.1), "sender {by} out of order: {got:?}");
    }
    let mut all = got.concat();
    all.sort_unstable();
    let sent = (0..senders).flat_map(|by| (0..EACH).map(move |seq| (by, seq)));
    assert!(all.iter().copied().eq(sent), "not each message once: {all:?}");
}
