//! Taking a right back from ends that have it.
//!
//! A descriptor cannot be taken back, so this binds those that keep to the contract: the end refuses
//! every call from the next one on, and calls that wait are woken to be told. A process that does not
//! keep to it is kept out by what it was never given; see the narrow descriptors of `queue`.

use super::control::Member;
use super::layout::MEMBERS;
use super::members::{Life, Role, Status};
use super::{Channel, End};
use crate::name::Name;
use crate::process::Identity;
use postbox_ring::sync::Ordering::{Acquire, Release, SeqCst};
use postbox_ring::sync::fence;
use postbox_steps::{Step, at};

impl Channel {
    /// Changes whenever rights are taken back.
    ///
    /// Whoever was let in at some epoch and finds it unchanged after having joined has not been
    /// overlooked: either a later revocation sees its record, or it sees that epoch's end.
    pub(crate) fn rights_epoch(&self) -> u64 {
        // A read-modify-write, so that it comes after the join of the one who asks; pairs with the
        // increment in `revoke`, which comes before the records are read.
        self.block.control.rights.fetch_add(0, SeqCst)
    }

    /// Bars the ends of one role that `keep` does not keep; returns how many.
    ///
    /// What one of them is about to take at this moment is still its own.
    pub(crate) fn revoke(
        &self,
        role: Role,
        keep: impl Fn(Identity, Option<&Name>) -> bool,
    ) -> usize {
        // Before the records are read: see `rights_epoch`.
        self.block.control.rights.fetch_add(1, SeqCst);
        at(Step::RightsEpochMoved);
        let mut barred = 0;
        // An end may have been cloned before it was barred, into a record that had been passed by then:
        // until there is none. Bounded, should somebody clone without end.
        for _ in 0..MEMBERS {
            let more = self.bar(role, &keep);
            if more == 0 {
                break;
            }
            barred += more;
            // Before the records are read again; pairs with the fence in `bar_like`.
            fence(SeqCst);
        }
        if barred > 0 {
            at(Step::EndsBarred);
            self.block.control.roster_changed();
            self.left();
            at(Step::BarredTold);
        }
        barred
    }

    /// Bars those that are found at one look; how many were not barred before.
    fn bar(&self, role: Role, keep: &impl Fn(Identity, Option<&Name>) -> bool) -> usize {
        let is_to_go = |member: &Member, status: Status| {
            let looked_at = status.life() == Life::Live
                && status.role() == role
                && !member.is_barred(status.generation());
            looked_at
                && member.owner().is_some_and(|owner| !keep(owner, member.own_card().name.as_ref()))
        };
        self.block
            .records()
            .map(|(_, member)| (member, member.status()))
            .filter(|(member, status)| is_to_go(member, *status))
            .map(|(member, status)| member.bar(status.generation()))
            .count()
    }
}

impl Member {
    /// Bars the end of that generation; should it have left by now, nobody.
    fn bar(&self, generation: u32) {
        // Pairs with the load in `is_barred`.
        self.barred.store(u64::from(generation) + 1, Release);
    }

    fn is_barred(&self, generation: u32) -> bool {
        // Pairs with the store in `bar`.
        self.barred.load(Acquire) == u64::from(generation) + 1
    }
}

impl End {
    /// Whether the right behind this end was taken back.
    pub(crate) fn is_barred(&self) -> bool {
        self.member().is_barred(self.seat.generation)
    }

    /// An end made from another has no more rights than that one.
    pub(crate) fn bar_like(&self, other: &End) {
        // Joined by now: a revocation that bars the other later finds this one.
        fence(SeqCst);
        if other.is_barred() {
            self.member().bar(self.seat.generation);
            self.channel.block.control.roster_changed();
        }
    }
}
