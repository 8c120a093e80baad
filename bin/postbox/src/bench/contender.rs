//! One run of one contender: ours or a reference.

use super::arguments::Metric;
use super::crew::{Part, Trouble, run};
use super::ends::{Outcome, Receiving, Sending};
use super::figures::{Figures, Measured, sum};
use super::ping_pong::{ping, pong};
use super::placement::Placement;
use super::plan::{Case, Reference};
use super::references::bare::{Bare, Taking};
use super::references::line::Lines;
use super::references::ring::{self, Manner};
use super::references::{copy, line, memory, mirror, slots};
use super::stream::{Close, consume, produce};
use super::subjects::Subject;
use crate::shrinkage;
use postbox::Capacity;
use postbox_program::stop::Stop;

/// What every run is told.
#[derive(Debug)]
pub struct Terms<'s> {
    /// Where processes run.
    pub placement: Placement,
    /// How long a run measures, in nanoseconds.
    pub budget: u64,
    /// What ends it early.
    pub stop: &'s Stop,
}

impl Terms<'_> {
    /// Runs ours.
    pub fn subject(&self, case: &Case) -> Result<Measured, Trouble> {
        long_enough(self.budget, |budget| {
            let staged = match case.metric {
                Metric::Latency => case.subject.ping_pong(&self.placement, budget),
                Metric::Throughput => {
                    close().and_then(|close| case.subject.stream(&self.placement, budget, close))
                }
            };
            let (parts, _meeting) = staged.map_err(failed)?;
            run(parts, self.stop)
        })
    }

    /// Runs a reference.
    pub fn reference(&self, case: &Case, reference: Reference) -> Result<Measured, Trouble> {
        long_enough(self.budget, |budget| {
            let terms = Terms { placement: self.placement.clone(), budget, ..*self };
            run(terms.parts(case, reference).map_err(failed)?, self.stop)
        })
    }

    /// Runs rtrb between threads.
    pub fn mirror(&self) -> Result<Measured, Trouble> {
        self.figures(mirror::parts(self.placement.pair(), self.budget))
    }

    /// Runs the copying ring, alike.
    pub fn mirrored(&self) -> Result<Measured, Trouble> {
        let ring = |_| ring::create(mirror::SLOTS, mirror::PAYLOAD, Manner::Copied);
        let parts = self.pair(Metric::Throughput, mirror::PAYLOAD, ring);
        self.figures(parts.map_err(failed)?)
    }

    /// Runs these processes.
    pub fn figures(&self, parts: Vec<Part<'_>>) -> Result<Measured, Trouble> {
        let figures = run(parts, self.stop)?;
        sum(&figures).ok_or_else(nothing)
    }

    fn parts(&self, case: &Case, reference: Reference) -> Outcome<Vec<Part<'static>>> {
        let (payload, slots) = (case.subject.payload, case.slots());
        match reference {
            Reference::Line => line::parts(self.placement.pair(), Lines::Shared, line::REFERENCE),
            Reference::TwoLines => {
                line::parts(self.placement.pair(), Lines::Apart, line::REFERENCE)
            }
            Reference::Copying => {
                self.pair(case.metric, payload, |_| ring::create(slots, payload, Manner::Copied))
            }
            Reference::InPlace => {
                self.pair(case.metric, payload, |_| ring::create(slots, payload, Manner::InPlace))
            }
            Reference::Slots => self.pair(case.metric, payload, |_| slots::create(slots, payload)),
            Reference::Memcpy => self.pair(case.metric, payload, |_| copy::create(slots, payload)),
            Reference::Bare(taking) => self.bare(case, taking),
        }
    }

    /// Two processes over what `create` makes; for ping-pong it is asked twice.
    pub fn pair<S, R>(
        &self,
        metric: Metric,
        payload: usize,
        create: impl Fn(u32) -> Outcome<(S, R)>,
    ) -> Outcome<Vec<Part<'static>>>
    where
        S: Sending + 'static,
        R: Receiving + 'static,
    {
        let ((here, there), budget) = (self.placement.pair(), self.budget);
        let (mut tx, mut rx) = create(0)?;
        if metric == Metric::Throughput {
            let close = close()?;
            return Ok(vec![
                Part::new(here, move || consume(&mut rx, payload, 1)),
                Part::new(there, move || produce(&mut tx, payload, budget, &close)),
            ]);
        }
        let (mut back_tx, mut back_rx) = create(1)?;
        Ok(vec![
            Part::new(here, move || ping(&mut tx, &mut back_rx, payload, budget)),
            Part::new(there, move || pong(&mut back_tx, &mut rx, payload)),
        ])
    }

    /// As many processes as ours has, over one object if it keeps messages whole.
    fn bare(&self, case: &Case, taking: Taking) -> Outcome<Vec<Part<'static>>> {
        let subject = &case.subject;
        let (payload, budget) = (subject.payload, self.budget);
        let create = |_| bare(case)?.sides(taking);
        let object = bare(case)?;
        let alone = subject.producers == 1 && subject.consumers == 1;
        if case.metric == Metric::Latency || alone || !object.keeps_messages_whole() {
            return self.pair(case.metric, payload, create);
        }
        let (tx, rx) = object.sides(taking)?;
        let (producers, consumers) = (subject.producers, subject.consumers);
        let close = Close { last: producers.into(), stops: consumers, ..close()? };
        let mut parts = Vec::new();
        for index in 0..consumers {
            let mut rx = rx.clone();
            let cpu = self.placement.of(index);
            parts.push(Part::new(cpu, move || consume(&mut rx, payload, 1)));
        }
        for index in 0..producers {
            let (mut tx, close) = (tx.clone(), close.clone());
            let cpu = self.placement.of(consumers + index);
            parts.push(Part::new(cpu, move || produce(&mut tx, payload, budget, &close)));
        }
        Ok(parts)
    }
}

