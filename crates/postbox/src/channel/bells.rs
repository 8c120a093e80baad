//! Bells: how a member that sleeps is woken where the kernel object's own wake-up does not reach.
//!
//! ```text
//! message  eventfd, one sleeper per ring    a slot, or an overflow entry, was published
//! room     eventfd, one sleeper per ring    a message is gone, so there is room
//! receipt  eventfd, all sleepers            an offer was settled while its sender slept; bytes, a
//!                                           cell or an offer came free that some sender lacked
//! news     eventfd, all sleepers            a member joined, left or died; a repair ended
//! floor    eventfd, one sleeper per ring    the floor of a mailbox is free for the next receiver
//! level    eventfd, level-triggered         readable while a receive could return something;
//!                                           kept so only while a pollable exists
//! ```
//!
//! But for the level they are registered edge-triggered and never read: each write is a new edge.
//! What is written is zero, on a count that begins at one: so a ring never waits, even if a hostile
//! member has filled the count and lets writers wait. "One sleeper" is `EPOLLEXCLUSIVE`.
//!
//! A ring is spared while nobody sleeps: see [`postbox_ring::sleepers`]. Whoever goes to sleep counts
//! itself in, then looks once more; whoever publishes looks at the count afterwards.
//!
//! "Afterwards" takes a barrier between a store and a load, on both sides. Where the publisher's would
//! cost as much as the rest of its work, on the ring and when a receiver counts in a lane of its own,
//! it is spared it while sleeps are rare: see [`postbox_ring::fences`].

use super::control::{Awaited, Control};
use super::{Carrier, Channel};
use crate::error::Fault;
use postbox_ring::sync::Ordering::{Relaxed, SeqCst};
use postbox_ring::sync::fence;
use postbox_steps::{ARMED, Step, at};
use postbox_sys::{eventfd, membarrier};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::compiler_fence;

/// Fences of one process after which sleepers have the barriers again.
const SPARED_AFTER: u32 = if ARMED { 3 } else { 4096 };

/// There is no error on a bell.
fn ring(bell: BorrowedFd<'_>) {
    let _ = eventfd::nudge(bell);
    at(Step::BellRung);
}

#[derive(Debug)]
pub(crate) struct Bells {
    message: OwnedFd,
    room: OwnedFd,
    receipt: OwnedFd,
    news: OwnedFd,
    level: OwnedFd,
    floor: OwnedFd,
}

impl Bells {
    pub(crate) const COUNT: usize = 6;

    pub(crate) fn create() -> Result<Self, Fault> {
        let bell = || eventfd::create_rung().map_err(Fault::system("eventfd"));
        let level = eventfd::create().map_err(Fault::system("eventfd"))?;
        Ok(Bells {
            message: bell()?,
            room: bell()?,
            receipt: bell()?,
            news: bell()?,
            level,
            floor: bell()?,
        })
    }

    /// Those of another process. None is taken on which this one would have to wait, or which would
    /// raise a signal.
    pub(crate) fn from_fds(bells: [OwnedFd; Self::COUNT]) -> Result<Self, Fault> {
        let good = |bell: &OwnedFd| {
            Ok::<_, postbox_sys::Errno>(
                eventfd::is_nonblocking(bell)? && eventfd::could_be_bell(bell)?,
            )
        };
        if !bells.iter().all(|bell| good(bell).unwrap_or(false)) {
            return Err(Fault::Corrupt("the descriptors are not those of a channel"));
        }
        let [message, room, receipt, news, level, floor] = bells;
        Ok(Bells { message, room, receipt, news, level, floor })
    }

    pub(crate) fn fds(&self) -> [BorrowedFd<'_>; Self::COUNT] {
        [&self.message, &self.room, &self.receipt, &self.news, &self.level, &self.floor]
            .map(AsFd::as_fd)
    }

