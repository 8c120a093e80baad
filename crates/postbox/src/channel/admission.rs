//! Admission: exactly `n` messages in a channel whose kernel object knows nothing of `n`.
//!
//! A sender takes the next ticket while it is below the limit: `n` plus the messages that count
//! no more. The limit only grows, so a sender goes on by the value it saw last and reads the
//! shared words again only when that runs out; the takers' line does not travel per message.
//!
//! ```text
//! tickets    0 ─────────── gone ─────── admitted ────── limit = n + gone + returned
//!              count no more │ in the channel │ free room │
//! ```
//!
//! "Gone" is counted per parity of the epoch in which the ticket was given out, so that a repair
//! can tell the messages of before a death from those of after; see [`super::repair`]. Epoch and
//! ticket are one word, so a ticket is of one epoch for certain.

use super::ControlBlock;
use postbox_ring::sync::Ordering::{AcqRel, Acquire, SeqCst};
use postbox_steps::{Step, at};
use std::cell::Cell;

/// Bits of a ticket. At three million messages a second they last three years.
pub(crate) const TICKET_BITS: u32 = 48;
pub(crate) const TICKET_MASK: u64 = (1 << TICKET_BITS) - 1;

/// Proof of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub number: u64,
    pub epoch: u16,
}

/// A number that belongs to an epoch: epoch (16 bits) · number (48).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Dated(pub u64);

impl Dated {
    pub(crate) fn new(epoch: u16, number: u64) -> Self {
        Dated(u64::from(epoch) << TICKET_BITS | number & TICKET_MASK)
    }

    pub(crate) fn epoch(self) -> u16 {
        (self.0 >> TICKET_BITS) as u16
    }

    pub(crate) fn number(self) -> u64 {
        self.0 & TICKET_MASK
    }
}

impl ControlBlock {
    /// The epoch, and the tickets given out.
    pub(crate) fn admitted_so_far(&self) -> Dated {
        // Pairs with the compare-and-swaps in `admit` and in the repair.
        Dated(self.control.admit.word.load(Acquire))
    }

    /// Tickets that may be given out in all, with `window` messages in the channel.
    pub(crate) fn limit(&self, window: u64) -> u64 {
        // Each word only grows, so the sum is never above what it is when the last is read.
        // SeqCst: comes after the announcement of a sender that is about to sleep; pairs with the
        // increment in `count_gone` and the last step of a repair.
        window
            .wrapping_add(self.control.gone[0].word.load(SeqCst))
            .wrapping_add(self.control.gone[1].word.load(SeqCst))
            .wrapping_add(self.returned())
    }

    /// Takes a ticket if there is room; `seen` is the limit that this end saw last.
    pub(crate) fn admit(&self, window: Option<u64>, seen: &Cell<u64>) -> Option<Ticket> {
        let mut word = self.admitted_so_far();
        loop {
            if let Some(window) = window
                && word.number() >= seen.get()
            {
                seen.set(self.limit(window));
                if word.number() >= seen.get() {
                    return None;
                }
            }
            let next = Dated::new(word.epoch(), word.number() + 1);
            // Pairs with itself and the end of an epoch; orders `begin` before the ticket, and the
            // ticket before the look at the overflow.
            match self.control.admit.word.compare_exchange_weak(word.0, next.0, AcqRel, Acquire) {
                Ok(_) => {
                    at(Step::TicketTaken);
                    return Some(Ticket { number: word.number(), epoch: word.epoch() });
                }
                Err(now) => word = Dated(now),
            }
        }
    }

    /// A message of that epoch counts no more: it was taken, withdrawn, declined, or never sent.
    pub(crate) fn count_gone(&self, epoch: u16) {
        // SeqCst: also orders the count before the look at the sleepers; pairs with the load in
        // `limit` by a sender that has announced its sleep.
        self.control.gone[usize::from(epoch & 1)].word.fetch_add(1, SeqCst);
        at(Step::MessageGone);
    }

    /// Messages in the channel.
    pub(crate) fn admitted(&self) -> u64 {
        let gone = self.limit(0);
        self.admitted_so_far().number().saturating_sub(gone)
    }
}
