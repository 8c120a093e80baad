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
//! can tell the messages of before a death from those of after; see [`super::repair`].

use super::ControlBlock;
use super::envelope::TICKET_MASK;
use postbox_ring::sync::Ordering::{AcqRel, Acquire, SeqCst};
use std::cell::Cell;

/// Proof of admission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub number: u64,
    pub epoch: u8,
}

/// The `admit` word: frozen (1 bit) · epoch (8) · tickets given out (48).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Admit(pub u64);

const FROZEN: u64 = 1 << 63;

impl Admit {
    pub(crate) fn is_frozen(self) -> bool {
        self.0 & FROZEN != 0
    }

    pub(crate) fn epoch(self) -> u8 {
        (self.0 >> 48) as u8
    }

    pub(crate) fn tickets(self) -> u64 {
        self.0 & TICKET_MASK
    }

    pub(crate) fn frozen(self) -> Self {
        Admit(self.0 | FROZEN)
    }

    pub(crate) fn next_epoch(self) -> Self {
        Admit(u64::from(self.epoch().wrapping_add(1)) << 48 | self.tickets())
    }
}

impl ControlBlock {
    pub(crate) fn admit_word(&self) -> Admit {
        // Pairs with the compare-and-swaps in `admit` and in the repair.
        Admit(self.control.admit.word.load(Acquire))
    }

    /// Tickets that may be given out in all, with `window` messages in the channel.
    pub(crate) fn limit(&self, window: u64) -> u64 {
        // Each word only grows, so the sum is never above what it is when the last is read.
        // Pairs with the increments in `count_gone` and the last step of a repair.
        window
            .wrapping_add(self.control.gone[0].word.load(SeqCst))
            .wrapping_add(self.control.gone[1].word.load(SeqCst))
            .wrapping_add(self.returned())
    }

    /// Takes a ticket if there is room; `seen` is the limit that this end saw last.
    pub(crate) fn admit(&self, window: Option<u64>, seen: &Cell<u64>) -> Option<Ticket> {
        let mut word = self.admit_word();
        loop {
            if word.is_frozen() {
                self.finish_freeze();
                word = self.admit_word();
                continue;
            }
            if let Some(window) = window
                && word.tickets() >= seen.get()
            {
                seen.set(self.limit(window));
                if word.tickets() >= seen.get() {
                    return None;
                }
            }
            let next = Admit(word.0 & !TICKET_MASK | (word.tickets() + 1) & TICKET_MASK);
            // Pairs with itself and the freeze; orders `begin` before the ticket.
            match self.control.admit.word.compare_exchange_weak(word.0, next.0, AcqRel, Acquire) {
                Ok(_) => return Some(Ticket { number: word.tickets(), epoch: word.epoch() }),
                Err(seen) => word = Admit(seen),
            }
        }
    }

    /// A message of that epoch counts no more: it was taken, withdrawn, or never sent.
    pub(crate) fn count_gone(&self, epoch: u8) {
        // SeqCst: also orders the count before the look at the sleepers; pairs with the load in
        // `limit` by a sender that has announced its sleep.
        self.control.gone[usize::from(epoch & 1)].word.fetch_add(1, SeqCst);
    }

    /// Messages in the channel.
    pub(crate) fn admitted(&self) -> u64 {
        let gone = self.limit(0);
        self.admit_word().tickets().saturating_sub(gone)
    }
}
