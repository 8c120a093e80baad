//! A ring for many, for as long as only two use it.
//!
//! Whoever shares its end of a ring with nobody needs no read-modify-write instruction: see [`spsc`](crate::spsc).
//! So a ring begins with that protocol, for whoever is the first to send and whoever is the first to receive, and
//! becomes one for many when another end sends or receives while they are there. It never goes back.
//!
//! ```text
//!            another sends, or receives     every slot is handed over
//!   paired ────────────────────────────► widening ────────────────────► wide
//!
//!   paired    at most two, by the protocol of spsc and positions of their own: an end first announces
//!             what it is about to write or read, then looks whether they are still a pair
//!   widening  nobody begins anything; whoever comes helps to hand the slots over
//!   wide      everybody, by the protocol of slots
//! ```
//!
//! **Nobody is waited for.** One of the two may stand still in the middle of a message while its ring is widened.
//! What it announced says which slot that is, and a slot's word can say whose it is: a slot that it may be writing
//! becomes its claim (`WRITING`), one that it may be reading its taken entry (`READING`), as if it had been one of
//! many all along. A claim is published by the same store in both protocols, so a sender that goes on notices
//! nothing. A receiver looks once more when it has read, and gives the slot back as one of many. Whoever had
//! announced something and then found that the pair is no more asks the word whether the slot was given to it.
//!
//! **The two places** belong to those who use the ring, not to all that could: an end that never sends takes none.
//! Whoever leaves gives its place up, and whoever buries one of the two does it for the dead: a message that was not
//! published does not exist, and one that was not given back is the next receiver's. So a ring that one
//! sender after the other uses stays a pair's.
//!
//! **The announcement and the look** are a store and a load, and so are the start of the widening and the look at
//! what is announced. Both sides have a barrier in between: see [`fences`](crate::fences), which can spare the two theirs.
//!
//! **Everybody helps, and to the same end.** The tail and the head that the ring begins with are what was announced,
//! and by whoever is first to set them for all. From these each slot's new word follows, and its old one is of a
//! lap that never comes back: a helper that stood still meanwhile changes nothing. (The one choice, whether what was
//! taken last is still being read, is made by whose exchange of that word comes first, and either is right.)
//!
//! The idea is that of a lock which is reserved for one thread until another wants it (Kawachiya, Koseki and
//! Onodera, "Lock Reservation", 2002).

mod places;
mod widen;

pub use places::Side;

use crate::corrupt::Corrupt;
use crate::slots::{Claim, ClaimError, PairMemory, Position, SlotWord, Slots, Taken};
use crate::spsc::{SpscReceiver, SpscSender};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed, Release, SeqCst};
use crate::sync::fence;
use places::Two;
use postbox_steps::{Step, at};

const PHASE: u64 = 3;
/// Of fresh memory, too.
const WIDE: u64 = 0;
const PAIRED: u64 = 1;
const WIDENING: u64 = 2;

/// What the tail and the head of many hold until they are set: no position, since a lap so late never comes.
const UNSET: u64 = u64::MAX;

/// A ring that may be used by a pair.
pub struct Pairing<M> {
    many: Slots<M>,
    two: Slots<M>,
}

/// [`Pairing`] of a ring in a region.
#[cfg(not(loom))]
pub type RingPairing = Pairing<crate::slots::MappedSlots>;

/// What stands between an announcement and a look, on either side.
pub trait Barriers {
    /// One of the two, which [`for_all`](Barriers::for_all) may spare the processor's part.
    fn own(&self);
    /// Whoever widens the ring: its own, and that of those who are spared theirs.
    fn for_all(&self);
}

/// Everybody has a barrier of its own, and nobody is spared one.
#[derive(Clone, Copy, Debug)]
pub struct Fenced;

impl Barriers for Fenced {
    #[inline(always)]
    fn own(&self) {
        // Pairs with the other side's.
        fence(SeqCst);
    }

    fn for_all(&self) {
        fence(SeqCst);
    }
}

/// A slot that one of the two has: by which protocol it is given back.
#[derive(Debug)]
#[must_use = "a slot is lost to the ring until it is published or released"]
pub enum Held<S> {
    /// They are a pair, or were when it was claimed or taken.
    OfTwo(S),
    /// It was handed over as one of many.
    OfMany(S),
}

