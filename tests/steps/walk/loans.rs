//! The victim writes messages, or reads them, where they lie.

use super::Play;
use super::member::Member;
use super::stage::{Doom, Failure, Stage, VICTIM};
use postbox::{Bytes, Capacity, Form, InPlace, Receiver, Sender, Wait};
use postbox_steps::{Fate, Step};
use postbox_tests::{Numbered, Outcome, eventually, soon};
use std::io::Write;
use std::time::Duration;

pub const PLAYS: &[Play] = &[
    Play::new("a lender dies", lending),
    Play::new("a lender dies at the overflow", overflowing),
    Play::new("a reader in place dies", reading),
    Play::new("one to one, a lender and then a reader in place die", alone),
    Play::new("the undertaker of a lender dies", |stage| bury(stage, Step::BodyLent)),
    Play::new("the undertaker of a reader in place dies", |stage| bury(stage, Step::BodyKept)),
];

/// Longer than any entry.
const LARGE: usize = 9_000;
/// With room for the numbers.
const SHORT: usize = 20;
const FIRST: u32 = 100;
/// What tells a receiver to stop.
const STOP: &[u8] = b"stop";

fn lend(member: &Member<'_>, tx: &mut Sender<Bytes>, seq: u64) -> Outcome {
    lend_of(member, tx, seq, LARGE)
}

fn lend_of(member: &Member<'_>, tx: &mut Sender<Bytes>, seq: u64, len: usize) -> Outcome {
    let mut loan = tx.loan_with(len, &soon())?;
    let mut rest = loan.bytes_mut();
    rest.write_all(&member.number.to_le_bytes())?;
    rest.write_all(&seq.to_le_bytes())?;
    rest.fill(seq as u8);
    loan.send_with(&soon())?;
    Ok(member.stage.books.sent.note(member.entry(seq))?)
}

fn numbered(bytes: &[u8]) -> Result<Numbered, Failure> {
    let (number, rest) = bytes.split_first_chunk().ok_or("too short")?;
    let (seq, filling) = rest.split_first_chunk().ok_or("too short")?;
    Ok((u32::from_le_bytes(*number), u64::from_le_bytes(*seq), filling.to_vec()))
}

fn note(member: &Member<'_>, message: &InPlace<'_>) -> Outcome {
    member.note(&numbered(&message.bytes().to_vec())?)
}

fn read(member: &Member<'_>, rx: &mut Receiver<Bytes>, count: usize) -> Outcome {
    (0..count).try_for_each(|_| note(member, &rx.receive_in_place_with(&soon())?))
}

fn read_on(member: &Member<'_>, rx: &mut Receiver<Bytes>) -> Outcome {
    loop {
        let message = rx.receive_in_place_with(&soon())?;
        if message.len() == STOP.len() {
            return Ok(());
        }
        note(member, &message)?;
    }
}

/// Nobody else is left: nothing is in use, and the room is what it was.
fn settle(stage: &Stage, tx: &Sender<Bytes>, rx: &Receiver<Bytes>, capacity: Capacity) -> Outcome {
    let take = |bytes: &Bytes| stage.judge().note(&numbered(bytes)?);
    stage.clear_of(rx, 2, take)?;
    if let Capacity::Bounded(n) = capacity {
        (0..n).try_for_each(|_| tx.try_send(STOP))?;
        assert!(tx.try_send(STOP).unwrap_err().is_full());
        for _ in 0..n {
            assert_eq!(&rx.try_receive()?.ok_or("one was lost")?[..], STOP);
        }
    }
    stage.clear_of(rx, 2, take)
}

