//! A slot's word and a position in the ring, each one u64 with the lap on top.
//!
//! ```text
//!  position   lap 40 | index 24
//!  word       lap 40 | state 8 | member 16
//! ```
//!
//! Laps are compared for equality and wrap: at one lap every 50 ns (a ring of one slot) that takes
//! 15 hours, during which one process would have to stand still between two instructions.

use core::fmt;

const LAP_SHIFT: u32 = 24;
const INDEX_MASK: u64 = (1 << LAP_SHIFT) - 1;
const STATE_SHIFT: u32 = 16;

/// A position in the ring: a slot in a lap. It comes from a claim, and survives as a plain u64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position(u64);

impl Position {
    /// From what [`raw`](Position::raw) gave, or from hostile memory: checked where it is used.
    #[inline]
    pub const fn from_raw(raw: u64) -> Position {
        Position(raw)
    }

    /// As a plain number; not consecutive where the number of slots is no power of two.
    #[inline]
    pub const fn raw(self) -> u64 {
        self.0
    }

    /// How often the ring was gone round before, modulo 2^40.
    #[inline]
    pub(crate) const fn lap(self) -> u64 {
        self.0 >> LAP_SHIFT
    }

    /// The slot; not below the number of slots where the position came from hostile memory.
    #[inline]
    pub const fn index(self) -> u32 {
        (self.0 & INDEX_MASK) as u32
    }

    #[inline]
    pub(crate) const fn at(lap: u64, index: u32) -> Position {
        Position(lap << LAP_SHIFT | index as u64 & INDEX_MASK)
    }

    /// The position after this one in a ring of `slots`; the lap wraps by falling off the top.
    #[inline]
    pub(crate) const fn next(self, slots: u32) -> Position {
        if self.index() + 1 >= slots {
            Position::at(self.lap().wrapping_add(1), 0)
        } else {
            Position(self.0 + 1)
        }
    }

    /// The position so many after this one in a ring of `slots`, which are as many at least.
    #[inline]
    pub(crate) const fn advanced(self, by: u32, slots: u32) -> Position {
        let index = self.index() as u64 + by as u64;
        match index.checked_sub(slots as u64) {
            Some(index) => Position::at(self.lap().wrapping_add(1), index as u32),
            None => Position::at(self.lap(), index as u32),
        }
    }

    /// The position before this one in a ring of `slots`.
    #[inline]
    pub(crate) const fn previous(self, slots: u32) -> Position {
        if self.index() == 0 {
            Position::at(self.lap().wrapping_sub(1), slots.wrapping_sub(1))
        } else {
            Position(self.0 - 1)
        }
    }

    /// Entries from `earlier` to here. Laps wrap, so the nearer way round counts.
    #[inline]
    pub(crate) const fn distance_from(self, earlier: Position, slots: u32) -> i64 {
        let laps = (self.lap().wrapping_sub(earlier.lap()) << LAP_SHIFT) as i64 >> LAP_SHIFT;
        let indices = self.index() as i64 - earlier.index() as i64;
        laps.wrapping_mul(slots as i64).wrapping_add(indices)
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.lap(), self.index())
    }
}

/// What a slot is in the middle of, in its word's lap. See the diagram of the module above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SlotState {
    Free,
    Writing,
    Full,
    Reading,
    Skip,
}

/// The value of a slot's word, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SlotWord(u64);

impl SlotWord {
    #[inline]
    pub(crate) const fn from_raw(raw: u64) -> SlotWord {
        SlotWord(raw)
    }

    #[inline]
    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    #[inline]
    const fn new(lap: u64, state: SlotState, member: u16) -> SlotWord {
        SlotWord(lap << LAP_SHIFT | (state as u64) << STATE_SHIFT | member as u64)
    }

    #[inline]
    pub(crate) const fn free(lap: u64) -> SlotWord {
        SlotWord::new(lap, SlotState::Free, 0)
    }

    #[inline]
    pub(crate) const fn writing(lap: u64, member: u16) -> SlotWord {
        SlotWord::new(lap, SlotState::Writing, member)
    }

    #[inline]
    pub(crate) const fn full(lap: u64) -> SlotWord {
        SlotWord::new(lap, SlotState::Full, 0)
    }

    #[inline]
    pub(crate) const fn reading(lap: u64, member: u16) -> SlotWord {
        SlotWord::new(lap, SlotState::Reading, member)
    }

    #[inline]
    pub(crate) const fn skip(lap: u64) -> SlotWord {
        SlotWord::new(lap, SlotState::Skip, 0)
    }

    #[inline]
    pub(crate) const fn lap(self) -> u64 {
        self.0 >> LAP_SHIFT
    }

    #[inline]
    pub(crate) const fn member(self) -> u16 {
        self.0 as u16
    }

    /// None where the bits name no state: a hostile write.
    #[inline]
    pub(crate) const fn state(self) -> Option<SlotState> {
        match (self.0 >> STATE_SHIFT) as u8 {
            0 => Some(SlotState::Free),
            1 => Some(SlotState::Writing),
            2 => Some(SlotState::Full),
            3 => Some(SlotState::Reading),
            4 => Some(SlotState::Skip),
            _ => None,
        }
    }

    /// The slot as someone sees it who stands at `position`.
    #[inline]
    pub(crate) const fn seen_from(self, position: Position) -> Seen {
        let ahead = self.lap().wrapping_sub(position.lap()) << LAP_SHIFT;
        const ONE: u64 = 1 << LAP_SHIFT;
        const MINUS_ONE: u64 = (u64::MAX >> LAP_SHIFT) << LAP_SHIFT;
        match (ahead, self.state()) {
            (0, Some(state)) => Seen::Now(state),
            (ONE, Some(_)) => Seen::Done,
            (MINUS_ONE, Some(SlotState::Full | SlotState::Writing | SlotState::Reading)) => {
                Seen::Occupied
            }
            (MINUS_ONE, Some(SlotState::Skip)) => Seen::Occupied,
            _ => Seen::Foreign,
        }
    }
}

/// What a slot's word says about one position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// It is that position's turn, in this state.
    Now(SlotState),
    /// The position has been claimed, taken and released.
    Done,
    /// The entry of the lap before still holds the slot.
    Occupied,
    /// Neither: the position is out of date, or the word was scribbled on.
    Foreign,
}