impl<S> Held<S> {
    /// The slot.
    #[inline(always)]
    pub fn slot(&self) -> &S {
        match self {
            Held::OfTwo(slot) | Held::OfMany(slot) => slot,
        }
    }
}

/// What the receiver of the two has found.
#[derive(Debug)]
pub enum Found {
    /// An entry.
    Entry(Held<Taken>),
    /// Nothing waits.
    Empty,
    /// They are a pair no more: to be looked for among many.
    Wide,
}

impl<M: PairMemory> Pairing<M> {
    /// Of `ring`, which is wide unless it [began](Pairing::begin) as a pair's.
    pub fn over(ring: &Slots<M>) -> Pairing<M> {
        Pairing { two: Slots::over(ring.memory().for_two()), many: ring.clone() }
    }

    /// Makes a fresh ring, which nobody uses yet, one for a pair: whoever [enters](Pairing::enter) it.
    pub fn begin(&self) {
        for position in [self.many.memory().tail(), self.many.memory().head()] {
            position.store(UNSET, Relaxed);
        }
        // Release: the positions are unset before it.
        self.many.memory().phase().store(Two::NOBODY.with_phase(PAIRED), Release);
    }

    /// The ring as the two see it, for [`SpscSender`] and [`SpscReceiver`].
    #[inline]
    pub fn two(&self) -> &Slots<M> {
        &self.two
    }

    /// Whether the two are alone: what their ring says is only true if they still are afterwards.
    #[inline]
    pub fn is_paired(&self) -> bool {
        // Acquire: whoever finds it wide sees what was handed over.
        self.many.memory().phase().load(Acquire) & PHASE == PAIRED
    }

    /// Whether the ring is one for many, and nothing is left to be handed over.
    #[inline]
    pub fn is_wide(&self) -> bool {
        self.many.memory().phase().load(Acquire) & PHASE == WIDE
    }

    /// The next slot, for the sender of the two, whose number is `member`; none where the ring has become one for many.
    ///
    /// # Errors
    /// As [`Slots::claim`].
    #[inline(always)]
    pub fn claim(
        &self,
        sender: &SpscSender<M>,
        member: u16,
        barriers: &impl Barriers,
    ) -> Result<Option<Held<Claim>>, ClaimError> {
        if self.is_paired() {
            match sender.claim() {
                Ok(claim) if self.writes(&claim, barriers) => {
                    return Ok(Some(Held::OfTwo(claim)));
                }
                Ok(_) => {}
                Err(error) if self.is_paired() => return Err(error),
                Err(_) => {}
            }
        }
        self.claim_handed_over(sender.position(), member, barriers)
    }

    /// Publishes what was claimed.
    #[inline(always)]
    pub fn publish(&self, sender: &SpscSender<M>, held: Held<Claim>) {
        match held {
            Held::OfTwo(claim) => sender.publish(claim),
            Held::OfMany(claim) => self.many.publish(claim),
        }
    }

    /// As [`SpscSender::touch_ahead`], to be called after each publishing of what was claimed by the protocol of two.
    /// What is touched is announced like what is written, and the announcement is withdrawn.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    #[inline(always)]
    pub fn touch_ahead(
        &self,
        sender: &SpscSender<M>,
        member: u16,
        barriers: &impl Barriers,
    ) -> Result<(), Corrupt> {
        if sender.is_to_touch() { self.touch_next(sender, member, barriers) } else { Ok(()) }
    }

    #[inline(never)]
    fn touch_next(
        &self,
        sender: &SpscSender<M>,
        member: u16,
        barriers: &impl Barriers,
    ) -> Result<(), Corrupt> {
        let sending = self.two.memory().sending();
        let next = sender.position();
        let end = sender.within_touch().last().map_or(next, |last| self.two.after(last));
        if self.announces(sending, end, barriers) {
            sender.touch_next();
            if self.announces(sending, next, barriers) {
                return Ok(());
            }
        }
        self.give_up_touched(sender, member, barriers)
    }

