//! Whether a receiver waits for a rendezvous, and which sender counts on it.
//!
//! ```text
//!  turn   0 ────────► waiting ────────► engaged by an offer
//!         ▲  waiting   │  │    try_send    │
//!         │  call      │  └────────────────┘
//!         └────────────┴─── leaves; an engaged receiver only with its message
//! ```
//!
//! A sender that may not wait pushes its offer, engages a receiver that waits, and only then commits. Whoever
//! pops an offer while engaged by another sends it back to its sender, who offers it again. Two engaged
//! receivers that pop each other's offers swap.

use crate::receipt::{Cell, CellRef, Settled, Taker};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Release, SeqCst};
use crate::sync::fence;
use postbox_steps::{Step, at};

/// How often a turn word may change under a receiver that looks at it.
const CHANGES: usize = 1 << 10;

const NONE: u64 = 0;
const WAITING: u64 = 1;
const ENGAGED: u64 = 1 << 63;

fn engaged_by(offer: CellRef) -> u64 {
    ENGAGED | offer.to_word()
}

fn engager(turn: u64) -> Option<CellRef> {
    (turn & ENGAGED != 0).then(|| CellRef::from_word(turn & !ENGAGED))
}

/// One receiver's word, wherever it lies.
#[derive(Clone, Copy)]
pub struct Turn<'m>(pub &'m AtomicU64);

impl Turn<'_> {
    fn load(self) -> u64 {
        // Pairs with the compare-and-swaps of `change`.
        self.0.load(Acquire)
    }

    fn change(self, from: u64, to: u64) -> bool {
        // Pairs with itself and the load in `load`.
        self.0.compare_exchange(from, to, AcqRel, Acquire).is_ok()
    }

    /// A waiting call begins.
    pub fn begin(self) {
        self.0.store(WAITING, Release);
        at(Step::TurnBegun);
    }

    /// It is over.
    pub fn end(self) {
        self.0.store(NONE, Release);
        at(Step::TurnOver);
    }

    /// What was popped was nothing to take: the receiver waits on.
    pub fn resume(self) {
        self.change(NONE, WAITING);
        at(Step::TurnResumed);
    }

    /// Whether the receiver is inside a waiting call.
    pub fn is_begun(self) -> bool {
        self.load() != NONE
    }

    /// Whether it waits and no sender counts on it.
    pub fn is_waiting(self) -> bool {
        self.load() == WAITING
    }

    /// Binds it to an offer, if it waits and nobody else has.
    pub fn engage(self, offer: CellRef) -> bool {
        self.change(WAITING, engaged_by(offer))
    }
}

/// What a receiver makes of an offer that it has popped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It has the message.
    Taken {
        /// Whether its sender sleeps for the receipt.
        wake: bool,
    },
    /// The offer goes back to its sender: another one counts on this receiver.
    SentBack {
        /// Whether its sender sleeps for the receipt.
        wake: bool,
    },
    /// The offer was over.
    Corpse,
}

/// The receivers that may meet senders, and the cells of the offers.
pub trait Meeting {
    /// All cells.
    fn cells(&self) -> impl Iterator<Item = Cell<'_>>;

    /// The cell of an offer; a reference read from memory may name none.
    fn cell(&self, offer: CellRef) -> Option<Cell<'_>>;

    /// The turns of all members.
    fn turns(&self) -> impl Iterator<Item = Turn<'_>>;

    /// Whether the entry is of a try_send that has engaged a receiver.
    fn is_committed(&self, offer: CellRef) -> bool {
        self.cell(offer).is_some_and(|cell| cell.is_committed(offer.generation))
    }

    /// Whether a receiver may still be bound to it.
    fn binds(&self, offer: CellRef) -> bool {
        self.cell(offer).is_some_and(|cell| cell.is_pending(offer.generation))
    }

