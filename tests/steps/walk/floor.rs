//! What only mailboxes have: one receiver at a time, or two processes.

use super::Play;
use super::stage::{Doom, Failure, Stage, VICTIM};
use postbox::{
    Capacity, DomainOptions, Mailbox, MailboxOptions, Policy, Process, Wait, WaitStrategy, fork,
};
use postbox_steps::{Fate, Step};
use postbox_tests::{Numbered, Outcome, soon, until_asleep};
use std::time::Duration;
use tempfile::TempDir;

pub const PLAYS: &[Play] = &[
    Play::new("one of several receivers in a line dies", in_line),
    Play::new("one dies that waits in line in vain", impatient),
    Play::new("one dies whose predecessor died with the floor", successor),
    Play::new("one dies that polls beside a line", polling),
    Play::new("one of a pair dies", one_of_a_pair),
];

const CAPACITY: Capacity = Capacity::Bounded(4);

/// A mailbox, with its owner and where that one lives.
struct Place {
    mailbox: Mailbox<Numbered>,
    owner: Process,
    place: TempDir,
}

impl Place {
    fn new(stage: &Stage, policy: Policy) -> Result<Self, Failure> {
        let place = tempfile::tempdir()?;
        let owner = DomainOptions::new().directory(place.path()).open("walk")?.join("owner")?;
        let options = MailboxOptions::new(stage.mechanism)
            .capacity(CAPACITY)
            .policy(policy)
            .wait_strategy(WaitStrategy::Block);
        let mailbox = owner.create_mailbox("box", options)?;
        Ok(Place { mailbox, owner, place })
    }

    fn close(self) -> Outcome {
        self.mailbox.destroy()?;
        drop(self.owner);
        Ok(self.place.close()?)
    }
}

fn in_line(stage: &Stage) -> Outcome {
    let place = Place::new(stage, Policy::OneAtATime)?;
    let (tx, rx) = (place.mailbox.sender()?, place.mailbox.receiver()?);
    let receivers = vec![stage.receiver(&rx)?, stage.receiver(&rx)?];
    let victim = stage.victim(rx.clone(), |rx| {
        stage.itself().receive(&rx, 2)?;
        stage.itself().try_receive_all(&rx)
    })?;
    stage.may_hold(&victim, VICTIM, 1);
    let sender = stage.sender_until_over(&tx)?;
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(vec![sender])?;
    stage.stop(&tx, receivers)?;
    stage.settle(&tx, &rx, CAPACITY)?;
    drop((tx, rx));
    place.close()
}

fn impatient(stage: &Stage) -> Outcome {
    let place = Place::new(stage, Policy::OneAtATime)?;
    let (tx, rx) = (place.mailbox.sender()?, place.mailbox.receiver()?);
    let receiver = stage.receiver(&rx)?;
    until_asleep(receiver.pid());
    let victim = stage.victim(rx.clone(), |rx| {
        for _ in 0..2 {
            match rx.receive_with(&Wait::timeout(Duration::from_millis(1))) {
                Ok(delivery) => stage.itself().note(&delivery)?,
                Err(error) if error.is_timeout() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    (0..2).try_for_each(|seq| stage.judge().send(&tx, seq, 10))?;
    stage.until_empty(&tx)?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, CAPACITY)?;
    drop((tx, rx));
    place.close()
}

fn successor(stage: &Stage) -> Outcome {
    let place = Place::new(stage, Policy::OneAtATime)?;
    let (tx, rx) = (place.mailbox.sender()?, place.mailbox.receiver()?);
    let doom = Doom { step: Step::FloorTaken, when: 1, fate: Fate::Dies };
    let first = stage.other(100);
    let dead = stage.doomed(doom, rx.clone(), |rx| first.receive(&rx, 1))?;
    stage.see_die(dead)?;
    (0..3).try_for_each(|seq| stage.judge().send(&tx, seq, 10))?;
    let victim = stage.victim(rx.clone(), |rx| stage.itself().receive(&rx, 2))?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    let receiver = stage.receiver(&rx)?;
    stage.until_empty(&tx)?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, CAPACITY)?;
    drop((tx, rx));
    place.close()
}

fn polling(stage: &Stage) -> Outcome {
    let place = Place::new(stage, Policy::OneAtATime)?;
    let (tx, rx) = (place.mailbox.sender()?, place.mailbox.receiver()?);
    let victim = stage.victim((tx.clone(), rx.clone()), |(tx, rx)| {
        let pollable = rx.pollable()?;
        (0..2).try_for_each(|seq| stage.itself().send(&tx, seq, 10))?;
        stage.itself().try_receive_all(&rx)?;
        drop(pollable);
        Ok(())
    })?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    stage.settle(&tx, &rx, CAPACITY)?;
    drop((tx, rx));
    place.close()
}

fn one_of_a_pair(stage: &Stage) -> Outcome {
    let place = Place::new(stage, Policy::Pair)?;
    let (tx, rx) = (place.mailbox.sender()?, place.mailbox.receiver()?);
    let heir = stage.other(100);
    let victim = stage.victim((tx.clone(), rx.clone()), |(tx, rx)| {
        stage.itself().send(&tx, 0, 10)?;
        drop(rx);
        let child = fork(tx, |tx| heir.send(&tx, 0, 10))?;
        Ok(child.wait()?)
    })?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    stage.reap();
    // The place of the dead is anybody's.
    let sender = stage.survivor(tx.clone(), |tx, member| member.deliver(&tx, 0, 10, &soon()))?;
    stage.until_delivered(&rx, vec![sender])?;
    stage.settle(&tx, &rx, CAPACITY)?;
    drop((tx, rx));
    place.close()
}
