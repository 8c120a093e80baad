//! The victim buries another that died, or repairs what that one left.

use super::Play;
use super::stage::{Doom, Stage};
use super::standing::{resume, stop};
use postbox::{Capacity, Mechanism, Receiver, Sender, Wait};
use postbox_steps::{Fate, Step};
use postbox_tests::{Numbered, Outcome, soon, until_asleep};
use std::time::Duration;

const SHM: &[Mechanism] = &[Mechanism::SharedMemory];

pub const PLAYS: &[Play] = &[
    Play::only(super::KERNEL, "the undertaker of a sender with a ticket dies", |stage| {
        bury(stage, Step::TicketTaken, First::Sender)
    }),
    Play::only(super::KERNEL, "the undertaker of a receiver with an entry dies", |stage| {
        bury(stage, Step::EntryPopped, First::Receiver)
    }),
    Play::only(SHM, "the undertaker of a sender with a slot dies", |stage| {
        bury(stage, Step::SlotClaimed, First::Sender)
    }),
    Play::only(SHM, "the undertaker of a receiver with a slot dies", |stage| {
        bury(stage, Step::SlotTaken, First::Receiver)
    }),
    Play::new("the undertaker of a deliverer dies", |stage| {
        bury(stage, Step::ReceiptAwaited, First::Deliverer)
    }),
    Play::new("the undertaker of one that was coming dies", |stage| {
        bury(stage, Step::SeatClaimed, First::Newcomer)
    }),
    Play::new("the undertaker of a sender with a body dies", |stage| {
        bury(stage, Step::BodyWritten, First::LargeSender)
    }),
    Play::new("the undertaker of a receiver with a body dies", |stage| {
        bury(stage, Step::RunCaptured, First::Receiver)
    }),
    Play::new("the undertaker of a sender with room in a log dies", |stage| {
        bury(stage, Step::RunClaimed, First::LargeSender)
    }),
    Play::new("the undertaker of a receiver at the overflow dies", at_the_overflow),
    Play::new("the undertaker of an engaged receiver dies", engaged),
    Play::only(
        super::KERNEL,
        "the undertaker dies while another stands still",
        beside_one_that_stands,
    ),
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum First {
    Sender,
    LargeSender,
    Deliverer,
    Newcomer,
    Receiver,
}

const LARGE: usize = 9_000;
const FIRST: u32 = 100;

/// One dies at `step`; the victim, which alone can notice, buries it and goes on.
pub fn bury(stage: &Stage, step: Step, first: First) -> Outcome {
    let capacity = Capacity::Bounded(3);
    let (tx, rx) = stage.channel(capacity)?;
    let judge = stage.judge();
    // Before there is anything that a clone would put in front of the kernel object.
    let its = rx.clone();
    if first == First::Receiver {
        judge.send(&tx, 0, LARGE)?;
    }
    let doom = Doom { step, when: 1, fate: Fate::Dies };
    let other = stage.other(FIRST);
    let dead = stage.doomed(doom, (tx.clone(), its), |(tx, rx)| match first {
        First::Sender => other.send(&tx, 0, 10),
        First::LargeSender => other.send(&tx, 0, LARGE),
        First::Deliverer => other.deliver(&tx, 0, LARGE, &soon()),
        First::Newcomer => {
            drop(tx.clone());
            Ok(())
        }
        First::Receiver => other.receive(&rx, 1),
    })?;
    if first == First::Receiver {
        stage.holds(&dead, FIRST, 1);
    }
    stage.see_die(dead)?;
    let victim = stage.victim((tx.clone(), rx.clone()), |(tx, rx)| {
        if first == First::Deliverer {
            // Before it receives, or it would take the offer.
            let wait = Wait::timeout(Duration::from_millis(1));
            for seq in 10..13 {
                stage.itself().send_within(&tx, seq, 10, &wait)?;
            }
        }
        undertake(stage, &tx, &rx)
    })?;
    stage.may_hold(&victim, super::stage::VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    stage.settle(&tx, &rx, capacity)
}

/// By its first wait it notices the death; by what it then does it mends what there is.
fn undertake(stage: &Stage, tx: &Sender<Numbered>, rx: &Receiver<Numbered>) -> Outcome {
    let member = stage.itself();
    for seq in 20..23 {
        loop {
            match rx.receive_with(&Wait::timeout(Duration::from_millis(1))) {
                Ok(delivery) => member.note(&delivery)?,
                Err(error) if error.is_timeout() => break,
                Err(error) => return Err(error.into()),
            }
        }
        member.try_send(tx, seq, 10)?;
    }
    Ok(())
}

/// The dead one had been counted on by a try_send.
fn engaged(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(Capacity::Zero)?;
    let step = match stage.mechanism {
        Mechanism::SharedMemory => Step::SlotTaken,
        _ => Step::EntryPopped,
    };
    let other = stage.other(FIRST);
    let doom = Doom { step, when: 1, fate: Fate::Dies };
    let dead = stage.doomed(doom, rx.clone(), |rx| other.receive(&rx, 1))?;
    stage.holds(&dead, FIRST, 1);
    until_asleep(dead.pid());
    // Or it would take the offer before it is counted on.
    stop(dead.pid())?;
    stage.judge().try_until_sent(&tx, 0)?;
    resume(dead.pid())?;
    stage.see_die(dead)?;
    let victim = stage.victim((tx.clone(), rx.clone()), |(tx, rx)| undertake(stage, &tx, &rx))?;
    stage.may_hold(&victim, super::stage::VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    stage.settle(&tx, &rx, Capacity::Zero)
}

/// A repair cannot go on before that one does, but everything else can.
fn beside_one_that_stands(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(3);
    let (tx, rx) = stage.channel(capacity)?;
    let (first, second) = (stage.other(FIRST), stage.other(FIRST + 1));
    let stops = Doom { step: Step::EntryPushed, when: 1, fate: Fate::Stops };
    let mut standing = stage.doomed(stops, tx.clone(), |tx| second.send(&tx, 0, 10))?;
    stage.until_stopped(&standing);
    let dies = Doom { step: Step::TicketTaken, when: 1, fate: Fate::Dies };
    let dead = stage.doomed(dies, tx.clone(), |tx| first.send(&tx, 0, 10))?;
    stage.see_die(dead)?;
    let victim = stage.victim((tx.clone(), rx.clone()), |(tx, rx)| undertake(stage, &tx, &rx))?;
    stage.may_hold(&victim, super::stage::VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    standing.signal(18)?;
    assert!(standing.wait_status()?.success());
    stage.settle(&tx, &rx, capacity)
}

fn at_the_overflow(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(Capacity::Unbounded)?;
    // Before there is anything that clones would put in front.
    let (its, last) = (rx.clone(), rx.clone());
    let mut filled = 0;
    while tx.statistics().spilled < 3 {
        stage.judge().send(&tx, filled, 10)?;
        filled += 1;
    }
    stage.judge().receive(&rx, filled as usize - 3)?;
    stage.judge().send(&tx, filled, LARGE)?;
    let doom = Doom { step: Step::OverflowTaken, when: 4, fate: Fate::Dies };
    let other = stage.other(FIRST);
    let dead = stage.doomed(doom, its, |rx| other.receive(&rx, 4))?;
    stage.holds(&dead, FIRST, 1);
    stage.see_die(dead)?;
    let victim = stage.victim((tx.clone(), last), |(tx, rx)| undertake(stage, &tx, &rx))?;
    stage.may_hold(&victim, super::stage::VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    stage.settle(&tx, &rx, Capacity::Unbounded)
}
