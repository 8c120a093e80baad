//! A descriptor for the caller's own event loop.

use super::end::End;
use super::wait_set::WaitSet;
use super::{Carrier, Channel};
use crate::error::Fault;
use postbox_ring::sync::Ordering::SeqCst;
use postbox_ring::sync::fence;
use postbox_steps::{Step, at};
use postbox_sys::{eventfd, wipe_on_fork};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Readable while a receive could return something: a message, or disconnection.
///
/// Level-triggered, for poll(2), epoll(7) and whatever stands on them. On waking, call
/// `try_receive` until it says that there is nothing: that is also what makes the descriptor
/// unreadable again. To poll is not to wait in the sense of capacity zero: a `try_send` there does
/// not find a receiver that merely polls.
///
/// ```
/// use postbox::{Bytes, Capacity, Mechanism};
///
/// let (tx, rx) = postbox::channel::<Bytes>(Mechanism::SharedMemory, Capacity::Bounded(4))?;
/// let pollable = rx.pollable()?;
/// tx.send(b"news")?;
/// let mut fds = [nix::poll::PollFd::new(
///     std::os::fd::AsFd::as_fd(&pollable),
///     nix::poll::PollFlags::POLLIN,
/// )];
/// assert_eq!(nix::poll::poll(&mut fds, nix::poll::PollTimeout::NONE)?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Pollable {
    shared: Arc<PollSet>,
}

/// The set behind a pollable, which the receiver keeps true while somebody holds it.
pub(crate) struct PollSet {
    fd: OwnedFd,
    set: Mutex<WaitSet>,
    channel: Arc<Channel>,
    /// Whether nobody counts on it for messages: see [`Pollable::set_aside`].
    aside: AtomicBool,
    /// The fork generation of the process that it was made in.
    born: u64,
}

impl Pollable {
    pub(crate) fn new(end: &End) -> Result<Self, Fault> {
        let channel = end.channel.clone();
        let set = WaitSet::for_pollable(&channel)?;
        let fd = set.epoll().as_fd().try_clone_to_owned().map_err(|error| Fault::System {
            call: "dup",
            errno: postbox_sys::Errno::from_raw(error.raw_os_error().unwrap_or(0)),
        })?;
        channel.count_pollable();
        let pollable = Pollable {
            shared: Arc::new(PollSet {
                fd,
                set: Mutex::new(set),
                channel,
                aside: AtomicBool::new(false),
                born: wipe_on_fork::generation(),
            }),
        };
        pollable.shared.refresh(end)?;
        Ok(pollable)
    }

