//! Room that comes free reaches whoever can use it, whatever else waits.

use postbox::{
    Bytes, Capacity, Mechanism, Options, ReceiveError, Wait, WaitStrategy, channel, fork,
};
use postbox_tests::{Case, Outcome, eventually, over, over_capacities, run, soon, until_asleep};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let mut cases: Vec<Case> = over(
        "a small message gets the room that a large one in front of it lacks the bytes for",
        small_behind_large,
    );
    cases.extend(over_capacities(
        "a deliver meets its receiver after thousands of withdrawn offers",
        &[Capacity::Zero, Capacity::Bounded(8), Capacity::Unbounded],
        after_withdrawn_offers,
    ));
    cases
        .extend(over("a message beyond the byte cap is too large, not waited for", beyond_the_cap));
    cases.extend(over("a batch reports the message that it could not decode", undecodable));
    cases.extend(over(
        "each waiting receiver is found by a try_send whoever took the last",
        each_found,
    ));
    run(cases)
}

fn small_behind_large(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = Options::new(mechanism)
        .capacity(Capacity::Bounded(2))
        .byte_cap(1 << 16)
        .wait_strategy(WaitStrategy::Block)
        .channel::<Bytes>()?;
    tx.send(b"small")?;
    tx.send(&[1; 40_000])?;
    // It needs the bytes of the 40 000 to go first.
    let large = fork(tx.clone(), |tx| Ok(tx.send_with(&[2; 50_000], &soon())?))?;
    until_asleep(large.pid());
    let small = fork(tx, |tx| Ok(tx.send_with(b"needs room alone", &soon())?))?;
    until_asleep(small.pid());
    assert_eq!(&**rx.receive_with(&soon())?, b"small");
    small.wait()?;
    assert_eq!(rx.receive_with(&soon())?.len(), 40_000);
    large.wait()?;
    assert_eq!(&**rx.receive_with(&soon())?, b"needs room alone");
    assert_eq!(rx.receive_with(&soon())?.len(), 50_000);
    assert!(rx.receive_with(&soon()).unwrap_err().is_disconnected());
    Ok(())
}

fn after_withdrawn_offers(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    // More than may lie in any queue at a time: the last ones wait before they are offered.
    for i in 0..1500 {
        let wait = Wait::timeout(Duration::from_micros(u64::from(i % 2)));
        assert!(tx.deliver_with(&i, &wait).unwrap_err().is_timeout());
    }
    let sender = fork(tx, |tx| {
        let receipt = tx.deliver_with(&4711, &soon())?;
        assert_ne!(receipt.receiver().pid(), std::process::id());
        Ok(())
    })?;
    until_asleep(sender.pid());
    assert_eq!(*rx.receive_with(&soon())?, 4711);
    sender.wait()?;
    Ok(())
}

fn each_found(mechanism: Mechanism) -> Outcome {
    for _ in 0..20 {
        let (tx, rx) = channel::<u32>(mechanism, Capacity::Zero)?;
        let take_one = |rx: postbox::Receiver<u32>| -> Outcome {
            rx.receive_with(&soon())?;
            Ok(())
        };
        let mut waiting = vec![fork(rx.clone(), take_one)?, fork(rx, take_one)?];
        waiting.iter().for_each(|child| until_asleep(child.pid()));
        for message in 0..2 {
            // Asleep it may be on its way into the call; once inside it stays to be found.
            eventually("finding a receiver", || tx.try_send(&message).ok());
            let taker = eventually("taking", || {
                waiting.iter_mut().position(|child| matches!(child.try_wait(), Ok(Some(_))))
            });
            waiting.remove(taker).wait()?;
            waiting.iter().for_each(|child| until_asleep(child.pid()));
        }
    }
    Ok(())
}

fn beyond_the_cap(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = Options::new(mechanism).byte_cap(1 << 16).channel::<Bytes>()?;
    let error = tx.send(&[0; 70_000]).unwrap_err().to_string();
    assert!(error.contains("70000 bytes") && error.contains("at most"), "{error}");
    assert!(rx.try_receive()?.is_none());
    tx.send(&[0; 60_000])?;
    assert_eq!(rx.receive()?.len(), 60_000);
    Ok(())
}

/// A number that is not two: to decode it fails.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u8", into = "u8")]
struct NotTwo(u8);

impl TryFrom<u8> for NotTwo {
    type Error = &'static str;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        if number == 2 { Err("two") } else { Ok(NotTwo(number)) }
    }
}

impl From<NotTwo> for u8 {
    fn from(number: NotTwo) -> u8 {
        number.0
    }
}

fn undecodable(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<NotTwo>(mechanism, Capacity::Bounded(8))?;
    tx.send_batch(&[NotTwo(1), NotTwo(2), NotTwo(3)])?;
    let numbers = |batch: Vec<postbox::Delivery<NotTwo>>| {
        batch.into_iter().map(|delivery| delivery.0).collect::<Vec<_>>()
    };
    assert_eq!(numbers(rx.receive_batch(8)?), [1]);
    assert!(matches!(rx.try_receive_batch(8), Err(ReceiveError::Decode(_))));
    assert_eq!(numbers(rx.try_receive_batch(8)?), [3]);
    assert_eq!(numbers(rx.try_receive_batch(8)?), [0u8; 0]);
    Ok(())
}
