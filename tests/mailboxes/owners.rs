//! To whom a mailbox belongs, and how it ends.

use crate::actor::{Actor, Stage};
use crate::sharing::{all_once, lines};
use nix::sys::signal::Signal;
use postbox::Mechanism;
use postbox_tests::{Outcome, median, until_asleep};
use std::time::{Duration, Instant};

const GONE: &str = "error: the mailbox no longer exists";

/// One that waits in a receive and one that waits in a send.
fn waiters(stage: &Stage) -> Result<[Actor; 2], Box<dyn std::error::Error>> {
    let (mut taker, mut giver) = (stage.actor("taker")?, stage.actor("giver")?);
    taker.does("open inbox")?;
    giver.does("open outbox")?;
    giver.does("send outbox 1")?;
    taker.tell("receive inbox")?;
    giver.tell("send outbox 2")?;
    until_asleep(taker.pid());
    until_asleep(giver.pid());
    Ok([taker, giver])
}

fn boss(stage: &Stage) -> Result<Actor, Box<dyn std::error::Error>> {
    let mut boss = stage.actor("boss")?;
    boss.does("create inbox receivers=members")?;
    boss.does("create outbox capacity=1")?;
    Ok(boss)
}

/// Both are told, and the names are free.
fn all_over(stage: &Stage, waiters: [Actor; 2]) -> Outcome {
    for mut waiter in waiters {
        let said = waiter.next()?;
        assert!(said.starts_with(GONE), "{said}");
        let name =
            if said.contains("nothing was sent") { "send outbox x" } else { "receive inbox" };
        let said = waiter.ask(name)?;
        assert!(said.starts_with(GONE), "{said}");
        waiter.ended_well()?;
    }
    let mut next = boss(stage)?;
    assert_eq!(next.ask("try_receive outbox")?, "nothing");
    next.ended_well()
}

pub fn destroyed() -> Outcome {
    let stage = Stage::new()?;
    let mut boss = boss(&stage)?;
    let waiters = waiters(&stage)?;
    let id = stage.domain()?.mailbox("inbox")?.status()?.id;
    boss.does("destroy inbox")?;
    boss.does("destroy outbox")?;
    assert!(boss.ask("send inbox x")?.starts_with(GONE));
    boss.does("create inbox")?;
    assert_ne!(stage.domain()?.mailbox("inbox")?.status()?.id, id);
    boss.ended_well()?;
    all_over(&stage, waiters)?;
    assert!(stage.is_bare());
    Ok(())
}

pub fn left() -> Outcome {
    let stage = Stage::new()?;
    let boss = boss(&stage)?;
    let waiters = waiters(&stage)?;
    boss.ended_well()?;
    all_over(&stage, waiters)
}

pub fn killed() -> Outcome {
    let mut times = Vec::new();
    for _ in 0..5 {
        let stage = Stage::new()?;
        let boss = boss(&stage)?;
        let mut waiters = waiters(&stage)?;
        let start = Instant::now();
        boss.signal(Signal::SIGKILL)?;
        let said = [waiters[0].next()?, waiters[1].next()?];
        times.push(start.elapsed());
        for said in said {
            assert!(said.starts_with(GONE), "{said}");
        }
        boss.killed()?;
        drop(waiters);
        let mut next = stage.actor("boss")?;
        next.does("create inbox")?;
        next.ended_well()?;
        assert!(stage.is_bare());
    }
    let told = median(times);
    assert!(told < Duration::from_millis(200), "told after {told:?}");
    Ok(())
}

pub fn heirs() -> Outcome {
    let stage = Stage::new()?;
    let (mut a, mut b, mut c) = (stage.actor("a")?, stage.actor("b")?, stage.actor("c")?);
    a.does("create jobs")?;
    c.does("open jobs")?;
    c.does("send jobs 1")?;
    a.does("transfer jobs b")?;
    let refused = a.ask("receive jobs")?;
    assert!(refused.ends_with("may not receive from mailbox 'jobs': b may"), "{refused}");
    assert!(a.ask("grant jobs a")?.contains("b may"));
    a.does("send jobs 2")?;
    a.killed()?;
    c.does("send jobs 3")?;
    b.does("open jobs")?;
    for expected in ["1 from c", "2 from nobody", "3 from c"] {
        let said = b.ask("receive jobs")?;
        assert_eq!(said.split(' ').next(), expected.split(' ').next());
    }
    b.tell("receive jobs")?;
    until_asleep(b.pid());
    b.killed()?;
    let said = c.ask("send jobs 4")?;
    // Its sender's end has not slept, so it learns of the death within 50 ms.
    if !said.starts_with(GONE) {
        postbox_tests::eventually("the end of the mailbox", || {
            c.ask("send jobs 4").ok().filter(|said| said.starts_with(GONE))
        });
    }
    assert!(c.ask("open jobs")?.contains("no mailbox"));
    Ok(())
}

