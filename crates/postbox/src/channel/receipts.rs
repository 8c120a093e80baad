//! Receipts: one compare-and-swap decides whether a synchronous send was taken or withdrawn.
//!
//! ```text
//!            offer                 settle (taker)
//!  free ───────────────► open ───────────────────────► taken ──► free   (by the sender)
//!                          │ withdraw (sender)
//!                          ├───────────────────────► withdrawn ──► free
//!                          │ decline (receiver engaged elsewhere)
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

use super::ControlBlock;
use super::control::Cell;
use super::envelope::CellRef;
use super::members::Seat;
use postbox_ring::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use postbox_steps::{Step, at};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Free = 0,
    Open = 1,
    Taken = 2,
    Withdrawn = 3,
    Declined = 4,
    Committed = 5,
    Lost = 6,
}

/// The cell's word: state (3 bits) · generation (27) · taker's index (12) · taker's pid (22).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Word(u64);

/// The date of a cell whose offer has no ticket yet.
const UNDATED: u64 = u64::MAX;
const GENERATION_MASK: u32 = (1 << 27) - 1;
const PID_MASK: u64 = (1 << 22) - 1;

impl Word {
    fn new(state: State, generation: u32, taker: Taker) -> Self {
        Word(
            (state as u64) << 61
                | u64::from(generation & GENERATION_MASK) << 34
                | u64::from(taker.index & 0xfff) << 22
                | u64::from(taker.pid) & PID_MASK,
        )
    }

    fn state(self) -> State {
        match self.0 >> 61 {
            1 => State::Open,
            2 => State::Taken,
            3 => State::Withdrawn,
            4 => State::Declined,
            5 => State::Committed,
            6 => State::Lost,
            _ => State::Free,
        }
    }

    fn generation(self) -> u32 {
        (self.0 >> 34) as u32 & GENERATION_MASK
    }

    fn taker(self) -> Taker {
        Taker { index: (self.0 >> 22 & 0xfff) as u16, pid: (self.0 & PID_MASK) as u32 }
    }
}

/// Who took an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Taker {
    pub index: u16,
    pub pid: u32,
}

/// What a popped offer turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// It is the popper's; `wake` if the sender sleeps for the receipt.
    Taken { wake: bool },
    /// It had been withdrawn.
    Corpse,
}

/// How an offer stands, to its sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Open,
    Taken(Taker),
    /// The receiver that popped it was engaged elsewhere: it is to be offered again.
    Declined,
    /// The receiver that popped it died before it took it: it is to be offered again.
    Lost,
    /// Not this offer's cell any more.
    Void,
}

/// The cell's owner: generation of its offer (27 bits) · index of the member plus one (16); 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Owner(u64);

impl Owner {
    const NONE: Owner = Owner(0);

    fn new(generation: u32, index: u16) -> Self {
        Owner(u64::from(generation & GENERATION_MASK) << 16 | (u64::from(index) + 1))
    }

    fn generation(self) -> u32 {
        (self.0 >> 16) as u32 & GENERATION_MASK
    }

    fn is(self, index: u16) -> bool {
        self.0 & 0xffff == u64::from(index) + 1
    }
}

impl Cell {
    fn word(&self) -> Word {
        // Pairs with the settling compare-and-swap of the other side.
        Word(self.word.load(Acquire))
    }

    fn owner(&self) -> Owner {
        // Pairs with the exchanges in `claim` and `let_go`.
        Owner(self.owner.load(Acquire))
    }

    /// Takes the cell for an offer; its generation.
    fn claim(&self, index: u16) -> Option<u32> {
        let (owner, word) = (self.owner(), self.word());
        if owner != Owner::NONE {
            if !self.is_left(owner) {
                return None;
            }
            self.let_go(owner);
        }
        let generation = word.generation().wrapping_add(1) & GENERATION_MASK;
        let mine = Owner::new(generation, index);
        self.owner.compare_exchange(Owner::NONE.0, mine.0, AcqRel, Relaxed).ok()?;
        if self.word() == word {
            return Some(generation);
        }
        // Somebody had it in between: then this is no generation to go on with.
        self.let_go(mine);
        None
    }

    /// Whether its offer is over, and only the owner was not taken off.
    fn is_left(&self, owner: Owner) -> bool {
        let word = self.word();
        word.state() == State::Free && word.generation() == owner.generation()
    }

    /// Whether there is an offer, or is about to be.
    #[cfg(feature = "armed-steps")]
    pub(crate) fn is_in_use(&self) -> bool {
        let owner = self.owner();
        owner != Owner::NONE && !self.is_left(owner)
    }

    /// Takes that owner off, unless somebody has: it lets the next offer in.
    fn let_go(&self, owner: Owner) {
        let _ = self.owner.compare_exchange(owner.0, Owner::NONE.0, AcqRel, Relaxed);
    }

    /// Frees a cell whose word has been made to say so.
    fn free(&self, generation: u32) {
        let owner = self.owner();
        if owner.generation() == generation {
            self.let_go(owner);
        }
    }

