//! Runs of variable length in a circle: claimed in order, freed in any order, room back in order.
//!
//! One form, two uses. As a *heap* it holds the bodies of large messages, each found by its
//! position. As a *queue* it holds the messages that overflow the kernel object, taken from the head.
//!
//! ```text
//!   positions count units and only grow; lap = position / U, index = position % U
//!
//!   free ──────────────► head ───────────────► tail            tail - free ≤ U
//!   │ freed or being     │ to be taken         │ room
//!   │ read               │ (queues only)       ▼
//!   ▼                    ▼
//!   FREE(L+1) READING…   FULL  FULL  WRITING…  FREE(≤L)        one word per run, at its first unit
//!
//!              claim            publish                capture, take            release
//!   FREE(≤L) ───────► WRITING(m) ─────► FULL(label) ───────────────► READING(m) ───────► FREE(L+1)
//!                        └──────── release, or m died ──┴──────────────┴── settled ─────────┘
//! ```
//!
//! A freed word keeps its length, so anyone can move `free` over it. Words inside a run are out of
//! date, but always FREE: their own runs ended before `free` passed them. That is why a word that
//! reads FREE at the tail is claimable whatever its lap, except FREE(L+1) with a length: claimed and
//! freed in this very lap, before the tail was moved on.
//!
//! **Jumps.** A run does not wrap. Where it does not fit before the end of the circle, or where the
//! circle has been used beyond [`soft`](LogLayout::soft) and it may [restart](Restart), the claimer
//! takes the rest of the circle as a run of its own, lets a hook give its pages back, and frees it.

mod chunks;
mod claim;
mod layout;
mod memory;
mod queue;
mod release;
mod settle;
mod word;

use crate::{
    corrupt::Corrupt,
    sync::{AtomicU64, Ordering},
};

pub use layout::{LogLayout, Restart, UNITS_PER_CHUNK};
pub use memory::LogMemory;
#[cfg(not(loom))]
pub use memory::MappedLog;
pub use queue::Head;
pub(crate) use word::RunWord;
pub use word::{MAX_MEMBER, RunState};

/// A log in a region.
#[cfg(not(loom))]
pub type Log = Runs<MappedLog>;

/// The log over any memory; [`Log`] is the one over a region.
pub struct Runs<M> {
    memory: M,
    /// log2 of the number of units.
    lap_shift: u32,
    /// Where somebody of this process has seen `free`, or 0: it only grows, so what had room then has room.
    seen_free: AtomicU64,
}

/// Consecutive units of the log, as their word was when somebody looked.
///
/// To hold one proves nothing: every operation that changes a run compares its word with this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    position: u64,
    word: RunWord,
}

impl Run {
    /// Where it begins, in units since the log was made. With this it is found again:
    /// [`Runs::run`].
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Length in units, at least one; inside the circle.
    pub fn units(&self) -> u32 {
        self.word.units()
    }

    /// What it was in the middle of.
    pub fn state(&self) -> RunState {
        self.word.state()
    }

    fn with(self, word: RunWord) -> Run {
        Run { word, ..self }
    }
}

impl<M: LogMemory> Runs<M> {
    /// The log in `memory`, whose words may be all zero (empty) or in use. `None` where the number
    /// of units is no power of two from 1 to 2^22.
    pub fn over(memory: M) -> Option<Runs<M>> {
        let units = memory.units();
        let fits = units.is_power_of_two() && units <= 1 << 22;
        let lap_shift = units.trailing_zeros();
        fits.then(|| Runs { memory, lap_shift, seen_free: AtomicU64::new(0) })
    }

    /// How many units the circle has.
    pub fn units(&self) -> u32 {
        1 << self.lap_shift
    }

    /// The longest run that can be claimed, in units: all but one.
    pub fn longest_run(&self) -> u32 {
        (self.units() - 1).max(1)
    }

    /// How many units are claimed and not yet room again: a snapshot. What was given back out of turn may count until
    /// the next run is given back, or room is wanted.
    pub fn units_in_use(&self) -> u64 {
        let free = self.load(self.memory.free());
        self.load(self.memory.tail()).wrapping_sub(free).min(u64::from(self.units()))
    }

