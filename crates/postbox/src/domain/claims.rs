//! Claims: names that this process holds.

use super::address::file_name;
use super::ledger::{Attempt, Slot};
use super::place::Place;
use super::{Address, Domain, DomainError, Kind};
use crate::error::Fault;
use postbox_sys::{Errno, directory as sys, wipe_on_fork};
use std::fmt;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a removal of the domain by another process may take.
const CLOSING: Duration = Duration::from_secs(5);

/// A name held by this process until it is dropped, or the process ends, SIGKILL included. In a
/// child of `fork` it is nothing.
pub(crate) struct Claim {
    place: Arc<Place>,
    address: Address,
    slot: Slot,
    /// Its number in the ledger.
    number: u64,
    /// The fork generation that made it.
    born: u64,
}

/// Why a name could not be claimed.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ClaimError {
    /// Somebody holds it: that process, or 0 where it is in a pid namespace that we cannot see.
    #[error("held by process {pid}")]
    Taken { pid: u32 },
    /// The domain cannot be used.
    #[error(transparent)]
    Domain(#[from] DomainError),
}

impl From<Fault> for ClaimError {
    fn from(fault: Fault) -> Self {
        ClaimError::Domain(fault.into())
    }
}

impl Domain {
    /// Claims a name for this process: both of its halves.
    pub(crate) fn claim(&self, address: &Address) -> Result<Claim, ClaimError> {
        self.claim_by(address, |place, slot| place.ledger().take(slot))
    }

    /// Claims the half of a name that its holder has let go of by [`Claim::yield_half`].
    pub(crate) fn claim_successor(&self, address: &Address) -> Result<Claim, ClaimError> {
        self.claim_by(address, |place, slot| place.ledger().take_half(slot))
    }

    fn claim_by(
        &self,
        address: &Address,
        attempt: impl Fn(&Place, Slot) -> Result<Attempt, Fault>,
    ) -> Result<Claim, ClaimError> {
        let born = wipe_on_fork::renew().map_err(Fault::system("madvise"))?;
        let slot = Slot::of(address.kind, &address.name);
        let deadline = Instant::now() + CLOSING;
        let mut place = self.place();
        loop {
            match attempt(&place, slot)? {
                Attempt::Taken(pid) => return Err(ClaimError::Taken { pid }),
                // Strangers in a domain that was removed before are in nobody's way.
                Attempt::AnotherTime(_) if place.is_gone() => place = self.reopen(&place)?,
                Attempt::AnotherTime(pid) => {
                    return Err(DomainError::AnotherTime { path: self.path(), pid }.into());
                }
                Attempt::Held(number) => {
                    let address = address.clone();
                    let claim = Claim { place: place.clone(), address, slot, number, born };
                    if !place.is_gone() {
                        if claim.address.kind == Kind::Process {
                            place.sweep();
                        }
                        return Ok(claim);
                    }
                    // A name in a file that has none itself: the domain was removed before.
                    drop(claim);
                    place = self.reopen(&place)?;
                }
                Attempt::Closing if Instant::now() < deadline => sleep(Duration::from_millis(1)),
                Attempt::Closing => {
                    let call = "waiting for the domain's removal by another process";
                    return Err(Fault::System { call, errno: Errno::EBUSY }.into());
                }
            }
        }
    }

    /// The process that holds a name: this one or another; 0 if it is in another pid namespace.
    pub(crate) fn holder(&self, address: &Address) -> Result<Option<u32>, Fault> {
        self.holders(address).map(|[first, second]| first.or(second))
    }

    /// The holders of the two halves of a name: they differ only while it is handed over, when the
    /// first is the one that gives it away.
    pub(crate) fn holders(&self, address: &Address) -> Result<[Option<u32>; 2], Fault> {
        let slot = Slot::of(address.kind, &address.name);
        self.place_now().ledger().holders(slot)
    }
}

impl Claim {
    /// Lets go of one half, so that a successor can claim it. Nothing happens if only one is held.
    pub(crate) fn yield_half(&mut self) -> Result<(), Fault> {
        match self.is_own() {
            true => self.place.ledger().let_half_go(self.slot, self.number),
            false => Ok(()),
        }
    }

    /// Takes back what is free of the other half; whether both halves are held now.
    pub(crate) fn retake(&mut self) -> Result<bool, Fault> {
        Ok(self.is_own() && self.place.ledger().complete(self.slot, self.number)?)
    }

    /// Whether who looks for the name comes upon this process: not once the domain's directory has been
    /// removed, or the socket in it. Where that cannot be seen, it is so.
    pub(crate) fn can_be_found(&self) -> bool {
        let Address { kind, name } = &self.address;
        let file = file_name(name, std::process::id());
        let socket = sys::status_of(self.place.sockets(*kind), &file);
        !self.place.is_gone() && socket.err() != Some(Errno::ENOENT)
    }

    /// Whether this process holds it, rather than an ancestor that it was forked from.
    pub(crate) fn is_own(&self) -> bool {
        self.born == wipe_on_fork::generation()
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_own() {
            self.place.ledger().let_go(self.slot, self.number);
            self.place.remove_if_unused();
        }
    }
}

impl fmt::Debug for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Claim").field(&self.address).finish()
    }
}
