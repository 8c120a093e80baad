//! What of a channel's memory is in use: for the tests that walk over all steps, and for nobody else.

use super::members::Life;
use super::spool::Overflow;
use super::{Carrier, Channel, Receiver};
use crate::mechanism::Form;
use crate::message::Message;
use postbox_ring::slots::SlotRing;
use postbox_ring::sync::Ordering::Acquire;

/// What is in use, at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Inspection {
    /// Records of members that are not free.
    pub members: usize,
    /// Records of those that are dead, or taken for dead.
    pub marked: usize,
    /// Receipt cells with an offer, or about to have one.
    pub cells: usize,
    /// Offers that count as lying in the queue.
    pub offers: u64,
    /// Units of the overflow, and of what lies in front, that are not free.
    pub overflow: u64,
    /// Units of the bodies that are not free.
    pub bodies: u64,
    /// Slots that hold something, or are in somebody's hands.
    pub slots: usize,
    /// Whether a repair is under way or due.
    pub repair: bool,
    /// Whether somebody has the floor.
    pub floor: bool,
}

impl Channel {
    fn inspection(&self) -> Inspection {
        let (block, control) = (&self.block, &self.block.control);
        let front = self.front.as_ref().map_or(0, Overflow::units_in_use);
        Inspection {
            members: block.records().filter(|(_, member)| member.owner().is_some()).count(),
            marked: block
                .records()
                .filter(|(_, member)| member.status().life() == Life::Dead)
                .count(),
            cells: block.cells.iter().filter(|cell| cell.words().is_in_use()).count(),
            offers: control.offers.word.load(Acquire),
            overflow: self.overflow.units_in_use() + front,
            bodies: self.bodies.units_in_use(),
            slots: match &self.carrier {
                // One to one, a slot that was read stays as it is.
                Carrier::Ring(ring)
                    if self.config.form == Form::ManyToMany && self.unless_wide().is_none() =>
                {
                    ring.held()
                }
                Carrier::Ring(ring) => usize::from(!self.look_in(ring, SlotRing::is_empty)),
                Carrier::Kernel(_) => 0,
            },
            repair: block.repair_due(),
            floor: control.floor.word.load(Acquire) != 0,
        }
    }
}

impl<T: Message> Receiver<T> {
    /// Whether two have the ring for themselves.
    #[doc(hidden)]
    pub fn is_for_two(&self) -> bool {
        self.end().channel.is_for_two()
    }

    /// What of the channel is in use now.
    #[doc(hidden)]
    pub fn inspection(&self) -> Inspection {
        self.end().channel.inspection()
    }
}
