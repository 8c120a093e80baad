//! A stream in batches: many messages to a call on both sides.

use crate::bench::contender::{Terms, failed};
use crate::bench::crew::{Part, Trouble};
use crate::bench::ends::{MORE, Outcome, STOP, message};
use crate::bench::figures::{Figures, Measured};
use crate::bench::subjects::Subject;
use postbox::{Batch, Bytes, Receiver, Sender};
use postbox_sys::clock;
use std::hint::black_box;

/// Messages of one call.
pub const BATCH: usize = 64;

/// One sender, one receiver.
pub fn run(terms: &Terms<'_>, subject: &Subject) -> Result<Measured, Trouble> {
    terms.figures(parts(terms, subject).map_err(failed)?)
}

fn parts(terms: &Terms<'_>, subject: &Subject) -> Outcome<Vec<Part<'static>>> {
    let ((here, there), budget, payload) = (terms.placement.pair(), terms.budget, subject.payload);
    let (tx, rx) = subject.options().channel::<Bytes>()?;
    Ok(vec![
        Part::with(here, rx, consume),
        Part::with(there, tx, move |tx| produce(&tx, payload, budget)),
    ])
}

fn produce(tx: &Sender<Bytes>, payload: usize, budget: u64) -> Outcome<Figures> {
    let mut message = message(payload)?;
    message[0] = MORE;
    let deadline = clock::now() + budget;
    while clock::now() < deadline {
        tx.send_batch(std::iter::repeat_n(black_box(&message[..]), BATCH))?;
    }
    message[0] = STOP;
    tx.send(&message)?;
    Ok(Figures::Done)
}

fn consume(rx: Receiver<Bytes>) -> Outcome<Figures> {
    let (mut first, mut count, mut stopped) = (None, 0, false);
    let mut batch = Batch::new();
    while !stopped {
        rx.receive_batch_into(&mut batch, BATCH)?;
        for message in batch.iter() {
            stopped = black_box(message)[0] == STOP;
            match first {
                None => first = Some(clock::now()),
                Some(_) => count += u64::from(!stopped),
            }
        }
    }
    let last = clock::now();
    Ok(Figures::Taken { first: first.unwrap_or(last), last, count })
}