    /// The run at `position`, which may come from a hostile peer: `None` unless a run that is
    /// neither freed nor out of bounds begins there now.
    pub fn run(&self, position: u64) -> Option<Run> {
        let free = self.load(self.memory.free());
        // The word has only part of the lap: the rest is told by where the log stands. What is in use lies
        // within a circle of `free`. Where nobody has claimed yet, no word is of that lap.
        let within = position.wrapping_sub(free) < u64::from(self.units());
        within.then(|| self.live_run(position)).flatten()
    }

    /// The run at `position` if its word is of that lap and in use.
    fn live_run(&self, position: u64) -> Option<Run> {
        let word = self.word_at(position);
        (word.is_of(self.lap(position)) && self.inside(position, word))
            .then_some(Run { position, word })
    }

    fn lap(&self, position: u64) -> u64 {
        position >> self.lap_shift
    }

    fn index(&self, position: u64) -> u32 {
        (position & u64::from(self.units() - 1)) as u32
    }

    /// The position where the next lap begins.
    fn next_lap(&self, position: u64) -> u64 {
        (self.lap(position) + 1) << self.lap_shift
    }

    /// Whether a word's length is possible at `position`: not none, and not beyond the circle.
    fn inside(&self, position: u64, word: RunWord) -> bool {
        word.units() != 0 && word.units() <= self.units() - self.index(position)
    }

    /// The word at `position`, whose index is below the number of units by masking.
    fn cell(&self, position: u64) -> &AtomicU64 {
        self.memory.word(self.index(position))
    }

    fn word_at(&self, position: u64) -> RunWord {
        // Acquire: pairs with the Release stores and exchanges of words.
        RunWord::from_raw(self.cell(position).load(Ordering::Acquire))
    }

    fn load(&self, counter: &AtomicU64) -> u64 {
        // Acquire: pairs with the Release in `advance`. Hostile positions near the end of u64
        // would overflow; laps never come there.
        counter.load(Ordering::Acquire) & (u64::MAX >> 1)
    }

    /// Moves `counter` (tail, head or free) on; fails where others have.
    fn advance(&self, counter: &AtomicU64, from: u64, to: u64) -> bool {
        // Release: pairs with the Acquire in `load`: whoever reads the new position also sees the
        // words that let it move, and (for free) that the runs before it are read no more.
        // Acquire: so does whoever moves it on from here.
        counter.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// An error unless `counter` has moved on from `position`, which then explains an odd word.
    fn moved(&self, counter: &AtomicU64, position: u64) -> Result<(), Corrupt> {
        match self.load(counter) == position {
            true => Err(Corrupt),
            false => Ok(()),
        }
    }

    /// Changes the word of `run` from what it was to `to`.
    fn change(&self, run: Run, to: RunWord) -> Option<Run> {
        let changed = self.cell(run.position).compare_exchange(
            run.word.raw(),
            to.raw(),
            // Acquire: pairs with the Release in `publish`: the data is there. Release: pairs with
            // the Acquire in `word_at`: what was read or written in the run is over.
            Ordering::AcqRel,
            Ordering::Relaxed,
        );
        changed.is_ok().then(|| run.with(to))
    }
}

#[cfg(not(loom))]
impl Log {
    /// The log that lies in `region` as `layout` says. All-zero memory is an empty log.
    ///
    /// # Errors
    /// [`LayoutError`](crate::LayoutError) where the layout makes no sense or the region is too short.
    pub fn new(region: &crate::Region, layout: LogLayout) -> Result<Log, crate::LayoutError> {
        let memory = MappedLog::new(region, layout)?;
        Runs::over(memory).ok_or(crate::LayoutError::Invalid("units must be a power of two"))
    }

    /// Where the data of `run` lies, in bytes from the start of the region.
    pub fn data_range(&self, run: &Run) -> core::ops::Range<usize> {
        self.memory.bytes_of(self.index(run.position), run.units())
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
