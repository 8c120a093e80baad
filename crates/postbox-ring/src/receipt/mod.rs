//! Receipts: one compare-and-swap decides whether a synchronous send was taken or withdrawn.
//!
//! ```text
//!            open                  take (popper)
//!  free ───────────────► open ───────────────────────► taken ──► free   (by the sender)
//!                          │ withdraw (sender)
//!                          ├───────────────────────► withdrawn ──► free
//!                          │ decline (popper engaged elsewhere)
//!                          ├───────────────────────► declined ──► offered again
//!                          │ lose (repair: its entry died with the receiver that had popped it)
//!                          ├───────────────────────► lost ──► offered again
//!                          │ commit (try_send that engaged a receiver)
//!                          └───────────────────────► committed ──► free (by the taker)
//! ```
//!
//! An envelope names a cell and its generation. A cell that has moved on makes the entry a
//! corpse: whoever pops it drops it.
//!
//! The owner's word has the generation of the offer that it is for, so that a cell whose word says
//! free *in that generation* is nobody's any more, wherever the one died that was about to let go of
//! it: whoever needs a cell takes the owner off, and never that of the next offer.

mod word;

pub use word::{State, Taker};

use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use postbox_steps::{Step, at};
use word::{GENERATION_MASK, Owner, Word};

/// The date of a cell whose offer has no ticket yet.
const UNDATED: u64 = u64::MAX;

/// The words of one cell, wherever they lie.
#[derive(Clone, Copy)]
pub struct Cell<'m> {
    /// state (3 bits) · generation (27) · taker's member index (12) · taker's pid (22).
    pub word: &'m AtomicU64,
    /// generation (27 bits) · the member whose offer it is, plus one (16); 0 while free. Claims the
    /// cell.
    pub owner: &'m AtomicU64,
    /// 1 while the owner sleeps for the receipt.
    pub asleep: &'m AtomicU64,
    /// Epoch of the offer's ticket, so that a repair can tell what a death left; `UNDATED` before
    /// it has one.
    pub epoch: &'m AtomicU64,
}

/// The reference of an offer to its cell: what an envelope carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellRef {
    /// Which cell.
    pub index: u16,
    /// Which of its offers; 27 bits.
    pub generation: u32,
}

impl CellRef {
    /// index (16 bits) · generation (32).
    pub fn to_word(self) -> u64 {
        u64::from(self.index) << 32 | u64::from(self.generation)
    }

    /// The reference that a word holds, whatever it is.
    pub fn from_word(word: u64) -> Self {
        CellRef { index: (word >> 32) as u16, generation: word as u32 }
    }
}

/// What a popped offer turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is the popper's.
    Taken {
        /// Whether its sender sleeps for the receipt.
        wake: bool,
    },
    /// It had been withdrawn.
    Corpse,
}

/// How an offer stands, to its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has decided.
    Open,
    /// A receiver has it.
    Taken(Taker),
    /// The receiver that popped it was engaged elsewhere: it is to be offered again.
    Declined,
    /// The receiver that popped it died before it took it: it is to be offered again.
    Lost,
    /// Not this offer's cell any more.
    Void,
}

