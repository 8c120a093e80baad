//! The victim receives.

use super::Play;
use super::stage::{Stage, VICTIM};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use postbox::{Capacity, Form, Wait};
use postbox_tests::{Outcome, soon};
use std::os::fd::AsFd;
use std::time::Duration;

pub const PLAYS: &[Play] = &[
    Play::new("a receiver dies in the traffic of a bounded channel", |stage| {
        in_traffic(stage, Capacity::Bounded(2))
    }),
    Play::new("a receiver dies in the traffic of an unbounded channel", |stage| {
        in_traffic(stage, Capacity::Unbounded)
    }),
    Play::new("a receiver of offers dies", of_offers),
    Play::new("a receiver that only tries dies", trying),
    Play::new("a receiver of batches dies", in_batches),
    Play::new("a receiver of withdrawn offers dies", of_corpses),
    Play::new("a receiver of large messages dies", large),
    Play::new("a receiver dies at the overflow", overflowing),
    Play::new("a receiver that polls dies", polling),
    Play::new("the one receiver of a one to one channel dies", alone),
];

const LARGE: usize = 9_000;

fn in_traffic(stage: &Stage, capacity: Capacity) -> Outcome {
    let (tx, rx) = stage.channel(capacity)?;
    let sender = stage.sender(&tx, 8)?;
    let victim = stage.victim(rx.clone(), |rx| stage.itself().receive(&rx, 3))?;
    stage.may_hold(&victim, VICTIM, 1);
    let receiver = stage.receiver(&rx)?;
    // Enough for the victim, should the other be quicker.
    let more = stage.sender_until_over(&tx)?;
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(vec![sender, more])?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}

fn of_offers(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let (tx, rx) = stage.channel(capacity)?;
    let deliverer = stage.survivor(tx.clone(), |tx, member| {
        let lens = [10, LARGE, 10, 10, LARGE, 10].into_iter().enumerate();
        lens.into_iter().try_for_each(|(seq, len)| member.deliver(&tx, seq as u64, len, &soon()))
    })?;
    let victim = stage.victim(rx.clone(), |rx| stage.itself().receive(&rx, 3))?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    let receiver = stage.receiver(&rx)?;
    stage.go_on(vec![deliverer])?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}

fn trying(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(4);
    let (tx, rx) = stage.channel(capacity)?;
    for (seq, len) in [10, LARGE, 10].into_iter().enumerate() {
        stage.judge().send(&tx, seq as u64, len)?;
    }
    let victim = stage.victim(rx.clone(), |rx| stage.itself().try_receive_all(&rx))?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || {
        stage.judge().try_send(&tx, 3, 10)?;
        Ok(())
    })?;
    stage.settle(&tx, &rx, capacity)
}

fn in_batches(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(8);
    let (tx, rx) = stage.channel(capacity)?;
    (0..6).try_for_each(|seq| stage.judge().send(&tx, seq, 10))?;
    let victim = stage.victim(rx.clone(), |rx| {
        let first = rx.receive_batch(3)?;
        first.iter().try_for_each(|delivery| stage.itself().note(delivery))?;
        let second = rx.try_receive_batch(2)?;
        second.iter().try_for_each(|delivery| stage.itself().note(delivery))
    })?;
    stage.may_hold(&victim, VICTIM, 3);
    stage.see_out(victim, || Ok(()))?;
    stage.settle(&tx, &rx, capacity)
}

fn of_corpses(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(4);
    let (tx, rx) = stage.channel(capacity)?;
    let judge = stage.judge();
    for (seq, len) in [10, LARGE, 10].into_iter().enumerate() {
        judge.deliver(&tx, seq as u64, len, &Wait::timeout(Duration::ZERO))?;
    }
    judge.send(&tx, 3, 10)?;
    let victim = stage.victim(rx.clone(), |rx| {
        let member = stage.itself();
        member.receive(&rx, 1)?;
        member.try_receive_all(&rx)?;
        match rx.receive_with(&Wait::timeout(Duration::from_millis(1))) {
            Err(error) if error.is_timeout() => Ok(()),
            other => Err(format!("not nothing but {other:?}").into()),
        }
    })?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    stage.settle(&tx, &rx, capacity)
}

fn large(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let (tx, rx) = stage.channel(capacity)?;
    let sender = stage.survivor(tx.clone(), |tx, member| {
        (0..5).try_for_each(|seq| member.send(&tx, seq, LARGE))
    })?;
    let victim = stage.victim(rx.clone(), |rx| stage.itself().receive(&rx, 3))?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    let receiver = stage.receiver(&rx)?;
    stage.go_on(vec![sender])?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}

fn overflowing(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(Capacity::Unbounded)?;
    // Before there is anything that a clone would put in front.
    let its = rx.clone();
    let mut filled = 0;
    while tx.statistics().spilled < 3 {
        stage.judge().send(&tx, filled, 10)?;
        filled += 1;
    }
    // What is in front is none of the victim's business.
    stage.judge().receive(&rx, filled as usize - 4)?;
    stage.judge().send(&tx, filled, LARGE)?;
    let victim = stage.victim(its, |rx| stage.itself().try_receive_all(&rx))?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    stage.judge().send(&tx, filled + 1, 10)?;
    stage.settle(&tx, &rx, Capacity::Unbounded)
}

fn polling(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let (tx, rx) = stage.channel(capacity)?;
    let sender = stage.sender(&tx, 4)?;
    let victim = stage.victim(rx.clone(), |rx| {
        let pollable = rx.pollable()?;
        let mut taken = 0;
        while taken < 3 {
            let mut fds = [PollFd::new(pollable.as_fd(), PollFlags::POLLIN)];
            assert_eq!(poll(&mut fds, PollTimeout::from(20_000_u16))?, 1);
            while let Some(delivery) = rx.try_receive()? {
                stage.itself().note(&delivery)?;
                taken += 1;
            }
        }
        Ok(())
    })?;
    stage.may_hold(&victim, VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    let receiver = stage.receiver(&rx)?;
    stage.go_on(vec![sender])?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}

fn alone(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let options = stage.options(capacity).form(Form::OneToOne);
    let (tx, rx) = options.channel()?;
    let victim = stage.victim(rx, |rx| stage.itself().receive(&rx, 5))?;
    stage.may_hold(&victim, VICTIM, 2);
    let sender = stage.survivor(tx, |tx, member| {
        for seq in 0.. {
            let sent = match seq % 2 {
                0 => tx.send_with(&(member.number, seq, vec![seq as u8; 10]), &soon()).map(drop),
                _ => tx
                    .deliver_with(&(member.number, seq, vec![seq as u8; LARGE]), &soon())
                    .map(drop)
                    .map_err(|error| error.reason().clone()),
            };
            match sent {
                Ok(()) => {}
                Err(error) if error.is_disconnected() => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(vec![sender])
}
