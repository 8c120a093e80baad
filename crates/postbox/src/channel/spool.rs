//! Shared memory behind the kernel object: bodies larger than an entry, and what overflows.
//!
//! ```text
//!  bodies    runs of units, found by position      claimed ► written ► entry pushed ► captured ► freed
//!  overflow  runs of units, first in first out     [length (8)][entry …]
//! ```
//!
//! Both are circles of [`postbox_ring::log`] that go back to their start when they can, so the same
//! few pages serve again and again. A chunk is backed by `fallocate` before anything is written to
//! it, so that a machine out of memory answers with an error rather than with SIGBUS, and what a
//! burst had needed is given back when the circle goes round.

use super::layout::{KEEP, KEEP_WARM, Layout};
use crate::error::Fault;
use postbox_ring::log::{Head, Log, LogLayout, Run, RunState};
use postbox_ring::region::Region;
use postbox_ring::{ClaimError, Corrupt};
use postbox_steps::{Step, at};
use postbox_sys::{Errno, memfd};
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};

/// Why nothing could be stored.
#[derive(Debug)]
pub(crate) enum NoSpace {
    /// What waits takes up the byte cap.
    Now,
    /// The message alone is beyond the byte cap: at most so many bytes fit.
    Ever(usize),
    Fault(Fault),
}

fn corrupt(_: Corrupt) -> Fault {
    Fault::Corrupt("the words of the shared memory make no sense")
}

fn outside<E>(_: E) -> Fault {
    Fault::Corrupt("a message lies outside the shared memory")
}

/// A log, and the memory behind it.
struct Store {
    log: Log,
    unit: usize,
    /// Chunks that are kept when a burst is over.
    keep: u32,
}

impl Store {
    fn new(region: &Region, layout: &LogLayout, keep: u32) -> Result<Self, Fault> {
        let log = Log::new(region, *layout)
            .map_err(|_| Fault::Corrupt("the shared memory does not fit its layout"))?;
        Ok(Store { log, unit: layout.unit, keep })
    }

    /// Claims room for `len` bytes, backed by memory.
    fn claim(&self, memory: &OwnedFd, member: u16, len: usize) -> Result<Run, NoSpace> {
        let units = len.div_ceil(self.unit).max(1);
        let longest = self.log.longest_run() as usize;
        if units > longest {
            return Err(NoSpace::Ever(longest * self.unit));
        }
        let run = self
            .log
            .claim(units as u32, member, |jumped| self.give_back(memory, jumped))
            .map_err(|error| match error {
                ClaimError::Full => NoSpace::Now,
                ClaimError::Corrupt => NoSpace::Fault(corrupt(Corrupt)),
            })?;
        for chunk in self.log.chunks_missing(self.log.unit_range(&run)) {
            let range = self.log.chunk_range(chunk);
            if let Err(errno) = memfd::allocate(memory.as_fd(), as_u64(range)) {
                self.log.release(run);
                let call = "fallocate of the channel's memory";
                return Err(NoSpace::Fault(Fault::System { call, errno }));
            }
            at(Step::ChunkAllocated);
            self.log.mark_allocated(chunk);
            at(Step::ChunkMarked);
        }
        Ok(run)
    }

    /// Punches what lies beyond the few chunks that are worth keeping.
    fn give_back(&self, memory: &OwnedFd, jumped: Range<u32>) {
        for chunk in self.log.chunks_held(jumped).filter(|chunk| *chunk >= self.keep) {
            self.log.mark_returned(chunk);
            at(Step::ChunkUnmarked);
            match memfd::punch(memory.as_fd(), as_u64(self.log.chunk_range(chunk))) {
                Ok(()) | Err(Errno::EINTR) => at(Step::ChunkPunched),
                // Kept, then: memory that is not given back is no error.
                Err(_) => self.log.mark_allocated(chunk),
            }
        }
    }

    /// The run there, if it is one that waits to be taken.
    fn waiting(&self, position: u64) -> Option<Run> {
        self.log
            .run(position)
            .filter(|run| matches!(run.state(), RunState::Full(_) | RunState::Writing(_)))
    }

    fn settle(&self, dead: u16) {
        // What makes no sense is reported by whoever next uses it.
        let _ = self.log.settle(dead, dead, |_| {});
    }

    /// Units of runs that are not free; those that are may not be room yet.
    #[cfg(feature = "armed-steps")]
    fn units_in_use(&self) -> u64 {
        let mut units = 0;
        let _ = self.log.visit(|run| units += u64::from(run.units()));
        units
    }
}

fn as_u64(range: Range<usize>) -> Range<u64> {
    range.start as u64..range.end as u64
}

