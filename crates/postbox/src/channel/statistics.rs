//! What a channel has carried so far.

use super::Channel;
use super::members::{Role, Statistic};
use postbox_ring::sync::Ordering::Relaxed;

/// Totals of a channel over all its ends, those that have left included.
///
/// A snapshot: ends count as they go. The last counts of an end that was killed may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Messages that were sent.
    pub sent: u64,
    /// Bytes of those messages.
    pub sent_bytes: u64,
    /// Messages that were received.
    pub received: u64,
    /// Bytes of those messages.
    pub received_bytes: u64,
    /// How often an end went to sleep.
    pub waits: u64,
    /// Messages that went, in whole or in part, through shared memory beside the mechanism: over
    /// a kernel object because they are larger than an entry or it had no room, over shared memory
    /// because the ring in front of an unbounded channel had none.
    pub spilled: u64,
    /// Repairs of room that deaths made necessary. Shared memory needs none: what the dead held
    /// there is settled slot by slot.
    pub repairs: u64,
}

impl Channel {
    pub(crate) fn statistics(&self) -> Statistics {
        let total = |role, which| self.block.total(role, which);
        Statistics {
            sent: total(Role::Sender, Statistic::Messages),
            sent_bytes: total(Role::Sender, Statistic::Bytes),
            received: total(Role::Receiver, Statistic::Messages),
            received_bytes: total(Role::Receiver, Statistic::Bytes),
            waits: total(Role::Sender, Statistic::Waits)
                .wrapping_add(total(Role::Receiver, Statistic::Waits)),
            spilled: total(Role::Sender, Statistic::Spilled),
            repairs: self.block.control.repairs.load(Relaxed),
        }
    }
}
