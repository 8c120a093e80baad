//! The two halves' work. It is that of `postbox bench` itself, call by call, so that figures compare:
//! see ping_pong.rs and stream.rs there.

use crate::Outcome;
use crate::protocol::Run;
use hdrhistogram::Histogram;
use postbox_sys::clock;
use std::hint::black_box;

/// The first byte of a message that is not the last one.
pub const MORE: u8 = 0;
/// The first byte of the message after which its taker stops.
pub const STOP: u8 = 1;
/// Every other byte.
pub const BYTE: u8 = 7;
/// Messages up to that many bytes are cheap enough that the clock is not looked at for each.
const CHEAP: usize = 4096;
/// The longest latency that is told apart: a minute.
const LONGEST: u64 = 60_000_000_000;

/// The side that sends. Each byte of the message is written.
pub trait Sending {
    /// Sends one message, waiting for room.
    fn send(&mut self, message: &[u8]) -> Outcome<()>;
}

/// The side that receives. Each byte of the message is read.
pub trait Receiving {
    /// Takes one message, waiting for it. `buffer` then starts with its first byte; with all of it if
    /// that first byte is [`STOP`].
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()>;
}

/// What was measured.
#[derive(Debug, Clone)]
pub enum Figures {
    /// Times of one way, in nanoseconds.
    Latency {
        /// On average, without looks at the clock.
        mean: f64,
        /// Each time and how often it occurred.
        trips: Vec<(u64, u64)>,
    },
    /// Messages taken.
    Throughput {
        /// When the first one came; it is not counted.
        first: u64,
        /// When the last one had come.
        last: u64,
        /// How many.
        count: u64,
    },
}

/// The side that measures latency.
pub fn ping(tx: &mut impl Sending, rx: &mut impl Receiving, run: &Run) -> Outcome<Figures> {
    let mut message = vec![BYTE; run.payload];
    message[0] = MORE;
    let mut buffer = Vec::with_capacity(run.payload);
    let mut trip = |message: &[u8]| -> Outcome<()> {
        tx.send(message)?;
        rx.receive(&mut buffer)?;
        black_box(&buffer);
        Ok(())
    };
    // Not measured: the other half may have yet to start.
    trip(&message)?;
    let mut count = 1;
    let each = loop {
        let start = clock::now();
        for _ in 0..count {
            trip(&message)?;
        }
        let elapsed = clock::now() - start;
        if elapsed * 5 >= run.nanoseconds {
            break elapsed / count;
        }
        count *= 2;
    };
    let count = (run.nanoseconds * 2 / 5 / each.max(1)).max(5);
    let start = clock::now();
    for _ in 0..count {
        trip(&message)?;
    }
    let mean = (clock::now() - start) as f64 / count as f64 / 2.0;
    let mut trips = Histogram::<u64>::new_with_bounds(1, LONGEST, 3)?;
    let mut before = clock::now();
    for _ in 0..count {
        trip(&message)?;
        let now = clock::now();
        trips.saturating_record(((now - before) / 2).max(1));
        before = now;
    }
    message[0] = STOP;
    trip(&message)?;
    whole(&buffer, run)?;
    let recorded = trips.iter_recorded();
    let trips = recorded.map(|step| (step.value_iterated_to(), step.count_at_value())).collect();
    Ok(Figures::Latency { mean, trips })
}

/// The side that sends back what it gets.
pub fn pong(tx: &mut impl Sending, rx: &mut impl Receiving, run: &Run) -> Outcome<()> {
    let mut buffer = vec![BYTE; run.payload];
    loop {
        rx.receive(&mut buffer)?;
        tx.send(&buffer[..run.payload])?;
        if buffer[0] == STOP {
            return whole(&buffer, run);
        }
    }
}

/// The side that sends as fast as it can, for a while.
pub fn produce(tx: &mut impl Sending, run: &Run) -> Outcome<()> {
    let mut message = vec![BYTE; run.payload];
    message[0] = MORE;
    let burst = if run.payload <= CHEAP { 64 } else { 1 };
    // The first one may have to wait until the other half is there.
    tx.send(&message)?;
    let deadline = clock::now() + run.nanoseconds;
    while clock::now() < deadline {
        for _ in 0..burst {
            tx.send(black_box(&message))?;
        }
    }
    message[0] = STOP;
    tx.send(&message)
}

/// The side that counts.
pub fn consume(rx: &mut impl Receiving, run: &Run) -> Outcome<Figures> {
    let mut buffer = vec![BYTE; run.payload];
    let (mut first, mut count) = (None, 0);
    loop {
        rx.receive(&mut buffer)?;
        black_box(&buffer);
        if buffer[0] == STOP {
            break;
        }
        match first {
            None => first = Some(clock::now()),
            Some(_) => count += 1,
        }
    }
    let last = clock::now();
    whole(&buffer, run)?;
    let first = first.ok_or("the last message came first")?;
    Ok(Figures::Throughput { first, last, count })
}

/// Whether the last message came as it was sent: who cuts messages short, or mixes them up, would be
/// fast for the wrong reason.
fn whole(message: &[u8], run: &Run) -> Outcome<()> {
    let good = message.len() == run.payload && message[1..].iter().all(|&byte| byte == BYTE);
    if good { Ok(()) } else { Err("a message arrived other than it was sent".into()) }
}
