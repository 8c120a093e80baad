//! What one round is about.

use super::naming::Naming;
use postbox::{Capacity, Mechanism, Policy};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// One round: a channel, who uses it, and what is done to them.
#[derive(Debug, Clone)]
pub struct Setting {
    pub mechanism: Mechanism,
    pub naming: Naming,
    pub capacity: Capacity,
    pub policy: Policy,
    pub producers: u8,
    pub consumers: u8,
    /// Per second.
    pub kills: f64,
    /// Per second.
    pub stops: f64,
    pub seed: u64,
}

impl Setting {
    /// The same in that pass: the first has the seed that was given, each other one its own.
    pub fn in_pass(&self, pass: u32) -> Self {
        self.numbered("", pass)
    }

    /// The same once more, where one setting is one pair of processes after the other.
    pub fn in_encounter(&self, encounter: u32) -> Self {
        self.numbered("encounter", encounter)
    }

    fn numbered(&self, what: &str, number: u32) -> Self {
        let seed = match number {
            0 => self.seed,
            // As short as those that are made up: it may have to be typed.
            _ => {
                let name = [what.as_bytes(), &number.to_le_bytes()].concat();
                xxh3_64_with_seed(&name, self.seed) >> 32
            }
        };
        Setting { seed, ..self.clone() }
    }
}