    /// Whether a receiver may take that offer; if so it no longer waits.
    fn may_take(&self, turn: Turn<'_>, offer: CellRef) -> bool {
        // Others engage, swap and disengage meanwhile: bounded, should memory lie.
        for _ in 0..CHANGES {
            let now = turn.load();
            if let Some(mine) = engager(now)
                && mine != offer
                && self.binds(mine)
            {
                if !self.is_committed(offer) {
                    return false;
                }
                // First of all nobody else can count on this receiver, nor take it for one that waits.
                if turn.change(now, NONE) {
                    at(Step::TurnUsed);
                    // Somebody else is engaged by this one: let it have mine.
                    self.hand_over(mine, offer);
                    return true;
                }
                continue;
            }
            if now == NONE || turn.change(now, NONE) {
                at(Step::TurnUsed);
                return true;
            }
        }
        true
    }

    /// Decides, for the receiver that has popped it, what becomes of an offer. Without a turn, where the two sides
    /// do not meet, nobody counts on the receiver.
    fn claim(&self, turn: Option<Turn<'_>>, offer: CellRef, taker: Taker) -> Claim {
        let Some(cell) = self.cell(offer) else { return Claim::Corpse };
        // Twice at most, unless memory lies.
        for _ in 0..CHANGES {
            if turn.is_none_or(|turn| self.may_take(turn, offer)) {
                break;
            }
            match cell.decline(offer.generation) {
                Settled::Taken { wake } => return Claim::SentBack { wake },
                // Its sender has left since it was asked, sure that whoever pops it takes it.
                Settled::Corpse if cell.is_committed(offer.generation) => {}
                Settled::Corpse => return Claim::Corpse,
            }
        }
        match cell.take(offer.generation, taker) {
            Settled::Taken { wake } => Claim::Taken { wake },
            Settled::Corpse => Claim::Corpse,
        }
    }

    /// Whether a receiver may leave without a message: not if a sender has counted on it. An offer that has
    /// engaged it and is not committed yet is for `decline` to send back. Where anything is `offered`, it may be an
    /// orphan, and then one that waits takes what there is before it leaves.
    fn may_leave(&self, turn: Turn<'_>, offered: bool, decline: impl FnOnce(CellRef)) -> bool {
        let now = turn.load();
        if let Some(offer) = engager(now) {
            decline(offer);
            if self.is_committed(offer) {
                return false;
            }
        }
        if offered && now != NONE && self.has_orphans() {
            return false;
        }
        // Changed meanwhile: look again.
        now == NONE || turn.change(now, NONE)
    }

    /// Whether there are messages whose senders have left, and that nobody is bound to: who was has died, or took
    /// another while whoever was bound to that was on the way from one to the next.
    fn has_orphans(&self) -> bool {
        let mut committed = self.cells().zip(0..).filter_map(|(cell, index)| {
            cell.committed().map(|generation| CellRef { index, generation })
        });
        committed.any(|offer| !self.turns().any(|turn| turn.load() == engaged_by(offer)))
    }

    /// The offer is over: whoever was engaged by it and did not get it waits on.
    fn disengage(&self, offer: CellRef) {
        // After the offer ended; pairs with the one in `hand_over`.
        fence(SeqCst);
        self.turns().for_each(|turn| {
            turn.change(engaged_by(offer), WAITING);
        });
        at(Step::TurnDisengaged);
    }

    /// The same of all offers that are over, whoever died or stands still that has to say so. Whether anybody was bound
    /// to one.
    fn disengage_all(&self) -> bool {
        // After the offers ended; pairs with the one in `hand_over`.
        fence(SeqCst);
        let any = self.turns().fold(false, |any, turn| {
            let now = turn.load();
            let over = engager(now).is_some_and(|offer| !self.binds(offer));
            any | (over && turn.change(now, WAITING))
        });
        at(Step::TurnDisengaged);
        any
    }

    /// Who is engaged by the offer that is taken is now by mine. If nobody is, mine is an orphan.
    fn hand_over(&self, mine: CellRef, taken: CellRef) {
        let bound = self.turns().any(|turn| turn.change(engaged_by(taken), engaged_by(mine)));
        // Before a look at how mine stands; pairs with the one in `disengage`.
        fence(SeqCst);
        at(Step::TurnSwapped);
        // It may have ended meanwhile, and whoever ended it have looked before somebody was bound to it.
        if bound && !self.binds(mine) {
            self.disengage(mine);
        }
    }
}
