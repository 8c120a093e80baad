//! Two that name each other at the same instant.

use crate::lab::{Lab, say_line};
use postbox::{Domain, Process, Wait, fork};
use postbox_tests::{Case, Chance, Gate, Outcome, soon};
use std::collections::HashMap;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "both sides opening at the same instant have one link, a thousand times",
            at_once,
        ),
        Case::new("two that one process has forked have links of their own", siblings),
    ]
}

fn at_once() -> Outcome {
    const ROUNDS: u32 = 1000;
    let lab = Lab::new()?;
    let part = format!("meet {ROUNDS}");
    let (mut one, mut other) = (lab.started("one", &part)?, lab.started("two", &part)?);
    for _ in 0..ROUNDS {
        one.hear("there")?;
        other.hear("there")?;
        one.tell("go")?;
        other.tell("go")?;
        one.hear("met")?;
        other.hear("met")?;
        one.tell("leave")?;
        other.tell("leave")?;
    }
    one.ended_well()?;
    other.ended_well()?;
    assert!(lab.is_bare(), "something is left");
    Ok(())
}

/// One side of many first encounters.
pub fn meet(domain: &Domain, own: &str, rounds: u32) -> Outcome {
    const EACH: u32 = 3;
    let mut orders = std::io::stdin().lines();
    let mut chance = Chance::seeded(u64::from(std::process::id()));
    let other = if own == "one" { "two" } else { "one" };
    for round in 0..rounds {
        // Either is the one with the smaller name.
        let rank = |name: &str| if (name == "one") == (round % 2 == 0) { "a" } else { "b" };
        let name = |of: &str| format!("{}-{of}-{round}", rank(of));
        let me = domain.join(&name(own))?;
        let them = name(other);
        say_line("there");
        orders.next().ok_or("no order")??;
        for _ in 0..chance.below(3000) {
            std::hint::spin_loop();
        }
        if chance.once_in(4) {
            // Begins by receiving.
            let early = me.receive_from_with::<u32>(&them, &Wait::timeout(Duration::ZERO));
            assert!(
                early.as_ref().is_ok_and(|n| **n == 0)
                    || early.as_ref().is_err_and(|e| e.is_timeout()),
                "{early:?}"
            );
            if early.is_ok() {
                send_and_receive(&me, &them, 1..EACH, EACH)?;
            } else {
                send_and_receive(&me, &them, 0..EACH, EACH)?;
            }
        } else {
            send_and_receive(&me, &them, 0..EACH, EACH)?;
        }
        let links = me.links()?;
        assert_eq!(links.len(), 1, "{links:?}");
        assert_eq!(links[0].partner().name().map(|n| n.as_str()), Some(&*them));
        let (_, out) = links[0].outgoing().ok_or("no way out")?;
        let (_, back) = links[0].incoming().ok_or("no way back")?;
        assert_eq!((out.sent, back.received), (EACH.into(), EACH.into()));
        say_line("met");
        orders.next().ok_or("no order")??;
    }
    Ok(())
}

fn send_and_receive(
    me: &Process,
    them: &str,
    expected: std::ops::Range<u32>,
    count: u32,
) -> Outcome {
    for i in 0..count {
        me.send_with(them, &i, &soon())?;
    }
    for i in expected {
        let message = me.receive_from_with::<u32>(them, &soon())?;
        assert_eq!(*message, i);
    }
    Ok(())
}

/// Both make the link, since theirs is the smaller name. Should the second one be taken for the first,
/// it is forgotten when that one is seen to be over.
fn siblings() -> Outcome {
    let lab = Lab::new()?;
    // Drawn here, the keys of hash maps are the children's too.
    drop(HashMap::<(), ()>::new());
    let (joined, taken, replaced) = (Gate::new()?, Gate::new()?, Gate::new()?);
    let watcher = fork((), |()| {
        let me = lab.join("watcher")?;
        joined.open()?;
        assert_eq!(*me.receive_with::<u32>(&soon())?, 1);
        taken.open()?;
        replaced.pass()?;
        assert_eq!(*me.receive_with::<u32>(&soon())?, 2);
        Ok(taken.open()?)
    })?;
    joined.pass()?;
    let mut first = fork((), |()| {
        lab.join("sensor")?.send("watcher", &1u32)?;
        loop {
            nix::unistd::pause();
        }
    })?;
    taken.pass()?;
    first.signal(9)?;
    first.wait_status()?;
    let second = fork((), |()| {
        let me = lab.join("sensor")?;
        me.send("watcher", &2u32)?;
        replaced.open()?;
        Ok(taken.pass()?)
    })?;
    watcher.wait()?;
    second.wait()?;
    assert!(lab.is_bare());
    Ok(())
}
