//! The victim sleeps, or is woken in another's place.

use super::Play;
use super::stage::{Stage, Survivor, VICTIM};
use super::standing::is_stopped_or_dead;
use postbox::Capacity;
use postbox_tests::{Gate, Outcome, eventually, is_running, until_asleep, until_asleep_or_ended};

pub const PLAYS: &[Play] = &[
    Play::new("one of two sleeping receivers dies", receivers),
    Play::new("one of two sleeping senders dies", senders),
    Play::new("one of three senders that sleep for room for all dies", crowd),
    Play::new("one of three senders that sleep for one place dies", one_place),
    Play::new("two receivers sleep beside a sender in the middle of a push", beside),
    Play::new("two receivers sleep beside a sender in the middle of an overflow", behind_overflow),
    Play::new("a sender dies that cannot use the room it was woken for", wrong_room),
];

fn receivers(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let (tx, rx) = stage.channel(capacity)?;
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
    let (tx, rx) = stage.channel(capacity)?;
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

/// Of these each is woken by the one before.
fn crowd(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(3);
    let (tx, rx) = stage.channel(capacity)?;
    (0..3).try_for_each(|seq| stage.judge().send(&tx, seq, 10))?;
    let victim = stage.victim(tx.clone(), |tx| stage.itself().send(&tx, 0, 10))?;
    until_asleep_or_ended(victim.pid());
    let senders = [stage.sender(&tx, 1)?, stage.sender(&tx, 1)?];
    senders.iter().for_each(|sender| until_asleep(sender.pid()));
    stage.judge().receive(&rx, 3)?;
    // Whoever finds nothing to receive wakes one more, should the one woken for all stand still.
    let receiver = stage.receiver(&rx)?;
    stage.go_on_past(&victim, senders.into())?;
    stage.see_out(victim, || Ok(()))?;
    stage.until_empty(&tx)?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}

/// The victim is woken for it; nobody looks for something to receive afterwards.
fn one_place(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(1);
    let (tx, rx) = stage.channel(capacity)?;
    stage.judge().send(&tx, 0, 10)?;
    let victim = stage.victim(tx.clone(), |tx| stage.itself().send(&tx, 0, 10))?;
    until_asleep_or_ended(victim.pid());
    let senders = [stage.sender(&tx, 1)?, stage.sender(&tx, 1)?];
    senders.iter().for_each(|sender| until_asleep(sender.pid()));
    for _ in 0..2 {
        stage.judge().receive(&rx, 1)?;
        eventually("send into the place", || {
            let resumed = stage.go_on_past(&victim, Vec::new());
            resumed.ok().filter(|()| tx.len() == 1)
        });
        // Whoever is still to send sleeps, or would find the next place without being woken.
        senders.iter().for_each(|sender| until_asleep_or_ended(sender.pid()));
    }
    let receiver = stage.receiver(&rx)?;
    stage.go_on_past(&victim, senders.into())?;
    stage.see_out(victim, || Ok(()))?;
    stage.until_empty(&tx)?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}

/// What lies behind the victim's message is taken by those who could not take it yet.
fn beside(stage: &Stage) -> Outcome {
    one_each(stage, Capacity::Bounded(64))
}

/// The same in the overflow.
fn behind_overflow(stage: &Stage) -> Outcome {
    one_each(stage, Capacity::Unbounded)
}

fn one_each(stage: &Stage, capacity: Capacity) -> Outcome {
    let (tx, rx) = stage.channel(capacity)?;
    // Before there is anything that a clone would put in front.
    let ends = [rx.clone(), rx.clone()];
    let mut filled = 0;
    while capacity == Capacity::Unbounded && tx.statistics().spilled == 0 {
        stage.judge().send(&tx, filled, 10)?;
        filled += 1;
    }
    let (sent, end) = (Gate::new()?, Gate::new()?);
    let victim = stage.victim(tx.clone(), |tx| {
        stage.itself().send(&tx, 0, 10)?;
        sent.open()?;
        // Its going would wake everybody.
        Ok(end.pass()?)
    })?;
    eventually("sending or ending", || {
        let sent = sent.is_open().unwrap_or(false);
        (sent || is_stopped_or_dead(victim.pid())).then_some(())
    });
    stage.judge().receive(&rx, filled as usize)?;
    (filled..filled + 2).try_for_each(|seq| stage.judge().send(&tx, seq, 10))?;
    let takers = ends.map(|rx| {
        stage.survivor(rx, |rx, member| {
            member.receive(&rx, 1)?;
            Ok(end.pass()?)
        })
    });
    let takers: Vec<Survivor> = takers.into_iter().collect::<Result<_, _>>()?;
    for taker in &takers {
        eventually("rest", || (!is_running(taker.pid())).then_some(()));
    }
    stage.go_on_past(&victim, Vec::new())?;
    stage.until_received(filled as usize + 2)?;
    (0..3).try_for_each(|_| end.open())?;
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(takers)?;
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
