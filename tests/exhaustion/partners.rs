//! No descriptors left in the process that one talks to, or in both: whoever asks is told.

use crate::partner::{Callers, PROMPT, Partner};
use crate::scarce::{MOST, all_but, says};
use postbox::Mechanism;
use postbox_tests::bench::Bench;
use postbox_tests::{Outcome, all_asleep, eventually};
use std::time::Instant;

/// How many descriptors are left: none; too few to be told anything with descriptors, so that they are
/// cut short on the way; too few for one channel, and for two.
const LEFT: [u8; 9] = [0, 1, 2, 3, 5, 8, 12, 17, 25];

fn limit() -> String {
    format!("RLIMIT_NOFILE is {MOST} descriptors")
}

pub fn the_other(mechanism: Mechanism) -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    let mut partner = Partner::start(&domain, mechanism)?;
    let mut failed = 0;
    for left in LEFT {
        let callers = Callers::join(&domain, mechanism, left)?;
        for (name, call) in callers.calls() {
            let what = |error| format!("{name} with {left} left: {error}");
            partner.starve(left)?;
            let begun = Instant::now();
            if let Err(error) = call() {
                says(&error, &limit());
                failed += 1;
                // What it holds of the attempt, it holds once; nothing piles up.
                let once = settled(&partner);
                for _ in 0..5 {
                    let _ = call();
                }
                eventually("it holds no more", || (settled(&partner) <= once).then_some(()));
            }
            assert!(begun.elapsed() < PROMPT, "{name} hung for {:?}", begun.elapsed());
            partner.feed()?;
            call().map_err(what)?;
        }
    }
    assert!(failed > 20, "only {failed} failed");
    partner.end()
}

/// How many descriptors it has open while it does nothing: all its threads sleep, and none of them has done
/// anything else while they were counted.
fn settled(partner: &Partner) -> usize {
    let mut asleep = None;
    loop {
        let count = partner.descriptors();
        let now = all_asleep(partner.pid());
        if now.is_some() && now == asleep {
            return count;
        }
        std::thread::yield_now();
        asleep = now;
    }
}

pub fn both(mechanism: Mechanism) -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    let mut partner = Partner::start(&domain, mechanism)?;
    let mut failed = 0;
    for left in LEFT {
        let callers = Callers::join(&domain, mechanism, left)?;
        for (name, call) in callers.calls() {
            partner.starve(left)?;
            let taken = all_but(left.into())?;
            let outcome = call();
            if let Err(error) = &outcome {
                says(error, &limit());
                failed += 1;
            }
            drop(taken);
            // It is not enough that one of the two has some again, and no harm either.
            if let (Err(_), Err(error)) = (outcome, call()) {
                says(&error, &limit());
            }
            partner.feed()?;
            call().map_err(|error| format!("{name} with {left} left: {error}"))?;
        }
    }
    assert!(failed > 20, "only {failed} failed");
    partner.end()
}
