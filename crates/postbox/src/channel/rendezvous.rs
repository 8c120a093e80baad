//! Capacity zero: nothing waits, the two sides meet.
//!
//! A `send` is an offer: it waits in the queue for a receiver to settle it, and its sender waits
//! with it. A `try_send` may not wait, so it needs a receiver that does, and that can no longer
//! leave: it pushes its offer first and then *engages* the receiver, whose `turn` word says so.
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

use super::carry::{NotPushed, Outbox, Outgoing};
use super::control::Member;
use super::end::End;
use super::envelope::CellRef;
use super::members::{Doing, Role};
use super::receipts::{Settled, Standing};
use super::{Channel, ControlBlock};
use crate::error::Fault;
use crate::mechanism::Capacity;
use postbox_ring::sync::Ordering::{AcqRel, Acquire, Release};

const NONE: u64 = 0;
const WAITING: u64 = 1;
const ENGAGED: u64 = 1 << 63;

/// A try_send whose offer was sent back by a receiver engaged elsewhere looks again so often.
const ATTEMPTS: usize = 3;

fn engaged_by(offer: CellRef) -> u64 {
    ENGAGED | u64::from(offer.index) << 32 | u64::from(offer.generation)
}

fn engager(turn: u64) -> Option<CellRef> {
    (turn & ENGAGED != 0)
        .then_some(CellRef { index: (turn >> 32) as u16, generation: turn as u32 })
}

impl Member {
    fn turn(&self) -> u64 {
        // Pairs with the compare-and-swaps of `turn_to`.
        self.turn.load(Acquire)
    }

    fn turn_to(&self, from: u64, to: u64) -> bool {
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
        if member.turn_to(WAITING, NONE) {
            return true;
        }
        let turn = member.turn();
        let Some(mine) = engager(turn) else { return true };
        if mine != offer && block.is_open_or_committed(mine) {
            if !block.is_committed(offer) {
                return false;
            }
            // Somebody else is engaged by this one: let it have mine.
            block.swap_engagement(offer, mine);
        }
        member.turn.store(NONE, Release);
        true
    }

    /// The offer was none: go on waiting.
    pub(crate) fn resume(&self) {
        if let Some(end) = self.end.filter(|_| self.waited) {
            end.member().turn_to(NONE, WAITING);
        }
    }
}

impl ControlBlock {
    fn is_open_or_committed(&self, offer: CellRef) -> bool {
        self.is_committed(offer) || self.standing(offer) == Standing::Open
    }

    fn swap_engagement(&self, from: CellRef, to: CellRef) {
        self.records().any(|(_, member)| member.turn_to(engaged_by(from), engaged_by(to)));
    }
}

/// A receiver inside a waiting call.
pub(crate) struct Turn<'e>(Option<&'e End>);

impl<'e> Turn<'e> {
    pub(crate) fn wait(end: &'e End) -> Self {
        let meets = end.channel.config.capacity == Capacity::Zero;
        if meets {
            end.member().turn.store(WAITING, Release);
        }
        Turn(meets.then_some(end))
    }

    /// Leaves without a message if it may: false if a try_send has counted on this receiver.
    pub(crate) fn may_leave(&self) -> bool {
        let Some(end) = self.0 else { return true };
        let (member, block) = (end.member(), &end.channel.block);
        if member.turn_to(WAITING, NONE) {
            return true;
        }
        if let Some(offer) = engager(member.turn()) {
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
        member.turn.store(NONE, Release);
        true
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(end) = self.0 {
            end.member().turn.store(NONE, Release);
        }
    }
}

impl Channel {
    /// try_send with capacity zero: true if a waiting receiver has the message or surely will.
    pub(crate) fn engage(
        &self,
        end: &End,
        outbox: &Outbox,
        bytes: &[u8],
    ) -> Result<bool, NotPushed> {
        for _ in 0..ATTEMPTS {
            if !self.waiting_receivers().any(|member| !self.is_lost(member)) {
                return Ok(false);
            }
            let Some(offer) = self.block.open_cell(end.seat) else { return Ok(false) };
            let message = Outgoing { bytes, cell: Some(offer), engaging: true };
            let pushed = match self.push(end, outbox, message) {
                Ok(pushed) => pushed,
                Err(refused) => {
                    self.block.close_cell(offer);
                    return match refused {
                        NotPushed::Full => Ok(false),
                        other => Err(other),
                    };
                }
            };
            let member = end.member();
            member.begin();
            let engaged = self
                .waiting_receivers()
                .filter(|receiver| !self.is_lost(receiver))
                .any(|receiver| receiver.turn_to(WAITING, engaged_by(offer)));
            if engaged && self.block.commit_offer(offer) {
                // The cell is the taker's to free now.
                member.end(Doing::Idle);
                return Ok(true);
            }
            let outcome = if self.block.withdraw_offer(offer) {
                self.withdrawn(pushed);
                Some(false)
            } else if let Standing::Taken(_) = self.block.standing(offer) {
                Some(true)
            } else {
                self.settled(pushed);
                None
            };
            self.block.close_cell(offer);
            member.end(Doing::Idle);
            if let Some(met) = outcome {
                return Ok(met);
            }
        }
        Ok(false)
    }

    fn waiting_receivers(&self) -> impl Iterator<Item = &Member> {
        self.block
            .records()
            .map(|(_, member)| member)
            .filter(|member| member.status().role() == Role::Receiver && member.turn() == WAITING)
    }
}

/// What a receiver is bound to take though its time is over; bounded, should memory lie.
pub(crate) fn obliged<R>(
    turn: &Turn<'_>,
    mut pop: impl FnMut() -> Result<Option<R>, Fault>,
) -> Result<Option<R>, Fault> {
    for _ in 0..1 << 16 {
        if turn.may_leave() {
            return Ok(None);
        }
        if let Some(taken) = pop()? {
            return Ok(Some(taken));
        }
    }
    Ok(None)
}
