//! Who holds which name, in the kernel and in this process.
//!
//! ```text
//!  claims   byte 0 … h  h+1 … │    a name N of kind K is the two bytes from h = hash(K, N) & EVEN
//!                  └─┬─┘      │    held: a write lock on both, or on one after a transfer
//!                  halves     │    the whole file held: the domain is being removed
//! ```
//!
//! The kernel does not show a process its own locks, and gives them all up when the process closes
//! any descriptor of the file. So a process opens each file of claims once, however many domains
//! and claims of this process use it, and writes down beside it what it holds. Both are empty in a
//! child of `fork`, whatever it inherited.

use super::address::Kind;
use super::times;
use crate::error::Fault;
use crate::name::Name;
use postbox_steps::{Step, at};
use postbox_sys::directory as sys;
use postbox_sys::locks::{self, Holder, WHOLE};
use postbox_sys::{Errno, Result as SysResult, wipe_on_fork};
use std::collections::HashMap;
use std::ops::{Deref, Range};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Ledgers by device and inode.
type Ledgers = HashMap<(u64, u64), Arc<Ledger>>;

/// The open files of claims of this process.
static OPEN: Mutex<Option<Ledgers>> = Mutex::new(None);

/// One file of claims.
pub(super) struct Ledger {
    file: OwnedFd,
    held: Mutex<Held>,
}

/// What this process holds in one file of claims.
struct Held {
    /// The fork generation that it was written down in; in another one nothing is held.
    generation: u64,
    /// The last number given to a claim.
    last: u64,
    /// By first byte, the claim that holds each half. Never without any.
    names: HashMap<u64, [Option<u64>; 2]>,
}

/// The two bytes of a name, by the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot(u64);

/// What came of trying to hold a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    /// This process holds it, under that number.
    Held(u64),
    /// That process does; 0: one of another pid namespace.
    Taken(u32),
    /// That process holds some name, and is in another time namespace; 0 as above.
    AnotherTime(u32),
    /// The domain is just being removed.
    Closing,
}

impl Slot {
    pub(super) fn of(kind: Kind, name: &Name) -> Self {
        // FNV-1a, and a last stir since its high bits are the worse ones. Part of the protocol.
        let kind = match kind {
            Kind::Process => b'p',
            Kind::Mailbox => b'm',
        };
        let bytes = std::iter::once(kind).chain(name.as_str().bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let hash = (hash ^ hash >> 32).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        // Offsets are signed, and the second byte must fit too.
        Slot((hash ^ hash >> 29) & 0x3fff_ffff_ffff_fffe)
    }

    fn both(self) -> Range<u64> {
        self.0..self.0 + 2
    }

    fn half(self, half: usize) -> Range<u64> {
        let first = self.0 + half as u64;
        first..first + 1
    }

    /// Who holds the halves, by looks at one or both of them.
    fn seen_by<E>(
        self,
        mut look: impl FnMut(Range<u64>) -> Result<Option<u32>, E>,
    ) -> Result<[Option<u32>; 2], E> {
        loop {
            let holders = [look(self.half(0))?, look(self.half(1))?];
            // A name that went to and fro between the two looks seems nobody's. Both halves at one look are
            // free only if it is. Who is named wrongly is asked, and not found, and looked for again.
            if holders != [None, None] || look(self.both())?.is_none() {
                return Ok(holders);
            }
        }
    }
}

/// A use of a ledger. The file is closed with the last one.
pub(super) struct LedgerUse(Option<Arc<Ledger>>);

impl Ledger {
    /// The ledger of the file that `located` stands for (and has not opened).
    pub(super) fn open(located: &OwnedFd) -> SysResult<LedgerUse> {
        let id = sys::status(located)?.id;
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let open = open.get_or_insert_default();
        let ledger = match open.get(&id) {
            Some(ledger) => ledger.clone(),
            None => {
                let file = sys::reopen(located)?;
                let held = Held { generation: 0, last: 0, names: HashMap::new() };
                let ledger = Arc::new(Ledger { file, held: Mutex::new(held) });
                open.insert(id, ledger.clone());
                ledger
            }
        };
        Ok(LedgerUse(Some(ledger)))
    }

