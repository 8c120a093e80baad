//! Throughput: producers send as fast as they can for a while, consumers count.

use super::ends::{MORE, Outcome, Receiving, STOP, Sending, message};
use super::figures::Figures;
use crate::shrinkage::room;
use postbox_ring::View;
use postbox_ring::sync::{AtomicU64, Ordering};
use postbox_sys::clock;
use std::hint::black_box;
use std::time::Duration;

/// Messages up to that many bytes are cheap enough that the clock is not looked at for each.
const CHEAP: usize = 4096;

/// Between two looks whether all producers are there.
const ARRIVAL: Duration = Duration::from_micros(200);

/// How a producer lets the consumers know that it was the last.
#[derive(Clone)]
pub struct Close {
    /// Counts the producers that are there; 0 at the start.
    pub there: View<AtomicU64>,
    /// Counts the producers that are done; 0 at the start.
    pub done: View<AtomicU64>,
    /// Which of them sends the stop messages: the one that brings the count there.
    pub last: u64,
    /// How many of them it sends.
    pub stops: u32,
}

/// Sends for `budget` nanoseconds.
pub fn produce(
    tx: &mut impl Sending,
    payload: usize,
    budget: u64,
    close: &Close,
) -> Outcome<Figures> {
    let mut message = message(payload)?;
    message[0] = MORE;
    let run = if payload <= CHEAP { 64 } else { 1 };
    // All begin together: what few of them send is not what all of them do.
    close.there.fetch_add(1, Ordering::AcqRel);
    while close.there.load(Ordering::Acquire) < close.last {
        std::thread::sleep(ARRIVAL);
    }
    // The first ones may have to wait until consumers are there.
    tx.send(&message)?;
    let deadline = clock::now() + budget;
    while clock::now() < deadline {
        for _ in 0..run {
            tx.send(black_box(&message))?;
        }
    }
    // Every message of the others is in before the stop. Pairs with itself in the others.
    let done = close.done.fetch_add(1, Ordering::AcqRel) + 1;
    if done >= close.last {
        message[0] = STOP;
        for _ in 0..close.stops {
            tx.send(&message)?;
        }
    }
    Ok(Figures::Done)
}

/// Takes messages until it has seen that many stops.
pub fn consume(rx: &mut impl Receiving, payload: usize, stops: u32) -> Outcome<Figures> {
    let mut buffer = room(payload)?;
    let (mut first, mut count, mut seen) = (None, 0, 0);
    while seen < stops {
        rx.receive(&mut buffer)?;
        black_box(&buffer);
        if buffer[0] == STOP {
            seen += 1;
            continue;
        }
        match first {
            None => first = Some(clock::now()),
            Some(_) => count += 1,
        }
    }
    let last = clock::now();
    Ok(Figures::Taken { first: first.unwrap_or(last), last, count })
}