    pub(crate) fn from_shared(shared: Arc<PollSet>) -> Self {
        Pollable { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<PollSet> {
        &self.shared
    }

    /// For whoever alone has this pollable, of a ring, and is going to look into that itself: senders need not
    /// tell it of messages any more, which takes them two system calls for each. It still tells of who comes, leaves and
    /// dies; what it told of before is for the caller to look for. False where others count on it.
    pub(crate) fn set_aside(&self) -> bool {
        let PollSet { channel, aside, .. } = &*self.shared;
        let alone = Arc::strong_count(&self.shared) == 1 && self.shared.is_ours();
        if !alone || channel.queues || !matches!(channel.carrier, Carrier::Ring(_)) {
            return false;
        }
        let pollables = &channel.block.control.pollables;
        if aside.load(Relaxed) || pollables.compare_exchange(1, 0, SeqCst, SeqCst).is_err() {
            return false;
        }
        aside.store(true, Relaxed);
        at(Step::PollableUncounted);
        channel.drop_level();
        true
    }

    /// At a glance, there is something to receive.
    pub(crate) fn is_worth_a_try(&self) -> bool {
        !self.shared.channel.is_drained()
    }
}

impl PollSet {
    /// Whether it was made in this process, and not inherited by `fork`.
    pub(crate) fn is_ours(&self) -> bool {
        self.born == wipe_on_fork::generation()
    }

    /// Counts on being told of messages again. What came before is for the caller to look for.
    pub(crate) fn count_on(&self) {
        if self.is_ours() && self.aside.swap(false, Relaxed) {
            self.channel.count_pollable();
        }
    }

    /// Takes in what has happened to the members, and is readable if there is anything.
    pub(crate) fn refresh(&self, end: &End) -> Result<(), Fault> {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        set.look(&self.channel, end.seat)?;
        let ended = end.ended().is_err();
        if ended {
            // For good; the set has told of it once.
            self.count_on();
        }
        if self.channel.is_receivable() || end.holds.get() || ended {
            self.channel.raise_level();
        } else if self.aside.load(Relaxed) {
            // By a sender that had seen the pollable counted before it was set aside.
            self.channel.drop_level();
        } else if self.channel.queues {
            self.channel.lower_level(end);
        }
        Ok(())
    }
}

impl Drop for PollSet {
    fn drop(&mut self) {
        if !self.is_ours() || self.aside.load(Relaxed) {
            return;
        }
        let _ = self
            .channel
            .block
            .control
            .pollables
            .fetch_update(SeqCst, SeqCst, |count| count.checked_sub(1));
        at(Step::PollableUncounted);
    }
}

impl AsFd for Pollable {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }
}

impl std::fmt::Debug for PollSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PollSet").field("fd", &self.fd).finish_non_exhaustive()
    }
}

impl Channel {
    /// Nobody counts on the level, or did a moment ago.
    fn drop_level(&self) {
        let _ = eventfd::clear(self.bells.level());
        at(Step::LevelLowered);
        // Somebody may count on a pollable of its own since, and what it was told was cleared with the rest.
        fence(SeqCst);
        self.raise_level();
    }

    /// From now on whoever publishes raises the level; what came before is to be looked for.
    fn count_pollable(&self) {
        // SeqCst: before the look at what waits; pairs with the load in `raise_level`.
        self.block.control.pollables.fetch_add(1, SeqCst);
        at(Step::PollableCounted);
        self.barrier_for_all();
    }

    /// Pollables are readable now.
    pub(crate) fn raise_level(&self) {
        // SeqCst: after the publication; pairs with the increment when a pollable is made.
        if self.block.control.pollables.load(SeqCst) > 0 {
            let _ = eventfd::raise(self.bells.level());
            at(Step::LevelRaised);
        }
    }

    /// Pollables are readable now if a receiver may take what was published.
    #[inline]
    pub(crate) fn raise_level_for_message(&self) {
        // SeqCst: as in `raise_level`.
        if self.block.control.pollables.load(SeqCst) > 0 {
            self.raise_watched_level();
        }
    }

    #[cold]
    fn raise_watched_level(&self) {
        if self.may_be_received() {
            let _ = eventfd::raise(self.bells.level());
            at(Step::LevelRaisedForMessage);
        }
    }

    /// Pollables are readable now if there is something to take, and it may be taken.
    pub(crate) fn raise_level_if_receivable(&self) {
        // SeqCst: as in `raise_level`.
        if self.block.control.pollables.load(SeqCst) > 0 && self.is_receivable() {
            self.raise_level();
        }
    }

    /// Pollables are readable no more, unless there is something to receive.
    #[inline]
    pub(crate) fn lower_level(&self, end: &End) {
        if self.block.control.pollables.load(SeqCst) > 0 {
            self.lower_watched_level(end);
        }
    }

    #[cold]
    fn lower_watched_level(&self, end: &End) {
        // Disconnection stays to be received for ever, and so does destruction.
        if end.holds.get() || self.is_receivable() || end.ended().is_err() {
            return;
        }
        let _ = eventfd::clear(self.bells.level());
        at(Step::LevelLowered);
        // What came in between has its ring cleared with the rest: look again.
        fence(SeqCst);
        if self.is_receivable() {
            self.raise_level();
        }
    }
}
