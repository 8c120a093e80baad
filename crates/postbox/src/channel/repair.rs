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
//! | members pass | every live member has been at an idle point again, and none holds any: they are counted | give back *debt − gone* |
//!
//! **The debt**, and how a repair's word moves on: see [`postbox_ring::admission::debt`].
//!
//! **Lost offers** are settled before the second passage, not after: their senders must not count
//! them gone once their room has been given back.
//!
//! `tests/model` explores all of it exhaustively, with deaths at every step, and shows for each
//! phase and each of these orders what goes wrong without it.

use super::ControlBlock;
use super::control::Member;
use super::members::Life;
use postbox_ring::admission::debt::{Phase, Repair};
use postbox_ring::sync::AtomicU64;
use postbox_ring::sync::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use postbox_steps::{Step, at};
use postbox_sys::membarrier;

/// Steps that one pump takes at most: two repairs' worth, so that a member which hammers these
/// words cannot keep anybody here.
const STEPS: usize = 16;

/// Whether epoch `a` comes after `b`, going the nearer way round.
fn is_after(a: u16, b: u16) -> bool {
    (a.wrapping_sub(b) as i16) > 0
}

impl ControlBlock {
    #[inline(always)]
    fn repair_word(&self) -> Repair {
        Repair::read(self.control.admission())
    }

    /// Whether a repair is under way or due: cheap enough for the end of every operation.
    #[inline(always)]
    pub(crate) fn repair_due(&self) -> bool {
        let repair = self.repair_word();
        // Pairs with the compare-and-swap in `report_death`.
        let due = self.control.due.load(Acquire) as u16;
        repair.phase() != Phase::Idle || is_after(due, repair.epoch())
    }

    /// A member died in the middle of something. To be called after its record is marked dead and
    /// before it is freed, by everybody who sees it so.
    pub(crate) fn report_death(&self) {
        let due = self.control.admission().so_far().epoch().wrapping_add(1);
        let later = |now: u64| is_after(due, now as u16).then_some(u64::from(due));
        // Pairs with the load in `repair_due`.
        let _ = self.control.due.fetch_update(AcqRel, Acquire, later);
    }

    /// Between repairs nobody can have died in a later epoch than the one that the next repair closes. Where
    /// `due` says so, a member has scribbled: one repair will do, not thousands of which each wakes everybody.
    fn bound_due(&self, idle: Repair) {
        let due = self.control.due.load(Acquire);
        let latest = idle.epoch().wrapping_add(1);
        // Unless this looks at a repair that is over.
        if is_after(due as u16, latest) && self.repair_word() == idle {
            let latest = u64::from(latest);
            let _ = self.control.due.compare_exchange(due, latest, AcqRel, Acquire);
        }
    }

    /// Does what can be done of a repair now; true if one was completed.
    ///
    /// `drained` tells whether kernel object and overflow are both seen empty; `lost` declares the
    /// open offers of an epoch lost, `held` tells whether somebody has messages of it that are not taken
    /// yet, `release` frees what else its vanished entries held (each may
    /// run twice).
    pub(crate) fn pump(
        &self,
        drained: &dyn Fn() -> bool,
        lost: &dyn Fn(u16),
        held: &dyn Fn(u16) -> bool,
        release: &dyn Fn(u16),
    ) -> bool {
        let admission = self.control.admission();
        let mut completed = false;
        for _ in 0..STEPS {
            let repair = self.repair_word();
            let epoch = repair.epoch();
            let moved = match repair.phase() {
                Phase::Idle => {
                    self.repair_due() && {
                        self.bound_due(repair);
                        admission.advance(repair, Phase::Flip);
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
                        admission.advance(repair, Phase::Drain);
                        at(Step::SendersPassed);
                        true
                    }
                }
                Phase::Drain => {
                    (self.popped_past_mark(epoch) || drained()) && {
                        lost(epoch);
                        at(Step::OffersLost);
                        if admission.advance(repair, Phase::MembersPass) {
                            at(Step::Drained);
                            self.barrier_of_all();
                        }
                        true
                    }
                }
                Phase::MembersPass => {
                    // Who has passed says by now what it holds of what it popped.
                    self.all_passed(repair) && !held(epoch) && {
                        release(epoch);
                        at(Step::VanishedReleased);
                        if admission.give_back(repair) {
                            self.control.repairs.fetch_add(1, Relaxed);
                            completed = true;
                        }
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

    /// A barrier for every member. All are registered for the quick one, but where a kernel could not.
    pub(crate) fn barrier_of_all(&self) {
        if self.control.fences().are_kept() || membarrier::registered().is_err() {
            membarrier::all();
        }
    }

    /// Ends an epoch, noting what it owes.
    fn flip(&self, repair: Repair) {
        let admission = self.control.admission();
        if admission.end_epoch(repair) && admission.advance(repair, Phase::SendersPass) {
            at(Step::EpochClosed);
            // Ends publish what they are doing by plain stores and then look at the repair word: from
            // here on each has either seen this phase, or its store is seen.
            self.barrier_of_all();
        }
    }

    /// Whether a ticket given out after the senders' passage has been popped.
    fn popped_past_mark(&self, epoch: u16) -> bool {
        let Some(mark) = self.control.admission().mark(epoch) else { return false };
        // Pairs with the store after a pop.
        self.records().any(|(_, member)| member.last_ticket.load(Acquire) > mark)
    }

    /// Whether every live member has been at an idle point since this phase began. The snapshots
    /// lie in the members' records, so that one pumper can go on where another stopped.
    fn all_passed(&self, repair: Repair) -> bool {
        let passage = repair.passage();
        // No short cut: every record gets its snapshot now.
        self.records().fold(true, |all, (_, member)| has_passed(member, passage) && all)
    }
}

fn has_passed(member: &Member, passage: u64) -> bool {
    if member.status().life() != Life::Live {
        return true;
    }
    let (sequence, doing) = member.op();
    if !doing.is_busy() {
        return true;
    }
    let seen = passage | sequence & Repair::FREE_MASK;
    // Pairs with the exchange below.
    let snapshot: &AtomicU64 = &member.snapshot;
    let before = snapshot.load(Acquire);
    if before & !Repair::FREE_MASK == passage {
        return before != seen;
    }
    // A pumper left over from another phase may be first: then it is taken again.
    let _ = snapshot.compare_exchange(before, seen, SeqCst, Acquire);
    at(Step::SnapshotTaken);
    false
}
