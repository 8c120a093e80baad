//! How long a channel lives, and how its ends learn that it is over for them.
//!
//! ```text
//!  Ends    a channel or link: over for one side when nobody is left on the other
//!  Owned   a mailbox: never over by absence; destroyed by its owner, or by the owner's death
//! ```
//!
//! Whatever ends it changes the roster. An end remembers the roster at which all was well, so a call
//! costs one load of that word; only when it has changed does the end look what happened.

use super::members::Role;
use super::{Channel, End};
use crate::denied::{Denied, Right};
use crate::error::{ReceiveError, SendError};
use postbox_ring::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use postbox_steps::{Step, at};

/// What ends a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// The last end of one side, for the other side.
    Ends,
    /// Its owner, for everybody.
    Owned,
}

/// A mailbox's life: it goes from one to the next.
const LIVE: u64 = 0;
const DESTROYED: u64 = 1;
/// Destroyed, and everybody has been rung.
const TOLD: u64 = 2;

/// Why a channel is over for an end.
#[derive(Debug)]
pub(crate) enum Over {
    /// Nobody is left on the other side.
    Disconnected,
    /// The mailbox is gone.
    Destroyed,
    /// The right behind the end was taken back.
    Denied(Denied),
}

impl From<Over> for SendError {
    fn from(over: Over) -> Self {
        match over {
            Over::Disconnected => SendError::Disconnected,
            Over::Destroyed => SendError::Destroyed,
            Over::Denied(denied) => SendError::Denied(denied),
        }
    }
}

impl From<Over> for ReceiveError {
    fn from(over: Over) -> Self {
        match over {
            Over::Disconnected => ReceiveError::Disconnected,
            Over::Destroyed => ReceiveError::Destroyed,
            Over::Denied(denied) => ReceiveError::Denied(denied),
        }
    }
}

impl Channel {
    /// Ends a mailbox for everybody, at once: what waits in it is gone.
    pub(crate) fn destroy(&self) {
        // Pairs with the load in `is_destroyed`.
        let life = &self.block.control.life;
        if life.compare_exchange(LIVE, DESTROYED, AcqRel, Acquire).is_ok() {
            at(Step::LifeEnded);
            self.tell_end();
            at(Step::EndTold);
        }
    }

    /// Tells everybody of its end, unless that was done. Whoever destroyed it may have died before:
    /// then those tell who see that its owner is dead.
    pub(crate) fn tell_end(&self) {
        // Pairs with the exchange in `destroy` and the store below. Two may tell at once: once for
        // nothing.
        if self.block.control.life.load(Acquire) == DESTROYED {
            self.block.control.roster_changed();
            self.left();
            self.block.control.life.store(TOLD, Release);
        }
    }

    pub(crate) fn is_destroyed(&self) -> bool {
        // Pairs with the exchange in `destroy`.
        self.block.control.life.load(Acquire) != LIVE
    }

    /// Whether it is over, and everybody has been rung for that.
    pub(super) fn is_end_told(&self) -> bool {
        // Pairs with the store in `tell_end`.
        self.block.control.life.load(Acquire) == TOLD
    }

    /// Sending ends that ever joined, those that have left included.
    pub(crate) fn senders_ever(&self) -> u64 {
        self.block.control.senders_ever.load(Relaxed)
    }

    /// What an end of that role gets that has lost its right, or never had it.
    pub(crate) fn denial(&self, role: Role) -> Denied {
        let right = match role {
            Role::Sender => Right::Send,
            Role::Receiver => Right::Receive,
        };
        let mailbox = self.config.name.as_ref().map_or("", |name| name.as_str());
        Denied::new(right, mailbox, "whoever its owner lets in")
    }

    /// The last message of senders that have left was taken: receivers that did not have the floor, and
    /// so found nothing, may have ended by that.
    #[cold]
    pub(crate) fn tell_if_drained(&self) {
        let polled = self.block.control.pollables.load(Relaxed) > 0;
        if polled && self.live(Role::Sender) == 0 && self.is_drained() {
            self.left();
        }
    }

    /// Ends that are there now.
    pub(crate) fn live(&self, role: Role) -> usize {
        self.block.live(role)
    }
}

impl End {
    /// Whether somebody is, or will be, at the other side, as far as deaths have been noticed.
    #[inline]
    pub(crate) fn partners(&self) -> Result<(), Over> {
        if self.has_known_partners() { Ok(()) } else { self.look_for_partners() }
    }

    /// The same, if nothing has changed since it was seen.
    #[inline]
    pub(crate) fn has_known_partners(&self) -> bool {
        self.partners_at.get() == self.channel.block.control.roster()
    }

    /// Whether the end may still be used. Only where somebody can take that away is there anything
    /// to look at; what waits is received even when nobody is left.
    #[inline]
    pub(crate) fn usable(&self) -> Result<(), Over> {
        if !self.guarded {
            return Ok(());
        }
        match self.partners() {
            Err(Over::Disconnected) => Ok(()),
            other => other,
        }
    }

    /// Whether it is over, with nothing left that could be received.
    pub(crate) fn ended(&self) -> Result<(), Over> {
        match self.partners() {
            Err(Over::Disconnected) if self.holds.get() || !self.channel.is_drained() => Ok(()),
            other => other,
        }
    }

    #[cold]
    fn look_for_partners(&self) -> Result<(), Over> {
        let block = &self.channel.block;
        let roster = block.control.roster();
        let other = match self.role {
            Role::Sender => Role::Receiver,
            Role::Receiver => Role::Sender,
        };
        if self.channel.is_destroyed() {
            return Err(Over::Destroyed);
        }
        if self.is_barred() {
            return Err(Over::Denied(self.channel.denial(self.role)));
        }
        let waits_for_more = match self.channel.config.lifetime {
            Lifetime::Ends => false,
            Lifetime::Owned => !self.drains.get() || self.channel.senders_ever() == 0,
        };
        if !waits_for_more && block.live(other) == 0 {
            return Err(Over::Disconnected);
        }
        self.partners_at.set(roster);
        Ok(())
    }

    /// This end will not take what it may have been woken for: everybody looks. Once is enough.
    #[cold]
    pub(crate) fn pass_on_wakeups(&self) {
        if self.guarded && !self.parted.replace(true) {
            self.channel.bells.ring_news();
        }
    }
}