/// Bodies of messages larger than an entry: in the warm log while that has room, else in the other.
pub(crate) struct Bodies {
    warm: Option<Store>,
    large: Store,
}

/// Says of a position that it is one in the warm log; no log comes that far.
pub(super) const WARM: u64 = 1 << 63;

/// A body: its sender's, or its receiver's. As with a run, to hold one proves nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body {
    run: Run,
    log: u64,
}

impl Body {
    pub(crate) fn position(&self) -> u64 {
        self.run.position() | self.log
    }
}

impl Bodies {
    pub(crate) fn new(region: &Region, layout: &Layout) -> Result<Self, Fault> {
        let warm = layout.warm_bodies.as_ref();
        Ok(Bodies {
            warm: warm.map(|warm| Store::new(region, warm, KEEP_WARM)).transpose()?,
            large: Store::new(region, &layout.bodies, KEEP)?,
        })
    }

    /// The log that a position is in, and where there. Whatever the position says, it is one.
    fn place(&self, position: u64) -> (&Store, u64) {
        match &self.warm {
            Some(warm) if position & WARM != 0 => (warm, position & !WARM),
            _ => (&self.large, position),
        }
    }

    /// Claims room for a body; it is `member`'s until it is published.
    pub(super) fn claim(&self, memory: &OwnedFd, member: u16, len: usize) -> Result<Body, NoSpace> {
        if let Some(Ok(run)) = self.warm.as_ref().map(|warm| warm.claim(memory, member, len)) {
            return Ok(Body { run, log: WARM });
        }
        Ok(Body { run: self.large.claim(memory, member, len)?, log: 0 })
    }

    fn log_of(&self, body: &Body) -> &Log {
        &self.place(body.log).0.log
    }

    /// Where its room lies in the region.
    pub(super) fn range(&self, body: &Body) -> Range<usize> {
        self.log_of(body).data_range(&body.run)
    }

    /// Writes a body; it is `member`'s until it is published.
    pub(crate) fn store(
        &self,
        region: &Region,
        memory: &OwnedFd,
        member: u16,
        bytes: &[u8],
    ) -> Result<Body, NoSpace> {
        let body = self.claim(memory, member, bytes.len())?;
        match region.write(self.range(&body).start, bytes) {
            Ok(()) => {
                at(Step::BodyWritten);
                Ok(body)
            }
            Err(error) => Err(NoSpace::Fault(outside(error))),
        }
    }

    /// Its entry is in the queue: from now on it is nobody's until somebody takes it. The label is
    /// the epoch of its ticket, so that a repair finds what no entry refers to any more.
    pub(crate) fn publish(&self, body: Body, label: u8) {
        // None if a receiver has it already.
        let _ = self.log_of(&body).publish(body.run, label.into());
    }

    /// Its entry did not go in, or it has been read.
    pub(crate) fn abandon(&self, body: Body) {
        self.log_of(&body).release(body.run);
    }

    /// The body there, which is `member`'s alone until it gives it back; none if it is gone, its
    /// sender having died.
    pub(super) fn capture(
        &self,
        position: u64,
        len: u32,
        member: u16,
    ) -> Result<Option<Body>, Fault> {
        let (store, at) = self.place(position);
        // Its sender may publish it in between: look twice.
        let captured = (0..3).find_map(|_| store.log.capture(store.waiting(at)?, member));
        let Some(run) = captured else { return Ok(None) };
        let body = Body { run, log: position & WARM };
        if len as usize <= self.range(&body).len() {
            return Ok(Some(body));
        }
        self.abandon(body);
        Err(Fault::Corrupt("a body is longer than its room"))
    }

    /// Copies a body out and frees it; false if it is gone, its sender having died.
    pub(crate) fn take(
        &self,
        region: &Region,
        position: u64,
        len: u32,
        member: u16,
        into: &mut Vec<u8>,
    ) -> Result<bool, Fault> {
        let Some(body) = self.capture(position, len, member)? else { return Ok(false) };
        let copied = region.read_append(self.range(&body).start, len as usize, into);
        at(Step::BodyCopied);
        self.abandon(body);
        copied.map(|()| true).map_err(outside)
    }

    /// Frees a body that nobody will take: its offer was withdrawn, or its taker died.
    pub(crate) fn discard(&self, position: u64) {
        let (store, position) = self.place(position);
        if let Some(run) = store.waiting(position) {
            store.log.release(run);
        }
    }

    /// Frees the bodies of an epoch whose entries have all been popped.
    pub(crate) fn discard_labelled(&self, epoch: u8) {
        for store in self.stores() {
            let _ = store.log.reclaim_labelled(epoch.into());
        }
    }

