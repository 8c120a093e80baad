//! Repair of room: what the dead had admitted but nobody will ever take is given back.
//!
//! A sender may die between its ticket and the end of its push, a receiver between popping and
//! counting. Nobody can look into a kernel queue to see which, so a repair waits until it knows,
//! and then it is arithmetic. It is pumped, a step at a time, by whichever member happens to be at
//! an idle point; every step is one compare-and-swap on shared words, so a pumper that dies or
//! sleeps leaves nothing half done and cannot disturb the next repair (each word that a step
//! writes carries the epoch that it belongs to).
//!
//! | phase | until | then |
//! | --- | --- | --- |
//! | idle | a death is reported that may have left room behind | |
//! | freeze | tickets stand still for a moment: their number is noted, the next epoch begins | |
//! | senders pass | every live member has been at an idle point: older tickets are pushed | |
//! | drain | a ticket given out after that was popped, or all was seen empty: older entries are popped | |
//! | members pass | every live member has been at an idle point again: they are counted | give back *older tickets − older gone* |
//!
//! `tests/model.rs` explores this exhaustively; leaving out any one phase admits too much.

use super::ControlBlock;
use super::admission::Admit;
use super::envelope::TICKET_MASK;
use super::members::{Doing, Life};
use postbox_ring::sync::AtomicU64;
use postbox_ring::sync::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Idle = 0,
    Freeze = 1,
    SendersPass = 2,
    Drain = 3,
    MembersPass = 4,
}

/// The `repair` word: phase (3 bits) · epoch (8) · room returned for the dead (48).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Repair(u64);

impl Repair {
    fn new(phase: Phase, epoch: u8, returned: u64) -> Self {
        Repair((phase as u64) << 56 | u64::from(epoch) << 48 | returned & TICKET_MASK)
    }

    fn phase(self) -> Phase {
        match self.0 >> 56 & 7 {
            1 => Phase::Freeze,
            2 => Phase::SendersPass,
            3 => Phase::Drain,
            4 => Phase::MembersPass,
            _ => Phase::Idle,
        }
    }

    fn epoch(self) -> u8 {
        (self.0 >> 48) as u8
    }

    fn returned(self) -> u64 {
        self.0 & TICKET_MASK
    }

    fn at(self, phase: Phase) -> Self {
        Repair::new(phase, self.epoch(), self.returned())
    }
}

/// A word that belongs to the repair of one epoch: it is written once per epoch, by whoever comes
/// first, and a pumper left over from an earlier repair cannot write it.
fn note(word: &AtomicU64, epoch: u8, value: impl FnOnce() -> u64) -> u64 {
    let tag = u64::from(epoch.wrapping_add(1));
    // Pairs with itself.
    let old = word.load(Acquire);
    if old >> 48 == tag {
        return old & TICKET_MASK;
    }
    let new = tag << 48 | value() & TICKET_MASK;
    match word.compare_exchange(old, new, AcqRel, Acquire) {
        Ok(_) => new & TICKET_MASK,
        Err(now) => now & TICKET_MASK,
    }
}

impl ControlBlock {
    fn repair_word(&self) -> Repair {
        // Pairs with the compare-and-swap in `advance`. SeqCst: part of the limit that a sender
        // reads after it has announced its sleep.
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
        let idle = Repair(self.control.repair.word.load(Relaxed)).phase() == Phase::Idle;
        !idle || self.control.deaths.load(Relaxed) != self.control.repaired.load(Relaxed)
    }

    /// A member died in the middle of something.
    pub(crate) fn report_death(&self) {
        // Pairs with the load in `pump`.
        self.control.deaths.fetch_add(1, AcqRel);
    }