fn lending(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let (tx, rx) = stage.channel(capacity)?;
    let receiver = stage.survivor(rx.clone(), |mut rx, member| read_on(member, &mut rx))?;
    let sender = stage.survivor(tx.clone(), |mut tx, member| {
        (0..3).try_for_each(|seq| lend(member, &mut tx, seq))
    })?;
    let victim = stage.victim(tx.clone(), |mut tx| {
        drop(tx.loan(LARGE)?);
        (0..3).try_for_each(|seq| lend(&stage.itself(), &mut tx, seq))
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(vec![sender])?;
    tx.send_with(STOP, &soon())?;
    stage.go_on(vec![receiver])?;
    settle(stage, &tx, &rx, capacity)
}

fn overflowing(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(Capacity::Unbounded)?;
    let judge = stage.judge();
    let (mut filler, mut rest) = (tx.clone(), rx.clone());
    let mut filled = 0;
    // Short ones, so that only what overflows is spilled.
    while tx.statistics().spilled < 3 {
        lend_of(&judge, &mut filler, filled, SHORT)?;
        filled += 1;
    }
    // What is in front is none of the victim's business.
    read(&judge, &mut rest, filled as usize - 4)?;
    drop((filler, rest));
    let victim = stage.victim(tx.clone(), |mut tx| {
        (0..2).try_for_each(|seq| lend(&stage.itself(), &mut tx, seq))
    })?;
    stage.see_out(victim, || Ok(()))?;
    settle(stage, &tx, &rx, Capacity::Unbounded)
}

fn reading(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let (tx, rx) = stage.channel(capacity)?;
    let sender = stage.survivor(tx.clone(), |mut tx, member| {
        (0..5).try_for_each(|seq| lend(member, &mut tx, seq))
    })?;
    let victim = stage.victim(rx.clone(), |mut rx| read(&stage.itself(), &mut rx, 3))?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    let receiver = stage.survivor(rx.clone(), |mut rx, member| read_on(member, &mut rx))?;
    stage.go_on(vec![sender])?;
    tx.send_with(STOP, &soon())?;
    stage.go_on(vec![receiver])?;
    settle(stage, &tx, &rx, capacity)
}

/// Nobody else has an end: whoever is left is told that it is over.
fn alone(stage: &Stage) -> Outcome {
    let options = stage.options(Capacity::Bounded(4)).form(Form::OneToOne);
    let judge = stage.judge();
    let (tx, mut rx) = options.channel()?;
    let victim = stage
        .victim(tx, |mut tx| (0..4).try_for_each(|seq| lend(&stage.itself(), &mut tx, seq)))?;
    stage.see_out(victim, || Ok(()))?;
    let over = loop {
        match rx.receive_in_place_with(&soon()) {
            Ok(message) => note(&judge, &message)?,
            Err(error) => break error,
        }
    };
    assert!(over.is_disconnected(), "{over}");

    let (mut tx, rx) = options.channel()?;
    (4..6).try_for_each(|seq| lend(&judge, &mut tx, seq))?;
    let victim = stage.victim(rx, |mut rx| read(&stage.itself(), &mut rx, 2))?;
    stage.may_hold(&victim, VICTIM, 2);
    stage.see_out(victim, || Ok(()))?;
    eventually("being told", || tx.loan(LARGE).err()?.is_disconnected().then_some(()));
    Ok(())
}

/// One dies with a loan, or with a message that it reads; the victim, which alone can notice, buries it
/// and goes on.
fn bury(stage: &Stage, step: Step) -> Outcome {
    let capacity = Capacity::Bounded(3);
    let (tx, rx) = stage.channel(capacity)?;
    let (judge, other) = (stage.judge(), stage.other(FIRST));
    let reads = step == Step::BodyKept;
    if reads {
        lend(&judge, &mut tx.clone(), 0)?;
    }
    let doom = Doom { step, when: 1, fate: Fate::Dies };
    let dead = stage.doomed(doom, (tx.clone(), rx.clone()), |(mut tx, mut rx)| match reads {
        true => read(&other, &mut rx, 1),
        false => lend(&other, &mut tx, 0),
    })?;
    if reads {
        stage.holds(&dead, FIRST, 1);
    }
    stage.see_die(dead)?;
    let victim = stage.victim((tx.clone(), rx.clone()), |(mut tx, mut rx)| {
        let member = stage.itself();
        for seq in 20..23 {
            // By its first wait it notices the death.
            while let Ok(message) = rx.receive_in_place_with(&Wait::timeout(GLANCE)) {
                note(&member, &message)?;
            }
            lend(&member, &mut tx, seq)?;
        }
        Ok(())
    })?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    settle(stage, &tx, &rx, capacity)
}

const GLANCE: Duration = Duration::from_millis(1);
