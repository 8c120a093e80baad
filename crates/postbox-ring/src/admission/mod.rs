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
//! can tell the messages of before a death from those of after; see [`debt`]. The receivers that come
//! first each count in a [lane](Lane) of their own. Epoch and ticket are one word, so a ticket is of
//! one epoch for certain.

pub mod debt;
mod lane;
mod ticket;

pub use lane::{LANES, Lane, OwnLane};
pub use ticket::{Dated, TICKET_BITS, TICKET_MASK, Ticket};

use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, SeqCst};
use debt::Repair;
use postbox_steps::{Step, at};
use std::cell::Cell;

/// The words of one channel's admission, wherever they lie.
#[derive(Clone, Copy)]
pub struct Admission<'m> {
    /// epoch (16) · tickets given out (48). Compare-and-swap by senders; the epoch by repairs.
    pub admit: &'m AtomicU64,
    /// Messages of even and odd epochs that count no more: taken, withdrawn or never sent.
    pub gone: [&'m AtomicU64; 2],
    /// Where some of them are counted instead.
    pub lanes: [Lane<'m>; LANES],
    /// phase (3 bits) · epoch (16) · room returned for the dead (45). See [`debt`].
    pub repair: &'m AtomicU64,
    /// epoch (16) · what `gone` of that epoch's parity is to come to (48). See [`debt`].
    pub debt: &'m AtomicU64,
    /// epoch (16) · ticket (48) past which every older entry must have been popped. See [`debt`].
    pub mark: &'m AtomicU64,
}

impl Admission<'_> {
    /// The epoch, and the tickets given out.
    #[inline(always)]
    pub fn so_far(self) -> Dated {
        // Pairs with the compare-and-swaps in `admit` and in the repair.
        Dated(self.admit.load(Acquire))
    }

    /// Tickets that may be given out in all, with `window` messages in the channel.
    #[inline]
    pub fn limit(self, window: u64) -> u64 {
        // Each word only grows, so the sum is never above what it is when the last is read.
        // SeqCst: comes after the announcement of a sender that is about to sleep; pairs with the
        // increment in `count_gone` and the last step of a repair.
        window
            .wrapping_add(self.gone(0, SeqCst))
            .wrapping_add(self.gone(1, SeqCst))
            .wrapping_add(Repair::read(self).returned())
    }

    /// Takes a ticket if there is room; `seen` is the limit that this end saw last.
    #[inline(always)]
    pub fn admit(self, window: Option<u64>, seen: &Cell<u64>) -> Option<Ticket> {
        let mut word = self.so_far();
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
            match self.admit.compare_exchange_weak(word.0, next.0, AcqRel, Acquire) {
                Ok(_) => {
                    at(Step::TicketTaken);
                    return Some(Ticket { number: word.number(), epoch: word.epoch() });
                }
                Err(now) => word = Dated(now),
            }
        }
    }

    /// A message of that epoch counts no more: it was taken, withdrawn, declined, or never sent.
    ///
    /// In a lane that is a plain store: a barrier is still to come before the look at the sleepers.
    #[inline(always)]
    pub fn count_gone(self, epoch: u16, lane: Option<OwnLane>) {
        let parity = usize::from(epoch & 1);
        match lane {
            Some(lane) => self.count_alone(lane, parity),
            // SeqCst: also orders the count before the look at the sleepers; pairs with the load in
            // `limit` by a sender that has announced its sleep.
            None => {
                self.gone[parity].fetch_add(1, SeqCst);
            }
        }
        at(Step::MessageGone);
    }

    /// Messages in the channel.
    pub fn inside(self) -> u64 {
        let gone = self.limit(0);
        self.so_far().number().saturating_sub(gone)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
