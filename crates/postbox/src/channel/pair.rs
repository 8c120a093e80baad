//! A channel for two processes at a time, whichever they are.
//!
//! ```text
//!  pair[0], pair[1]   0 or dead ──compare-and-swap──► a process ──► 0   by its last handle here
//! ```
//!
//! A process takes a place by its first end or handle and gives it up by its last, whatever the number
//! of its threads and handles, so each process keeps account of its own: one entry per channel, known
//! by the inode of its memory. A death frees the place in that whoever comes next may take it.
//!
//! An end that is passed on takes the place along if it was the giver's last use of the channel. If the
//! giver keeps some, the taker needs a place of its own. The giver settles that before it lets go of
//! the first end, and the taker waits until it has.

use super::control::Control;
use super::{Channel, End};
use crate::error::Fault;
use crate::policy::Policy;
use crate::process::Identity;
use postbox_ring::region::View;
use postbox_ring::sync::Ordering::{AcqRel, Acquire};
use postbox_steps::{Step, at};
use postbox_sys::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

/// How long a taker waits for its giver, which has only a few instructions to go, and how often it
/// looks.
const HANDING_OVER: Duration = Duration::from_secs(5);
const GLANCE: Duration = Duration::from_millis(1);

/// The use of a channel by this process; where any number may use it, nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attached(
    #[allow(dead_code, reason = "what is dropped with the last clone is what matters")]
    Option<Arc<Place>>,
);

/// A channel, whatever descriptor leads to it: device and inode of its memory.
type Memory = (u64, u64);

/// The places that this process has. Locked while one is taken or given up.
static PLACES: Mutex<Option<HashMap<Memory, Weak<Place>>>> = Mutex::new(None);

/// One of the two places of a channel.
struct Place {
    memory: Memory,
    control: View<Control>,
    index: usize,
    /// Whose it is. A forked child has a copy that is not its own.
    holder: Identity,
}

impl Attached {
    /// Gives this use up: the place is that process's if it was the last use here.
    fn pass_to(self, heir: Identity) {
        let Some(place) = self.0 else { return };
        // Nobody here takes part anew meanwhile.
        let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::strong_count(&place) == 1 && place.holder == Identity::own() {
            if let Some(places) = places.as_mut() {
                places.remove(&place.memory);
            }
            let (own, heir) = (place.holder.to_word(), heir.to_word());
            let _ = place.control.pair[place.index].compare_exchange(own, heir, AcqRel, Acquire);
            at(Step::PairPlaceLeft);
        }
        // Before the place is dropped, which takes the lock.
        drop(places);
    }
}

impl End {
    /// Before ends are handed over to a process, for each of them: leaves it the place of this one,
    /// if they were its last.
    pub(crate) fn leave_place_to(&self, heir: Identity) {
        self.attached.take().pass_to(heir);
    }

    /// Waits until the giver has handed the end over, and so has settled what becomes of its place.
    /// A giver that is stopped right there is not waited for indefinitely.
    pub(super) fn await_place_from(&self, giver: Identity) {
        if self.channel.config.policy != Policy::Pair || giver == Identity::own() {
            return;
        }
        let deadline = Instant::now() + HANDING_OVER;
        while self.member().owner() == Some(giver) && !giver.is_dead() && Instant::now() < deadline
        {
            std::thread::sleep(GLANCE);
        }
    }
}

impl Channel {
    /// Takes a place for this process, unless it has one or needs none.
    ///
    /// # Errors
    ///
    /// [`Fault::PairTaken`] where two other live processes have the places.
    pub(crate) fn attach(&self) -> Result<Attached, Fault> {
        if self.config.policy != Policy::Pair {
            return Ok(Attached(None));
        }
        let memory = self.memory_id()?;
        let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        let places = places.get_or_insert_default();
        let own = Identity::own();
        if let Some(place) = places.get(&memory).and_then(Weak::upgrade)
            && place.holder == own
        {
            return Ok(Attached(Some(place)));
        }
        let index = self.take_place(own)?;
        let control = self.block.control.clone();
        let place = Arc::new(Place { memory, control, index, holder: own });
        places.retain(|_, place| place.strong_count() > 0);
        places.insert(memory, Arc::downgrade(&place));
        Ok(Attached(Some(place)))
    }

    fn take_place(&self, own: Identity) -> Result<usize, Fault> {
        let pair = &self.block.control.pair;
        let mut found = [0; 2];
        // Left over from before this process replaced its program, or about to be given up here.
        for (index, word) in pair.iter().enumerate() {
            // Pairs with the compare-and-swap below.
            found[index] = word.load(Acquire);
            if found[index] == own.to_word() {
                return Ok(index);
            }
            // Left to this process by one that may not see when it started.
            let left = own.by_pid_alone().to_word();
            if found[index] == left
                && word.compare_exchange(left, own.to_word(), AcqRel, Acquire).is_ok()
            {
                at(Step::PairPlaceTaken);
                return Ok(index);
            }
        }
        for (index, word) in pair.iter().enumerate() {
            let free = Identity::from_word(found[index]).is_none_or(Identity::is_dead);
            if free {
                match word.compare_exchange(found[index], own.to_word(), AcqRel, Acquire) {
                    Ok(_) => {
                        at(Step::PairPlaceTaken);
                        return Ok(index);
                    }
                    Err(now) => found[index] = now,
                }
            }
        }
        let pids = found.map(|word| Identity::from_word(word).map_or(0, Identity::pid));
        Err(Fault::PairTaken { pids })
    }

    fn memory_id(&self) -> Result<Memory, Fault> {
        let id = self.memory.as_fd().try_clone_to_owned().and_then(|fd| {
            let metadata = File::from(fd).metadata()?;
            Ok((metadata.dev(), metadata.ino()))
        });
        id.map_err(|error| Fault::System {
            call: "fstat",
            errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.holder != Identity::own() {
            return;
        }
        let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
        let places = places.get_or_insert_default();
        // Somebody here may have come between the last handle's end and this lock: it is theirs now.
        if places.get(&self.memory).is_some_and(|place| place.strong_count() > 0) {
            return;
        }
        places.remove(&self.memory);
        let own = self.holder.to_word();
        let _ = self.control.pair[self.index].compare_exchange(own, 0, AcqRel, Acquire);
        at(Step::PairPlaceGivenUp);
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("index", &self.index).finish_non_exhaustive()
    }
}
