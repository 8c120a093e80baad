//! A run's word.
//!
//! ```text
//!   lap 26 | state 3 | spare 1 | member or label 12 | units 22
//! ```
//!
//! All zero: FREE, lap 0, no length: never used.

const UNITS_BITS: u32 = 22;
const MEMBER_SHIFT: u32 = UNITS_BITS;
const STATE_SHIFT: u32 = MEMBER_SHIFT + 12 + 1;
const LAP_SHIFT: u32 = STATE_SHIFT + 3;

const UNITS_MASK: u64 = (1 << UNITS_BITS) - 1;
const LAP_MASK: u64 = u64::MAX >> LAP_SHIFT;

const FREE: u64 = 0;
const WRITING: u64 = 1;
const FULL: u64 = 2;
const READING: u64 = 3;
const JUMP: u64 = 4;

/// The greatest number a member or label of a log can have.
pub const MAX_MEMBER: u16 = (1 << 12) - 1;

/// What a run is in the middle of. Members and labels go up to [`MAX_MEMBER`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// This member writes it.
    Writing(u16),
    /// Published, with this label.
    Full(u16),
    /// This member reads it.
    Reading(u16),
    /// The rest of the circle, which this member gives up.
    Jump(u16),
    /// Given back.
    Free,
}

/// The value of a run's word, read once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RunWord(u64);

impl RunWord {
    pub(crate) const fn from_raw(raw: u64) -> RunWord {
        RunWord(raw)
    }

    pub(crate) const fn raw(self) -> u64 {
        self.0
    }

    const fn new(lap: u64, state: u64, member: u16, units: u32) -> RunWord {
        let member = (member & MAX_MEMBER) as u64;
        RunWord(lap << LAP_SHIFT | state << STATE_SHIFT | member << MEMBER_SHIFT | units as u64)
    }

    /// The same run in another state.
    pub(crate) const fn into_state(self, state: RunState) -> RunWord {
        RunWord::claimed(self.0 >> LAP_SHIFT, state, self.units())
    }

    /// A run of `lap` in some state; FREE is free for the lap after it.
    pub(crate) const fn claimed(lap: u64, state: RunState, units: u32) -> RunWord {
        match state {
            RunState::Writing(member) => RunWord::new(lap, WRITING, member, units),
            RunState::Full(label) => RunWord::new(lap, FULL, label, units),
            RunState::Reading(member) => RunWord::new(lap, READING, member, units),
            RunState::Jump(member) => RunWord::new(lap, JUMP, member, units),
            RunState::Free => RunWord::new(lap + 1, FREE, 0, units),
        }
    }

    pub(crate) const fn units(self) -> u32 {
        (self.0 & UNITS_MASK) as u32
    }

    /// Unknown state bits, which only a hostile peer writes, count as FREE: such a run is found by
    /// nobody, and whoever stands on it says Corrupt for its lap.
    pub(crate) const fn state(self) -> RunState {
        let member = (self.0 >> MEMBER_SHIFT) as u16 & MAX_MEMBER;
        match self.0 >> STATE_SHIFT & 0b111 {
            WRITING => RunState::Writing(member),
            FULL => RunState::Full(member),
            READING => RunState::Reading(member),
            JUMP => RunState::Jump(member),
            _ => RunState::Free,
        }
    }

    /// Whether it is a run of `lap` in use.
    pub(crate) const fn is_of(self, lap: u64) -> bool {
        self.0 >> LAP_SHIFT == lap & LAP_MASK && !matches!(self.state(), RunState::Free)
    }

    /// Whether it is a run of `lap` that has been freed.
    pub(crate) const fn is_freed_in(self, lap: u64) -> bool {
        self.0 >> LAP_SHIFT == (lap + 1) & LAP_MASK
            && matches!(self.state(), RunState::Free)
            && self.units() != 0
    }

    /// Whether no run in use begins here.
    pub(crate) const fn is_free(self) -> bool {
        self.0 >> STATE_SHIFT & 0b111 == FREE
    }
}
