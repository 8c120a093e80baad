//! The victim passes an end on, or is given one.

use super::Play;
use super::stage::Stage;
use postbox::{Capacity, Spawn, fork};
use postbox_tests::Outcome;

pub const PLAYS: &[Play] = &[
    Play::new("a giver dies while it forks", forking),
    Play::new("one that is being forked dies", forked),
    Play::new("a giver dies while it spawns", spawning),
    Play::new("one that is being spawned dies", spawned),
];

const CAPACITY: Capacity = Capacity::Bounded(2);

fn forking(stage: &Stage) -> Outcome {
    let (tx, rx) = stage.options(CAPACITY).channel()?;
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
    let (tx, rx) = stage.options(CAPACITY).channel()?;
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
    let (tx, rx) = stage.options(CAPACITY).channel()?;
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
    let (tx, rx) = stage.options(CAPACITY).channel()?;
    let receiver = stage.receiver(&rx)?;
    let victim = stage.spawned(tx.clone())?;
    stage.see_out(victim, || Ok(()))?;
    stage.stop(&tx, vec![receiver])?;
    stage.settle(&tx, &rx, CAPACITY)
}
