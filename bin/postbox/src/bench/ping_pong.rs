//! Latency: one message goes there and back, over and over; half of that is one way.
//!
//! The mean comes from trips without a look at the clock between them, since a look costs as much
//! as a cache line takes; the percentiles come from as many trips more, each with a look.

use super::ends::{MORE, Outcome, Receiving, STOP, Sending, message};
use super::figures::{Figures, Trips};
use crate::shrinkage::room;
use postbox_sys::clock;
use std::hint::black_box;

/// The side that measures, for about `budget` nanoseconds.
pub fn ping(
    tx: &mut impl Sending,
    rx: &mut impl Receiving,
    payload: usize,
    budget: u64,
) -> Outcome<Figures> {
    let mut message = message(payload)?;
    message[0] = MORE;
    let mut buffer = room(payload)?;
    let mut trip = |message: &[u8]| -> Outcome<()> {
        tx.send(message)?;
        rx.receive(&mut buffer)?;
        black_box(&buffer);
        Ok(())
    };
    // Not measured: the other process may have yet to start.
    trip(&message)?;
    let mut count = 1;
    let each = loop {
        let start = clock::now();
        for _ in 0..count {
            trip(&message)?;
        }
        let elapsed = clock::now() - start;
        if elapsed * 5 >= budget {
            break elapsed / count;
        }
        count *= 2;
    };
    let count = (budget * 2 / 5 / each.max(1)).max(5);
    let start = clock::now();
    for _ in 0..count {
        trip(&message)?;
    }
    let mean = (clock::now() - start) as f64 / count as f64 / 2.0;
    let mut trips = Trips::new();
    let mut before = clock::now();
    for _ in 0..count {
        trip(&message)?;
        let now = clock::now();
        trips.add((now - before) / 2);
        before = now;
    }
    message[0] = STOP;
    trip(&message)?;
    Ok(Figures::Latency { mean, counts: trips.counts() })
}

/// The side that sends back what it gets.
pub fn pong(tx: &mut impl Sending, rx: &mut impl Receiving, payload: usize) -> Outcome<Figures> {
    let mut buffer = room(payload)?;
    loop {
        rx.receive(&mut buffer)?;
        tx.send(&buffer[..payload])?;
        if buffer[0] == STOP {
            return Ok(Figures::Done);
        }
    }
}
