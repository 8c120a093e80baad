//! Typed messages of eight fields.

use crate::bench::contender::{Terms, failed};
use crate::bench::crew::{Part, Trouble};
use crate::bench::ends::Outcome;
use crate::bench::figures::{Figures, Measured};
use crate::bench::subjects::Subject;
use postbox::{Receiver, Sender};
use postbox_sys::clock;
use serde::{Deserialize, Serialize};
use std::hint::black_box;

/// A message as a sensor might send it. Its numbers take the same number of bytes each time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    number: u64,
    time: u64,
    sensor: u32,
    temperature: f64,
    pressure: f64,
    position: (f32, f32, f32),
    unit: u8,
    last: bool,
}

impl Reading {
    fn new(number: u64) -> Self {
        Reading {
            number: (1 << 40) + number,
            time: (1 << 60) + number,
            sensor: 70_000,
            temperature: 21.5,
            pressure: 1013.25,
            position: (1.0, 2.0, 3.0),
            unit: 7,
            last: false,
        }
    }
}

/// Bytes that one encodes to.
pub fn encoded() -> Outcome<usize> {
    Ok(postcard::to_stdvec(&Reading::new(0))?.len())
}

/// Messages of that type.
pub fn run(terms: &Terms<'_>, subject: &Subject) -> Result<Measured, Trouble> {
    terms.figures(typed(terms, subject).map_err(failed)?)
}

fn typed(terms: &Terms<'_>, subject: &Subject) -> Outcome<Vec<Part<'static>>> {
    let ((here, there), budget) = (terms.placement.pair(), terms.budget);
    let (tx, rx) = subject.options().channel::<Reading>()?;
    Ok(vec![Part::with(here, rx, take), Part::with(there, tx, move |tx| give(&tx, budget))])
}

fn give(tx: &Sender<Reading>, budget: u64) -> Outcome<Figures> {
    let deadline = clock::now() + budget;
    let mut number = 0;
    while clock::now() < deadline {
        for _ in 0..64 {
            tx.send(black_box(&Reading::new(number)))?;
            number += 1;
        }
    }
    tx.send(&Reading { last: true, ..Reading::new(number) })?;
    Ok(Figures::Done)
}

fn take(rx: Receiver<Reading>) -> Outcome<Figures> {
    let (mut first, mut count) = (None, 0);
    while !black_box(rx.receive()?).last {
        match first {
            None => first = Some(clock::now()),
            Some(_) => count += 1,
        }
    }
    let last = clock::now();
    Ok(Figures::Taken { first: first.unwrap_or(last), last, count })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_takes_the_same_number_of_bytes() {
        let length = encoded().unwrap();
        let last = Reading { last: true, ..Reading::new(1 << 30) };
        assert_eq!(postcard::to_stdvec(&last).unwrap().len(), length);
        assert!((40..=64).contains(&length), "{length}");
    }
}
