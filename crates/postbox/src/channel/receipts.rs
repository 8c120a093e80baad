//! Receipts: the table of cells, one per synchronous send under way.
//!
//! What a cell is, and why one compare-and-swap decides an offer, stands in [`postbox_ring::receipt`].

use super::ControlBlock;
use super::envelope::CellRef;
use super::members::Seat;
use postbox_ring::receipt::{Cell, Settled, Standing};
use postbox_ring::turn::Meeting;

impl ControlBlock {
    /// Claims a cell for an offer of `seat`; none while all are in use.
    pub(crate) fn open_cell(&self, seat: Seat) -> Option<CellRef> {
        let count = self.cells.len();
        (0..count).map(|i| (usize::from(seat.index) + i) % count).find_map(|index| {
            let generation = self.cells[index].words().open(seat.index)?;
            Some(CellRef { index: index as u16, generation })
        })
    }

    /// How many cells have an offer, or are about to.
    pub(crate) fn offers_under_way(&self) -> u64 {
        self.cells.iter().filter(|cell| cell.words().is_in_use()).count() as u64
    }

    /// An index from an envelope may name no cell.
    pub(super) fn cell(&self, offer: CellRef) -> Option<Cell<'_>> {
        self.cells.get(usize::from(offer.index)).map(|cell| cell.words())
    }

    /// Remembers the epoch of the offer's ticket, for a repair that has to free the cell.
    pub(crate) fn date_cell(&self, offer: CellRef, epoch: u16) {
        if let Some(cell) = self.cell(offer) {
            cell.date(epoch);
        }
    }

    /// The popper's side, when it is engaged by another sender: sends the offer back.
    pub(crate) fn decline_offer(&self, offer: CellRef) -> Settled {
        self.cell(offer).map_or(Settled::Corpse, |cell| cell.decline(offer.generation))
    }

    /// Frees the cell of a committed offer that will not be taken.
    pub(crate) fn free_committed(&self, offer: CellRef) -> bool {
        self.cell(offer).is_some_and(|cell| cell.free_committed(offer.generation))
    }

    /// The sender's side: how the offer stands.
    pub(crate) fn standing(&self, offer: CellRef) -> Standing {
        self.cell(offer).map_or(Standing::Void, |cell| cell.standing(offer.generation))
    }

    /// The sender's side: takes the offer back; false if somebody settled it first.
    pub(crate) fn withdraw_offer(&self, offer: CellRef) -> bool {
        self.cell(offer).is_some_and(|cell| cell.withdraw(offer.generation))
    }

    /// The sender's side: a receiver is engaged, so the offer stays although the sender leaves.
    pub(crate) fn commit_offer(&self, offer: CellRef) -> bool {
        self.cell(offer).is_some_and(|cell| cell.commit(offer.generation))
    }

    /// The sender's side: the offer is over.
    pub(crate) fn close_cell(&self, offer: CellRef) {
        if let Some(cell) = self.cell(offer) {
            cell.close();
        }
    }

    /// The sender's side: says that it sleeps, before it looks a last time.
    pub(crate) fn sleep_for_receipt(&self, offer: CellRef) {
        if let Some(cell) = self.cell(offer) {
            cell.sleep();
        }
    }

    /// Withdraws and frees the cells of a dead sender, and lets go of the receivers that it had engaged. Committed
    /// offers stay: they are takers'.
    pub(crate) fn bury_offers(&self, dead: u16) {
        self.cells.iter().for_each(|cell| cell.words().bury(dead));
        self.disengage_all();
    }

    /// The epoch of an offer's ticket, if it has one.
    pub(crate) fn offer_epoch(&self, offer: CellRef) -> Option<u16> {
        self.cell(offer)?.dated()
    }

    /// Every entry of that epoch has been popped: offers that are still open are declared lost. True
    /// if there were any.
    pub(crate) fn lose_offers(&self, drained: u16) -> bool {
        self.cells.iter().fold(false, |any, cell| any | cell.words().lose(drained))
    }

    /// Frees the committed cells whose entries died with the receivers that had popped them, and lets go of those
    /// that were counted on to take them.
    pub(crate) fn free_lost_cells(&self, drained: u16) {
        self.cells.iter().for_each(|cell| cell.words().free_lost(drained));
        self.disengage_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::ControlBlock;

    use postbox_ring::receipt::Taker;
    use postbox_ring::turn::Claim;

    const SENDER: Seat = Seat { index: 3, generation: 1 };
    const TAKER: Taker = Taker { index: 7, pid: 4711 };

    #[test]
    fn an_offer_is_either_taken_or_withdrawn() {
        let block = ControlBlock::on_heap();
        let offer = block.open_cell(SENDER).unwrap();
        assert_eq!(block.claim(None, offer, TAKER), Claim::Taken { wake: false });
        assert!(!block.withdraw_offer(offer));
        assert_eq!(block.standing(offer), Standing::Taken(TAKER));
        block.close_cell(offer);

        let offer = block.open_cell(SENDER).unwrap();
        assert!(block.withdraw_offer(offer));
        assert_eq!(block.claim(None, offer, TAKER), Claim::Corpse);
    }

    #[test]
    fn an_old_reference_settles_nothing_of_the_next_offer() {
        let block = ControlBlock::on_heap();
        let old = block.open_cell(SENDER).unwrap();
        assert!(block.withdraw_offer(old));
        block.close_cell(old);
        let new = block.open_cell(SENDER).unwrap();
        assert_eq!(old.index, new.index);
        assert_eq!(block.claim(None, old, TAKER), Claim::Corpse);
        assert_eq!(block.standing(new), Standing::Open);
    }

    #[test]
    fn a_committed_offer_outlives_its_sender_and_is_freed_by_its_taker() {
        let block = ControlBlock::on_heap();
        let offer = block.open_cell(SENDER).unwrap();
        assert!(block.commit_offer(offer));
        block.bury_offers(SENDER.index);
        assert!(block.is_committed(offer));
        assert_eq!(block.claim(None, offer, TAKER), Claim::Taken { wake: false });
        let next = block.open_cell(SENDER).unwrap();
        assert_eq!((next.index, next.generation), (offer.index, offer.generation + 1));
    }

    #[test]
    fn a_dead_senders_offers_are_withdrawn_and_their_cells_come_back() {
        let block = ControlBlock::on_heap();
        let offers: Vec<_> = std::iter::from_fn(|| block.open_cell(SENDER)).collect();
        assert_eq!(offers.len(), crate::channel::layout::CELLS);
        block.bury_offers(SENDER.index);
        assert_eq!(block.claim(None, offers[0], TAKER), Claim::Corpse);
        assert_eq!(std::iter::from_fn(|| block.open_cell(SENDER)).count(), offers.len());
    }
}
