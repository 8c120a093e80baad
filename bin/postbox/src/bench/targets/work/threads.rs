//! crossbeam's bounded channel between threads of one process: what several senders and receivers
//! reach where nobody can be killed and nothing is mapped.

use crate::bench::contender::Terms;
use crate::bench::crew::{Part, Trouble};
use crate::bench::ends::{MORE, Outcome, STOP};
use crate::bench::figures::{Figures, Measured};
use postbox_sys::{clock, cpu};
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

/// Bytes of a message.
pub const PAYLOAD: usize = 64;

type Message = [u8; PAYLOAD];

/// As many senders as receivers, on the processors on which ours run.
pub fn run(terms: &Terms<'_>, sides: u32, capacity: u32) -> Result<Measured, Trouble> {
    let (placement, budget) = (terms.placement.clone(), terms.budget);
    let cpus = move |index| placement.of(index);
    let body = move || stream(sides, capacity, budget, &cpus);
    terms.figures(vec![Part::new(terms.placement.of(0), body)])
}

fn stream(sides: u32, capacity: u32, budget: u64, cpus: &dyn Fn(u32) -> usize) -> Outcome<Figures> {
    let (tx, rx) = crossbeam_channel::bounded::<Message>(capacity as usize);
    let done = AtomicU32::new(0);
    thread::scope(|scope| {
        let mut takers = Vec::new();
        for index in 0..sides {
            let (rx, cpu) = (rx.clone(), cpus(index));
            takers.push(scope.spawn(move || {
                let _ = cpu::pin_to(cpu); // as ours; on one core of fewer it is just as well
                consume(&rx)
            }));
        }
        for index in 0..sides {
            let (tx, cpu, done) = (tx.clone(), cpus(sides + index), &done);
            scope.spawn(move || {
                let _ = cpu::pin_to(cpu);
                // The receivers leave at the stops, which are sent last: it fails only if one of
                // them panicked, which is told below.
                let am_last = || done.fetch_add(1, Ordering::AcqRel) + 1 == sides;
                let _ = produce(&tx, budget, am_last, sides);
            });
        }
        let mut all = (u64::MAX, 0, 0);
        for taker in takers {
            let (first, last, count) = taker.join().map_err(|_| "a receiving thread panicked")?;
            all = (all.0.min(first), all.1.max(last), all.2 + count);
        }
        Ok(Figures::Taken { first: all.0, last: all.1, count: all.2 })
    })
}

fn produce(
    tx: &crossbeam_channel::Sender<Message>,
    budget: u64,
    am_last: impl Fn() -> bool,
    stops: u32,
) -> Result<(), crossbeam_channel::SendError<Message>> {
    let mut message = [7; PAYLOAD];
    message[0] = MORE;
    let deadline = clock::now() + budget;
    while clock::now() < deadline {
        (0..64).try_for_each(|_| tx.send(*black_box(&message)))?;
    }
    if am_last() {
        message[0] = STOP;
        (0..stops).try_for_each(|_| tx.send(message))?;
    }
    Ok(())
}

fn consume(rx: &crossbeam_channel::Receiver<Message>) -> (u64, u64, u64) {
    let (mut first, mut count) = (None, 0);
    while let Ok(message) = rx.recv() {
        if black_box(&message)[0] == STOP {
            break;
        }
        match first {
            None => first = Some(clock::now()),
            Some(_) => count += 1,
        }
    }
    let last = clock::now();
    (first.unwrap_or(last), last, count)
}
