//! The victim passes an end on, or is given one.

use super::Play;
use super::stage::Stage;
use super::standing::{is_dead, is_stopped_or_dead, resume};
use postbox::{Capacity, Spawn, Wait, fork};
use postbox_steps::{Fate, Step, arm_also};
use postbox_tests::{Gate, Outcome, eventually};
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

pub const PLAYS: &[Play] = &[
    Play::new("a giver dies while it forks", forking),
    Play::new("one that is being forked dies", forked),
    Play::new("a giver dies while it spawns", spawning),
    Play::new("one that is being spawned dies", spawned),
    Play::new("the undertaker of a giver dies while the heir takes over", |stage| {
        inheriting(stage, Heir::InTime)
    }),
    Play::new("the undertaker of a giver dies after the heir gave up", |stage| {
        inheriting(stage, Heir::GivesUp)
    }),
    Play::new("the undertaker of a giver dies after the heir settled in", |stage| {
        inheriting(stage, Heir::HasIt)
    }),
    Play::new("an heir dies of leaving while its giver stands still", |stage| {
        preceding(stage, Precedes::Leaves)
    }),
    Play::new("an heir comes back and dies while its giver stands still", |stage| {
        preceding(stage, Precedes::ComesBack)
    }),
];

const CAPACITY: Capacity = Capacity::Bounded(2);