/// Repeats, with a larger budget, a run in which too few messages came for a figure: large ones, on
/// a machine that has other things to do.
fn long_enough(
    budget: u64,
    mut run: impl FnMut(u64) -> Result<Vec<Figures>, Trouble>,
) -> Result<Measured, Trouble> {
    for times in [1, 6, 36] {
        if let Some(measured) = sum(&run(budget * times)?) {
            return Ok(measured);
        }
    }
    Err(nothing())
}

fn nothing() -> Trouble {
    let remedy = shrinkage::remedy();
    let remedy = if remedy.is_empty() { ": is the machine busy?" } else { &remedy };
    Trouble::Failed(format!("too few messages came to be measured{remedy}"))
}

/// What a reference is called.
pub fn name(case: &Case, reference: Reference) -> Outcome<String> {
    let Subject { producers, consumers, .. } = case.subject;
    // These are for two, whoever is measured beside them.
    let pair = if producers > 1 || consumers > 1 { ", one to one" } else { "" };
    let ring = |manner| format!("{manner} ring, {} slots{pair}", case.slots().next_power_of_two());
    Ok(match reference {
        Reference::Line => "cache line".into(),
        Reference::TwoLines => "two cache lines, one each way".into(),
        Reference::Copying => ring("copying"),
        Reference::InPlace => ring("in-place"),
        Reference::Slots => {
            format!("bare slots with a word each, {}", case.slots().next_power_of_two())
        }
        Reference::Memcpy => format!("memcpy of two processes{pair}"),
        Reference::Bare(taking) => {
            let object = bare(case)?.name()?;
            let polled = if taking == Taking::Polled { ", polled" } else { "" };
            format!("bare {object}{polled}{}", other_depth(case))
        }
    })
}

/// Says how many messages a kernel object holds where it cannot be as many as ours.
fn other_depth(case: &Case) -> String {
    match (case.metric, case.subject.capacity, case.depth) {
        (Metric::Throughput, Capacity::Bounded(ours), Some(theirs)) if ours != theirs => {
            format!(", holds {theirs}")
        }
        _ => String::new(),
    }
}

/// The kernel object beside ours. Ping-pong has one message in it: its depth does not matter.
fn bare(case: &Case) -> Outcome<Bare> {
    Bare::create(case.subject.mechanism, case.subject.payload, case.depth)
}

/// For one producer and one consumer.
pub fn close() -> Outcome<Close> {
    let counters = memory(4096)?;
    Ok(Close { there: counters.view(0)?, done: counters.view(128)?, last: 1, stops: 1 })
}

/// In words.
pub fn failed(error: Box<dyn std::error::Error>) -> Trouble {
    Trouble::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_without_a_figure_is_repeated_for_longer() {
        let mut budgets = Vec::new();
        let taken = |count| vec![Figures::Done, Figures::Taken { first: 0, last: 1000, count }];
        let measured = long_enough(5, |budget| {
            budgets.push(budget);
            Ok(taken(u64::from(budget > 5)))
        });
        assert_eq!(measured.unwrap().value, 1e6);
        assert_eq!(budgets, [5, 30]);
        let Err(Trouble::Failed(said)) = long_enough(5, |_| Ok(taken(0))) else { panic!() };
        assert!(said.starts_with("too few messages"), "{said}");
    }
}
