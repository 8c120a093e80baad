//! Capacity zero: the victim is one of those that meet.

use super::Play;
use super::stage::{Stage, Survivor, VICTIM};
use super::standing::{resume, stop};
use postbox::{Capacity, Receiver, Sender, Wait};
use postbox_tests::{Numbered, Outcome, soon, until_asleep, until_asleep_or_ended};
use std::time::Duration;

pub const PLAYS: &[Play] = &[
    Play::new("a sender dies at a rendezvous", sending),
    Play::new("a sender dies that only tries to meet", trying),
    Play::new("a sender dies that nobody meets", in_vain),
    Play::new("a sender dies that counts on one receiver while another has its offer", elsewhere),
    Play::new("a receiver dies at a rendezvous", receiving),
    Play::new("a receiver dies that takes what is offered", taking),
    Play::new("a receiver dies that meets the withdrawn first", after_corpses),
    Play::new("one of two engaged receivers dies with the other's offer", swapping),
    Play::new("an engaged receiver dies with an offer that had not engaged it", declining),
    Play::new("a receiver dies in a crowd", |stage| crowd(stage, Part::Receiver)),
    Play::new("a sender dies in a crowd", |stage| crowd(stage, Part::Sender)),
];

const ZERO: Capacity = Capacity::Zero;
const LARGE: usize = 9_000;

fn sending(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(ZERO)?;
    let receiver = stage.receiver(&rx)?;
    let sender = stage.sender(&tx, 3)?;
    let victim = stage.victim(tx.clone(), |tx| {
        let member = stage.itself();
        (0..2).try_for_each(|seq| member.send(&tx, seq, 10))?;
        member.send(&tx, 2, LARGE)
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(vec![sender])?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, ZERO)
}

fn trying(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(ZERO)?;
    let receivers = vec![stage.receiver(&rx)?, stage.receiver(&rx)?];
    let victim = stage.victim(tx.clone(), |tx| {
        (0..3).try_fold(0, |seq, _| stage.itself().try_until_sent(&tx, seq)).map(drop)
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.stop(&tx, receivers)?;
    stage.settle(&tx, &rx, ZERO)
}

fn in_vain(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(ZERO)?;
    let victim = stage.victim(tx.clone(), |tx| {
        let wait = Wait::timeout(Duration::from_millis(1));
        for (seq, len) in [10, LARGE].into_iter().enumerate() {
            stage.itself().send_within(&tx, seq as u64, len, &wait)?;
        }
        stage.itself().try_send(&tx, 2, 10).map(drop)
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.settle(&tx, &rx, ZERO)
}

/// The receiver that the victim counts on stands still, and another takes what there is. Then that one waits on, and
/// somebody else can count on it.
fn elsewhere(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(ZERO)?;
    let receiver = stage.receiver(&rx)?;
    until_asleep(receiver.pid());
    stop(receiver.pid())?;
    let victim = stage.victim(tx.clone(), |tx| stage.itself().try_send(&tx, 0, 10).map(drop))?;
    stage.see_out(victim, || Ok(()))?;
    let (judge, mut seq) = (stage.judge(), 0);
    // By trying to send it notices a death, before it comes upon what the dead has left.
    while rx.inspection().members > 3 {
        judge.try_send(&tx, seq, 10)?;
        seq += 1;
    }
    judge.try_receive_all(&rx)?;
    resume(receiver.pid())?;
    judge.try_until_sent(&tx, seq)?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, ZERO)
}

fn receiving(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(ZERO)?;
    let sender = stage.sender(&tx, 4)?;
    let trier = stage.survivor(tx.clone(), |tx, member| {
        (0..3).try_fold(0, |seq, _| member.try_until_sent(&tx, seq)).map(drop)
    })?;
    let victim = stage.victim(rx.clone(), |rx| stage.itself().receive(&rx, 4))?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    let receiver = stage.receiver(&rx)?;
    stage.go_on(vec![sender, trier])?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, ZERO)
}

fn taking(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(ZERO)?;
    let senders = vec![stage.sender(&tx, 2)?, stage.deliverer(&tx, 2)?];
    let victim = stage.victim(rx.clone(), |rx| {
        let mut taken = 0;
        postbox_tests::eventually("an offer", || {
            let delivery = rx.try_receive().unwrap()?;
            stage.itself().note(&delivery).unwrap();
            taken += 1;
            (taken == 3).then_some(())
        });
        Ok(())
    })?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    let receiver = stage.receiver(&rx)?;
    stage.go_on(senders)?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, ZERO)
}

fn after_corpses(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(ZERO)?;
    for seq in 0..2 {
        let wait = Wait::timeout(Duration::ZERO);
        stage.judge().send_within(&tx, seq, 10, &wait)?;
    }
    let victim = stage.victim(rx.clone(), |rx| stage.itself().receive(&rx, 1))?;
    stage.may_hold(&victim, VICTIM, 1);
    let sender = stage.sender_until_over(&tx)?;
    stage.see_out(victim, || Ok(()))?;
    let receiver = stage.receiver(&rx)?;
    stage.go_on(vec![sender])?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, ZERO)
}

/// Two receivers that wait, and stand still while both are counted on: the victim, which goes on
/// first, finds the offer that had engaged the other.
fn swapping(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(ZERO)?;
    let other = stage.receiver(&rx)?;
    until_asleep(other.pid());
    let victim = stage.victim(rx.clone(), |rx| stage.itself().receive(&rx, 1))?;
    stage.may_hold(&victim, VICTIM, 1);
    until_asleep_or_ended(victim.pid());
    stop(other.pid())?;
    let stands = stop(victim.pid());
    let judge = stage.judge();
    let seq = judge.try_until_sent(&tx, 0)?;
    // A victim that lies dead already is not counted on, and none that stood still before it waited.
    let extra = match judge.try_send(&tx, seq, 10)? {
        true => vec![],
        false => vec![stage.sender(&tx, 1)?],
    };
    if stands.is_ok() {
        resume(victim.pid())?;
    }
    let mut more = vec![];
    stage.see_out(victim, || {
        // While the victim stands still, this one may take all that there is; the victim waits on.
        resume(other.pid())?;
        more.push(stage.sender_until_over(&tx)?);
        Ok(())
    })?;
    resume(other.pid())?;
    stage.go_on([extra, more].into_iter().flatten().collect())?;
    stage.stop(&tx, vec![other])?;
    stage.settle(&tx, &rx, ZERO)
}

/// The victim waits and stands still; before the offer that engages it there is one that does not.
fn declining(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(ZERO)?;
    let victim = stage.victim(rx.clone(), |rx| stage.itself().receive(&rx, 1))?;
    stage.may_hold(&victim, VICTIM, 1);
    until_asleep_or_ended(victim.pid());
    let stands = stop(victim.pid());
    let sender = stage.sender(&tx, 1)?;
    until_asleep(sender.pid());
    stage.judge().try_send(&tx, 0, 10)?;
    if stands.is_ok() {
        resume(victim.pid())?;
    }
    stage.see_out(victim, || Ok(()))?;
    let receiver = stage.receiver(&rx)?;
    stage.go_on(vec![sender])?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, ZERO)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Sender,
    Receiver,
}

