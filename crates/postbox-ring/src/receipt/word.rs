//! The words of a cell: state, generation and taker in one, so that one compare-and-swap decides.

/// What became of an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Free = 0,
    /// Nobody has decided.
    Open = 1,
    /// A receiver has it.
    Taken = 2,
    /// Its sender has it back.
    Withdrawn = 3,
    /// A receiver that was engaged elsewhere sent it back.
    Declined = 4,
    /// Its sender has left, sure that a receiver will take it.
    Committed = 5,
    /// Its entry died with the receiver that had popped it.
    Lost = 6,
}

/// Who took an offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Taker {
    /// Its place among the members; 12 bits.
    pub index: u16,
    /// Its process; 22 bits.
    pub pid: u32,
}

pub(super) const GENERATION_MASK: u32 = (1 << 27) - 1;
const PID_MASK: u64 = (1 << 22) - 1;

/// state (3 bits) · generation (27) · taker's index (12) · taker's pid (22).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub u64);

impl Word {
    pub fn new(state: State, generation: u32, taker: Taker) -> Self {
        Word(
            (state as u64) << 61
                | u64::from(generation & GENERATION_MASK) << 34
                | u64::from(taker.index & 0xfff) << 22
                | u64::from(taker.pid) & PID_MASK,
        )
    }

    pub fn state(self) -> State {
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

    pub fn generation(self) -> u32 {
        (self.0 >> 34) as u32 & GENERATION_MASK
    }

    pub fn taker(self) -> Taker {
        Taker { index: (self.0 >> 22 & 0xfff) as u16, pid: (self.0 & PID_MASK) as u32 }
    }
}

/// The cell's owner: generation of its offer (27 bits) · index of the member plus one (16); 0 for none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner(pub u64);

impl Owner {
    pub const NONE: Owner = Owner(0);

    pub fn new(generation: u32, member: u16) -> Self {
        Owner(u64::from(generation & GENERATION_MASK) << 16 | (u64::from(member) + 1))
    }

    pub fn generation(self) -> u32 {
        (self.0 >> 16) as u32 & GENERATION_MASK
    }

    pub fn is(self, member: u16) -> bool {
        self.0 & 0xffff == u64::from(member) + 1
    }
}
