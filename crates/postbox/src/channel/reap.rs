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
use postbox_ring::turn::Meeting;
use postbox_steps::{Step, at};

impl Channel {
    /// Buries every end of `dead`, and what it had itself begun to bury. A mailbox that it owned is
    /// destroyed.
    pub(crate) fn bury(&self, dead: Identity, by: Seat) {
        let mut buried = false;
        for (index, member) in self.block.records() {
            // Before the owner: should the record pass to somebody else meanwhile, it is not marked.
            let status = member.status();
            if member.owner() == Some(dead) {
                if status.life() == Life::Free {
                    // It died while joining or leaving: nothing but the claim is left. Should it have left
                    // without a word, the others are to look.
                    let freed = member.owner.compare_exchange(dead.to_word(), 0, AcqRel, Acquire);
                    buried |= freed.is_ok();
                    at(Step::ClaimOfTheDeadFreed);
                    continue;
                }
                at(Step::DeadRecordFound);
                self.block.mark_dead(member, status);
            }
            buried |= self.undertake(index, member, dead, by);
        }
        self.mend();
        self.owner_died(dead);
        if buried {
            // Everybody's view of who is there, of room and of the head may have changed.
            self.block.control.roster_changed();
            // It may have been woken for what others wait for, or was about to wake one.
            self.block.control.recall_rings();
            self.left();
        }
    }

    /// Clears a record that is marked dead, unless somebody else is at it who has not died of it; true if it
    /// was cleared.
    fn undertake(&self, index: u16, member: &Member, dead: Identity, by: Seat) -> bool {
        let own = Identity::own().to_word();
        // Pairs with the compare-and-swap below.
        let reaper = member.reaper.load(Acquire);
        let status = member.status();
        let unattended = reaper == 0 || reaper == dead.to_word();
        if status.life() != Life::Dead
            || !unattended
            || member.reaper.compare_exchange(reaper, own, AcqRel, Acquire).is_err()
        {
            return false;
        }
        at(Step::ReaperEntered);
        // Who takes an end over looks at the mark after having become its owner, and we at the owner
        // after the mark: one of us sees the other. Nobody but the reaper takes a mark back, so an heir
        // that comes too late finds it there until the record is free.
        fence(SeqCst);
        let passed_on = member.owner().is_some_and(|owner| owner != dead && !owner.is_dead());
        if passed_on {
            self.block.unmark_dead(member, status);
        }
        // Freed since it was judged, and perhaps somebody else's by now? The status has the generation,
        // so it tells.
        if passed_on || member.status() != status {
            let _ = member.reaper.compare_exchange(own, 0, AcqRel, Acquire);
            self.block.control.roster_changed();
            return false;
        }
        self.clear(index, member, by);
        true
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
        if matches!(self.carrier, Carrier::Ring(_)) {
            self.settle_ring(index, by);
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
        if let Some(front) = &self.front {
            front.settle(&self.region, index, |_| {});
        }
        at(Step::OverflowBuried);
        self.bodies.settle(index);
        at(Step::BodiesBuried);
        // What it was bound to is nobody's: whoever leaves next stays for it.
        member.turn().end();
        self.block.bury_offers(index);
        at(Step::OffersBuried);
        self.block.free(index);
    }

    /// Clears the traces of whoever has left or is dead in a ring for many.
    pub(super) fn settle_ring(&self, index: u16, by: Seat) {
        let Carrier::Ring(ring) = &self.carrier else { return };
        if self.config.form == Form::OneToOne {
            return;
        }
        // A ring that makes no sense is reported by the next push or pop.
        let nothing_left = self.pairing.as_ref().is_some_and(|p| p.leave(index) == Ok(true));
        if !nothing_left {
            // What it had announced may have become a slot of its.
            let _ = self.widen();
            let _ = ring.settle(index, by.index, |taken| self.settle_taken(taken));
        }
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
            match self.block.decline_offer(offer) {
                // Its sender offers it again.
                Settled::Taken { wake: true } => self.bells.ring_receipt(),
                Settled::Taken { wake: false } => {}
                // Settled already, unless its sender has left: asked in this order, since it may do so in between.
                Settled::Corpse => {
                    self.block.free_committed(offer);
                }
            }
            self.block.disengage_all();
        }
        if let Some(position) = envelope.body {
            self.bodies.discard(position);
        }
    }

    /// Does what can be done of a repair now.
    pub(crate) fn mend(&self) {
        let Carrier::Kernel(queue) = &self.carrier else { return };
        let drained = || queue.is_empty() && self.overflow.is_empty() && self.front_is_empty();
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