    /// What was handed over of the slots to be touched is not needed.
    #[cold]
    fn give_up_touched(
        &self,
        sender: &SpscSender<M>,
        member: u16,
        barriers: &impl Barriers,
    ) -> Result<(), Corrupt> {
        self.widen(barriers)?;
        for position in sender.within_touch() {
            if self.holds(position, SlotWord::writing(position.lap(), member))? {
                self.many.abandon(self.many.claimed(position));
            }
        }
        Ok(())
    }

    /// The next entry, for the receiver of the two, whose number is `member`.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    #[inline(always)]
    pub fn take(
        &self,
        receiver: &SpscReceiver<M>,
        member: u16,
        barriers: &impl Barriers,
    ) -> Result<Found, Corrupt> {
        if self.is_paired() {
            match receiver.take() {
                Ok(Some(taken)) if self.begins(&taken, barriers) => {
                    return Ok(Found::Entry(Held::OfTwo(taken)));
                }
                Ok(Some(_)) => {}
                Ok(None) if self.is_paired() => return Ok(Found::Empty),
                Err(corrupt) if self.is_paired() => return Err(corrupt),
                Ok(None) | Err(_) => {}
            }
        }
        let handed_over = self.taken_handed_over(receiver.position(), member, barriers)?;
        Ok(handed_over.map_or(Found::Wide, |taken| Found::Entry(Held::OfMany(taken))))
    }

    /// Before the receiver of the two reads what it has found: whether that is its own. If not, the ring
    /// is about to become one for many, and [`take`](Pairing::take) says whether it is.
    #[inline(always)]
    pub fn begins(&self, taken: &Taken, barriers: &impl Barriers) -> bool {
        self.announces(self.two.memory().taking(), self.two.after(taken.position()), barriers)
    }

    /// The same of its sender, and what it has claimed.
    #[inline(always)]
    fn writes(&self, claim: &Claim, barriers: &impl Barriers) -> bool {
        self.announces(self.two.memory().sending(), self.two.after(claim.position()), barriers)
    }

    /// Gives back what was taken.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    #[inline(always)]
    pub fn release(
        &self,
        receiver: &SpscReceiver<M>,
        member: u16,
        held: Held<Taken>,
        barriers: &impl Barriers,
    ) -> Result<(), Corrupt> {
        let taken = match held {
            Held::OfTwo(taken) => taken,
            Held::OfMany(taken) => {
                self.many.release(taken);
                return Ok(());
            }
        };
        let position = taken.position();
        receiver.release(taken);
        barriers.own();
        if !self.is_paired()
            && let Some(taken) = self.taken_handed_over(position, member, barriers)?
        {
            self.many.release(taken);
        }
        Ok(())
    }

    /// Announces that what lies before `end` is about to be written or read, unless that is done; whether it may be.
    #[inline(always)]
    fn announces(&self, word: &AtomicU64, end: Position, barriers: &impl Barriers) -> bool {
        // Release: pairs with the Acquire in `set`; what was written or read before it is done.
        word.store(end.raw(), Release);
        barriers.own();
        at(Step::PairAnnounced);
        self.is_paired()
    }

    /// The slot at `position` among many, if it was handed over to `member`, its sender.
    #[cold]
    fn claim_handed_over(
        &self,
        position: Position,
        member: u16,
        barriers: &impl Barriers,
    ) -> Result<Option<Held<Claim>>, ClaimError> {
        self.widen(barriers)?;
        let ours = self.holds(position, SlotWord::writing(position.lap(), member))?;
        Ok(ours.then(|| Held::OfMany(self.many.claimed(position))))
    }

    /// The slot at `position` among many, if it was handed over to `member`, its receiver.
    #[cold]
    fn taken_handed_over(
        &self,
        position: Position,
        member: u16,
        barriers: &impl Barriers,
    ) -> Result<Option<Taken>, Corrupt> {
        self.widen(barriers)?;
        let ours = self.holds(position, SlotWord::reading(position.lap(), member))?;
        Ok(ours.then(|| self.many.taken(position)))
    }

    fn holds(&self, position: Position, word: SlotWord) -> Result<bool, Corrupt> {
        // Relaxed: the ring was seen to be wide, and only the member itself changes such a word.
        Ok(self.many.word(position)?.load(Relaxed) == word.raw())
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
