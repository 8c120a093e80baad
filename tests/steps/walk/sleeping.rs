//! The victim sleeps, or is woken in another's place.

use super::Play;
use super::stage::{Stage, VICTIM};
use postbox::Capacity;
use postbox_tests::{Outcome, until_asleep, until_asleep_or_ended};

pub const PLAYS: &[Play] = &[
    Play::new("one of two sleeping receivers dies", receivers),
    Play::new("one of two sleeping senders dies", senders),
    Play::new("a sender dies that cannot use the room it was woken for", wrong_room),
];

fn receivers(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let (tx, rx) = stage.options(capacity).channel()?;
    let victim = stage.victim(rx.clone(), |rx| stage.itself().receive(&rx, 1))?;
    stage.may_hold(&victim, VICTIM, 1);
    until_asleep_or_ended(victim.pid());
    let receiver = stage.receiver(&rx)?;
    until_asleep(receiver.pid());
    // One is for the victim, if it lives to take it; whoever is left takes the rest.
    (0..2).try_for_each(|seq| stage.judge().send(&tx, seq, 10))?;
    let sender = stage.sender_until_over(&tx)?;
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(vec![sender])?;
    stage.until_empty(&tx)?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}

fn senders(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(1);
    let (tx, rx) = stage.options(capacity).channel()?;
    stage.judge().send(&tx, 0, 10)?;
    let victim = stage
        .victim(tx.clone(), |tx| (0..2).try_for_each(|seq| stage.itself().send(&tx, seq, 10)))?;
    until_asleep_or_ended(victim.pid());
    let sender = stage.sender(&tx, 2)?;
    until_asleep(sender.pid());
    let receiver = stage.receiver(&rx)?;
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(vec![sender])?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}

/// The victim waits for a place and then lacks bytes; the other needs none.
fn wrong_room(stage: &Stage) -> Outcome {
    const HALF: usize = 40_000;
    let capacity = Capacity::Bounded(2);
    let (tx, rx) = stage.options(capacity).byte_cap(1 << 16).channel()?;
    let judge = stage.judge();
    judge.send(&tx, 0, 10)?;
    judge.send(&tx, 1, HALF)?;
    let victim = stage.victim(tx.clone(), |tx| stage.itself().send(&tx, 0, HALF))?;
    until_asleep_or_ended(victim.pid());
    let sender = stage.sender(&tx, 1)?;
    until_asleep(sender.pid());
    // One place, and no bytes.
    judge.receive(&rx, 1)?;
    stage.go_on_past(&victim, vec![sender])?;
    let receiver = stage.receiver(&rx)?;
    stage.see_out(victim, || Ok(()))?;
    stage.until_empty(&tx)?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}
