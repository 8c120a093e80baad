//! The receiver's side of a rendezvous: whether it waits, and whether it is engaged.
//!
//! ```text
//!  turn   0 ────────► waiting ────────► engaged by an offer
//!         ▲  waiting   │  │    try_send    │
//!         │  call      │  └────────────────┘
//!         └────────────┴─── leaves; an engaged receiver only with its message
//! ```
//!
//! Whoever pops an offer while engaged by another sends it back to its sender, who offers it
//! again. Two engaged receivers that pop each other's offers swap.

use super::ControlBlock;
use super::control::Member;
use super::end::End;
use super::envelope::CellRef;
use super::members::Doing;
use crate::mechanism::Capacity;
use postbox_ring::receipt::{Settled, Standing};
use postbox_ring::sync::Ordering::{AcqRel, Acquire, Release};
use postbox_steps::{Step, at};

/// How often a turn word may change under a receiver that looks at it.
const CHANGES: usize = 1 << 10;

const NONE: u64 = 0;
pub(crate) const WAITING: u64 = 1;
const ENGAGED: u64 = 1 << 63;

pub(crate) fn engaged_by(offer: CellRef) -> u64 {
    ENGAGED | u64::from(offer.index) << 32 | u64::from(offer.generation)
}

fn engager(turn: u64) -> Option<CellRef> {
    (turn & ENGAGED != 0).then_some(CellRef { index: (turn >> 32) as u16, generation: turn as u32 })
}

impl Member {
    pub(crate) fn turn(&self) -> u64 {
        // Pairs with the compare-and-swaps of `turn_to`.
        self.turn.load(Acquire)
    }

    pub(crate) fn turn_to(&self, from: u64, to: u64) -> bool {
        // Pairs with itself and the load in `turn`.
        self.turn.compare_exchange(from, to, AcqRel, Acquire).is_ok()
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
        Engagement { end, waited: end.is_some_and(|end| end.member().turn() != NONE) }
    }

    /// Whether this receiver may take that offer; if so it no longer waits.
    pub(crate) fn may_take(&self, offer: CellRef) -> bool {
        let Some(end) = self.end else { return true };
        let (member, block) = (end.member(), &end.channel.block);
        // Others engage, swap and disengage meanwhile: bounded, should memory lie.
        for _ in 0..CHANGES {
            let turn = member.turn();
            if let Some(mine) = engager(turn)
                && mine != offer
                && block.is_open_or_committed(mine)
            {
                if !block.is_committed(offer) {
                    return false;
                }
                // Somebody else is engaged by this one: let it have mine.
                block.swap_engagement(offer, mine);
            }
            if turn == NONE || member.turn_to(turn, NONE) {
                at(Step::TurnUsed);
                return true;
            }
        }
        true
    }

    /// The offer was none: go on waiting.
    pub(crate) fn resume(&self) {
        if let Some(end) = self.end.filter(|_| self.waited) {
            end.member().turn_to(NONE, WAITING);
            at(Step::TurnResumed);
        }
    }
}

impl ControlBlock {
    fn is_open_or_committed(&self, offer: CellRef) -> bool {
        self.is_committed(offer) || self.standing(offer) == Standing::Open
    }

    /// The offer is over: whoever was engaged by it and did not get it waits on.
    pub(crate) fn disengage(&self, offer: CellRef) {
        self.records().any(|(_, member)| member.turn_to(engaged_by(offer), WAITING));
        at(Step::TurnDisengaged);
    }

    fn swap_engagement(&self, from: CellRef, to: CellRef) {
        self.records().any(|(_, member)| member.turn_to(engaged_by(from), engaged_by(to)));
        at(Step::TurnSwapped);
    }
}

/// A receiver inside a waiting call.
pub(crate) struct Turn<'e>(Option<&'e End>);

impl<'e> Turn<'e> {
    pub(crate) fn wait(end: &'e End) -> Self {
        let meets = end.channel.config.capacity == Capacity::Zero;
        if meets {
            end.member().turn.store(WAITING, Release);
            at(Step::TurnBegun);
        }
        Turn(meets.then_some(end))
    }

    /// Leaves without a message if it may: false if a try_send has counted on this receiver.
    pub(crate) fn may_leave(&self) -> bool {
        let Some(end) = self.0 else { return true };
        let (member, block) = (end.member(), &end.channel.block);
        let turn = member.turn();
        if let Some(offer) = engager(turn) {
            // Not counted on yet: send it back before it is. Else stay while the message waits.
            member.begin();
            let epoch = block.offer_epoch(offer);
            if let (Settled::Taken { .. }, Some(epoch)) = (block.decline_offer(offer), epoch) {
                end.channel.gone(epoch);
            }
            member.end(Doing::Idle);
            end.mend();
            if block.is_committed(offer) {
                return false;
            }
        }
        // Changed meanwhile: `obliged` looks again.
        turn == NONE || member.turn_to(turn, NONE)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(end) = self.0 {
            end.member().turn.store(NONE, Release);
            at(Step::TurnOver);
        }
    }
}
