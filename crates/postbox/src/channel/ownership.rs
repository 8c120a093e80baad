//! Who owns a mailbox, and how ownership passes to another process.
//!
//! ```text
//!  owner   identity of the owner's process; no record among the members is needed for it
//!
//!                    offer                accept (the heir)
//!  offer   none n ──────────► offered n+1 ────────────────► accepted n+1   the owner word follows
//!            ▲                     │ cancel (the owner, or whoever sees that it has died)
//!            └─────────────────────┘
//! ```
//!
//! One compare-and-swap on the offer decides between accepting and cancelling. The heir's identity is
//! entered before it, where the offer left room for one, so whoever finds the old owner dead after the acceptance completes it, instead
//! of taking the mailbox for orphaned. All members watch the owner's death besides each other's.

use super::{Channel, Lifetime};
use crate::process::Identity;
use postbox_ring::sync::AtomicU64;
use postbox_ring::sync::Ordering::{AcqRel, Acquire, Release};
use postbox_steps::{Step, at};

const STATE: u64 = 3;
const NONE: u64 = 0;
const OFFERED: u64 = 1;
const ACCEPTED: u64 = 2;

fn word(nonce: u64, state: u64) -> u64 {
    nonce << 2 | state
}

impl Channel {
    /// Whose mailbox this is.
    pub(crate) fn owner(&self) -> Option<Identity> {
        // Pairs with the store in `set_owner` and the compare-and-swap in `pass_to`.
        Identity::from_word(self.block.control.owner.load(Acquire))
    }

    /// Makes it that process's, before anybody else takes part.
    pub(crate) fn set_owner(&self, owner: Identity) {
        // Pairs with the load in `owner`.
        self.block.control.owner.store(owner.to_word(), Release);
        self.block.control.roster_changed();
    }

    /// The owner's process, unless it is this one: everybody watches its death.
    pub(crate) fn watched_owner(&self) -> Option<Identity> {
        let owned = self.config.lifetime == Lifetime::Owned && !self.is_end_told();
        self.owner().filter(|_| owned)
    }

    /// The owner offers the mailbox to whoever learns the nonce. An earlier offer is void.
    pub(crate) fn offer_ownership(&self) -> u64 {
        let offer = &self.block.control.offer;
        let mut seen = offer.load(Acquire);
        loop {
            let nonce = (seen >> 2).wrapping_add(1) & (u64::MAX >> 2);
            // Pairs with the compare-and-swap in `enter`.
            self.heir(nonce).store(0, Release);
            match offer.compare_exchange(seen, word(nonce, OFFERED), AcqRel, Acquire) {
                Ok(_) => {
                    at(Step::OwnershipOffered);
                    return nonce;
                }
                Err(now) => seen = now,
            }
        }
    }

    /// Whether that offer stands.
    pub(crate) fn is_offered(&self, nonce: u64) -> bool {
        self.block.control.offer.load(Acquire) == word(nonce, OFFERED)
    }

    /// The heir takes the mailbox over; false if the offer has been cancelled.
    pub(crate) fn accept_ownership(&self, nonce: u64, heir: Identity) -> bool {
        let offer = &self.block.control.offer;
        let offered = word(nonce, OFFERED);
        let owner = self.block.control.owner.load(Acquire);
        if !self.is_offered(nonce) {
            return false;
        }
        if !self.enter(nonce, heir) {
            return false;
        }
        at(Step::HeirEntered);
        if offer.compare_exchange(offered, word(nonce, ACCEPTED), AcqRel, Acquire).is_err() {
            // An offer made since may have the same place for its heir.
            let _ = self.heir(nonce).compare_exchange(heir.to_word(), 0, AcqRel, Acquire);
            return false;
        }
        at(Step::OfferAccepted);
        self.pass_to(owner, heir.to_word());
        true
    }

    /// The owner takes its offer back; false if it had been accepted, and then it is the heir's.
    pub(crate) fn cancel_offer(&self, nonce: u64) -> bool {
        let offer = &self.block.control.offer;
        let (offered, none) = (word(nonce, OFFERED), word(nonce, NONE));
        match offer.compare_exchange(offered, none, AcqRel, Acquire) {
            Ok(_) => {
                at(Step::OfferCancelled);
                true
            }
            Err(now) if now == word(nonce, ACCEPTED) => {
                self.complete(nonce, Identity::own());
                false
            }
            Err(_) => self.owner() == Some(Identity::own()),
        }
    }

    /// Only while nobody has: one that comes too late, by two offers, must not displace another.
    fn enter(&self, nonce: u64, heir: Identity) -> bool {
        // Pairs with the load in `complete`, after the compare-and-swap on the offer.
        self.heir(nonce).compare_exchange(0, heir.to_word(), AcqRel, Acquire).is_ok()
    }

    fn heir(&self, nonce: u64) -> &AtomicU64 {
        &self.block.control.heirs[(nonce & 1) as usize]
    }

    /// Does what the heir may not have come to: `from` has given the mailbox away, or is dead.
    fn complete(&self, nonce: u64, from: Identity) {
        let heir = self.heir(nonce).load(Acquire);
        if heir != 0 {
            self.pass_to(from.to_word(), heir);
        }
    }

    fn pass_to(&self, from: u64, heir: u64) {
        // Pairs with the load in `owner`.
        let passed = self.block.control.owner.compare_exchange(from, heir, AcqRel, Acquire);
        // Where the word is the heir's already, the heir may have died before it told anybody.
        if passed.is_ok() || passed == Err(heir) {
            at(Step::OwnerPassed);
            // Everybody watches another process from now on.
            self.block.control.roster_changed();
            self.bells.ring_news();
            at(Step::OwnerTold);
        }
    }

    /// Destroys the mailbox if its owner is known to be dead.
    pub(crate) fn check_owner(&self) {
        if let Some(owner) = self.watched_owner().filter(|owner| owner.is_dead()) {
            self.owner_died(owner);
        }
    }

    /// A process has died: was the mailbox its own?
    pub(crate) fn owner_died(&self, dead: Identity) {
        if self.watched_owner() != Some(dead) {
            return;
        }
        self.tell_end();
        let offer = &self.block.control.offer;
        let mut seen = offer.load(Acquire);
        // The dead offer nothing any more: it is cancelled now, or it was accepted.
        if seen & STATE == OFFERED
            && let Err(now) = offer.compare_exchange(seen, seen & !STATE, AcqRel, Acquire)
        {
            seen = now;
        }
        at(Step::OrphanJudged);
        if seen & STATE == ACCEPTED {
            self.complete(seen >> 2, dead);
        }
        if self.owner() == Some(dead) {
            self.destroy();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::Options;

    #[test]
    fn an_heir_that_comes_too_late_displaces_nobody() {
        let channel = Channel::create(Options::default().config()).unwrap();
        let [giver, heir, late] = [4711, 4712, 4713].map(|word| Identity::from_word(word).unwrap());
        channel.set_owner(giver);
        let nonce = channel.offer_ownership();
        assert!(channel.cancel_offer(nonce));
        assert!(channel.cancel_offer(channel.offer_ownership()));
        let again = channel.offer_ownership();
        assert!(channel.accept_ownership(again, heir));
        // It had seen the first of the offers stand, and goes on only now.
        assert!(!channel.enter(nonce, late));
        // As if the heir had been stopped before the word followed.
        channel.set_owner(giver);
        channel.complete(again, giver);
        assert_eq!(channel.owner(), Some(heir));
    }
}
