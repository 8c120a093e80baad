//! Taking a right back from ends that have it.
//!
//! A descriptor cannot be taken back, so this binds those that keep to the contract: the end refuses
//! every call from the next one on, and calls that wait are woken to be told. A process that does not
//! keep to it is kept out by what it was never given; see the narrow descriptors of `queue`.

use super::members::{Life, Role};
use super::{Channel, End};
use crate::name::Name;
use crate::process::Identity;
use postbox_ring::sync::Ordering::{Acquire, Release, SeqCst};

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
        let barred = self
            .block
            .records()
            .filter(|(_, member)| {
                let status = member.status();
                status.life() == Life::Live && status.role() == role
            })
            .filter(|(_, member)| {
                let card = member.own_card();
                let bar = member.owner().is_some_and(|owner| !keep(owner, card.name.as_ref()));
                if bar {
                    // Pairs with the load in `look_for_partners`.
                    member.barred.store(1, Release);
                }
                bar
            })
            .count();
        if barred > 0 {
            self.block.control.roster_changed();
            self.left();
        }
        barred
    }
}

impl End {
    /// Whether the right behind this end was taken back.
    pub(crate) fn is_barred(&self) -> bool {
        // Pairs with the store in `revoke`.
        self.member().barred.load(Acquire) != 0
    }

    /// An end made from another has no more rights than that one.
    pub(crate) fn bar_like(&self, other: &End) {
        if other.is_barred() {
            self.member().barred.store(1, Release);
            self.channel.block.control.roster_changed();
        }
    }
}