    /// Moves an open cell of that generation to `state`.
    fn settle(&self, generation: u32, state: State, taker: Taker) -> bool {
        let open = Word::new(State::Open, generation, Taker::default());
        let to = Word::new(state, generation, taker);
        // SeqCst: the taker looks at `asleep` after it; pairs with `sleep_for_receipt`.
        self.word.compare_exchange(open.0, to.0, SeqCst, Acquire).is_ok()
    }

    fn release(&self) {
        let generation = self.word().generation();
        self.asleep.store(0, Relaxed);
        self.word.store(Word::new(State::Free, generation, Taker::default()).0, Release);
        at(Step::CellClosed);
        self.free(generation);
        at(Step::CellFreed);
    }
}

impl ControlBlock {
    /// Claims a cell for an offer of `seat`; none while all are in use.
    pub(crate) fn open_cell(&self, seat: Seat) -> Option<CellRef> {
        let count = self.cells.len();
        (0..count).map(|i| (usize::from(seat.index) + i) % count).find_map(|index| {
            let cell = &self.cells[index];
            cell.claim(seat.index).map(|generation| {
                at(Step::CellClaimed);
                cell.asleep.store(0, Relaxed);
                // Before the word: a repair that finds it open must not see an older date.
                cell.epoch.store(UNDATED, Relaxed);
                // Published to the taker by the push that follows.
                cell.word.store(Word::new(State::Open, generation, Taker::default()).0, Release);
                at(Step::CellOpened);
                CellRef { index: index as u16, generation }
            })
        })
    }

    fn cell(&self, cell: CellRef) -> Option<&Cell> {
        self.cells.get(usize::from(cell.index))
    }

    /// Remembers the epoch of the offer's ticket, for a repair that has to free the cell.
    pub(crate) fn date_cell(&self, cell: CellRef, epoch: u16) {
        if let Some(cell) = self.cell(cell) {
            cell.epoch.store(epoch.into(), Relaxed);
        }
    }

    /// The popper's side: decides whether it may show the message to its application.
    pub(crate) fn settle_offer(&self, offer: CellRef, taker: Taker) -> Settled {
        let Some(cell) = self.cell(offer) else { return Settled::Corpse };
        if cell.settle(offer.generation, State::Taken, taker) {
            at(Step::OfferTaken);
            // SeqCst, after the settling: pairs with the store in `sleep_for_receipt`.
            return Settled::Taken { wake: cell.asleep.load(SeqCst) != 0 };
        }
        let committed = Word::new(State::Committed, offer.generation, Taker::default());
        let free = Word::new(State::Free, offer.generation, Taker::default());
        if cell.word.compare_exchange(committed.0, free.0, AcqRel, Acquire).is_ok() {
            at(Step::CommittedOfferTaken);
            // The sender has long returned: the taker frees the cell.
            cell.free(offer.generation);
            at(Step::CommittedCellFreed);
            return Settled::Taken { wake: false };
        }
        Settled::Corpse
    }

    /// The popper's side, when it is engaged by another sender: sends the offer back.
    pub(crate) fn decline_offer(&self, offer: CellRef) -> Settled {
        match self.cell(offer) {
            Some(cell) if cell.settle(offer.generation, State::Declined, Taker::default()) => {
                at(Step::OfferDeclined);
                Settled::Taken { wake: cell.asleep.load(SeqCst) != 0 }
            }
            _ => Settled::Corpse,
        }
    }

    /// Whether the entry is of a try_send that has engaged a receiver.
    pub(crate) fn is_committed(&self, offer: CellRef) -> bool {
        self.cell(offer).is_some_and(|cell| {
            cell.word() == Word::new(State::Committed, offer.generation, Taker::default())
        })
    }

    /// The sender's side: how the offer stands.
    pub(crate) fn standing(&self, offer: CellRef) -> Standing {
        let Some(cell) = self.cell(offer) else { return Standing::Void };
        let word = cell.word();
        match word.state() {
            _ if word.generation() != offer.generation => Standing::Void,
            State::Open => Standing::Open,
            State::Taken => Standing::Taken(word.taker()),
            State::Declined => Standing::Declined,
            State::Lost => Standing::Lost,
            _ => Standing::Void,
        }
    }

    /// The sender's side: takes the offer back; false if somebody settled it first.
    pub(crate) fn withdraw_offer(&self, offer: CellRef) -> bool {
        let withdrawn = self
            .cell(offer)
            .is_some_and(|cell| cell.settle(offer.generation, State::Withdrawn, Taker::default()));
        at(Step::OfferWithdrawn);
        withdrawn
    }

    /// The sender's side: a receiver is engaged, so the offer stays although the sender leaves.
    pub(crate) fn commit_offer(&self, offer: CellRef) -> bool {
        let committed = self
            .cell(offer)
            .is_some_and(|cell| cell.settle(offer.generation, State::Committed, Taker::default()));
        at(Step::OfferCommitted);
        committed
    }

    /// The sender's side: the offer is over.
    pub(crate) fn close_cell(&self, offer: CellRef) {
        if let Some(cell) = self.cell(offer) {
            cell.release();
        }
    }

