//! rtrb: a ring of bytes between two threads, into which messages are copied and out of it.

use postbox_peers::Outcome;
use postbox_peers::protocol::{Hello, Run};
use postbox_peers::threads::{self, Mirror};
use postbox_peers::work::{Receiving, Sending};
use std::hint::spin_loop;
use std::process::ExitCode;

struct Rtrb;

struct Producer(rtrb::Producer<u8>);

struct Consumer {
    ring: rtrb::Consumer<u8>,
    payload: usize,
}

impl Mirror for Rtrb {
    const HELLO: Hello = Hello { name: "rtrb", version: "0.4", subjects: &["threads"] };
    type Sender = Producer;
    type Receiver = Consumer;

    fn channel(run: &Run) -> (Producer, Consumer) {
        let (tx, rx) = rtrb::RingBuffer::new(run.depth * run.payload);
        (Producer(tx), Consumer { ring: rx, payload: run.payload })
    }
}

impl Sending for Producer {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Outcome<()> {
        while self.0.push_entire_slice(message).is_err() {
            if self.0.is_abandoned() {
                return Err("nobody takes any more".into());
            }
            spin_loop();
        }
        Ok(())
    }
}

impl Receiving for Consumer {
    #[inline]
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()> {
        buffer.resize(self.payload, 0);
        while self.ring.pop_entire_slice(buffer).is_err() {
            // What came before the other thread left is taken.
            if self.ring.is_abandoned() && self.ring.slots() < self.payload {
                return Err("nobody sends any more".into());
            }
            spin_loop();
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    threads::main::<Rtrb>()
}
