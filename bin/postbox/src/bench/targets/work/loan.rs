//! A stream of messages by loan: written and read where they lie.

use crate::bench::contender::{Terms, failed};
use crate::bench::crew::{Part, Trouble};
use crate::bench::ends::{MORE, Outcome, STOP};
use crate::bench::figures::{Figures, Measured};
use crate::bench::subjects::Subject;
use postbox::{Bytes, Receiver, Sender};
use postbox_sys::clock;
use std::hint::black_box;

/// As much is written, and read, at a time.
const PIECE: usize = 4096;
/// Messages between two looks at the clock, where a look would cost as much as a message.
const RUN: usize = 64;

/// One sender, one receiver.
pub fn run(terms: &Terms<'_>, subject: &Subject) -> Result<Measured, Trouble> {
    terms.figures(parts(terms, subject).map_err(failed)?)
}

fn parts(terms: &Terms<'_>, subject: &Subject) -> Outcome<Vec<Part<'static>>> {
    let ((here, there), budget, payload) = (terms.placement.pair(), terms.budget, subject.payload);
    let (tx, rx) = subject.options().channel::<Bytes>()?;
    Ok(vec![
        Part::with(here, rx, consume),
        Part::with(there, tx, move |mut tx| produce(&mut tx, payload, budget)),
    ])
}

fn produce(tx: &mut Sender<Bytes>, payload: usize, budget: u64) -> Outcome<Figures> {
    let mut piece = vec![7; PIECE.min(payload)];
    piece[0] = MORE;
    let run = if payload <= PIECE { RUN } else { 1 };
    let deadline = clock::now() + budget;
    while clock::now() < deadline {
        (0..run).try_for_each(|_| send(tx, payload, &piece))?;
    }
    piece[0] = STOP;
    send(tx, payload, &piece)?;
    Ok(Figures::Done)
}

fn send(tx: &mut Sender<Bytes>, payload: usize, piece: &[u8]) -> Outcome<()> {
    let mut loan = tx.loan(payload)?;
    let mut bytes = loan.bytes_mut();
    for at in (0..payload).step_by(PIECE) {
        bytes.copy_from(at, black_box(&piece[..piece.len().min(payload - at)]))?;
    }
    Ok(loan.send()?)
}

fn consume(mut rx: Receiver<Bytes>) -> Outcome<Figures> {
    let mut piece = vec![0; PIECE];
    let (mut first, mut count, mut stopped) = (None, 0, false);
    while !stopped {
        let message = rx.receive_in_place()?;
        let bytes = message.bytes();
        for at in (0..bytes.len()).step_by(PIECE) {
            let len = PIECE.min(bytes.len() - at);
            bytes.copy_to(at, &mut piece[..len])?;
            black_box(&piece);
            stopped |= at == 0 && piece[0] == STOP;
        }
        match first {
            None => first = Some(clock::now()),
            Some(_) => count += u64::from(!stopped),
        }
    }
    let last = clock::now();
    Ok(Figures::Taken { first: first.unwrap_or(last), last, count })
}