    /// The sender's side: says that it sleeps (or no more), before it looks a last time.
    pub(crate) fn sleep_for_receipt(&self, offer: CellRef, asleep: bool) {
        if let Some(cell) = self.cell(offer) {
            // SeqCst: pairs with the load in `settle_offer`.
            cell.asleep.store(asleep.into(), SeqCst);
            at(Step::ReceiptAwaited);
        }
    }

    /// Withdraws and frees the cells of a dead sender. Committed ones stay: they are takers'.
    pub(crate) fn bury_offers(&self, dead: u16) {
        for cell in self.cells.iter() {
            let owner = cell.owner();
            if !owner.is(dead) {
                continue;
            }
            let word = cell.word();
            if word.state() == State::Open {
                cell.settle(word.generation(), State::Withdrawn, Taker::default());
                at(Step::DeadOfferWithdrawn);
            }
            if cell.word().state() != State::Committed {
                // Only from the dead: its taker may have freed it, and a new offer be in it.
                cell.let_go(owner);
                at(Step::DeadCellFreed);
            }
        }
    }

    /// The epoch of an offer's ticket, if it has one.
    pub(crate) fn offer_epoch(&self, offer: CellRef) -> Option<u16> {
        u16::try_from(self.cell(offer)?.epoch.load(Acquire)).ok()
    }

    /// The cells in use by offers of a drained epoch, with their words.
    fn cells_of(&self, drained: u16) -> impl Iterator<Item = (&Cell, Word)> {
        self.cells
            .iter()
            .filter(|cell| cell.owner() != Owner::NONE)
            // The word first: the compare-and-swap on it then proves that the date was its own.
            .map(|cell| (cell, cell.word()))
            .filter(move |(cell, _)| cell.epoch.load(Acquire) == u64::from(drained))
    }

    /// Every entry of that epoch has been popped: offers that are still open died with their
    /// poppers. A popper that lives and is about to settle is too late, and drops its entry.
    pub(crate) fn lose_offers(&self, drained: u16) -> bool {
        self.cells_of(drained).fold(false, |any, (cell, word)| {
            any | (word.state() == State::Open
                && cell.settle(word.generation(), State::Lost, Taker::default()))
        })
    }

    /// Frees the committed cells whose entries died with the receivers that had popped them.
    pub(crate) fn free_lost_cells(&self, drained: u16) {
        for (cell, word) in self.cells_of(drained) {
            let free = Word::new(State::Free, word.generation(), Taker::default());
            // Of any number of pumpers one frees it.
            if word.state() == State::Committed
                && cell.word.compare_exchange(word.0, free.0, AcqRel, Acquire).is_ok()
            {
                at(Step::LostCellClosed);
                cell.free(word.generation());
                at(Step::LostCellFreed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::ControlBlock;

    const SENDER: Seat = Seat { index: 3, generation: 1 };
    const TAKER: Taker = Taker { index: 7, pid: 4711 };

    #[test]
    fn an_offer_is_either_taken_or_withdrawn() {
        let block = ControlBlock::on_heap();
        let offer = block.open_cell(SENDER).unwrap();
        assert_eq!(block.settle_offer(offer, TAKER), Settled::Taken { wake: false });
        assert!(!block.withdraw_offer(offer));
        assert_eq!(block.standing(offer), Standing::Taken(TAKER));
        block.close_cell(offer);

        let offer = block.open_cell(SENDER).unwrap();
        assert!(block.withdraw_offer(offer));
        assert_eq!(block.settle_offer(offer, TAKER), Settled::Corpse);
    }

    #[test]
    fn an_old_reference_settles_nothing_of_the_next_offer() {
        let block = ControlBlock::on_heap();
        let old = block.open_cell(SENDER).unwrap();
        assert!(block.withdraw_offer(old));
        block.close_cell(old);
        let new = block.open_cell(SENDER).unwrap();
        assert_eq!(old.index, new.index);
        assert_eq!(block.settle_offer(old, TAKER), Settled::Corpse);
        assert_eq!(block.standing(new), Standing::Open);
    }

    #[test]
    fn a_committed_offer_outlives_its_sender_and_is_freed_by_its_taker() {
        let block = ControlBlock::on_heap();
        let offer = block.open_cell(SENDER).unwrap();
        assert!(block.commit_offer(offer));
        block.bury_offers(SENDER.index);
        assert!(block.is_committed(offer));
        assert_eq!(block.settle_offer(offer, TAKER), Settled::Taken { wake: false });
        let next = block.open_cell(SENDER).unwrap();
        assert_eq!((next.index, next.generation), (offer.index, offer.generation + 1));
    }

    #[test]
    fn a_dead_senders_offers_are_withdrawn_and_their_cells_come_back() {
        let block = ControlBlock::on_heap();
        let offers: Vec<_> = std::iter::from_fn(|| block.open_cell(SENDER)).collect();
        assert_eq!(offers.len(), crate::channel::layout::CELLS);
        block.bury_offers(SENDER.index);
        assert_eq!(block.settle_offer(offers[0], TAKER), Settled::Corpse);
        assert_eq!(std::iter::from_fn(|| block.open_cell(SENDER)).count(), offers.len());
    }
}
