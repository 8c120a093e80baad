//! The same case over every mechanism, capacity and naming.

use crate::{Case, NAMINGS, Naming, Outcome};
use postbox::{Capacity, Mechanism, WaitStrategy};

/// The four mechanisms.
pub const MECHANISMS: [Mechanism; 4] = Mechanism::ALL;

/// The capacities that the suite runs over.
pub const CAPACITIES: [Capacity; 8] = [
    Capacity::Zero,
    Capacity::Bounded(1),
    Capacity::Bounded(2),
    Capacity::Bounded(3),
    Capacity::Bounded(7),
    Capacity::Bounded(64),
    Capacity::Bounded(1000),
    Capacity::Unbounded,
];

/// Those of them that are a number of messages.
pub const BOUNDED: [Capacity; 6] = [
    Capacity::Bounded(1),
    Capacity::Bounded(2),
    Capacity::Bounded(3),
    Capacity::Bounded(7),
    Capacity::Bounded(64),
    Capacity::Bounded(1000),
];

/// The three ways of waiting.
pub const STRATEGIES: [WaitStrategy; 3] =
    [WaitStrategy::Spin, WaitStrategy::Adaptive, WaitStrategy::Block];

/// One case per mechanism.
pub fn over(sentence: &str, proof: fn(Mechanism) -> Outcome) -> Vec<Case> {
    MECHANISMS
        .into_iter()
        .map(|mechanism| Case::new(format!("{mechanism}::{sentence}"), move || proof(mechanism)))
        .collect()
}

/// One case per mechanism and each of the capacities.
pub fn over_capacities(
    sentence: &str,
    capacities: &[Capacity],
    proof: fn(Mechanism, Capacity) -> Outcome,
) -> Vec<Case> {
    MECHANISMS
        .into_iter()
        .flat_map(|mechanism| {
            capacities.iter().map(move |&capacity| {
                Case::new(format!("{mechanism}::{capacity}::{sentence}"), move || {
                    proof(mechanism, capacity)
                })
            })
        })
        .collect()
}

/// One case per mechanism and naming: for proofs that get their ends by [`crate::channel`] or
/// [`crate::connect`].
pub fn across(sentence: &str, proof: fn(Mechanism) -> Outcome) -> Vec<Case> {
    let cases = NAMINGS.into_iter().flat_map(|naming| {
        MECHANISMS.into_iter().map(move |mechanism| {
            Case::new(format!("{}{mechanism}::{sentence}", naming.prefix()), move || {
                naming.choose();
                proof(mechanism)
            })
        })
    });
    cases.collect()
}

/// One case per mechanism, naming and each of the capacities, as [`across`].
pub fn across_capacities(
    sentence: &str,
    capacities: &[Capacity],
    proof: fn(Mechanism, Capacity) -> Outcome,
) -> Vec<Case> {
    let of = |naming| named(naming, sentence, capacities, proof);
    NAMINGS.into_iter().flat_map(of).collect()
}

/// As [`across_capacities`], for what follows from a sender's being told that no receiver is left:
/// not over mailboxes, which no absence ends.
pub fn where_senders_are_told(
    sentence: &str,
    capacities: &[Capacity],
    proof: fn(Mechanism, Capacity) -> Outcome,
) -> Vec<Case> {
    let of = |naming| named(naming, sentence, capacities, proof);
    NAMINGS.into_iter().filter(|naming| naming.senders_are_told()).flat_map(of).collect()
}

/// One case per mechanism and each of the capacities, over mailboxes alone.
pub fn over_mailboxes(
    sentence: &str,
    capacities: &[Capacity],
    proof: fn(Mechanism, Capacity) -> Outcome,
) -> Vec<Case> {
    named(Naming::Mailbox, sentence, capacities, proof)
}

fn named(
    naming: Naming,
    sentence: &str,
    capacities: &[Capacity],
    proof: fn(Mechanism, Capacity) -> Outcome,
) -> Vec<Case> {
    MECHANISMS
        .into_iter()
        .flat_map(|mechanism| {
            capacities.iter().map(move |&capacity| {
                let name = format!("{}{mechanism}::{capacity}::{sentence}", naming.prefix());
                Case::new(name, move || {
                    naming.choose();
                    proof(mechanism, capacity)
                })
            })
        })
        .collect()
}
