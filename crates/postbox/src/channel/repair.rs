//! Repair of room: what the dead had admitted but nobody will ever take is given back.
//!
//! A sender may die between its ticket and the end of its push, a receiver between popping and
//! counting. Nobody can look into a kernel queue to see which, so a repair waits until it knows,
//! and then it is arithmetic. It is pumped, a step at a time, by whichever member happens to be at
//! an idle point; every step is one compare-and-swap on words that carry their epoch, so a pumper
//! that dies or sleeps leaves nothing half done and cannot disturb the next repair.
//!
//! | phase | until | then |
//! | --- | --- | --- |
//! | idle | a death is due that may have left room behind in this epoch | |
//! | flip | what the epoch owes is noted: its tickets, less what is settled | the next epoch begins |
//! | senders pass | every live member has been at an idle point: older tickets are pushed | |
//! | drain | a ticket given out after that was popped, or all was seen empty: older entries are popped | offers that are still open have vanished: they are declared lost |
//! | members pass | every live member has been at an idle point again: they are counted | give back *debt − gone* |
//!
//! **The debt.** When epoch *e* ends at ticket *t*, everything before it has been settled by the
//! repair of *e − 1*. What `gone` of its parity has to come to is therefore *t − gone of the other
//! parity − returned*, both of which stand still by then. The note is only right if nobody took a
//! ticket meanwhile, and that is what the compare-and-swap that ends the epoch makes sure of.
//!
//! **Lost offers** are settled before the second passage, not after: their senders must not count
//! them gone once their room has been given back.
//!
//! `tests/model` explores all of it exhaustively, with deaths at every step, and shows for each
//! phase and each of these orders what goes wrong without it.

use super::ControlBlock;
use super::admission::Dated;
use super::control::Member;
use super::members::{Doing, Life};
use postbox_ring::sync::AtomicU64;
use postbox_ring::sync::Ordering::{AcqRel, Acquire, SeqCst};
use postbox_steps::{Step, at};
use postbox_sys::membarrier;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle = 0,
    Flip = 1,
    SendersPass = 2,
    Drain = 3,
    MembersPass = 4,
}

const RETURNED_BITS: u32 = 45;
const RETURNED_MASK: u64 = (1 << RETURNED_BITS) - 1;

/// Steps that one pump takes at most: two repairs' worth, so that a member which hammers these
/// words cannot keep anybody here.
const STEPS: usize = 16;

/// The `repair` word: phase (3 bits) · epoch (16) · room returned for the dead (45).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Repair(u64);

impl Repair {
    fn new(phase: Phase, epoch: u16, returned: u64) -> Self {
        Repair((phase as u64) << 61 | u64::from(epoch) << RETURNED_BITS | returned & RETURNED_MASK)
    }

    fn phase(self) -> Phase {
        match self.0 >> 61 {
            1 => Phase::Flip,
            2 => Phase::SendersPass,
            3 => Phase::Drain,
            4 => Phase::MembersPass,
            _ => Phase::Idle,
        }
    }

    fn epoch(self) -> u16 {
        (self.0 >> RETURNED_BITS) as u16
    }

    fn returned(self) -> u64 {
        self.0 & RETURNED_MASK
    }

    fn at(self, phase: Phase) -> Self {
        Repair::new(phase, self.epoch(), self.returned())
    }
}

/// Whether epoch `a` comes after `b`, going the nearer way round.
fn is_after(a: u16, b: u16) -> bool {
    (a.wrapping_sub(b) as i16) > 0
}

impl ControlBlock {
    fn repair_word(&self) -> Repair {
        // SeqCst: part of the limit that a sender reads after it has announced its sleep; pairs
        // with the compare-and-swap in `advance`.
        Repair(self.control.repair.word.load(SeqCst))
    }

    fn advance(&self, from: Repair, to: Repair) -> bool {
        self.control.repair.word.compare_exchange(from.0, to.0, SeqCst, Acquire).is_ok()
    }

    /// Room that repairs have given back so far.
    pub(crate) fn returned(&self) -> u64 {
        self.repair_word().returned()
    }

    /// Whether a repair is under way or due: cheap enough for the end of every operation.
    pub(crate) fn repair_due(&self) -> bool {
        let repair = self.repair_word();
        // Pairs with the compare-and-swap in `report_death`.
        let due = self.control.due.load(Acquire) as u16;
        repair.phase() != Phase::Idle || is_after(due, repair.epoch())
    }

    /// A member died in the middle of something. To be called after its record is marked dead and
    /// before it is freed, by everybody who sees it so.
    pub(crate) fn report_death(&self) {
        let due = self.admitted_so_far().epoch().wrapping_add(1);
        let later = |now: u64| is_after(due, now as u16).then_some(u64::from(due));
        // Pairs with the load in `repair_due`.
        let _ = self.control.due.fetch_update(AcqRel, Acquire, later);
    }