/// The owner's side.
impl Cell<'_> {
    /// Claims the cell for an offer of that member, if it is free; the offer's generation.
    pub fn open(self, member: u16) -> Option<u32> {
        let generation = self.claim(member)?;
        at(Step::CellClaimed);
        self.asleep.store(0, Relaxed);
        // Before the word: a repair that finds it open must not see an older date.
        self.epoch.store(UNDATED, Relaxed);
        // Published to the taker by the push that follows.
        self.word.store(Word::new(State::Open, generation, Taker::default()).0, Release);
        at(Step::CellOpened);
        Some(generation)
    }

    /// Takes the cell for an offer; its generation.
    fn claim(self, member: u16) -> Option<u32> {
        let (owner, word) = (self.owner(), self.load());
        if owner != Owner::NONE {
            if !self.is_left(owner) {
                return None;
            }
            self.let_go(owner);
        }
        let generation = word.generation().wrapping_add(1) & GENERATION_MASK;
        let mine = Owner::new(generation, member);
        self.owner.compare_exchange(Owner::NONE.0, mine.0, AcqRel, Relaxed).ok()?;
        if self.load() == word {
            return Some(generation);
        }
        // Somebody had it in between: then this is no generation to go on with.
        self.let_go(mine);
        None
    }

    /// Remembers the epoch of the offer's ticket, for a repair that has to free the cell.
    pub fn date(self, epoch: u16) {
        self.epoch.store(epoch.into(), Relaxed);
    }

    /// How the offer stands.
    pub fn standing(self, generation: u32) -> Standing {
        // SeqCst: the last look of a sender that has said that it sleeps; pairs with `settle`.
        let word = Word(self.word.load(SeqCst));
        match word.state() {
            _ if word.generation() != generation => Standing::Void,
            State::Open => Standing::Open,
            State::Taken => Standing::Taken(word.taker()),
            State::Declined => Standing::Declined,
            State::Lost => Standing::Lost,
            _ => Standing::Void,
        }
    }

    /// Takes the offer back; false if somebody settled it first.
    pub fn withdraw(self, generation: u32) -> bool {
        let withdrawn = self.settle(generation, State::Withdrawn, Taker::default());
        at(Step::OfferWithdrawn);
        withdrawn
    }

    /// A receiver is engaged, so the offer stays although its sender leaves.
    pub fn commit(self, generation: u32) -> bool {
        let committed = self.settle(generation, State::Committed, Taker::default());
        at(Step::OfferCommitted);
        committed
    }

    /// The offer is over.
    pub fn close(self) {
        let generation = self.load().generation();
        self.asleep.store(0, Relaxed);
        self.word.store(Word::new(State::Free, generation, Taker::default()).0, Release);
        at(Step::CellClosed);
        self.free(generation);
        at(Step::CellFreed);
    }

    /// Says that its owner sleeps, before it looks a last time.
    pub fn sleep(self) {
        // SeqCst: pairs with the load in `is_awaited`.
        self.asleep.store(1, SeqCst);
        at(Step::ReceiptAwaited);
    }
}

/// The popper's side.
impl Cell<'_> {
    /// Decides whether the popper may show the message to its application.
    pub fn take(self, generation: u32, taker: Taker) -> Settled {
        if self.settle(generation, State::Taken, taker) {
            at(Step::OfferTaken);
            return Settled::Taken { wake: self.is_awaited() };
        }
        // A committed offer's sender has long returned: nobody waits.
        if self.end_committed(generation, Step::CommittedOfferTaken, Step::CommittedCellFreed) {
            Settled::Taken { wake: false }
        } else {
            Settled::Corpse
        }
    }

    /// Sends the offer back: its popper is engaged by another sender.
    pub fn decline(self, generation: u32) -> Settled {
        if self.settle(generation, State::Declined, Taker::default()) {
            at(Step::OfferDeclined);
            Settled::Taken { wake: self.is_awaited() }
        } else {
            Settled::Corpse
        }
    }

    /// Whether the entry is of a try_send that has engaged a receiver.
    pub fn is_committed(self, generation: u32) -> bool {
        self.load() == Word::new(State::Committed, generation, Taker::default())
    }

    /// The offer that is committed, if one is.
    pub fn committed(self) -> Option<u32> {
        let word = self.load();
        (word.state() == State::Committed).then_some(word.generation())
    }

    /// Whether the offer is not over: nobody has decided, or its sender has left. By one look, since a sender may leave
    /// between two.
    pub fn is_pending(self, generation: u32) -> bool {
        let word = self.load();
        let pending = matches!(word.state(), State::Open | State::Committed);
        pending && word.generation() == generation
    }

    /// Frees the cell of a committed offer that nobody will take: its sender has left, and its popper died.
    /// False if the offer is no such one.
    pub fn free_committed(self, generation: u32) -> bool {
        self.end_committed(generation, Step::CellClosed, Step::CellFreed)
    }

    fn end_committed(self, generation: u32, closed: Step, cell_freed: Step) -> bool {
        let committed = Word::new(State::Committed, generation, Taker::default());
        let free = Word::new(State::Free, generation, Taker::default());
        let freed = self.word.compare_exchange(committed.0, free.0, AcqRel, Acquire).is_ok();
        if freed {
            at(closed);
            // Should the sender die now, its reaper does the same, and a new offer may be in the cell.
            self.free(generation);
            at(cell_freed);
        }
        freed
    }

    fn is_awaited(self) -> bool {
        // SeqCst, after the settling: pairs with the store in `sleep`.
        self.asleep.load(SeqCst) != 0
    }
}

