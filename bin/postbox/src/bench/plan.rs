//! Which cases are measured, and against what.

use super::arguments::{Arguments, Metric, Naming, Payload, Waiting};
use super::ends::Outcome;
use super::placement::{Cores, Placement};
use super::references::bare::{Bare, Taking};
use super::subjects::{Made, Subject};
use postbox::{Capacity, Mechanism, WaitStrategy};
use postbox_program::ending::Ending;

/// Payloads unless asked otherwise.
const PAYLOADS: [usize; 7] = [8, 64, 512, 4096, 64 << 10, 1 << 20, 16 << 20];
/// Those of a quick run.
const QUICK_PAYLOADS: [usize; 3] = [64, 4096, 1 << 20];
/// The payload at which scaling over producers is shown.
const SCALED: usize = 64;
/// Producers there, beside one.
const SCALE: [u32; 2] = [2, 4];
/// Payloads from which on plain copying is a reference, too.
const COPIED: usize = 4096;

/// Our capacity where the kernel object's cannot be found out.
const SMALL: Capacity = Capacity::Bounded(8);

/// One case: ours, and what it takes turns with.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is measured.
    pub metric: Metric,
    /// Ours.
    pub subject: Subject,
    /// What it is compared with, the one that counts most first.
    pub references: Vec<Reference>,
    /// Messages that the bare object holds, if the mechanism has one that takes the payload.
    pub depth: Option<u32>,
}

/// What ours is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// The same system calls, with nothing around them.
    Bare(Taking),
    /// One cache line.
    Line,
    /// One for each way.
    TwoLines,
    /// The hand-written ring that copies.
    Copying,
    /// The hand-written ring written and read in place.
    InPlace,
    /// The hand-written ring whose slots have a word and a header each.
    Slots,
    /// Copying without anything between the two sides.
    Memcpy,
}

impl Case {
    /// Slots of the hand-written rings: as many messages as may wait in ours.
    pub fn slots(&self) -> u32 {
        match self.subject.capacity {
            Capacity::Bounded(messages) => messages.max(1),
            _ => roomy(self.subject.payload),
        }
    }
}

/// As many messages as share a cache of some megabytes, within reason.
pub fn roomy(payload: usize) -> u32 {
    ((8 << 20) / payload).clamp(4, 256) as u32
}

/// The cases, in the order in which they are run.
///
/// # Errors
///
/// Bad input: what was asked for does not go together.
pub fn cases(arguments: &Arguments, placement: &Placement) -> Result<Vec<Case>, Ending> {
    let or = |chosen: &[Metric]| -> Vec<Metric> {
        if chosen.is_empty() { vec![Metric::Latency, Metric::Throughput] } else { chosen.to_vec() }
    };
    let mechanisms = chosen(&arguments.mechanisms, &Mechanism::ALL);
    let namings = chosen(&arguments.namings, &[Naming::Channel]);
    let waits = chosen(&arguments.waits, &[Waiting::Adaptive]);
    refuse(arguments, &namings, &waits, placement)?;
    let usual: &[usize] = if arguments.quick { &QUICK_PAYLOADS } else { &PAYLOADS };
    let asked: Vec<usize> = arguments.payloads.iter().map(|Payload(bytes)| *bytes).collect();
    let payloads = chosen(&asked, usual);
    let capacities: Vec<Option<Capacity>> = match &arguments.capacities[..] {
        [] => vec![None],
        asked => asked.iter().copied().map(Some).collect(),
    };
    let mut cases = Vec::new();
    for metric in or(&arguments.metrics) {
        for &mechanism in &mechanisms {
            for &payload in &payloads {
                for &naming in &namings {
                    for &wait in &waits {
                        for &capacity in &capacities {
                            for producers in producers(arguments, metric, payload) {
                                let consumers = match metric {
                                    Metric::Latency => 1,
                                    Metric::Throughput => arguments.consumers,
                                };
                                let wait = wait.into();
                                // Where no object can be made, ours and the reference say why.
                                let (capacity, depth) = depth(mechanism, payload, capacity)
                                    .unwrap_or((capacity.unwrap_or(SMALL), None));
                                let subject = Subject {
                                    mechanism,
                                    naming,
                                    capacity,
                                    wait,
                                    payload,
                                    producers,
                                    consumers,
                                    made: Made::Fitted,
                                };
                                let references = references(metric, &subject, placement.cores);
                                cases.push(Case { metric, subject, references, depth });
                            }
                        }
                    }
                }
            }
        }
    }
    Ok(cases)
}

