//! What one round is about.

use super::naming::Naming;
use postbox::{Capacity, Mechanism, Policy};

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