/// Two that try to send, one that sends, and two that now and then lose patience.
fn crowd(stage: &Stage, part: Part) -> Outcome {
    let (tx, rx) = stage.channel(ZERO)?;
    let receivers = vec![stage.receiver(&rx)?, stage.receiver(&rx)?];
    let mut senders: Vec<Survivor> = vec![stage.sender(&tx, 8)?, stage.deliverer(&tx, 8)?];
    for _ in 0..2 {
        senders.push(stage.survivor(tx.clone(), |tx, member| {
            (0..8).try_fold(0, |seq, _| member.try_until_sent(&tx, seq)).map(drop)
        })?);
    }
    let victim = match part {
        Part::Sender => stage.victim(tx.clone(), |tx| try_and_send(stage, &tx))?,
        Part::Receiver => stage.victim(rx.clone(), |rx| impatient(stage, &rx))?,
    };
    if part == Part::Receiver {
        stage.may_hold(&victim, VICTIM, 1);
    }
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(senders)?;
    stage.stop(&tx, receivers)?;
    stage.settle(&tx, &rx, ZERO)
}

fn try_and_send(stage: &Stage, tx: &Sender<Numbered>) -> Outcome {
    let mut seq = 0;
    for _ in 0..6 {
        seq = stage.itself().try_until_sent(tx, seq)?;
        stage.itself().send_within(tx, seq, 10, &Wait::timeout(Duration::from_micros(100)))?;
        seq += 1;
    }
    stage.itself().deliver(tx, seq, 10, &soon())
}

fn impatient(stage: &Stage, rx: &Receiver<Numbered>) -> Outcome {
    for round in 0..40 {
        match rx.receive_with(&Wait::timeout(Duration::from_micros(20 * (round % 5)))) {
            Ok(delivery) => stage.itself().note(&delivery)?,
            Err(error) if error.is_timeout() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