    /// Does what can be done of a repair now; true if one was completed.
    ///
    /// `drained` tells whether kernel object and overflow are both seen empty; `lost` declares the
    /// open offers of an epoch lost, `release` frees what else its vanished entries held (each may
    /// run twice).
    pub(crate) fn pump(
        &self,
        drained: &dyn Fn() -> bool,
        lost: &dyn Fn(u16),
        release: &dyn Fn(u16),
    ) -> bool {
        let mut completed = false;
        for _ in 0..STEPS {
            let repair = self.repair_word();
            let epoch = repair.epoch();
            let moved = match repair.phase() {
                Phase::Idle => {
                    self.repair_due() && {
                        self.advance(repair, repair.at(Phase::Flip));
                        at(Step::RepairBegun);
                        true
                    }
                }
                Phase::Flip => {
                    self.flip(repair);
                    true
                }
                Phase::SendersPass => {
                    self.all_passed(repair) && {
                        self.advance(repair, repair.at(Phase::Drain));
                        at(Step::SendersPassed);
                        true
                    }
                }
                Phase::Drain => {
                    (self.popped_past_mark(epoch) || drained()) && {
                        lost(epoch);
                        at(Step::OffersLost);
                        if self.advance(repair, repair.at(Phase::MembersPass)) {
                            at(Step::Drained);
                            membarrier::all();
                        }
                        true
                    }
                }
                Phase::MembersPass => {
                    self.all_passed(repair) && {
                        release(epoch);
                        at(Step::VanishedReleased);
                        completed |= self.give_back(repair);
                        true
                    }
                }
            };
            if !moved {
                break;
            }
        }
        completed
    }

    /// Ends an epoch, noting what it owes.
    fn flip(&self, repair: Repair) {
        let epoch = repair.epoch();
        let control = &self.control;
        // In this order: the tickets last, so that the note is true at the moment of the flip.
        let seen = control.debt.load(Acquire);
        let gone = control.gone[usize::from(epoch.wrapping_add(1) & 1)].word.load(Acquire);
        let admit = self.admitted_so_far();
        if admit.epoch() != epoch {
            if self.advance(repair, repair.at(Phase::SendersPass)) {
                at(Step::EpochClosed);
                // Ends publish what they are doing by plain stores and then look at the repair
                // word: from here on each has either seen this phase, or its store is seen.
                membarrier::all();
            }
            return;
        }
        let owed = admit.number().wrapping_sub(gone).wrapping_sub(repair.returned());
        let note = Dated::new(epoch, owed);
        if seen != note.0 && control.debt.compare_exchange(seen, note.0, AcqRel, Acquire).is_err() {
            return;
        }
        at(Step::DebtNoted);
        let next = Dated::new(epoch.wrapping_add(1), admit.number());
        // Pairs with the compare-and-swap in `admit`; fails if a ticket was taken meanwhile.
        let _ = control.admit.word.compare_exchange(admit.0, next.0, AcqRel, Acquire);
        at(Step::EpochEnded);
    }

    /// Whether a ticket given out after the senders' passage has been popped.
    fn popped_past_mark(&self, epoch: u16) -> bool {
        let mark = &self.control.mark;
        let mut noted = Dated(mark.load(Acquire));
        if noted.epoch() != epoch.wrapping_add(1) {
            // By a read-modify-write: whoever takes the next ticket then sees what was seen here,
            // an empty overflow for one.
            let tickets = Dated(self.control.admit.word.fetch_add(0, AcqRel)).number();
            let note = Dated::new(epoch.wrapping_add(1), tickets);
            match mark.compare_exchange(noted.0, note.0, AcqRel, Acquire) {
                Ok(_) => noted = note,
                Err(now) => noted = Dated(now),
            }
            at(Step::MarkSet);
        }
        noted.epoch() == epoch.wrapping_add(1)
            && self.records().any(|(_, member)| {
                // Pairs with the store after a pop.
                member.last_ticket.load(Acquire) > noted.number()
            })
    }

    /// Whether every live member has been at an idle point since this phase began. The snapshots
    /// lie in the members' records, so that one pumper can go on where another stopped.
    fn all_passed(&self, repair: Repair) -> bool {
        let passage = repair.0 & !RETURNED_MASK;
        // No short cut: every record gets its snapshot now.
        self.records().fold(true, |all, (_, member)| has_passed(member, passage) && all)
    }

    fn give_back(&self, repair: Repair) -> bool {
        let epoch = repair.epoch();
        let debt = Dated(self.control.debt.load(Acquire));
        let gone = self.control.gone[usize::from(epoch & 1)].word.load(Acquire);
        let leaked = Dated::new(0, debt.number().wrapping_sub(gone)).number();
        // More than there can be: memory that lies returns nothing.
        let leaked = if leaked > RETURNED_MASK >> 1 { 0 } else { leaked };
        let next = epoch.wrapping_add(1);
        let done = Repair::new(Phase::Idle, next, repair.returned().wrapping_add(leaked));
        let given_back = self.advance(repair, done);
        at(Step::RoomGivenBack);
        given_back
    }
}

fn has_passed(member: &Member, passage: u64) -> bool {
    if member.status().life() != Life::Live {
        return true;
    }
    let (sequence, doing) = member.op();
    if doing != Doing::Busy {
        return true;
    }
    let seen = passage | sequence & RETURNED_MASK;
    // Pairs with the exchange below.
    let snapshot: &AtomicU64 = &member.snapshot;
    let before = snapshot.load(Acquire);
    if before & !RETURNED_MASK == passage {
        return before != seen;
    }
    // A pumper left over from another phase may be first: then it is taken again.
    let _ = snapshot.compare_exchange(before, seen, SeqCst, Acquire);
    at(Step::SnapshotTaken);
    false
}
