//! A synchronous send: the offer of a message, and the receipt for it.

use super::ByteSender;
use crate::channel::Awaited;
use crate::channel::carry::{Outgoing, Pushed};
use crate::channel::envelope::CellRef;
use crate::channel::members::Doing;
use crate::error::{DeliverError, Fault, SendError};
use crate::peer::Peer;
use crate::wait::Wait;
use postbox_ring::receipt::{Standing, Taker};
use postbox_ring::sync::Ordering::SeqCst;

/// The proof that a receiver has taken the message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a receipt says who took the message"]
pub struct Receipt {
    receiver: Peer,
}

impl Receipt {
    /// Who took the message.
    pub fn receiver(&self) -> &Peer {
        &self.receiver
    }
}

/// An offer that lies in the channel.
struct Offer {
    cell: CellRef,
    pushed: Pushed,
}

/// How an offer ended.
enum Outcome {
    Taken(Taker),
    /// It is to be offered again: its taker died, or was engaged elsewhere.
    Again,
}

impl ByteSender {
    #[inline(never)]
    pub(super) fn deliver(&self, bytes: &[u8], wait: &Wait) -> Result<Receipt, SendError> {
        self.may_send(bytes.len())?;
        self.deliver_bytes(bytes, wait)
    }

    pub(super) fn deliver_bytes(&self, bytes: &[u8], wait: &Wait) -> Result<Receipt, SendError> {
        loop {
            let offer = self.wait_for_room(wait, || self.offer(bytes))?;
            match self.await_receipt(offer, wait)? {
                Outcome::Taken(taker) => {
                    self.end.count_message(bytes.len());
                    return Ok(self.receipt(taker));
                }
                Outcome::Again => {
                    if let Some(ended) = wait.over() {
                        return Err(ended.into());
                    }
                }
            }
        }
    }

    /// Some if the offer is in the channel, none if there is no room for it.
    fn offer(&self, bytes: &[u8]) -> Result<Option<Offer>, SendError> {
        self.has_receivers()?;
        let channel = &self.end.channel;
        if channel.block.control.offers.word.load(SeqCst) >= channel.config.most_offers() {
            channel.right_offers();
            self.end.awaits.set(Awaited::Space);
            return Ok(None);
        }
        let Some(cell) = channel.block.open_cell(self.end.seat) else {
            self.end.awaits.set(Awaited::Space);
            return Ok(None);
        };
        let message = Outgoing { bytes, cell: Some(cell), engaging: false };
        match channel.push(&self.end, &self.outbox, message) {
            Ok(pushed) => Ok(Some(Offer { cell, pushed })),
            Err(refused) => {
                channel.block.close_cell(cell);
                self.not_pushed(refused, bytes.len())
            }
        }
    }

    fn await_receipt(&self, offer: Offer, wait: &Wait) -> Result<Outcome, SendError> {
        let Offer { cell: offer, pushed } = offer;
        let channel = &self.end.channel;
        let block = &channel.block;
        self.end.offering.set(Some(offer));
        let outcome = self.end.wait_for(Awaited::Receipt, wait, || match block.standing(offer) {
            Standing::Taken(taker) => Ok(Some(Outcome::Taken(taker))),
            Standing::Declined | Standing::Lost => Ok(Some(Outcome::Again)),
            Standing::Void => Err(Fault::Corrupt("a receipt cell was overwritten").into()),
            Standing::Open => {
                self.end.mend();
                self.has_receivers().map(|()| None)
            }
        });
        self.end.offering.set(None);
        let member = self.end.member();
        member.begin();
        let outcome = match outcome {
            Ok(Outcome::Taken(taker)) => {
                channel.uncount_offer();
                Ok(Outcome::Taken(taker))
            }
            other => {
                if block.withdraw_offer(offer) {
                    channel.withdrawn(&self.end, pushed);
                    other
                } else {
                    channel.uncount_offer();
                    if let Standing::Taken(taker) = block.standing(offer) {
                        Ok(Outcome::Taken(taker))
                    } else {
                        channel.settled(pushed);
                        other
                    }
                }
            }
        };
        block.close_cell(offer);
        // The cell is there for whoever waits to offer.
        channel.freed();
        member.end(Doing::Idle);
        self.end.mend();
        outcome
    }

    fn receipt(&self, taker: Taker) -> Receipt {
        Receipt { receiver: self.partners.taker(&self.end.channel, taker) }
    }
}

impl From<Fault> for DeliverError {
    fn from(fault: Fault) -> Self {
        SendError::from(fault).into()
    }
}