    pub(super) fn status(&self) -> SysResult<sys::Status> {
        sys::status(&self.file)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = wipe_on_fork::generation();
        if held.generation != generation {
            // Inherited from before a fork: the locks were not.
            held.names.clear();
            held.generation = generation;
        }
        held
    }

    /// Holds both halves of a name that nobody holds half of.
    pub(super) fn take(&self, slot: Slot) -> Result<Attempt, Fault> {
        self.in_one_time(|held| self.take_both(held, slot))
    }

    fn take_both(&self, held: &mut Held, slot: Slot) -> Result<Attempt, Fault> {
        if held.names.contains_key(&slot.0) {
            return Ok(Attempt::Taken(std::process::id()));
        }
        loop {
            match locks::lock(&self.file, slot.both()) {
                Ok(()) => {
                    at(Step::NameLocked);
                    return Ok(Attempt::Held(held.enter(slot, [true, true])));
                }
                Err(Errno::EAGAIN) => (),
                Err(errno) => return Err(failed(errno)),
            }
            // Nobody: whoever it was has just let go.
            if let Some(holder) = self.other(slot.both())? {
                return Ok(attempt(holder));
            }
        }
    }

    /// Holds one half of a name, whoever holds the other.
    pub(super) fn take_half(&self, slot: Slot) -> Result<Attempt, Fault> {
        self.in_one_time(|held| self.take_either(held, slot))
    }

    fn take_either(&self, held: &mut Held, slot: Slot) -> Result<Attempt, Fault> {
        let halves = held.names.get(&slot.0).copied().unwrap_or_default();
        for half in [1, 0] {
            if halves[half].is_none() && self.try_half(slot, half)? {
                return Ok(Attempt::Held(held.enter(slot, [half == 0, half == 1])));
            }
        }
        if halves != [None, None] {
            return Ok(Attempt::Taken(std::process::id()));
        }
        Ok(self.other(slot.both())?.map_or(Attempt::Taken(0), attempt))
    }

    /// Takes a name, if nobody of another time namespace holds any.
    fn in_one_time(
        &self,
        take: impl FnOnce(&mut Held) -> Result<Attempt, Fault>,
    ) -> Result<Attempt, Fault> {
        let mut held = self.held();
        if !held.names.is_empty() {
            return take(&mut held);
        }
        let attempt = match times::enter(&self.file) {
            Ok(None) => take(&mut held),
            Ok(Some(Holder { is_whole: true, .. })) => Ok(Attempt::Closing),
            Ok(Some(Holder { pid, .. })) => Ok(Attempt::AnotherTime(pid.unwrap_or(0))),
            Err(errno) => Err(failed(errno)),
        };
        if held.names.is_empty() {
            times::leave(&self.file);
        }
        attempt
    }

    /// Adds to the claim what is free of its name; whether it holds both halves now.
    pub(super) fn complete(&self, slot: Slot, claim: u64) -> Result<bool, Fault> {
        let mut held = self.held();
        let Some(halves) = held.names.get_mut(&slot.0) else { return Ok(false) };
        for (half, holder) in halves.iter_mut().enumerate() {
            if holder.is_none() && self.try_half(slot, half)? {
                *holder = Some(claim);
            }
        }
        Ok(*halves == [Some(claim); 2])
    }