pub fn not_taken() -> Outcome {
    let stage = Stage::new()?;
    let (mut a, mut b) = (stage.actor("a")?, stage.actor("b")?);
    a.does("create jobs")?;
    assert!(a.ask("transfer jobs nobody")?.contains("no process 'nobody'"));
    assert!(a.ask("transfer jobs a")?.contains("owns it already"));
    b.stopped()?;
    let late = a.ask("transfer jobs b")?;
    assert!(late.contains("did not answer in time"), "{late}");
    b.signal(Signal::SIGCONT)?;
    // What it was asked then it may still read now: it is too late.
    b.does("open jobs")?;
    b.does("send jobs x")?;
    assert!(b.ask("receive jobs")?.ends_with(": a may"));
    assert_eq!(a.ask("receive jobs")?, "x from b");
    a.does("transfer jobs b")?;
    a.does("send jobs y")?;
    assert_eq!(b.ask("receive jobs")?, "y from a");
    Ok(())
}

pub fn again() -> Outcome {
    let stage = Stage::new()?;
    let mut actors = [stage.actor("p0")?, stage.actor("p1")?, stage.actor("p2")?];
    actors[0].does("create jobs capacity=64")?;
    for actor in &mut actors[1..] {
        actor.does("open jobs")?;
    }
    for round in 0..30 {
        let (owner, next) = (round % 3, (round + 1) % 3);
        actors[next].does(&format!("send jobs {round}"))?;
        let said = actors[owner].ask("receive jobs")?;
        assert!(said.starts_with(&format!("{round} ")), "{said}");
        actors[owner].does(&format!("transfer jobs p{next}"))?;
        assert!(actors[owner].ask("try_receive jobs")?.contains(&format!("p{next} may")));
    }
    for actor in actors {
        actor.ended_well()?;
    }
    assert!(stage.is_bare());
    Ok(())
}

pub fn visited() -> Outcome {
    const VISITS: u32 = 300;
    let stage = Stage::new()?;
    let mut owners = [stage.actor("p0")?, stage.actor("p1")?, stage.actor("p2")?];
    let mut taker = stage.actor("taker")?;
    owners[0].does("create jobs receivers=members")?;
    for owner in &mut owners[1..] {
        owner.does("open jobs")?;
    }
    taker.does("open jobs")?;
    let file = stage.file("taken");
    let mut visitors = Vec::new();
    for name in ["v1", "v2"] {
        let mut visitor = stage.actor(name)?;
        // Holds an end, so that the mailbox is never without senders.
        visitor.does("open jobs")?;
        visitor.does("send jobs begin")?;
        visitors.push(visitor);
    }
    taker.tell(&format!("drain jobs {file}"))?;
    for visitor in &mut visitors {
        visitor.tell(&format!("visit jobs {VISITS}"))?;
    }
    for round in 0..60 {
        let to = (round + 1) % 3;
        owners[round % 3].does(&format!("transfer jobs p{to}"))?;
    }
    for mut visitor in visitors {
        visitor.hear("done")?;
        visitor.ended_well()?;
    }
    let said = taker.next()?;
    assert!(said.starts_with("602 then every sender is gone"), "{said}");
    all_once(&[lines(&file)?], 2, VISITS);
    Ok(())
}

pub fn amid_traffic(mechanism: Mechanism) -> Outcome {
    const EACH: u32 = 5000;
    const SENDERS: usize = 4;
    let stage = Stage::new()?;
    let (mut a, mut b) = (stage.actor("a")?, stage.actor("b")?);
    a.does(&format!("create jobs mechanism={mechanism} capacity=7"))?;
    let mut senders = Vec::new();
    for i in 0..SENDERS {
        let mut sender = stage.actor(&format!("s{i}"))?;
        sender.does("open jobs")?;
        sender.tell(&format!("flood jobs {EACH}"))?;
        until_asleep(sender.pid());
        senders.push(sender);
    }
    let (first, second) = (stage.file("first"), stage.file("second"));
    let said = a.ask(&format!("drain jobs {first} give b after 8000"))?;
    assert!(said.starts_with("8000 then") && said.contains("may not receive"), "{said}");
    assert!(a.ask("receive jobs")?.ends_with("b may"));
    b.does("open jobs")?;
    b.tell(&format!("drain jobs {second}"))?;
    for mut sender in senders {
        sender.hear("done")?;
        sender.ended_well()?;
    }
    let said = b.next()?;
    assert!(said.starts_with("12000 then every sender is gone"), "{said}");
    let (first, second) = (lines(&first)?, lines(&second)?);
    // One after the other: what the second took is later, for each of the senders.
    all_once(&[[first, second].concat()], SENDERS, EACH);
    a.ended_well()?;
    b.ended_well()?;
    assert!(stage.is_bare());
    Ok(())
}