fn forking(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(CAPACITY)?;
    let receiver = stage.receiver(&rx)?;
    let heir = stage.other(100);
    let victim = stage.victim((tx.clone(), rx.clone()), |ends| {
        let child = fork(ends, |(tx, rx)| {
            heir.try_send(&tx, 0, 10)?;
            drop((tx, rx));
            Ok(())
        })?;
        // An end that the giver did not live to hand over is its own and dead with it, or the child's.
        Ok(child.wait()?)
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, CAPACITY)
}

fn forked(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(CAPACITY)?;
    let receiver = stage.receiver(&rx)?;
    let victim = stage.victim((tx.clone(), rx.clone()), |(tx, rx)| {
        stage.itself().send(&tx, 0, 10)?;
        drop((tx, rx));
        Ok(())
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, CAPACITY)
}

fn spawning(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(CAPACITY)?;
    let receiver = stage.receiver(&rx)?;
    let victim = stage.victim(tx.clone(), |tx| {
        let peer =
            Spawn::new(env!("CARGO_BIN_EXE_postbox-peer")).arg("numbered").pass("out", tx)?;
        Ok(peer.spawn()?.wait()?)
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, CAPACITY)
}

fn spawned(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.channel(CAPACITY)?;
    let receiver = stage.receiver(&rx)?;
    let victim = stage.spawned(tx.clone())?;
    stage.see_out(victim, || Ok(()))?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, CAPACITY)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Heir {
    /// It has the end before the undertaker looks again, which then takes back the mark of death.
    InTime,
    /// The undertaker stands still behind that mark for longer than the heir waits.
    GivesUp,
    /// It has the end, and has seen that it is not marked, before the undertaker marks it all the same.
    HasIt,
}

/// The giver dies as soon as it has forked. The victim marks its ends as those of the dead, and the heir
/// takes one over before the victim goes on.
fn inheriting(stage: &Stage, heir: Heir) -> Outcome {
    let (tx, rx) = stage.channel(CAPACITY)?;
    let (there, enough) = (Gate::new()?, Gate::new()?);
    let (settled, looked_at) = (Gate::new()?, Gate::new()?);
    let giver = stage.doomed_with(
        || (),
        tx.clone(),
        |tx| {
            // Now that it has its own end.
            arm_also(Step::ChildForked, 1, Fate::Dies);
            arm_also(Step::ChildBegun, 1, Fate::Stops);
            if heir != Heir::HasIt {
                arm_also(Step::SeatTransferred, 1, Fate::Stops);
            }
            let child = fork(tx, |tx| {
                if heir == Heir::HasIt {
                    settled.open()?;
                    looked_at.pass()?;
                }
                // Whether it has the end is told by whether that is all free later.
                drop(tx);
                there.open()?;
                Ok(enough.pass()?)
            })?;
            Ok(child.wait()?)
        },
    )?;
    stage.see_die(giver)?;
    let heirs = eventually("the heir to stand still", || {
        let standing = stage.standing();
        (!standing.is_empty()).then_some(standing)
    });
    let victim = stage.victim_that(
        || {
            arm_also(Step::DeadRecordFound, 1, Fate::Stops);
            if heir == Heir::GivesUp {
                arm_also(Step::MarkedDead, 1, Fate::Stops);
            }
        },
        rx.clone(),
        |rx| match rx.receive_with(&Wait::timeout(Duration::from_millis(1))) {
            Err(error) if error.is_timeout() => Ok(()),
            other => Err(format!("not nothing but {other:?}").into()),
        },
    )?;
    let stands = |pid| eventually("standing still", || is_stopped_or_dead(pid).then_some(()));
    let heirs_go_on = || heirs.iter().try_for_each(|pid| resume(*pid));
    // The undertaker has seen the giver's record; now it becomes the heir's, and then it is marked.
    stands(victim.pid());
    heirs_go_on()?;
    match heir {
        Heir::HasIt => settled.pass()?,
        Heir::InTime | Heir::GivesUp => heirs.iter().for_each(|pid| stands(*pid)),
    }
    resume(victim.pid())?;
    if heir == Heir::GivesUp {
        stands(victim.pid());
        heirs_go_on()?;
        there.pass()?;
        resume(victim.pid())?;
    }
    stage.see_out(victim, || Ok(()))?;
    if heir == Heir::HasIt {
        // With its end, which is nobody's that is dead.
        stage.clear(&rx, 3)?;
        looked_at.open()?;
    }
    heirs_go_on()?;
    // While the heir lives.
    stage.clear(&rx, 2)?;
    enough.open()?;
    stage.reap();
    stage.settle(&tx, &rx, CAPACITY)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Precedes {
    /// The heir leaves, and dies of it: its record says that it is nobody's, and still has its owner.
    Leaves,
    /// It leaves, comes back under the same record, and dies with it.
    ComesBack,
}

/// The giver stands still right after having made its end over. When it goes on, the heir has come, done
/// what it had to and gone, and the victim is to clear up after it.
fn preceding(stage: &Stage, heir: Precedes) -> Outcome {
    let (tx, rx) = stage.channel(CAPACITY)?;
    let enough = Gate::new()?;
    let ends = (tx.clone(), tx.clone());
    let giver = stage.doomed_with(
        || (),
        ends,
        |ends| {
            arm_also(Step::ChildBegun, 1, Fate::Stops);
            arm_also(Step::SeatTransferred, 1, Fate::Stops);
            let mut child = fork(ends, |(tx, other)| {
                if heir == Precedes::Leaves {
                    arm_also(Step::SeatVacant, 1, Fate::Dies);
                }
                drop(tx);
                arm_also(Step::StatisticsKept, 1, Fate::Dies);
                drop(other.clone());
                Ok(())
            })?;
            // It lives on, or what it had made over would be cleared up together with it.
            enough.pass()?;
            match child.wait_status()?.signal() {
                Some(9) => Ok(()),
                _ => Err("the heir did not die where it was to".into()),
            }
        },
    )?;
    let children = format!("/proc/{pid}/task/{pid}/children", pid = giver.pid());
    let heir: u32 = eventually("the heir to stand still", || {
        let pid = std::fs::read_to_string(&children).ok()?.trim().parse().ok()?;
        is_stopped_or_dead(pid).then_some(pid)
    });
    stage.until_stopped(&giver);
    eventually("the heir's death", || {
        // It stands still once more where it takes over the end that the giver has not come to.
        resume(heir).ok()?;
        is_dead(heir).then_some(())
    });
    resume(giver.pid())?;
    let victim = stage.victim((tx.clone(), rx.clone()), |(tx, rx)| {
        match rx.receive_with(&Wait::timeout(Duration::from_millis(1))) {
            Err(error) if error.is_timeout() => {}
            other => return Err(format!("not nothing but {other:?}").into()),
        }
        stage.itself().send(&tx, 0, 10)
    })?;
    stage.see_out(victim, || Ok(()))?;
    stage.clear(&rx, 2)?;
    enough.open()?;
    giver.wait()?;
    stage.settle(&tx, &rx, CAPACITY)
}
