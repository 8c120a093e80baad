//! The floor: where one receiver at a time executes a receive, who has it and who is next.
//!
//! ```text
//!  floor   0 ──────────────────► a seat ──────────────────► 0
//!              compare-and-swap           its call is over; its end is seen to be gone
//!
//!  place   0 ──► n ──► 0     a waiting call's place in the line, in its end's record
//! ```
//!
//! One word says who has the floor, so two can never have it, whatever the line says; the line says
//! who is next: the smallest place of a live end. It is the order of a bakery, without its doorway:
//! two calls that come at the same instant may swap, and nothing else depends on it.
//!
//! A call that only tries has no place. It finds nothing while somebody has the floor or waits for it.
//!
//! **Waking the next.** The floor's bell wakes one sleeper, in the order in which their sets added it,
//! and each adds it anew when it takes its place. Should the wrong one be woken, it goes behind the
//! others and rings again, once for each time that the floor is passed, so that nobody rings for ever
//! for one that is stopped. Everybody hears of a death and looks.
//!
//! **Pollables** must not be readable while another has the floor or waits for it, so they leave the
//! kernel object out and go by the level bell alone, which is rung for a message only while the floor
//! is open to whoever tries.

use super::control::Awaited;
use super::control::Member;
use super::members::{Life, Role, Seat};
use super::{Channel, End};
use crate::error::{Fault, ReceiveError};
use crate::wait::Wait;
use postbox_ring::sync::Ordering::{Acquire, SeqCst};
use postbox_ring::sync::fence;
use postbox_steps::{Step, at};
use postbox_sys::eventfd;
use std::cell::Cell;

const NOBODY: u64 = 0;

/// The floor's word: generation (32 bits) · index plus one (16).
fn word_of(seat: Seat) -> u64 {
    u64::from(seat.generation) << 16 | (u64::from(seat.index) + 1)
}

fn seat_of(word: u64) -> Option<Seat> {
    let index = (word & 0xffff).checked_sub(1)?;
    Some(Seat { index: index as u16, generation: (word >> 16) as u32 })
}

/// A call that has the floor, or needs none.
#[must_use = "the floor is given up when this is dropped"]
pub(crate) struct Floor<'e>(Option<&'e End>);

/// A call's place in the line.
struct Place<'e> {
    end: &'e End,
    number: u64,
    /// The pass for which it rang again last.
    relayed: Cell<u64>,
}

impl<'e> Floor<'e> {
    /// Waits for the floor, in order.
    #[inline]
    pub(crate) fn wait(end: &'e End, wait: &Wait) -> Result<Self, ReceiveError> {
        if !end.channel.queues || end.has_floor.get() {
            return Ok(Floor(None));
        }
        Floor::wait_in_line(end, wait)
    }

    /// Takes the floor if nobody has it or waits for it.
    #[inline]
    pub(crate) fn try_take(end: &'e End) -> Option<Self> {
        if !end.channel.queues || end.has_floor.get() {
            return Some(Floor(None));
        }
        (end.channel.nobody_waits() && end.take_floor()).then_some(Floor(Some(end)))
    }

    #[cold]
    fn wait_in_line(end: &'e End, wait: &Wait) -> Result<Self, ReceiveError> {
        let floor = match Floor::try_take(end) {
            Some(floor) => floor,
            None => {
                let place = Place::take(end)?;
                end.wait_for(Awaited::Floor, wait, || place.attempt())?
            }
        };
        end.channel.lower_level(end);
        Ok(floor)
    }
}

impl Drop for Floor<'_> {
    fn drop(&mut self) {
        let Some(end) = self.0 else { return };
        end.has_floor.set(false);
        let channel = &end.channel;
        // SeqCst: before the look at the line; pairs with the store in `Place::take`.
        let mine = word_of(end.seat);
        let _ = channel.block.control.floor.word.compare_exchange(mine, NOBODY, SeqCst, SeqCst);
        at(Step::FloorGivenUp);
        channel.floor_opened();
    }
}

impl<'e> Place<'e> {
    fn take(end: &'e End) -> Result<Self, Fault> {
        let control = &end.channel.block.control;
        let relayed = Cell::new(control.passes.load(SeqCst));
        // 0 is no place, should memory lie.
        let number = control.places.fetch_add(1, SeqCst).wrapping_add(1).max(1);
        at(Step::PlaceDrawn);
        // SeqCst: before the look at the floor; pairs with the exchange when the floor is given up.
        end.member().place.store(number, SeqCst);
        at(Step::PlaceTaken);
        let place = Place { end, number, relayed };
        place.go_behind()?;
        Ok(place)
    }