    /// Does what can be done of a repair now; true if one was completed.
    ///
    /// `drained` tells whether kernel object and overflow are both seen empty; `release` frees
    /// what else the entries of an epoch held that nobody can pop any more (it may run twice).
    pub(crate) fn pump(&self, drained: &dyn Fn() -> bool, release: &dyn Fn(u8)) -> bool {
        let mut completed = false;
        // Two repairs' worth of steps: a member that hammers these words cannot keep us here.
        for _ in 0..10 {
            let repair = self.repair_word();
            let epoch = repair.epoch();
            match repair.phase() {
                Phase::Idle => {
                    let deaths = self.control.deaths.load(Acquire);
                    if deaths == self.control.repaired.load(Acquire) {
                        break;
                    }
                    let epoch = self.admit_word().epoch();
                    note(&self.control.covering, epoch, || deaths);
                    self.advance(repair, Repair::new(Phase::Freeze, epoch, repair.returned()));
                }
                Phase::Freeze => self.finish_freeze(),
                Phase::SendersPass => {
                    if !self.all_passed(repair) {
                        break;
                    }
                    self.advance(repair, repair.at(Phase::Drain));
                }
                Phase::Drain => {
                    let mark =
                        note(&self.control.mark, epoch, || self.admit_word().tickets());
                    // `last_ticket` is one more than the ticket, so that none at all is 0.
                    let popped_past = || {
                        self.records().any(|(_, m)| m.last_ticket.load(Acquire) > mark)
                    };
                    if !popped_past() && !drained() {
                        break;
                    }
                    self.advance(repair, repair.at(Phase::MembersPass));
                }
                Phase::MembersPass => {
                    if !self.all_passed(repair) {
                        break;
                    }
                    release(epoch);
                    completed |= self.give_back(repair);
                }
            }
        }
        completed
    }

    /// Ends an epoch: its tickets are noted while they stand still, then the next begins. Helped by
    /// every sender that finds them frozen.
    pub(crate) fn finish_freeze(&self) {
        let repair = self.repair_word();
        if repair.phase() != Phase::Freeze {
            return;
        }
        let epoch = repair.epoch();
        let swap = |from: Admit, to: Admit| {
            // Pairs with the compare-and-swap in `admit`.
            self.control.admit.word.compare_exchange(from.0, to.0, AcqRel, Acquire).is_ok()
        };
        loop {
            let admit = self.admit_word();
            if admit.epoch() != epoch {
                break;
            }
            if !admit.is_frozen() {
                swap(admit, admit.frozen());
                continue;
            }
            note(&self.control.flip_ticket, epoch, || admit.tickets());
            // The other parity holds epochs that are all settled, and no ticket of the next yet.
            let other = &self.control.gone[usize::from(epoch.wrapping_add(1) & 1)].word;
            note(&self.control.flip_gone, epoch, || other.load(Acquire));
            swap(admit, admit.next_epoch());
        }
        self.advance(repair, repair.at(Phase::SendersPass));
    }

    /// Whether every live member has been at an idle point since this phase began. The snapshots
    /// lie in the members' records, so that one pumper can go on where another stopped.
    fn all_passed(&self, repair: Repair) -> bool {
        let passage = (repair.0 >> 48) & 0x7ff;
        let mut all = true;
        for (_, member) in self.records() {
            if member.status().life() != Life::Live {
                continue;
            }
            let (sequence, doing) = member.op();
            if doing != Doing::Busy {
                continue;
            }
            let seen = passage << 48 | sequence & TICKET_MASK;
            // Pairs with the store below.
            let snapshot = member.snapshot.load(Acquire);
            if snapshot >> 48 != passage {
                member.snapshot.store(seen, SeqCst);
                all = false;
            } else if snapshot == seen {
                all = false;
            }
        }
        all
    }

    fn give_back(&self, repair: Repair) -> bool {
        let control = &self.control;
        let epoch = repair.epoch();
        let tickets = note(&control.flip_ticket, epoch, || 0);
        let gone_before = note(&control.flip_gone, epoch, || 0);
        let gone = control.gone[usize::from(epoch & 1)].word.load(Acquire);
        let counted = gone.wrapping_add(gone_before).wrapping_add(repair.returned());
        let leaked = tickets.saturating_sub(counted);
        let covered = note(&control.covering, epoch, || 0);
        let done = Repair::new(Phase::Idle, epoch, repair.returned().wrapping_add(leaked));
        let applied = self.advance(repair, done);
        if applied {
            control.repaired.fetch_max(covered, AcqRel);
        }
        applied
    }
}
