//! One cache line that two processes bounce, both spinning with PAUSE: nothing that passes a
//! message can be faster. It is both a reference and the probe for where the cores are.
//!
//! Two lines, of which each is written by one side alone, are what a pair of channels at least needs. They take
//! twice as long: whoever looks at a line has it when the other side is to write there again, and each message
//! makes two trips. In one line the look of whoever is to write next fetches it for both.

use super::super::crew::{Part, Trouble, run};
use super::super::ends::Outcome;
use super::super::figures::{Figures, Trips, sum};
use super::memory;
use postbox_program::stop::Stop;
use postbox_ring::View;
use postbox_ring::sync::{AtomicU64, Ordering, spin_loop};
use postbox_sys::clock;

/// The processors of the two sides.
pub type Cores = (usize, usize);

/// Trips of a probe; and of a reference, without and with looks at the clock.
const PROBE: Trial = Trial { plain: 20_000, looked: 0 };
/// As a reference.
pub const REFERENCE: Trial = Trial { plain: 100_000, looked: 50_000 };
/// Trips before those, which await the other process.
const WARM_UP: u64 = 2_000;

/// Whose line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lines {
    /// One, by both.
    Shared,
    /// Each its own.
    Apart,
}

/// How many trips.
#[derive(Debug, Clone, Copy)]
pub struct Trial {
    plain: u64,
    looked: u64,
}

impl Trial {
    fn all(self) -> u64 {
        WARM_UP + self.plain + self.looked
    }
}

/// One way of the line now, in nanoseconds.
pub fn probe(cores: Cores, stop: &Stop) -> Result<f64, Trouble> {
    let figures = run(parts(cores, Lines::Shared, PROBE).map_err(said)?, stop)?;
    sum(&figures).map(|measured| measured.value).ok_or_else(|| said("no figures".into()))
}

fn said(error: Box<dyn std::error::Error>) -> Trouble {
    Trouble::Failed(error.to_string())
}

/// The two processes.
pub fn parts(cores: Cores, lines: Lines, trial: Trial) -> Outcome<Vec<Part<'static>>> {
    let memory = memory(4096)?;
    let there: View<AtomicU64> = memory.view(0)?;
    let back = memory.view(if lines == Lines::Shared { 0 } else { 128 })?;
    let (seen, answer): (View<AtomicU64>, View<AtomicU64>) = (there.clone(), View::clone(&back));
    let ping = Part::new(cores.0, move || Ok(ping(&there, &back, trial)));
    let pong = Part::new(cores.1, move || {
        for trip in 0..trial.all() {
            await_value(&seen, 2 * trip + 1);
            answer.store(2 * trip + 2, Ordering::Release); // pairs with await_value
        }
        Ok(Figures::Done)
    });
    Ok(vec![ping, pong])
}

fn ping(there: &AtomicU64, back: &AtomicU64, trial: Trial) -> Figures {
    let mut next = 1;
    let mut trip = || {
        there.store(next, Ordering::Release); // pairs with await_value
        await_value(back, next + 1);
        next += 2;
    };
    (0..WARM_UP).for_each(|_| trip());
    let start = clock::now();
    (0..trial.plain).for_each(|_| trip());
    let mean = (clock::now() - start) as f64 / trial.plain as f64 / 2.0;
    let mut trips = Trips::new();
    let mut before = clock::now();
    for _ in 0..trial.looked {
        trip();
        let now = clock::now();
        trips.add((now - before) / 2);
        before = now;
    }
    Figures::Latency { mean, counts: trips.counts() }
}

#[inline]
fn await_value(word: &AtomicU64, value: u64) {
    // Pairs with the stores of the other side.
    while word.load(Ordering::Acquire) != value {
        spin_loop();
    }
}
