//! rtrb, a good ring between threads: what says whether our hand-written ring is good enough to be
//! a reference.

use super::super::crew::Part;
use super::super::ends::{MORE, Outcome, STOP};
use super::super::figures::Figures;
use super::line::Cores;
use postbox_ring::sync::spin_loop;
use postbox_sys::{clock, cpu};
use std::hint::black_box;

/// Bytes of a message.
pub const PAYLOAD: usize = 64;
/// Messages that may wait.
pub const SLOTS: u32 = 256;

/// One process, with a thread on either processor, for `budget` nanoseconds.
pub fn parts(cores: Cores, budget: u64) -> Vec<Part<'static>> {
    vec![Part::new(cores.0, move || stream(cores.1, budget))]
}

fn stream(there: usize, budget: u64) -> Outcome<Figures> {
    let (mut tx, mut rx) = rtrb::RingBuffer::<[u8; PAYLOAD]>::new(SLOTS as usize);
    let producer = std::thread::spawn(move || {
        // Without it the figure is low, and the gate only easier to pass; there is nobody to tell.
        let _ = cpu::pin_to(there);
        let mut push = |message: [u8; PAYLOAD]| {
            while tx.push(*black_box(&message)).is_err() {
                spin_loop();
            }
        };
        let mut message = [7; PAYLOAD];
        message[0] = MORE;
        push(message);
        let deadline = clock::now() + budget;
        while clock::now() < deadline {
            (0..64).for_each(|_| push(message));
        }
        message[0] = STOP;
        push(message);
    });
    let (mut first, mut count) = (None, 0);
    loop {
        let Ok(message) = rx.pop() else {
            spin_loop();
            continue;
        };
        if black_box(&message)[0] == STOP {
            break;
        }
        match first {
            None => first = Some(clock::now()),
            Some(_) => count += 1,
        }
    }
    let last = clock::now();
    producer.join().map_err(|_| "the sending thread panicked")?;
    Ok(Figures::Taken { first: first.unwrap_or(last), last, count })
}
