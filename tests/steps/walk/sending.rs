//! The victim sends.

use super::Play;
use super::stage::Stage;
use postbox::{Capacity, Form, Wait};
use postbox_tests::{Outcome, soon};
use std::time::Duration;

pub const PLAYS: &[Play] = &[
    Play::new("a sender dies in the traffic of a bounded channel", |stage| {
        in_traffic(stage, Capacity::Bounded(2))
    }),
    Play::new("a sender dies in the traffic of an unbounded channel", |stage| {
        in_traffic(stage, Capacity::Unbounded)
    }),
    Play::new("a sender dies at a channel that nobody empties", to_nobody),
    Play::new("a deliverer dies", delivering),
    Play::new("a deliverer dies in vain", in_vain),
    Play::new("a sender of large messages dies", large),
    Play::new("a sender dies at the overflow", overflowing),
    Play::new("a sender whose receiver polls dies", to_a_pollable),
    Play::new("one that goes round the spool dies", round_the_spool),
    Play::new("the one sender of a one to one channel dies", alone),
    Play::new("one that comes and goes dies", coming_and_going),
];

/// Longer than any entry.
const LARGE: usize = 9_000;
/// Of which a few are a megabyte.
const HUGE: usize = 200_000;

fn in_traffic(stage: &Stage, capacity: Capacity) -> Outcome {
    let (tx, rx) = stage.channel(capacity)?;
    let receiver = stage.receiver(&rx)?;
    let sender = stage.sender(&tx, 5)?;
    let victim = stage
        .victim(tx.clone(), |tx| (0..5).try_for_each(|seq| stage.itself().send(&tx, seq, 10)))?;
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(vec![sender])?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}

fn to_nobody(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(3);
    let (tx, rx) = stage.channel(capacity)?;
    let victim = stage.victim(tx.clone(), |tx| {
        let member = stage.itself();
        for seq in 0..5 {
            member.try_send(&tx, seq, 10)?;
        }
        for seq in 5..7 {
            member.send_within(&tx, seq, 10, &Wait::timeout(Duration::from_millis(2)))?;
        }
        Ok(())
    })?;
    stage.see_out(victim, || Ok(()))?;
    let judge = stage.judge();
    for seq in 0..5 {
        judge.try_send(&tx, seq, 10)?;
    }
    // More than three would all be seen here.
    let mut inside = 0;
    while let Some(delivery) = rx.try_receive()? {
        judge.note(&delivery)?;
        inside += 1;
    }
    assert!(inside <= 3, "{inside} messages were in a channel for 3");
    stage.settle(&tx, &rx, capacity)
}

fn delivering(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let (tx, rx) = stage.channel(capacity)?;
    let receiver = stage.receiver(&rx)?;
    let deliverer = stage.deliverer(&tx, 3)?;
    let victim = stage.victim(tx.clone(), |tx| {
        let member = stage.itself();
        (0..3).try_for_each(|seq| member.deliver(&tx, seq, 10, &soon()))?;
        member.deliver(&tx, 3, LARGE, &soon())
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(vec![deliverer])?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}

fn in_vain(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(4);
    let (tx, rx) = stage.channel(capacity)?;
    let victim = stage.victim(tx.clone(), |tx| {
        let (member, wait) = (stage.itself(), Wait::timeout(Duration::from_millis(1)));
        for (seq, len) in [10, LARGE, 10].into_iter().enumerate() {
            member.deliver(&tx, seq as u64, len, &wait)?;
        }
        Ok(())
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.settle(&tx, &rx, capacity)
}

fn large(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let (tx, rx) = stage.channel(capacity)?;
    let receiver = stage.receiver(&rx)?;
    let sender = stage.survivor(tx.clone(), |tx, member| {
        (0..3).try_for_each(|seq| member.send(&tx, seq, LARGE))
    })?;
    let victim = stage.victim(tx.clone(), |tx| {
        let lens = [LARGE, HUGE, LARGE].into_iter().enumerate();
        lens.into_iter().try_for_each(|(seq, len)| stage.itself().send(&tx, seq as u64, len))
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(vec![sender])?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}

fn overflowing(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(Capacity::Unbounded)?;
    let mut filled = 0;
    while tx.statistics().spilled == 0 {
        stage.judge().send(&tx, filled, 10)?;
        filled += 1;
    }
    let victim = stage.victim(tx.clone(), |tx| {
        let lens = [10, LARGE, 10].into_iter().enumerate();
        lens.into_iter().try_for_each(|(seq, len)| stage.itself().send(&tx, seq as u64, len))
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.judge().send(&tx, filled, 10)?;
    stage.settle(&tx, &rx, Capacity::Unbounded)
}

fn to_a_pollable(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let (tx, rx) = stage.channel(capacity)?;
    let receiver = stage.survivor(rx.clone(), |rx, member| {
        let pollable = rx.pollable()?;
        member.receive_on(&rx)?;
        drop(pollable);
        Ok(())
    })?;
    let victim = stage
        .victim(tx.clone(), |tx| (0..4).try_for_each(|seq| stage.itself().send(&tx, seq, 10)))?;
    stage.see_out(victim, || Ok(()))?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}

fn round_the_spool(stage: &Stage) -> Outcome {
    const MEGABYTE: usize = 1 << 20;
    let capacity = Capacity::Bounded(16);
    // With such a cap there is no log of warm bodies, which keeps more.
    let (tx, rx) = stage.options(capacity).byte_cap(64 << 20).channel()?;
    let victim = stage.victim((tx.clone(), rx.clone()), |(tx, rx)| {
        let member = stage.itself();
        // Beyond the chunks that are kept; the next one finds nothing in use, and goes back; the one
        // after that gives back what the burst had needed.
        (0..6).try_for_each(|seq| member.send(&tx, seq, MEGABYTE))?;
        member.receive(&rx, 6)?;
        for seq in 6..9 {
            member.send(&tx, seq, MEGABYTE + 1000)?;
            member.receive(&rx, 1)?;
        }
        Ok(())
    })?;
    stage.may_hold(&victim, super::stage::VICTIM, 1);
    stage.see_out(victim, || Ok(()))?;
    stage.settle(&tx, &rx, capacity)
}

fn alone(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let options = stage.options(capacity).form(Form::OneToOne);
    let (tx, rx) = options.channel()?;
    let victim = stage.victim(tx, |tx| {
        let member = stage.itself();
        (0..3).try_for_each(|seq| member.send(&tx, seq, 10))?;
        member.deliver(&tx, 3, LARGE, &soon())
    })?;
    let receiver = stage.survivor(rx, |rx, member| {
        loop {
            match rx.receive_with(&soon()) {
                Ok(delivery) => member.note(&delivery)?,
                Err(error) if error.is_disconnected() => break,
                Err(error) => return Err(error.into()),
            }
        }
        member.stage.clear(&rx, 1)
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.go_on(vec![receiver])
}

fn coming_and_going(stage: &Stage) -> Outcome {
    let capacity = Capacity::Bounded(2);
    let (tx, rx) = stage.channel(capacity)?;
    let receiver = stage.receiver(&rx)?;
    let victim = stage.victim((tx.clone(), rx.clone()), |(tx, rx)| {
        for seq in 0..2 {
            let (another, other) = (tx.clone(), rx.clone());
            stage.itself().send(&another, seq, 10)?;
            drop((another, other));
        }
        Ok(())
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, capacity)
}