    fn stores(&self) -> impl Iterator<Item = &Store> {
        self.warm.iter().chain([&self.large])
    }

    pub(crate) fn settle(&self, dead: u16) {
        self.stores().for_each(|store| store.settle(dead));
    }

    #[cfg(feature = "armed-steps")]
    pub(crate) fn units_in_use(&self) -> u64 {
        self.stores().map(Store::units_in_use).sum()
    }
}

/// Entries that the kernel object, or the ring of an unbounded channel, had no room for.
pub(crate) struct Overflow(Store);

/// An entry that was taken and not yet freed.
pub(crate) struct Entry(Run);

/// No entry is longer: larger bodies lie elsewhere.
pub(super) const LONGEST_ENTRY: usize = 1 << 16;
/// Bytes before each entry: its length.
const PREFIX: usize = 8;

impl Overflow {
    pub(crate) fn new(region: &Region, layout: &LogLayout) -> Result<Self, Fault> {
        Store::new(region, layout, KEEP).map(Overflow)
    }

    pub(crate) fn push(
        &self,
        region: &Region,
        memory: &OwnedFd,
        member: u16,
        entry: &[u8],
    ) -> Result<(), NoSpace> {
        let run = self.0.claim(memory, member, PREFIX + entry.len())?;
        let start = self.0.log.data_range(&run).start;
        region
            .write(start, &(entry.len() as u64).to_le_bytes())
            .and_then(|()| region.write(start + PREFIX, entry))
            .map_err(|error| NoSpace::Fault(outside(error)))?;
        at(Step::OverflowWritten);
        let _ = self.0.log.publish(run, 0);
        Ok(())
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.log.is_empty_queue()
    }

    /// Entries that wait: a walk over all of them.
    pub(crate) fn len(&self) -> u64 {
        let mut waiting = 0;
        let _ = self.0.log.visit(|run| {
            waiting += u64::from(matches!(run.state(), RunState::Full(_)));
        });
        waiting
    }

    #[cfg(feature = "armed-steps")]
    pub(crate) fn units_in_use(&self) -> u64 {
        self.0.units_in_use()
    }

    /// The entry at the head, if it is complete.
    pub(crate) fn first(&self) -> Result<Option<Run>, Fault> {
        match self.0.log.first().map_err(corrupt)? {
            Head::Entry(run) => Ok(Some(run)),
            Head::Empty | Head::Busy { .. } => Ok(None),
        }
    }

    /// Whatever was claimed before this was asked lies before it.
    pub(crate) fn claimed_to(&self) -> u64 {
        self.0.log.claimed_to()
    }

    /// Whether the entry at the head is complete.
    pub(crate) fn is_ready(&self) -> bool {
        matches!(self.first(), Ok(Some(_)))
    }

    /// Takes that entry, if it is still the head.
    pub(crate) fn take_if(&self, head: Run, member: u16) -> Option<Entry> {
        self.0.log.take_if(head, member).map(Entry)
    }

    /// Room that reading the entry takes.
    pub(crate) fn len_of(&self, entry: &Entry) -> usize {
        self.0.log.data_range(&entry.0).len() - PREFIX
    }

    /// Copies the entry to the front of `into`; its length.
    pub(crate) fn read(
        &self,
        region: &Region,
        entry: &Entry,
        into: &mut [u8],
    ) -> Result<usize, Fault> {
        let start = self.0.log.data_range(&entry.0).start;
        let mut prefix = [0; PREFIX];
        region.read(start, &mut prefix).map_err(outside)?;
        let len = u64::from_le_bytes(prefix);
        if len > self.len_of(entry) as u64 || len > into.len() as u64 {
            return Err(Fault::Corrupt("an overflow entry is longer than its room"));
        }
        region.read(start + PREFIX, &mut into[..len as usize]).map_err(outside)?;
        Ok(len as usize)
    }

    pub(crate) fn release(&self, entry: Entry) {
        self.0.log.release(entry.0);
    }

    /// Shows each entry that the dead was reading before it is freed.
    pub(crate) fn settle(&self, region: &Region, dead: u16, mut on_taken: impl FnMut(&[u8])) {
        // What makes no sense is reported by whoever next uses it.
        let _ = self.0.log.settle(dead, dead, |run| {
            let entry = Entry(*run);
            let mut bytes = vec![0; self.len_of(&entry).min(LONGEST_ENTRY)];
            if let Ok(len) = self.read(region, &entry, &mut bytes) {
                on_taken(&bytes[..len]);
            }
        });
    }
}