/// After a death.
impl Cell<'_> {
    /// Withdraws and frees the cell if it is of that dead sender. A committed one stays: it is the
    /// taker's.
    pub fn bury(self, dead: u16) {
        // The word first: if its taker frees the cell meanwhile and somebody else's offer comes into it,
        // either the owner is another or the compare-and-swaps fail.
        let word = self.load();
        let owner = self.owner();
        if !owner.is(dead) {
            return;
        }
        if word.state() == State::Open {
            self.settle(word.generation(), State::Withdrawn, Taker::default());
            at(Step::DeadOfferWithdrawn);
        }
        if self.load().state() != State::Committed {
            // Only from the dead: its taker may have freed it, and a new offer be in it.
            self.let_go(owner);
            at(Step::DeadCellFreed);
        }
    }

    /// The epoch of the offer's ticket, if it has one.
    pub fn dated(self) -> Option<u16> {
        u16::try_from(self.epoch.load(Acquire)).ok()
    }

    /// Every entry of that epoch has been popped: an offer of it that is still open died with its
    /// popper. A popper that lives and is about to settle is too late, and drops its entry.
    pub fn lose(self, drained: u16) -> bool {
        self.of(drained).is_some_and(|word| {
            word.state() == State::Open
                && self.settle(word.generation(), State::Lost, Taker::default())
        })
    }

    /// Frees the cell if it is committed and its entry died with the receiver that had popped it.
    pub fn free_lost(self, drained: u16) {
        if let Some(word) = self.of(drained).filter(|word| word.state() == State::Committed) {
            self.end_committed(word.generation(), Step::LostCellClosed, Step::LostCellFreed);
        }
    }

    /// Whether there is an offer, or is about to be.
    pub fn is_in_use(self) -> bool {
        let owner = self.owner();
        owner != Owner::NONE && !self.is_left(owner)
    }

    /// Its word, if the cell is in use by an offer of that epoch.
    fn of(self, drained: u16) -> Option<Word> {
        if self.owner() == Owner::NONE {
            return None;
        }
        // The word first: the compare-and-swap on it then proves that the date was its own.
        let word = self.load();
        (self.epoch.load(Acquire) == u64::from(drained)).then_some(word)
    }
}

impl Cell<'_> {
    fn load(self) -> Word {
        // Pairs with the settling compare-and-swap of the other side.
        Word(self.word.load(Acquire))
    }

    fn owner(self) -> Owner {
        // Pairs with the exchanges in `claim` and `let_go`.
        Owner(self.owner.load(Acquire))
    }

    /// Whether its offer is over, and only the owner was not taken off.
    fn is_left(self, owner: Owner) -> bool {
        let word = self.load();
        word.state() == State::Free && word.generation() == owner.generation()
    }

    /// Takes that owner off, unless somebody has: it lets the next offer in.
    fn let_go(self, owner: Owner) {
        let _ = self.owner.compare_exchange(owner.0, Owner::NONE.0, AcqRel, Relaxed);
    }

    /// Frees a cell whose word has been made to say so.
    fn free(self, generation: u32) {
        let owner = self.owner();
        if owner.generation() == generation {
            self.let_go(owner);
        }
    }

    /// Moves an open cell of that generation to `state`.
    fn settle(self, generation: u32, state: State, taker: Taker) -> bool {
        let open = Word::new(State::Open, generation, Taker::default());
        let to = Word::new(state, generation, taker);
        // SeqCst: the taker looks at `asleep` after it; pairs with `sleep` and `standing`.
        self.word.compare_exchange(open.0, to.0, SeqCst, Acquire).is_ok()
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
