//! crossbeam-channel: bounded, between two threads. Messages of a cache line go through the channel
//! themselves; larger ones in buffers, which come back through a second channel to be filled again. The receiver
//! is busy, as ours is beside it: a thread that sleeps takes microseconds to wake.

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use postbox_peers::Outcome;
use postbox_peers::protocol::{Hello, Run};
use postbox_peers::threads::{self, Mirror};
use postbox_peers::work::{Receiving, Sending};
use std::hint::spin_loop;
use std::process::ExitCode;

/// Bytes that are moved rather than pointed to.
const SMALL: usize = 64;

struct Crossbeam;

enum Out {
    Small(Sender<[u8; SMALL]>),
    Large { full: Sender<Vec<u8>>, empty: Receiver<Vec<u8>> },
}

enum In {
    Small { messages: Receiver<[u8; SMALL]>, payload: usize },
    Large { full: Receiver<Vec<u8>>, empty: Sender<Vec<u8>> },
}

impl Mirror for Crossbeam {
    const HELLO: Hello =
        Hello { name: "crossbeam-channel", version: "0.5", subjects: &["threads"] };
    type Sender = Out;
    type Receiver = In;

    fn channel(run: &Run) -> (Out, In) {
        let payload = run.payload;
        if payload <= SMALL {
            let (tx, messages) = bounded(run.depth);
            return (Out::Small(tx), In::Small { messages, payload });
        }
        let (tx, full) = bounded(run.depth);
        // One more is being filled, and one more emptied.
        let (empty, spare) = bounded(run.depth + 2);
        (Out::Large { full: tx, empty: spare }, In::Large { full, empty })
    }
}

impl Sending for Out {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Outcome<()> {
        match self {
            Out::Small(tx) => {
                let mut line = [0; SMALL];
                line[..message.len()].copy_from_slice(message);
                Ok(tx.send(line)?)
            }
            Out::Large { full, empty } => {
                let mut buffer = empty.try_recv().unwrap_or_default();
                buffer.clear();
                buffer.extend_from_slice(message);
                Ok(full.send(buffer)?)
            }
        }
    }
}

impl Receiving for In {
    #[inline]
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()> {
        buffer.clear();
        match self {
            In::Small { messages, payload } => {
                buffer.extend_from_slice(&busy(messages)?[..*payload]);
            }
            In::Large { full, empty } => {
                let message = busy(full)?;
                buffer.extend_from_slice(&message);
                // Where there are enough of them it is freed.
                let _ = empty.try_send(message);
            }
        }
        Ok(())
    }
}

/// The next message, awaited without sleeping.
fn busy<T>(messages: &Receiver<T>) -> Outcome<T> {
    loop {
        match messages.try_recv() {
            Ok(message) => return Ok(message),
            Err(TryRecvError::Empty) => spin_loop(),
            Err(gone) => return Err(gone.into()),
        }
    }
}

fn main() -> ExitCode {
    threads::main::<Crossbeam>()
}