    pub(crate) fn of(&self, awaited: Awaited) -> BorrowedFd<'_> {
        match awaited {
            Awaited::Message => self.message.as_fd(),
            Awaited::Room => self.room.as_fd(),
            Awaited::Space | Awaited::Receipt => self.receipt.as_fd(),
            Awaited::Floor => self.floor.as_fd(),
        }
    }

    pub(crate) fn news(&self) -> BorrowedFd<'_> {
        self.news.as_fd()
    }

    pub(crate) fn level(&self) -> BorrowedFd<'_> {
        self.level.as_fd()
    }

    /// Wakes one sleeper, if there is one that no ring is on its way to.
    #[inline]
    pub(crate) fn ring_one(&self, control: &Control, awaited: Awaited) {
        if control.sleepers(awaited).count().asleep() > 0 {
            self.ring_one_of(control, awaited, u32::MAX);
        }
    }

    /// Wakes one sender that waits for room, unless one is on its way already: that takes what room it needs,
    /// and rings for what is left.
    ///
    /// Of a crowd that waits at a full channel each would otherwise be woken for one message, and many for
    /// none, since who is awake fills what comes free.
    #[inline(always)]
    pub(crate) fn ring_for_room(&self, control: &Control) {
        let count = control.sleepers(Awaited::Room).count();
        if count.asleep() > 0 && count.rung() == 0 {
            self.ring_one_of(control, Awaited::Room, 1);
        }
    }

    /// For whoever has taken something: wakes one sleeper if there is `more`. A ring may have gone to one
    /// that found what was in front still being written.
    #[inline]
    pub(crate) fn ring_for_more(&self, control: &Control, more: impl FnOnce() -> bool) {
        if control.sleepers(Awaited::Message).count().asleep() > 0 && more() {
            self.ring_one_of(control, Awaited::Message, u32::MAX);
        }
    }

    #[cold]
    fn ring_one_of(&self, control: &Control, awaited: Awaited, most: u32) -> bool {
        let chosen = control.sleepers(awaited).take_one(most);
        if chosen {
            ring(self.of(awaited));
        }
        chosen
    }

    /// Something came free: wakes one sender that waits for room, and all that lack anything else.
    #[inline(always)]
    pub(crate) fn ring_freed(&self, control: &Control) {
        self.ring_for_room(control);
        if control.sleepers(Awaited::Space).count().asleep() > 0 {
            self.ring_space(control);
        }
    }

    /// So many messages came: wakes as many sleepers, as far as there are so many that no ring is on its way
    /// to.
    pub(crate) fn ring_many(&self, control: &Control, most: u64) {
        for _ in 0..most {
            if control.sleepers(Awaited::Message).count().asleep() == 0
                || !self.ring_one_of(control, Awaited::Message, u32::MAX)
            {
                break;
            }
        }
    }

    #[cold]
    fn ring_space(&self, control: &Control) {
        control.sleepers(Awaited::Space).take_all();
        ring(self.receipt.as_fd());
    }

    /// Wakes every sender that waits for a receipt: one of them has its own now.
    pub(crate) fn ring_receipt(&self) {
        ring(self.receipt.as_fd());
    }

    /// Wakes everybody that sleeps.
    pub(crate) fn ring_news(&self) {
        ring(self.news.as_fd());
    }
}

/// A sleeper's place in the count, given up when dropped.
pub(crate) struct Asleep<'c> {
    control: &'c Control,
    awaited: Awaited,
    rung: bool,
}

impl<'c> Asleep<'c> {
    /// To be followed by one more look at what is awaited.
    pub(crate) fn announce(channel: &'c Channel, awaited: Awaited) -> Self {
        let control = &channel.block.control;
        control.sleepers(awaited).announce(|| channel.barrier_for(awaited));
        Asleep { control, awaited, rung: false }
    }

    /// The bell was heard: the place is among those of the rung.
    pub(crate) fn rung(&mut self) {
        self.rung = true;
    }
}

impl Drop for Asleep<'_> {
    fn drop(&mut self) {
        let sleepers = self.control.sleepers(self.awaited);
        if self.rung { sleepers.arrive() } else { sleepers.leave() }
    }
}

impl Channel {
    /// Lets this process take part in barriers, before it is a member.
    pub(crate) fn take_part_in_barriers(&self) {
        if membarrier::register().is_err() {
            self.block.control.fences().keep();
        }
    }

    /// Between publishing and looking at who sleeps.
    #[inline]
    pub(crate) fn barrier(&self) {
        match &self.carrier {
            Carrier::Kernel(_) => fence(SeqCst),
            Carrier::Ring(_) => self.barrier_after_store(),
        }
    }

    /// As [`barrier`](Self::barrier), where the sleepers may have the processor's part for both.
    #[inline]
    pub(crate) fn barrier_after_store(&self) {
        // The compiler's part is ours.
        compiler_fence(SeqCst);
        if self.block.control.fences().are_spared() {
            compiler_fence(SeqCst);
        } else {
            self.barrier_of_ours();
        }
    }

    /// Sleeps are frequent, or were a while ago.
    #[inline(never)]
    fn barrier_of_ours(&self) {
        fence(SeqCst);
        // As many cost about as much as one barrier for all.
        let passed = self.fences.load(Relaxed).wrapping_add(1);
        self.fences.store(passed, Relaxed);
        if passed.is_multiple_of(SPARED_AFTER) {
            self.block.control.fences().spare();
        }
    }

    /// Between announcing a sleep and the last look.
    fn barrier_for(&self, awaited: Awaited) {
        match (&self.carrier, awaited) {
            // What these wait for comes with a fence, or with a locked instruction.
            (_, Awaited::Receipt) | (Carrier::Kernel(_), Awaited::Message | Awaited::Floor) => {
                fence(SeqCst);
            }
            _ => self.barrier_for_all(),
        }
    }

    /// A barrier for those that are spared their own.
    pub(crate) fn barrier_for_all(&self) {
        self.block.control.fences().rely(|| {
            let reached = membarrier::registered().is_ok();
            if !reached {
                membarrier::all();
            }
            reached
        });
    }
}
