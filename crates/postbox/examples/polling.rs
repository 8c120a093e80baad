//! A receiver in an event loop of one's own, beside a descriptor that Postbox knows nothing of.
//!
//! ```text
//! $ printf 'one\ntwo\n' | cargo run -p postbox --example polling
//! standard input: one
//! the channel: tick 0
//! …
//! ```
//!
//! Lines of standard input and the ticks of a child process arrive in one loop, by the `polling`
//! crate. It ends when the ticks have.

use polling::{Event, Events, PollMode, Poller};
use postbox::{Capacity, Mechanism, Receiver};
use std::error::Error;
use std::io::Read;
use std::os::fd::AsFd;
use std::time::Duration;

const INPUT: usize = 1;
const TICKS: usize = 2;

fn main() -> Result<(), Box<dyn Error>> {
    let (tx, rx) = postbox::channel::<String>(Mechanism::SharedMemory, Capacity::Bounded(8))?;
    let child = postbox::fork(tx, |tx| {
        for n in 0..3 {
            std::thread::sleep(Duration::from_millis(50));
            tx.send(&format!("tick {n}"))?;
        }
        Ok(())
    })?;

    let mut input = std::io::stdin().lock();
    let pollable = rx.pollable()?;
    let poller = Poller::new()?;
    // Files and /dev/null cannot be polled: then the ticks come alone.
    let mut has_input = watch(&poller, &input, INPUT).is_ok();
    watch(&poller, &pollable, TICKS)?;

    let mut events = Events::new();
    let mut ended = false;
    while !ended {
        events.clear();
        poller.wait(&mut events, None)?;
        for event in events.iter() {
            match event.key {
                TICKS => ended = ticks(&rx)?,
                _ => {
                    let mut bytes = [0; 4096];
                    let count = input.read(&mut bytes)?;
                    if count == 0 {
                        poller.delete(&input)?;
                        has_input = false;
                    }
                    for line in String::from_utf8_lossy(&bytes[..count]).lines() {
                        println!("standard input: {line}");
                    }
                }
            }
        }
    }
    poller.delete(&pollable)?;
    if has_input {
        poller.delete(&input)?;
    }
    Ok(child.wait()?)
}

/// Shows what is there; whether the last sender has gone.
///
/// The descriptor stays readable until a `try_receive` has found nothing.
fn ticks(rx: &Receiver<String>) -> Result<bool, Box<dyn Error>> {
    loop {
        match rx.try_receive() {
            Ok(Some(tick)) => println!("the channel: {}", *tick),
            Ok(None) => return Ok(false),
            Err(error) if error.is_disconnected() => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Puts a descriptor into the loop, to be told as long as it is readable.
#[allow(unsafe_code, reason = "the polling crate leaves it to its caller to delete in time")]
fn watch(poller: &Poller, source: &impl AsFd, key: usize) -> std::io::Result<()> {
    let interest = Event::readable(key);
    // SAFETY: what is added here is deleted before it is closed.
    unsafe { poller.add_with_mode(&source.as_fd(), interest, PollMode::Level) }
}