fn chosen<T: Clone>(asked: &[T], usual: &[T]) -> Vec<T> {
    if asked.is_empty() { usual.to_vec() } else { asked.to_vec() }
}

fn refuse(
    arguments: &Arguments,
    namings: &[Naming],
    waits: &[Waiting],
    placement: &Placement,
) -> Result<(), Ending> {
    if namings.contains(&Naming::Direct) && arguments.consumers > 1 {
        let remedy = "take --consumers 1, or another --naming";
        return Err(Ending::BadInput(format!("a link has one receiver: {remedy}")));
    }
    if waits.contains(&Waiting::Spin) && placement.cores == Cores::Same {
        let remedy = "take --wait adaptive or block, or --cores different";
        return Err(Ending::BadInput(format!(
            "two sides that spin on one core wait for the scheduler, not for each other: {remedy}"
        )));
    }
    let several = arguments.consumers > 1 || arguments.producers.iter().any(|&count| count > 1);
    if several && arguments.metrics == [Metric::Latency] {
        let remedy = "take --metric throughput for several producers or consumers";
        return Err(Ending::BadInput(format!("latency is that of one pair: {remedy}")));
    }
    Ok(())
}

/// How many producers a case is run with.
fn producers(arguments: &Arguments, metric: Metric, payload: usize) -> Vec<u32> {
    match metric {
        Metric::Latency => vec![1],
        Metric::Throughput if !arguments.producers.is_empty() => arguments.producers.clone(),
        // Scaling is shown only where nothing else was asked for.
        Metric::Throughput if payload == SCALED && arguments.payloads.is_empty() => {
            [&[1], &SCALE[..]].concat()
        }
        Metric::Throughput => vec![1],
    }
}

/// The capacity of ours, and how many messages the bare object then holds.
pub fn depth(
    mechanism: Mechanism,
    payload: usize,
    asked: Option<Capacity>,
) -> Outcome<(Capacity, Option<u32>)> {
    let wanted = match asked {
        Some(Capacity::Bounded(messages)) => Some(messages),
        _ => None,
    };
    let held = match mechanism {
        Mechanism::SharedMemory => None,
        _ => Bare::create(mechanism, payload, wanted)?.depth()?,
    };
    let usual = Capacity::Bounded(held.unwrap_or_else(|| roomy(payload)));
    Ok((asked.unwrap_or(usual), held))
}

fn references(metric: Metric, subject: &Subject, cores: Cores) -> Vec<Reference> {
    let shared = subject.mechanism == Mechanism::SharedMemory && cores == Cores::Different;
    match metric {
        Metric::Latency if shared => {
            vec![Reference::Line, Reference::TwoLines, Reference::Copying]
        }
        Metric::Latency if subject.wait == WaitStrategy::Block => {
            vec![Reference::Bare(Taking::Polled), Reference::Bare(Taking::Blocking)]
        }
        Metric::Latency => vec![Reference::Bare(Taking::Blocking)],
        Metric::Throughput if shared => {
            let copying = (subject.payload >= COPIED).then_some(Reference::Memcpy);
            [Reference::Copying, Reference::InPlace].into_iter().chain(copying).collect()
        }
        Metric::Throughput => vec![Reference::Bare(Taking::Blocking)],
    }
}