    /// Lets go of one half of a claim that holds both.
    pub(super) fn let_half_go(&self, slot: Slot, claim: u64) -> Result<(), Fault> {
        let mut held = self.held();
        match held.names.get_mut(&slot.0) {
            Some(halves) if *halves == [Some(claim); 2] => {
                locks::unlock(&self.file, slot.half(1)).map_err(failed)?;
                halves[1] = None;
                at(Step::HalfYielded);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Lets go of a claim.
    pub(super) fn let_go(&self, slot: Slot, claim: u64) {
        let mut held = self.held();
        let Some(halves) = held.names.get_mut(&slot.0) else { return };
        for (half, holder) in halves.iter_mut().enumerate() {
            if *holder == Some(claim) {
                // Where the kernel cannot split a lock it stays until the process ends.
                let _ = locks::unlock(&self.file, slot.half(half));
                *holder = None;
                if half == 0 {
                    at(Step::FirstHalfReleased);
                }
            }
        }
        if *halves == [None, None] {
            held.names.remove(&slot.0);
            if held.names.is_empty() {
                times::leave(&self.file);
            }
        }
        at(Step::NameReleased);
    }

    /// The processes that hold the halves of a name; 0: one of another pid namespace.
    pub(super) fn holders(&self, slot: Slot) -> Result<[Option<u32>; 2], Fault> {
        // Held all along: what is this process's now the kernel does not show it.
        let held = self.held();
        let own = held.names.get(&slot.0).copied().unwrap_or_default();
        slot.seen_by(|bytes| {
            let is_own = (0..2).any(|half| own[half].is_some() && bytes == slot.half(half));
            match is_own {
                true => Ok(Some(std::process::id())),
                false => Ok(self.other(bytes)?.and_then(visible)),
            }
        })
    }

    /// Runs `remove` while nobody, in this process or any other, holds a name or can take one.
    pub(super) fn if_unused(&self, remove: impl FnOnce()) {
        let held = self.held();
        if held.names.is_empty() && locks::lock(&self.file, WHOLE).is_ok() {
            at(Step::DomainLocked);
            remove();
            let _ = locks::unlock(&self.file, WHOLE);
        }
        drop(held);
    }

    fn try_half(&self, slot: Slot, half: usize) -> Result<bool, Fault> {
        match locks::lock(&self.file, slot.half(half)) {
            Ok(()) => {
                at(Step::HalfLocked);
                Ok(true)
            }
            Err(Errno::EAGAIN) => Ok(false),
            Err(errno) => Err(failed(errno)),
        }
    }

    fn other(&self, bytes: Range<u64>) -> Result<Option<Holder>, Fault> {
        locks::holder(&self.file, bytes).map_err(failed)
    }
}

impl Held {
    /// Writes down a new claim of those halves.
    fn enter(&mut self, slot: Slot, taken: [bool; 2]) -> u64 {
        self.last += 1;
        let halves = self.names.entry(slot.0).or_default();
        for (half, taken) in halves.iter_mut().zip(taken) {
            if taken {
                *half = Some(self.last);
            }
        }
        self.last
    }
}

/// The process that holds a name, rather than the whole file; 0: one of another pid namespace.
fn visible(holder: Holder) -> Option<u32> {
    (!holder.is_whole).then(|| holder.pid.unwrap_or(0))
}

fn attempt(holder: Holder) -> Attempt {
    match holder {
        Holder { is_whole: true, .. } => Attempt::Closing,
        Holder { pid, .. } => Attempt::Taken(pid.unwrap_or(0)),
    }
}

fn failed(errno: Errno) -> Fault {
    Fault::System { call: "fcntl on the domain's claims", errno }
}

impl Deref for LedgerUse {
    type Target = Ledger;

    fn deref(&self) -> &Ledger {
        self.0.as_deref().expect("taken only when dropped")
    }
}

impl Drop for LedgerUse {
    fn drop(&mut self) {
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(ledger) = self.0.take() else { return };
        if let (2, Some(open)) = (Arc::strong_count(&ledger), open.as_mut()) {
            open.retain(|_, other| !Arc::ptr_eq(other, &ledger));
        }
        // Closed before anybody can open the file again, whose locks that would give up.
        drop(ledger);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(answers: &[Option<u32>]) -> [Option<u32>; 2] {
        let slot = Slot::of(Kind::Mailbox, &Name::new("jobs").unwrap());
        let mut answers = answers.iter();
        let mut look = |_| answers.next().copied().ok_or("one look too many");
        let holders = slot.seen_by(&mut look).unwrap();
        assert_eq!(answers.next(), None, "one look too few");
        holders
    }

    #[test]
    fn a_name_that_goes_to_and_fro_between_two_looks_is_somebodys() {
        assert_eq!(seen(&[Some(7), None]), [Some(7), None]);
        assert_eq!(seen(&[None, Some(8)]), [None, Some(8)]);
        assert_eq!(seen(&[None, None, None]), [None, None]);
        // Half 0 was free as long as half 1 was held, and the other way round.
        assert_eq!(seen(&[None, None, Some(7), Some(7), None]), [Some(7), None]);
        assert_eq!(
            seen(&[None, None, Some(7), None, None, Some(8), None, Some(8)]),
            [None, Some(8)]
        );
    }
}
