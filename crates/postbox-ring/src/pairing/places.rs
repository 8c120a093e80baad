//! Who the two are: whoever sends first and whoever receives first, each until it leaves or has died.

use super::{PAIRED, PHASE, Pairing};
use crate::corrupt::{Corrupt, ROUNDS};
use crate::slots::PairMemory;
use crate::spsc::{SpscReceiver, SpscSender};
use crate::sync::Ordering::{AcqRel, Acquire, Release};
use postbox_steps::{Step, at};

/// No member's number.
const NOBODY: u16 = u16::MAX;

/// Which of the two places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The sender's.
    Sending,
    /// The receiver's.
    Receiving,
}

/// The two: members' numbers, which the word of the phase has beside it.
#[derive(Clone, Copy)]
pub(super) struct Two {
    pub sender: u16,
    pub receiver: u16,
}

impl Two {
    pub const NOBODY: Two = Two { sender: NOBODY, receiver: NOBODY };

    pub const fn from_phase(word: u64) -> Two {
        Two { sender: (word >> 16) as u16, receiver: (word >> 32) as u16 }
    }

    pub const fn with_phase(self, phase: u64) -> u64 {
        phase | (self.sender as u64) << 16 | (self.receiver as u64) << 32
    }

    fn at(self, side: Side) -> u16 {
        match side {
            Side::Sending => self.sender,
            Side::Receiving => self.receiver,
        }
    }

    fn with(self, side: Side, member: u16) -> Two {
        match side {
            Side::Sending => Two { sender: member, ..self },
            Side::Receiving => Two { receiver: member, ..self },
        }
    }

    /// The place that is `member`'s.
    fn place_of(self, member: u16) -> Option<Side> {
        [Side::Sending, Side::Receiving].into_iter().find(|side| self.at(*side) == member)
    }
}

impl<M: PairMemory> Pairing<M> {
    /// Takes that place for `member`, unless it has it; false where it is another's, or the ring is one for
    /// many. Whoever has it may make its end of [`two`](Pairing::two).
    pub fn enter(&self, side: Side, member: u16) -> bool {
        for _ in 0..ROUNDS {
            let Some((word, two)) = self.paired() else { break };
            let holder = two.at(side);
            if holder != NOBODY {
                return holder == member;
            }
            if self.change(word, two.with(side, member)) {
                at(Step::PairEntered);
                return true;
            }
        }
        false
    }

    /// Whose that place is, if it is anybody's.
    pub fn holder(&self, side: Side) -> Option<u16> {
        self.paired().map(|(_, two)| two.at(side)).filter(|holder| *holder != NOBODY)
    }

    /// Gives the place of `member` up if it has one, for itself or because it is dead: whoever comes next takes
    /// it and goes on there. True if the ring is a pair's and nothing in it is that member's; false where
    /// it is one for many, or is becoming one, and what was handed over to the member is to be settled there.
    ///
    /// What was announced and not written is as if it had never been. What was taken and not given back is the next
    /// receiver's: nobody was shown it.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    pub fn leave(&self, member: u16) -> Result<bool, Corrupt> {
        for _ in 0..ROUNDS {
            let Some((word, two)) = self.paired() else { break };
            let Some(side) = two.place_of(member) else { return Ok(true) };
            match self.withdraw(side) {
                Err(corrupt) if self.is_paired() => return Err(corrupt),
                // It was widened meanwhile, or the other place has changed hands.
                Err(_) => {}
                Ok(()) if self.change(word, two.with(side, NOBODY)) => {
                    at(Step::PairLeft);
                    return Ok(true);
                }
                Ok(()) => {}
            }
        }
        Ok(false)
    }

    /// Takes back what is announced at that place and was not done. Where the ring is being widened, whoever sets the
    /// positions that all begin with sees the one or the other, and either is right; and before a slot's word is another,
    /// they are set.
    fn withdraw(&self, side: Side) -> Result<(), Corrupt> {
        let (announced, done) = match side {
            Side::Sending => {
                let sender = SpscSender::attach(self.two.clone())?;
                (self.two.memory().sending(), sender.position())
            }
            Side::Receiving => {
                let receiver = SpscReceiver::attach(self.two.clone())?;
                (self.two.memory().taking(), receiver.position())
            }
        };
        // Release: as the announcements. Whoever widens the ring from now on sees it, since the phase is
        // exchanged after it; whoever began before may have seen what was announced, and hands that over.
        announced.store(done.raw(), Release);
        Ok(())
    }

    /// The word of the phase, and the two, as long as there are two.
    fn paired(&self) -> Option<(u64, Two)> {
        // Acquire: pairs with the Release in `change`.
        let word = self.many.memory().phase().load(Acquire);
        (word & PHASE == PAIRED).then(|| (word, Two::from_phase(word)))
    }

    /// Whether from now on the two are these.
    fn change(&self, word: u64, two: Two) -> bool {
        // Release: what whoever leaves has done. Acquire: whoever enters goes on from there.
        let next = two.with_phase(PAIRED);
        self.many.memory().phase().compare_exchange(word, next, AcqRel, Acquire).is_ok()
    }
}
