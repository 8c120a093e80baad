//! What an epoch owes: the arithmetic of a repair of room.
//!
//! When epoch *e* ends at ticket *t*, everything before it has been settled by the repair of
//! *e − 1*. What `gone` of its parity has to come to is therefore *t − gone of the other parity −
//! returned*, both of which stand still by then. The note is only right if nobody took a ticket
//! meanwhile, and that is what the compare-and-swap that ends the epoch makes sure of. Once all that
//! can still be counted has been, *debt − gone* is what the dead have leaked.
//!
//! Every step is one compare-and-swap on words that carry their epoch: whoever comes late with what
//! it read before changes nothing.

use super::{Admission, Dated};
use crate::sync::Ordering::{AcqRel, Acquire, SeqCst};
use postbox_steps::{Step, at};

/// How far a repair has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// None is under way.
    Idle = 0,
    /// The epoch is to be ended, with a note of what it owes.
    Flip = 1,
    /// Every live member is to pass an idle point.
    SendersPass = 2,
    /// What is older than the mark is to be popped.
    Drain = 3,
    /// Every live member is to pass an idle point again.
    MembersPass = 4,
}

const RETURNED_BITS: u32 = 45;
const RETURNED_MASK: u64 = (1 << RETURNED_BITS) - 1;

/// The `repair` word: phase (3 bits) · epoch (16) · room returned for the dead (45).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repair(u64);

impl Repair {
    /// Bits of a passage's mark that are free for a member's sequence.
    pub const FREE_MASK: u64 = RETURNED_MASK;

    fn new(phase: Phase, epoch: u16, returned: u64) -> Self {
        Repair((phase as u64) << 61 | u64::from(epoch) << RETURNED_BITS | returned & RETURNED_MASK)
    }

    /// How the repair stands.
    #[inline(always)]
    pub fn read(admission: Admission<'_>) -> Self {
        // SeqCst: part of the limit that a sender reads after it has announced its sleep; pairs
        // with the compare-and-swap in `advance`.
        Repair(admission.repair.load(SeqCst))
    }

    /// How far it has come.
    #[inline(always)]
    pub fn phase(self) -> Phase {
        match self.0 >> 61 {
            1 => Phase::Flip,
            2 => Phase::SendersPass,
            3 => Phase::Drain,
            4 => Phase::MembersPass,
            _ => Phase::Idle,
        }
    }

    /// The epoch that it closes, or that the next one will close.
    #[inline(always)]
    pub fn epoch(self) -> u16 {
        (self.0 >> RETURNED_BITS) as u16
    }

    /// Room that repairs have given back so far.
    #[inline(always)]
    pub fn returned(self) -> u64 {
        self.0 & RETURNED_MASK
    }

    /// Phase and epoch alone: the mark of this passage in a member's snapshot.
    pub fn passage(self) -> u64 {
        self.0 & !RETURNED_MASK
    }

    fn at(self, phase: Phase) -> Self {
        Repair::new(phase, self.epoch(), self.returned())
    }
}

impl Admission<'_> {
    /// Moves the repair on to `phase`; false if somebody has moved it before.
    pub fn advance(self, from: Repair, phase: Phase) -> bool {
        self.change(from, from.at(phase))
    }

    fn change(self, from: Repair, to: Repair) -> bool {
        // Pairs with itself and the load in `Repair::read`.
        self.repair.compare_exchange(from.0, to.0, SeqCst, Acquire).is_ok()
    }

    /// Notes what the epoch of `repair` owes, and ends it unless a ticket was taken meanwhile; true if
    /// it had been ended before.
    pub fn end_epoch(self, repair: Repair) -> bool {
        let epoch = repair.epoch();
        // In this order: the tickets last, so that the note is true at the moment of the flip.
        let seen = self.debt.load(Acquire);
        let gone = self.gone(epoch.wrapping_add(1), Acquire);
        let admit = self.so_far();
        if admit.epoch() != epoch {
            return true;
        }
        let owed = admit.number().wrapping_sub(gone).wrapping_sub(repair.returned());
        let note = Dated::new(epoch, owed);
        if seen != note.0 && self.debt.compare_exchange(seen, note.0, AcqRel, Acquire).is_err() {
            return false;
        }
        at(Step::DebtNoted);
        let next = Dated::new(epoch.wrapping_add(1), admit.number());
        // Pairs with the compare-and-swap in `admit`; fails if a ticket was taken meanwhile.
        let _ = self.admit.compare_exchange(admit.0, next.0, AcqRel, Acquire);
        at(Step::EpochEnded);
        false
    }

    /// The ticket past which no entry is of `epoch` or before, set now if nobody has; none if the word
    /// was changed meanwhile. Not before the senders' passage.
    pub fn mark(self, epoch: u16) -> Option<u64> {
        let noted = Dated(self.mark.load(Acquire));
        if noted.epoch() == epoch.wrapping_add(1) {
            return Some(noted.number());
        }
        // By a read-modify-write: whoever takes the next ticket then sees what was seen here, an empty
        // overflow for one. Pairs with the compare-and-swap in `admit`.
        let tickets = Dated(self.admit.fetch_add(0, AcqRel)).number();
        let note = Dated::new(epoch.wrapping_add(1), tickets);
        let set = self.mark.compare_exchange(noted.0, note.0, AcqRel, Acquire);
        at(Step::MarkSet);
        let noted = set.map_or_else(Dated, |_| note);
        (noted.epoch() == epoch.wrapping_add(1)).then_some(noted.number())
    }

    /// Gives back what the dead have leaked and ends the repair; false if somebody did before.
    pub fn give_back(self, repair: Repair) -> bool {
        let epoch = repair.epoch();
        let debt = Dated(self.debt.load(Acquire));
        let gone = self.gone(epoch, Acquire);
        let leaked = Dated::new(0, debt.number().wrapping_sub(gone)).number();
        // More than there can be: memory that lies returns nothing.
        let leaked = if leaked > RETURNED_MASK >> 1 { 0 } else { leaked };
        let next = epoch.wrapping_add(1);
        let returned = repair.returned().wrapping_add(leaked);
        let given_back = self.change(repair, Repair::new(Phase::Idle, next, returned));
        at(Step::RoomGivenBack);
        given_back
    }
}
