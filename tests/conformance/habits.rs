//! A receiver that has always had to sleep does not look first the next time, and misses nothing for it.

use nix::unistd::pause;
use postbox::{Capacity, Mechanism, Options, Receiver, Sender, WaitStrategy, fork};
use postbox_tests::{
    Case, Gate, Outcome, across_capacities, connect, over_capacities, until_asleep,
};
use std::ops::Range;

type Failure = Box<dyn std::error::Error>;

/// So often it has slept before: more than what makes a habit, also of one that spins first and learns not to.
const HABIT: u32 = 19;

/// With either strategy that sleeps.
fn either(
    play: fn(Mechanism, Capacity, WaitStrategy) -> Outcome,
    mechanism: Mechanism,
    capacity: Capacity,
) -> Outcome {
    play(mechanism, capacity, WaitStrategy::Block)?;
    play(mechanism, capacity, WaitStrategy::Adaptive)
}

pub fn cases() -> Vec<Case> {
    let some = [Capacity::Bounded(1), Capacity::Bounded(64), Capacity::Unbounded];
    [
        across_capacities("who has always slept finds what came meanwhile", &some, |m, c| {
            either(messages, m, c)
        }),
        across_capacities(
            "who has always slept finds what is left of an overflow",
            &[Capacity::Unbounded],
            |m, c| either(overflow, m, c),
        ),
        across_capacities(
            "who has always slept finds a batch message by message",
            &some,
            |m, c| either(batch, m, c),
        ),
        over_capacities("who has always slept hears that the sender has gone", &some, |m, c| {
            either(gone, m, c)
        }),
        over_capacities("who has always slept hears that the sender has died", &some, |m, c| {
            either(died, m, c)
        }),
        over_capacities("who has always slept takes turns with a newcomer", &some, |m, c| {
            either(newcomer, m, c)
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A receiver with a habit, and what it waits for before it receives again.
struct Scene {
    tx: Sender<u32>,
    rx: Receiver<u32>,
    aside: Gate,
    go: Gate,
}

impl Scene {
    fn new(
        mechanism: Mechanism,
        capacity: Capacity,
        strategy: WaitStrategy,
    ) -> Result<Self, Failure> {
        let options = Options::new(mechanism).capacity(capacity).wait_strategy(strategy);
        let (tx, rx) = connect(&options)?;
        Ok(Scene { tx, rx, aside: Gate::new()?, go: Gate::new()? })
    }

    /// Lets a child get used to sleeping; then `meanwhile` happens, and then the child goes on with `rest`
    /// while the end that it has left over is kept.
    fn play<Kept>(
        self,
        meanwhile: impl FnOnce(Sender<u32>) -> Result<Kept, Failure>,
        rest: impl FnOnce(&Receiver<u32>) -> Outcome,
    ) -> Outcome {
        let Scene { tx, rx, aside, go } = self;
        let child = fork(rx, |rx| {
            take(&rx, 0..HABIT)?;
            aside.open()?;
            go.pass()?;
            rest(&rx)
        })?;
        for i in 0..HABIT {
            until_asleep(child.pid());
            tx.send(&i)?;
        }
        aside.pass()?;
        let kept = meanwhile(tx)?;
        go.open()?;
        child.wait()?;
        drop(kept);
        Ok(())
    }
}

fn take(rx: &Receiver<u32>, mut numbers: Range<u32>) -> Outcome {
    Ok(numbers.try_for_each(|i| rx.receive().map(|message| assert_eq!(*message, i)))?)
}

/// As many as there is room for; more than the kernel's objects hold where there is no bound.
fn some_of(capacity: Capacity) -> u32 {
    match capacity {
        Capacity::Bounded(n) => n,
        _ => 700,
    }
}

fn messages(mechanism: Mechanism, capacity: Capacity, strategy: WaitStrategy) -> Outcome {
    let count = some_of(capacity);
    Scene::new(mechanism, capacity, strategy)?.play(
        |tx| {
            (0..count).try_for_each(|i| tx.try_send(&i))?;
            Ok(tx)
        },
        |rx| take(rx, 0..count),
    )
}

/// What the kernel's object held is taken by another before.
fn overflow(mechanism: Mechanism, capacity: Capacity, strategy: WaitStrategy) -> Outcome {
    let scene = Scene::new(mechanism, capacity, strategy)?;
    let other = scene.rx.clone();
    let count = 5000;
    scene.play(
        |tx| {
            let before = tx.statistics().spilled;
            (0..count).try_for_each(|i| tx.try_send(&i))?;
            let spilt = (tx.statistics().spilled - before) as u32;
            assert!((1..count).contains(&spilt), "{spilt} found no room in the object");
            take(&other, 0..count - spilt)?;
            Ok((tx, other))
        },
        |rx| {
            // How many are left says the first of them.
            let first = *rx.receive()?;
            take(rx, first + 1..count)
        },
    )
}

fn batch(mechanism: Mechanism, capacity: Capacity, strategy: WaitStrategy) -> Outcome {
    let count = some_of(capacity).min(40);
    Scene::new(mechanism, capacity, strategy)?.play(
        |tx| {
            let numbers: Vec<u32> = (0..count).collect();
            assert_eq!(tx.try_send_batch(&numbers)?, numbers.len());
            Ok(tx)
        },
        |rx| take(rx, 0..count),
    )
}

fn gone(mechanism: Mechanism, capacity: Capacity, strategy: WaitStrategy) -> Outcome {
    let count = some_of(capacity);
    Scene::new(mechanism, capacity, strategy)?.play(
        |tx| Ok((0..count).try_for_each(|i| tx.try_send(&i))?),
        |rx| {
            take(rx, 0..count)?;
            assert!(rx.receive().is_err_and(|error| error.is_disconnected()));
            Ok(())
        },
    )
}

fn died(mechanism: Mechanism, capacity: Capacity, strategy: WaitStrategy) -> Outcome {
    let count = some_of(capacity);
    let sent = Gate::new()?;
    Scene::new(mechanism, capacity, strategy)?.play(
        |tx| {
            let mut mortal = fork(tx, |tx| {
                (0..count).try_for_each(|i| tx.try_send(&i))?;
                sent.open()?;
                loop {
                    pause();
                }
            })?;
            sent.pass()?;
            mortal.signal(9)?;
            mortal.wait_status()?;
            Ok(())
        },
        |rx| {
            take(rx, 0..count)?;
            assert!(rx.receive().is_err_and(|error| error.is_disconnected()));
            Ok(())
        },
    )
}

fn newcomer(mechanism: Mechanism, capacity: Capacity, strategy: WaitStrategy) -> Outcome {
    let scene = Scene::new(mechanism, capacity, strategy)?;
    let other = scene.rx.clone();
    scene.play(
        |tx| {
            // One for each of the two; the one that has just come takes the first.
            let child = fork(other, |rx| {
                assert_eq!(*rx.receive()?, 0);
                Ok(())
            })?;
            until_asleep(child.pid());
            tx.send(&0)?;
            child.wait()?;
            Ok(tx.send(&1)?)
        },
        |rx| {
            take(rx, 1..2)?;
            assert!(rx.receive().is_err_and(|error| error.is_disconnected()));
            Ok(())
        },
    )
}
