//! Over which channels it goes, and for how long.

use crate::honest::MAX_MESSAGE;
use postbox::{Capacity, Form, Mechanism, Options};
use postbox_tests::{Case, MECHANISMS, Outcome};
use std::time::Duration;

/// Seconds that each case goes on, if more than a glance is wanted.
const SECONDS: &str = "POSTBOX_SCRIBBLE";

/// How long each case goes on.
pub fn seconds() -> Duration {
    let asked = std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok());
    asked.map_or(Duration::from_millis(500), Duration::from_secs)
}

/// One kind of channel.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub mechanism: Mechanism,
    pub capacity: Capacity,
    pub single: bool,
}

impl Plan {
    pub fn options(self) -> Options {
        Options::new(self.mechanism)
            .capacity(self.capacity)
            .form(if self.single { Form::OneToOne } else { Form::ManyToMany })
            .max_message(MAX_MESSAGE)
            .byte_cap(1 << 28)
    }
}

const CAPACITIES: [Capacity; 4] =
    [Capacity::Zero, Capacity::Bounded(3), Capacity::Bounded(64), Capacity::Unbounded];

/// A case for each kind of channel.
pub fn over_all(sentence: &str, proof: fn(Plan) -> Outcome) -> Vec<Case> {
    let mut cases = Vec::new();
    for mechanism in MECHANISMS {
        for capacity in CAPACITIES {
            for single in [false, true] {
                let form = if single { "one to one" } else { "many to many" };
                let name = format!("{mechanism}::{capacity}::{form}::{sentence}");
                let plan = Plan { mechanism, capacity, single };
                cases.push(Case::new(name, move || proof(plan)));
            }
        }
    }
    cases
}
