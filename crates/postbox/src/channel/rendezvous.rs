//! Capacity zero: nothing waits, the two sides meet.
//!
//! A `send` is an offer: it waits in the queue for a receiver to settle it, and its sender waits
//! with it. A `try_send` may not wait, so it needs a receiver that does, and that can no longer
//! leave: it pushes its offer first and then *engages* the receiver, whose `turn` word says so
//! (see [`super::turn`]).

use super::Channel;
use super::carry::{NotPushed, Outbox, Outgoing};
use super::control::Member;
use super::end::End;
use super::members::{Doing, Role};
use super::turn::Turn;
use crate::error::Fault;
use postbox_ring::receipt::Standing;
use postbox_ring::turn::Meeting;
use postbox_steps::{Step, at};
use std::time::{Duration, Instant};

/// A try_send whose offer was sent back by a receiver engaged elsewhere looks again so often.
const ATTEMPTS: usize = 3;

impl Channel {
    /// try_send with capacity zero: true if a waiting receiver has the message or surely will.
    pub(crate) fn engage(
        &self,
        end: &End,
        outbox: &Outbox,
        bytes: &[u8],
    ) -> Result<bool, NotPushed> {
        for _ in 0..ATTEMPTS {
            let waits = || self.waiting_receivers().any(|member| !self.is_lost(member));
            // Or bound to an offer that is over, while who is to say so stands still.
            if !(waits() || self.block.disengage_all() && waits()) {
                return Ok(false);
            }
            let Some(offer) = self.block.open_cell(end.seat) else { return Ok(false) };
            let message = Outgoing { bytes, cell: Some(offer), engaging: true };
            let pushed = match self.push(end, outbox, message) {
                Ok(pushed) => pushed,
                Err(refused) => {
                    self.block.close_cell(offer);
                    self.freed();
                    return match refused {
                        NotPushed::Full | NotPushed::NoSpace => Ok(false),
                        other => Err(other),
                    };
                }
            };
            let member = end.member();
            member.begin();
            let engaged = self
                .waiting_receivers()
                .filter(|receiver| !self.is_lost(receiver))
                .any(|receiver| receiver.turn().engage(offer));
            if engaged {
                at(Step::TurnEngaged);
            }
            if engaged && self.block.commit_offer(offer) {
                // The cell is the taker's to free now.
                member.end(Doing::Idle);
                end.mend();
                return Ok(true);
            }
            if engaged {
                self.block.disengage(offer);
            }
            let outcome = if self.block.withdraw_offer(offer) {
                self.withdrawn(end, pushed);
                Some(false)
            } else if let Standing::Taken(_) = self.block.standing(offer) {
                Some(true)
            } else {
                self.settled(pushed);
                None
            };
            self.block.close_cell(offer);
            self.freed();
            member.end(Doing::Idle);
            end.mend();
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
            .filter(|member| member.status().role() == Role::Receiver && member.turn().is_waiting())
    }
}

/// How long a receiver stays bound to a message that somebody in front of it does not finish.
const BOUND: Duration = Duration::from_secs(1);

/// What a receiver is bound to take though its time is over; bounded, should memory lie.
pub(crate) fn obliged<R>(
    turn: &Turn<'_>,
    pop: impl FnMut() -> Result<Option<R>, Fault>,
) -> Result<Option<R>, Fault> {
    let deadline = Instant::now() + BOUND;
    obliged_until(turn, || Instant::now() >= deadline, pop)
}

/// The same, until it is `late`.
pub(super) fn obliged_until<R>(
    turn: &Turn<'_>,
    late: impl Fn() -> bool,
    mut pop: impl FnMut() -> Result<Option<R>, Fault>,
) -> Result<Option<R>, Fault> {
    while !turn.may_leave() {
        // Before the look: whoever was stopped in between looks once all the same.
        let late = late();
        if let Some(taken) = pop()? {
            return Ok(Some(taken));
        }
        if late {
            break;
        }
        turn.look_around();
        std::thread::yield_now();
    }
    Ok(None)
}
