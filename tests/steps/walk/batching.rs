//! Messages share packets, and the victim sends them, holds them, or lets there be a second receiver.

use super::stage::{Stage, VICTIM};
use super::{KERNEL, Play};
use postbox::{Capacity, Wait};
use postbox_tests::Outcome;
use std::time::Duration;

pub const PLAYS: &[Play] = &[
    Play::only(KERNEL, "a sender of packets dies", sending),
    Play::only(KERNEL, "a sender of packets dies while some of them are held", to_a_holder),
    Play::only(KERNEL, "the one receiver of packets dies", holding),
    Play::only(KERNEL, "one that lets there be a second receiver dies", sharing),
    Play::only(KERNEL, "a receiver of what lies in front dies", in_front),
];

const CAPACITY: Capacity = Capacity::Bounded(6);

fn sending(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(CAPACITY)?;
    let victim = stage.victim(tx.clone(), |tx| {
        let member = stage.itself();
        member.send_batch(&tx, 0, 3)?;
        // Room for three of these.
        member.try_send_batch(&tx, 3, 5)
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.settle(&tx, &rx, CAPACITY)
}

fn to_a_holder(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(CAPACITY)?;
    let judge = stage.judge();
    judge.send_batch(&tx, 0, 4)?;
    judge.receive(&rx, 1)?;
    let victim = stage.victim(tx.clone(), |tx| stage.itself().try_send_batch(&tx, 0, 3))?;
    stage.see_out(victim, || Ok(()))?;
    // Three are held. Whatever the dead left, there is never room for more than three.
    let mut inside = 3;
    for seq in 4..12 {
        // Who only tries would notice the death too late.
        let went = judge.send_within(&tx, seq, 10, &Wait::timeout(Duration::from_millis(5)))?;
        inside += usize::from(went);
    }
    assert!(inside <= 6, "{inside} messages were let into a channel for 6");
    stage.settle(&tx, &rx, CAPACITY)
}

fn holding(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(CAPACITY)?;
    stage.judge().send_batch(&tx, 0, 5)?;
    let victim = stage.victim(rx, |rx| {
        let member = stage.itself();
        member.receive(&rx, 2)?;
        for delivery in rx.receive_batch(9)? {
            member.note(&delivery)?;
        }
        Ok(())
    })?;
    stage.may_hold(&victim, VICTIM, 5);
    stage.see_out(victim, || Ok(()))?;
    // It was the last one. Until that is noticed there may be room for some more.
    loop {
        match tx.send_with(&(0, 9, Vec::new()), &postbox_tests::soon()) {
            Ok(()) => {}
            Err(error) if error.is_disconnected() => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn sharing(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(CAPACITY)?;
    let judge = stage.judge();
    judge.send_batch(&tx, 0, 3)?;
    judge.send_batch(&tx, 3, 2)?;
    judge.send(&tx, 5, 10)?;
    let victim = stage.victim(rx, |rx| {
        let member = stage.itself();
        member.receive(&rx, 1)?;
        let other = rx.clone();
        member.receive(&rx, 2)?;
        drop(rx);
        member.receive(&other, 3)
    })?;
    stage.may_hold(&victim, VICTIM, 6);
    stage.see_out(victim, || Ok(()))
}

fn in_front(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(CAPACITY)?;
    let judge = stage.judge();
    judge.send_batch(&tx, 0, 6)?;
    judge.receive(&rx, 1)?;
    // Now the five that were held lie in front.
    let victim = stage.victim(rx.clone(), |rx| stage.itself().receive(&rx, 2))?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    for seq in 6..10 {
        judge.try_send(&tx, seq, 10)?;
    }
    stage.settle(&tx, &rx, CAPACITY)
}