    /// The set is the last to be woken now.
    fn go_behind(&self) -> Result<(), Fault> {
        let channel = &self.end.channel;
        self.end.with_set(Awaited::Floor, |set| set.add_bell_anew(channel))
    }

    fn attempt(&self) -> Result<Option<Floor<'e>>, ReceiveError> {
        let (end, channel) = (self.end, &self.end.channel);
        // What waits is received by those before.
        end.ended()?;
        if channel.first_in_line() == Some(self.number) {
            return Ok(end.take_floor().then_some(Floor(Some(end))));
        }
        let passes = channel.block.control.passes.load(SeqCst);
        if self.relayed.replace(passes) != passes {
            let behind = self.go_behind();
            channel.ring_floor();
            behind?;
        }
        Ok(None)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.end.member().place.store(0, SeqCst);
        at(Step::PlaceGivenUp);
        // Whoever leaves without the floor may have been woken for it.
        if !self.end.has_floor.get() {
            self.end.channel.floor_opened();
        }
    }
}

impl End {
    fn take_floor(&self) -> bool {
        let floor = &self.channel.block.control.floor.word;
        let taken = self.channel.floor_is_free()
            // SeqCst: before the pop; pairs with the looks of those that publish.
            && floor.compare_exchange(NOBODY, word_of(self.seat), SeqCst, SeqCst).is_ok();
        self.has_floor.set(taken);
        if taken {
            at(Step::FloorTaken);
        }
        taken
    }
}

impl Channel {
    /// Whether nobody has the floor; takes it from one that is gone.
    pub(crate) fn floor_is_free(&self) -> bool {
        let floor = &self.block.control.floor.word;
        let word = floor.load(SeqCst);
        if word == NOBODY {
            return true;
        }
        let holder = seat_of(word).and_then(|seat| {
            let member = self.block.members.get(usize::from(seat.index))?;
            (member.status().generation() == seat.generation && !is_gone(member)).then_some(())
        });
        if holder.is_some() {
            return false;
        }
        let freed = floor.compare_exchange(word, NOBODY, SeqCst, SeqCst);
        at(Step::FloorOfTheGoneFreed);
        matches!(freed, Ok(_) | Err(NOBODY))
    }

    /// The smallest place of an end that waits for the floor.
    fn first_in_line(&self) -> Option<u64> {
        self.block
            .records()
            .map(|(_, member)| (member, member.place.load(SeqCst)))
            .filter(|(member, place)| {
                let status = member.status();
                *place != 0 && status.life() == Life::Live && status.role() == Role::Receiver
            })
            .map(|(_, place)| place)
            .min()
    }

    fn nobody_waits(&self) -> bool {
        self.first_in_line().is_none()
    }

    /// The floor is free, perhaps, or the line shorter: somebody who waits for it is to look, or if
    /// nobody does, whoever polls.
    fn floor_opened(&self) {
        // Before the look at what waits; pairs with the fence in `may_be_received`.
        fence(SeqCst);
        if self.nobody_waits() {
            self.raise_level_if_receivable();
        } else if self.floor_is_free() {
            self.block.control.passes.fetch_add(1, SeqCst);
            at(Step::FloorPassed);
            self.ring_floor();
        }
    }

    fn ring_floor(&self) {
        let _ = eventfd::nudge(self.bells.of(Awaited::Floor));
        at(Step::FloorRung);
    }

    /// Whether a try_receive would find something.
    pub(crate) fn is_receivable(&self) -> bool {
        !self.is_drained() && (!self.queues || self.nobody_waits() && self.floor_is_free())
    }

    /// Whether what was published just now is for whoever tries.
    pub(crate) fn may_be_received(&self) -> bool {
        if !self.queues {
            return true;
        }
        // After the publication, for which the ring has no fence; pairs with `floor_opened`.
        fence(SeqCst);
        self.nobody_waits() && self.floor_is_free()
    }
}

/// Whether an end has left, or its death is certain: until somebody buries it, the mark of death may
/// be taken back from an end that was passed on.
fn is_gone(member: &Member) -> bool {
    match member.status().life() {
        Life::Live => false,
        // Pairs with the compare-and-swap in `bury`.
        Life::Dead => member.reaper.load(Acquire) != 0,
        Life::Free => true,
    }
}
