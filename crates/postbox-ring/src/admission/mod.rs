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
//! first each count in a [lane](OwnLane) of their own. Epoch and ticket are one word, so a ticket is of
//! one epoch for certain.

pub mod debt;
mod lane;
mod ticket;
mod words;

pub use lane::{LANES, OwnLane};
pub use ticket::{Dated, TICKET_BITS, TICKET_MASK, Ticket};
pub use words::{Lane, Lone, Words};

use crate::sync::Ordering::{AcqRel, Acquire, Release, SeqCst};
use core::ops::Deref;
use debt::Repair;
use postbox_steps::{Step, at};
use std::cell::Cell;

/// What may be done with the words of one channel's admission.
#[derive(Clone, Copy)]
pub struct Admission<'m>(pub &'m Words);

impl Deref for Admission<'_> {
    type Target = Words;

    #[inline(always)]
    fn deref(&self) -> &Words {
        self.0
    }
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
            if !self.has_room(word, window, seen) {
                return None;
            }
            // Pairs with itself and the end of an epoch; orders `begin` before the ticket, and the
            // ticket before the look at the overflow.
            match self.admit.compare_exchange_weak(word.0, word.next().0, AcqRel, Acquire) {
                Ok(_) => {
                    at(Step::TicketTaken);
                    return Some(word.ticket());
                }
                Err(now) => word = Dated(now),
            }
        }
    }

    /// Takes consecutive tickets of one epoch, as many as there is room for and at most `most`; the
    /// first, and how many. None where there is no room.
    ///
    /// As [`admit`](Self::admit), whose pairings are its own: a range is taken by one exchange, so
    /// neither a flip nor a mark ever falls in the middle of it.
    pub fn admit_many(
        self,
        window: Option<u64>,
        seen: &Cell<u64>,
        most: u64,
    ) -> Option<(Ticket, u64)> {
        let mut word = self.so_far();
        loop {
            let mut count = most;
            if let Some(window) = window {
                // Read again as soon as what was seen last is not room for all.
                if word.number().saturating_add(most) > seen.get() {
                    seen.set(self.limit(window));
                }
                count = most.min(seen.get().saturating_sub(word.number()));
            }
            if count == 0 {
                return None;
            }
            let next = Dated::new(word.epoch(), word.number() + count);
            match self.admit.compare_exchange_weak(word.0, next.0, AcqRel, Acquire) {
                Ok(_) => {
                    at(Step::TicketsTaken);
                    return Some((word.ticket(), count));
                }
                Err(now) => word = Dated(now),
            }
        }
    }

    /// How many tickets there are to be had now; `u64::MAX` without a window.
    pub fn room(self, window: Option<u64>) -> u64 {
        window.map_or(u64::MAX, |window| {
            // The tickets first: then the limit may be newer, which errs on the side of room.
            let taken = self.so_far().number();
            self.limit(window).saturating_sub(taken)
        })
    }

    /// As [`admit`](Self::admit), for the only sender that there can be, by a plain store.
    ///
    /// An epoch is ended when somebody has died. Where there are but two, either that was the sender,
    /// and nobody takes tickets any more, or it is the sender who ends it: no store here meets the
    /// compare-and-swap there. (Should a sender be taken for dead by mistake while it is passed on, an
    /// epoch may fail to end, and its repair returns nothing.)
    #[inline(always)]
    pub fn admit_alone(self, window: Option<u64>, seen: &Cell<u64>) -> Option<Ticket> {
        let word = self.so_far();
        if !self.has_room(word, window, seen) {
            return None;
        }
        // Release: orders `begin` before the ticket.
        self.admit.store(word.next().0, Release);
        at(Step::TicketTaken);
        Some(word.ticket())
    }

    #[inline(always)]
    fn has_room(self, word: Dated, window: Option<u64>, seen: &Cell<u64>) -> bool {
        match window {
            Some(window) if word.number() >= seen.get() => self.has_room_now(word, window, seen),
            _ => true,
        }
    }

    #[cold]
    #[inline(never)]
    fn has_room_now(self, word: Dated, window: u64, seen: &Cell<u64>) -> bool {
        seen.set(self.limit(window));
        word.number() < seen.get()
    }

    /// A message of that epoch counts no more: it was taken, withdrawn, declined, or never sent.
    #[inline(always)]
    pub fn count_gone(self, epoch: u16, lane: Option<OwnLane>) {
        self.count_many_gone(epoch, 1, lane);
    }

    /// As [`count_gone`](Self::count_gone), of as many messages of one epoch.
    #[inline(always)]
    pub fn count_many_gone(self, epoch: u16, count: u64, lane: Option<OwnLane>) {
        let parity = usize::from(epoch & 1);
        match lane {
            Some(lane) => lane.count_many_gone(&self.0.lanes[lane.index()].gone[parity], count),
            // SeqCst: also orders the count before the look at the sleepers; pairs with the load in
            // `limit` by a sender that has announced its sleep.
            None => {
                self.gone[parity].fetch_add(count, SeqCst);
                at(Step::MessageGone);
            }
        }
    }

    /// Messages in the channel.
    pub fn inside(self) -> u64 {
        let gone = self.limit(0);
        self.so_far().number().saturating_sub(gone)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
