//! The receiver's side of a rendezvous: whether it waits, and whether it is engaged.
//!
//! What a turn is, and who may change it, stands in [`postbox_ring::turn`].

use super::ControlBlock;
use super::end::End;
use super::envelope::CellRef;
use super::members::Doing;
use crate::mechanism::Capacity;
use postbox_ring::receipt::{Cell, Settled};
use postbox_ring::sync::Ordering::Relaxed;
use postbox_ring::turn::{self, Meeting};

impl Meeting for ControlBlock {
    fn cell(&self, offer: CellRef) -> Option<Cell<'_>> {
        self.cell(offer)
    }

    fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.cells.iter().map(|cell| cell.words())
    }

    fn turns(&self) -> impl Iterator<Item = turn::Turn<'_>> {
        self.records().map(|(_, member)| member.turn())
    }
}

/// What a receiver that pops is bound to.
pub(crate) struct Engagement<'e> {
    end: Option<&'e End>,
    waited: bool,
}

impl<'e> Engagement<'e> {
    pub(crate) fn of(end: &'e End) -> Self {
        let meets = end.channel.config.capacity == Capacity::Zero;
        let end = meets.then_some(end);
        Engagement { end, waited: end.is_some_and(|end| end.member().turn().is_begun()) }
    }

    /// The receiver's turn, where the two sides meet.
    pub(crate) fn turn(&self) -> Option<turn::Turn<'e>> {
        self.end.map(|end| end.member().turn())
    }

    /// The offer was none: go on waiting.
    pub(crate) fn resume(&self) {
        if let Some(end) = self.end.filter(|_| self.waited) {
            end.member().turn().resume();
        }
    }
}

/// A receiver inside a waiting call.
pub(crate) struct Turn<'e>(Option<&'e End>);

impl<'e> Turn<'e> {
    pub(crate) fn wait(end: &'e End) -> Self {
        let meets = end.channel.config.capacity == Capacity::Zero;
        if meets {
            end.member().turn().begin();
        }
        Turn(meets.then_some(end))
    }

    /// Leaves without a message if it may: false if a try_send has counted on this receiver, or on one that has died.
    pub(crate) fn may_leave(&self) -> bool {
        let Some(end) = self.0 else { return true };
        let (member, block) = (end.member(), &end.channel.block);
        // Relaxed: an orphan was counted and pushed long before whoever was bound to it died. It spares a look at all cells.
        let offered = block.control.offers.word.load(Relaxed) > 0 && !end.channel.is_drained();
        block.may_leave(member.turn(), offered, |offer| {
            // Not counted on yet: send it back before it is. Else stay while the message waits.
            member.begin();
            let epoch = block.offer_epoch(offer);
            if let (Settled::Taken { .. }, Some(epoch)) = (block.decline_offer(offer), epoch) {
                end.channel.gone(end, epoch);
            }
            member.end(Doing::Idle);
            end.mend();
        })
    }
}

impl Turn<'_> {
    /// Looks for deaths: who has what this receiver is bound to may be dead.
    pub(crate) fn look_around(&self) {
        // What fails here fails again in the next call, and this one has a message to wait for.
        let _ = self.0.map(End::look_around);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(end) = self.0 {
            end.member().turn().end();
        }
    }
}
