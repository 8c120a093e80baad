//! What is done when a member's process has died.
//!
//! Whoever notices marks its records dead and clears their traces: slots and runs that it was
//! writing or reading, offers, room. One living end at a time clears a record; should it die too,
//! the next takes over, and every step may be done twice.

use super::control::Member;
use super::envelope::Envelope;
use super::members::{Doing, Life};
use super::{Carrier, Channel, Seat};
use crate::mechanism::Form;
use crate::process::Identity;
use postbox_ring::receipt::Settled;
use postbox_ring::slots::Taken;
use postbox_ring::sync::Ordering::{AcqRel, Acquire, SeqCst};
use postbox_ring::sync::fence;
use postbox_steps::{Step, at};

impl Channel {
    /// Buries every end of `dead`, and what it had itself begun to bury. A mailbox that it owned is
    /// destroyed.
    pub(crate) fn bury(&self, dead: Identity, by: Seat) {
        let own = Identity::own().to_word();
        let mut buried = false;
        for (index, member) in self.block.records() {
            // Pairs with the compare-and-swap below.
            let reaper = member.reaper.load(Acquire);
            let its_own = member.owner() == Some(dead);
            if its_own && member.status().life() == Life::Free {
                // It died while joining or leaving: nothing but the claim is left. Should it have left
                // without a word, the others are to look.
                let freed = member.owner.compare_exchange(dead.to_word(), 0, AcqRel, Acquire);
                buried |= freed.is_ok();
                at(Step::ClaimOfTheDeadFreed);
                continue;
            }
            if its_own {
                at(Step::DeadRecordFound);
            }
            if its_own && !self.block.mark_dead(member) {
                continue;
            }
            // Whoever passes an end on looks at the mark after the owner: one of us sees the other.
            fence(SeqCst);
            if its_own && reaper == 0 && member.owner().is_some_and(|owner| owner != dead) {
                self.block.unmark_dead(member);
                continue;
            }
            let status = member.status();
            let abandoned = reaper == dead.to_word();
            if status.life() == Life::Dead
                && (its_own && reaper == 0 || abandoned)
                && member.reaper.compare_exchange(reaper, own, AcqRel, Acquire).is_ok()
            {
                // Freed since it was judged, and perhaps somebody else's by now? The status has the
                // generation, so it tells.
                if member.status() != status {
                    let _ = member.reaper.compare_exchange(own, 0, AcqRel, Acquire);
                    self.block.control.roster_changed();
                    continue;
                }
                at(Step::ReaperEntered);
                self.clear(index, member, by);
                buried = true;
            }
        }
        self.mend();
        self.owner_died(dead);
        if buried {
            // Everybody's view of who is there, of room and of the head may have changed.
            self.block.control.roster_changed();
            self.left();
        }
    }

    /// Clears the traces of a dead record and frees it.
    fn clear(&self, index: u16, member: &Member, by: Seat) {
        let (_, doing) = member.op();
        // What it held of a packet went down with it. Pairs with the store in `says_it_holds`.
        let held = member.held.load(Acquire) != 0;
        if (doing != Doing::Idle || held) && matches!(self.carrier, Carrier::Kernel(_)) {
            self.block.report_death();
            at(Step::DeathReported);
        }
        if let Carrier::Ring(ring) = &self.carrier
            && self.config.form == Form::ManyToMany
        {
            // A ring that makes no sense is reported by the next push or pop.
            let _ = ring.settle(index, by.index, |taken| self.settle_taken(taken));
            at(Step::SlotsBuried);
        }
        self.overflow.settle(&self.region, index, |entry| {
            // Over a kernel object the repair does this, and counts.
            if let (Carrier::Ring(_), Some((envelope, _))) =
                (&self.carrier, Envelope::from_entry(entry))
            {
                self.drop_taken(&envelope);
            }
        });
        self.front.settle(&self.region, index, |_| {});
        at(Step::OverflowBuried);
        self.bodies.settle(index);
        at(Step::BodiesBuried);
        self.block.bury_offers(index);
        at(Step::OffersBuried);
        self.block.free(index);
    }

    /// An entry that its taker did not live to show to the application.
    fn settle_taken(&self, taken: &Taken) {
        let mut header = [0; 32];
        let len = header.len().min(taken.body_len());
        if self.region.read(taken.body_offset(), &mut header[..len]).is_err() {
            return;
        }
        if let Some((envelope, _)) = Envelope::from_slot(&header[..len]) {
            self.drop_taken(&envelope);
        }
    }

    fn drop_taken(&self, envelope: &Envelope) {
        if let Some(offer) = envelope.cell {
            // Not settled yet, or it would be no concern of ours: let its sender offer it again.
            if !self.block.free_committed(offer)
                && let Settled::Taken { wake: true } = self.block.decline_offer(offer)
            {
                self.bells.ring_receipt();
            }
        }
        if let Some(position) = envelope.body {
            self.bodies.discard(position);
        }
    }

    /// Does what can be done of a repair now.
    pub(crate) fn mend(&self) {
        let Carrier::Kernel(queue) = &self.carrier else { return };
        let drained = || queue.is_empty() && self.overflow.is_empty() && self.front.is_empty();
        let lost = |epoch| {
            if self.block.lose_offers(epoch) {
                self.bells.ring_receipt();
            }
        };
        let release = |epoch| {
            self.bodies.discard_labelled(epoch as u8);
            self.block.free_lost_cells(epoch);
        };
        let held = |epoch| self.is_held(epoch);
        if self.block.pump(&drained, &lost, &held, &release) {
            self.bells.ring_news();
        }
    }

    /// A member has gone: everybody looks again.
    pub(crate) fn left(&self) {
        self.bells.ring_news();
        self.raise_level();
    }
}
