//! The channel: a queue of whole messages over one mechanism, with one exact contract.
//!
//! In which order to read it:
//!
//! 1. [`control`], [`layout`], [`envelope`]: what members share and what travels
//! 2. [`postbox_ring::admission`], [`receipts`], [`members`]: the rules, each a few words and
//!    compare-and-swaps
//! 3. [`repair`], [`reap`]: what happens when a process dies
//! 4. [`bells`], [`wait_set`], [`patience`], [`yielding`], [`waiting`]: how a member sleeps and is woken
//! 5. [`spool`], [`carry`]: how one message goes in and comes out
//!    ([`batch`]: how many of them share a system call)
//! 6. [`turn`], [`rendezvous`]: capacity zero
//! 7. [`sender`], [`receiver`], [`pollable`]: what a user holds; the type of its messages is a shell around what
//!    knows bytes alone
//! 8. [`lifetime`], [`ownership`], [`revocation`], [`names`], [`pair`], [`floor`]: what only
//!    mailboxes have
//!
//! ```text
//!             ┌── admission ── envelope ──►  kernel object  ──┐
//!  Sender ────┤                              or slot ring     ├── settle ── count ──► Receiver
//!             └─ (no room there) ─────────►     overflow    ──┘
//!                 body larger than an entry ──► bodies
//! ```

mod batch;
mod bells;
mod carry;
mod control;
mod end;
pub(crate) mod envelope;
mod floor;
#[cfg(feature = "armed-steps")]
mod inspection;
mod layout;
#[cfg_attr(not(test), allow(dead_code, reason = "for those who own a mailbox"))]
mod lifetime;
mod members;
#[cfg_attr(not(test), allow(dead_code, reason = "for mailboxes and links"))]
mod names;
mod options;
#[cfg_attr(not(test), allow(dead_code, reason = "for those who own a mailbox"))]
mod ownership;
mod pair;
mod patience;
mod pollable;
mod reap;
mod receipts;
mod receiver;
mod rendezvous;
mod repair;
#[allow(dead_code, reason = "for those who own a mailbox")]
mod retry;
mod revocation;
mod sender;
mod spool;
mod statistics;
mod turn;
mod wait_set;
mod waiting;
mod yielding;

#[cfg(test)]
mod tests;

pub use batch::Batch;
#[cfg(feature = "armed-steps")]
pub use inspection::Inspection;
pub use options::{Options, channel};
pub use pollable::Pollable;
pub use receiver::{Delivery, InPlace, Iter, Receiver};
pub use sender::{Loan, Receipt, Sender};
pub use statistics::Statistics;

pub(crate) use end::End;
pub(crate) use lifetime::Lifetime;
pub(crate) use members::{Role, Seat};
#[allow(unused_imports, reason = "for a mailbox's status")]
pub(crate) use names::MemberInfo;
pub(crate) use pair::Attached;
pub(crate) use patience::{MOST_SPINS_KERNEL, Patience};

use crate::error::{CreateError, Fault};
use crate::mechanism::{Capacity, Form, Mechanism};
use crate::policy::Policy;
use crate::queue::{KernelQueue, Wanted};
use crate::remedy::CHANNEL_MEMORY;
use bells::Bells;
use carry::FastPath;
use control::{Awaited, Cell, Control, Header, MAGIC, Member};
use envelope::Envelope;
use layout::{CELLS, Config, Layout, MEMBERS};
use postbox_ring::RingPairing;
use postbox_ring::region::{Region, View, ViewSlice};
use postbox_ring::slots::SlotRing;
use postbox_ring::sync::Ordering::{Acquire, Relaxed, Release};
use postbox_sys::{Errno, memfd};
use spool::{Bodies, Overflow};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32};

/// The shared words, as this process sees them.
pub(crate) struct ControlBlock {
    pub(crate) control: View<Control>,
    cells: ViewSlice<Cell>,
    members: ViewSlice<Member>,
}

impl ControlBlock {
    fn view(region: &Region, layout: &Layout) -> Result<Self, Fault> {
        let outside = |_| Fault::Corrupt("the memory is smaller than its layout");
        Ok(ControlBlock {
            control: region.view(layout.control).map_err(outside)?,
            cells: region.views(layout.cells, CELLS).map_err(outside)?,
            members: region.views(layout.members, MEMBERS).map_err(outside)?,
        })
    }

    #[cfg(test)]
    fn on_heap() -> Self {
        let layout = options::Options::new(Mechanism::Pipe).config().layout();
        ControlBlock::view(&Region::heap(layout.members + (1 << 20)), &layout).unwrap()
    }
}

/// What carries entries: the kernel object, or the slot ring.
pub(crate) enum Carrier {
    Kernel(KernelQueue),
    Ring(SlotRing),
}

impl Carrier {
    fn is_ring(&self) -> bool {
        matches!(self, Carrier::Ring(_))
    }
}

/// One channel, as this process sees it; its ends share it.
pub(crate) struct Channel {
    pub(crate) config: Config,
    pub(crate) block: ControlBlock,
    pub(crate) carrier: Carrier,
    /// In front of the kernel object: what packets held when they were opened for several receivers.
    front: Option<Overflow>,
    overflow: Overflow,
    bodies: Bodies,
    pub(crate) bells: Bells,
    region: Region,
    memory: OwnedFd,
    /// Where the members' records begin.
    members_at: usize,
    /// How many messages may be admitted at a time.
    window: Option<u64>,
    /// Whether messages that find no room in the ring lie behind it: in an unbounded one.
    spills: bool,
    /// Whether receivers queue for the floor.
    queues: bool,
    /// Whether this process knows that messages share packets no more.
    singly: AtomicBool,
    /// Barriers that this process has passed where others may be spared them.
    fences: AtomicU32,
    /// Whether there can only ever be one sender and one receiver.
    one_to_one: bool,
    fast_path: FastPath,
    /// Of a ring for many that two may have for themselves.
    pairing: Option<RingPairing>,
}

/// The smallest byte cap that a low RLIMIT_FSIZE or RLIMIT_AS may shrink a channel to.
const LEAST_BYTE_CAP: u64 = 1 << 16;

/// The least that the largest entry of a kernel object can be.
const LEAST_ENTRY_LIMIT: usize = 64;

impl Channel {
    /// Creates the memory, the kernel object and the bells. Nobody is a member yet.
    pub(crate) fn create(mut config: Config) -> Result<Self, CreateError> {
        config.check()?;
        let depth = config.window().unwrap_or(64) as u32;
        let body = config.fixed_size.unwrap_or(config.max_message);
        let entry = body.saturating_add(Envelope::entry_overhead(true) + 8);
        let queue = KernelQueue::create(config.mechanism, Wanted { depth, entry })?;
        if let Some(queue) = &queue {
            config.packs &= config.capacity != Capacity::Zero;
            config.entry_limit = match (config.packs, queue) {
                // What a queue hands out takes a buffer of its own limit.
                (true, _) | (_, KernelQueue::MessageQueue(_)) => queue.entry_limit(),
                _ => queue.entry_limit().min(entry.max(LEAST_ENTRY_LIMIT)),
            };
            // Offers of a rendezvous stay within the kernel object where it can hold any.
            config.zero_window = config.zero_window.min(queue.depth()).max(1);
        }
        config.packs &= queue.is_some();
        let (memory, region) = loop {
            match Self::memory(&config.layout()) {
                Ok(memory) => break memory,
                // A low RLIMIT_FSIZE or RLIMIT_AS: a smaller spool may still do.
                Err(Errno::EFBIG | Errno::ENOMEM) if config.byte_cap > LEAST_BYTE_CAP => {
                    config.byte_cap = (config.byte_cap / 4).max(LEAST_BYTE_CAP);
                }
                Err(errno) => {
                    return Err(Fault::System { call: CHANNEL_MEMORY, errno }.into());
                }
            }
        };
        config.write_header(&region)?;
        let bells = Bells::create()?;
        let channel = Self::assemble(config, memory, region, queue, bells)?;
        channel.starts_packing();
        if let Some(pairing) = &channel.pairing {
            pairing.begin();
        }
        Ok(channel)
    }

    fn memory(layout: &Layout) -> Result<(OwnedFd, Region), Errno> {
        let memory = memfd::create_sealed("postbox", layout.total as u64)?;
        // What every channel touches is backed before anybody relies on it.
        memfd::allocate(memory.as_fd(), 0..layout.fixed_part() as u64)?;
        let region = memfd::map(memory.as_fd())?;
        Ok((memory, region))
    }

    fn assemble(
        config: Config,
        memory: OwnedFd,
        region: Region,
        queue: Option<KernelQueue>,
        bells: Bells,
    ) -> Result<Self, Fault> {
        let layout = config.layout();
        if region.len() < layout.total {
            return Err(Fault::Corrupt("the memory is smaller than its layout"));
        }
        let carrier = match (queue, &layout.ring) {
            (Some(queue), None) => Carrier::Kernel(queue),
            (None, Some(ring)) => Carrier::Ring(
                SlotRing::new(&region, *ring)
                    .map_err(|_| Fault::Corrupt("the ring does not fit its memory"))?,
            ),
            _ => return Err(Fault::Corrupt("the descriptors are not those of the mechanism")),
        };
        let window = config.window();
        let spills = carrier.is_ring() && config.capacity == Capacity::Unbounded;
        let queues = config.policy == Policy::OneAtATime;
        let one_to_one = config.form == Form::OneToOne && config.lifetime == Lifetime::Ends;
        let fast_path = FastPath::of(&config, &carrier);
        let pairing = match &carrier {
            Carrier::Ring(ring) if config.may_be_paired() => Some(RingPairing::over(ring)),
            _ => None,
        };
        Ok(Channel {
            block: ControlBlock::view(&region, &layout)?,
            front: layout.front.map(|front| Overflow::new(&region, &front)).transpose()?,
            overflow: Overflow::new(&region, &layout.overflow)?,
            bodies: Bodies::new(&region, &layout)?,
            config,
            carrier,
            bells,
            region,
            memory,
            members_at: layout.members,
            window,
            spills,
            queues,
            singly: AtomicBool::new(false),
            fences: AtomicU32::new(0),
            one_to_one,
            fast_path,
            pairing,
        })
    }

    /// Descriptors by which another process takes part: memory, bells, kernel object.
    pub(crate) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        let mut fds = vec![self.memory.as_fd()];
        fds.extend(self.bells.fds());
        if let Carrier::Kernel(queue) = &self.carrier {
            fds.extend(queue.fds());
        }
        fds
    }

    /// The same for another process to keep.
    pub(crate) fn fds_to_give(&self) -> Result<Vec<OwnedFd>, Fault> {
        let kernel = match &self.carrier {
            Carrier::Kernel(queue) => queue.fds_to_give()?,
            Carrier::Ring(_) => Vec::new(),
        };
        self.with_shared(kernel)
    }

    /// Descriptors by which a process of another user takes part that may send and not receive: it
    /// cannot take an entry out of the kernel object. (What lies in shared memory it can see.)
    #[cfg_attr(not(test), allow(dead_code, reason = "for those who own a mailbox"))]
    pub(crate) fn fds_for_sending(&self) -> Result<Vec<OwnedFd>, Fault> {
        let kernel = match &self.carrier {
            Carrier::Kernel(queue) => queue.fds_for_sending()?,
            Carrier::Ring(_) => Vec::new(),
        };
        self.with_shared(kernel)
    }

    /// Copies of what every member has, before these of the kernel object.
    fn with_shared(&self, kernel: Vec<OwnedFd>) -> Result<Vec<OwnedFd>, Fault> {
        let shared = std::iter::once(self.memory.as_fd()).chain(self.bells.fds());
        let copies: std::io::Result<Vec<OwnedFd>> =
            shared.map(|fd| fd.try_clone_to_owned()).chain(kernel.into_iter().map(Ok)).collect();
        copies.map_err(|error| Fault::System {
            call: "dup",
            errno: Errno::from_raw(error.raw_os_error().unwrap_or(0)),
        })
    }

    /// What becomes readable when the kernel object holds an entry, where there is one and it may be
    /// taken.
    fn readable(&self) -> Option<BorrowedFd<'_>> {
        match &self.carrier {
            Carrier::Kernel(queue) => queue.readable(),
            Carrier::Ring(_) => None,
        }
    }

    /// Whether this process has the way out of the kernel object.
    fn can_receive(&self) -> bool {
        match &self.carrier {
            Carrier::Kernel(queue) => queue.can_receive(),
            Carrier::Ring(_) => true,
        }
    }

    /// Takes part in a channel by the descriptors of [`Self::fds`] or [`Self::fds_for_sending`]; checks
    /// everything.
    pub(crate) fn from_fds(fds: Vec<OwnedFd>) -> Result<Self, Fault> {
        let too_few = Fault::Corrupt("there are too few descriptors for a channel");
        let mut fds = fds.into_iter();
        let memory = fds.next().ok_or(too_few.clone())?;
        let region = memfd::map(memory.as_fd()).map_err(Fault::system(CHANNEL_MEMORY))?;
        let config = Config::read_header(&region)?;
        let bells: Vec<OwnedFd> = fds.by_ref().take(Bells::COUNT).collect();
        let bells = Bells::from_fds(bells.try_into().map_err(|_| too_few)?)?;
        let queue = KernelQueue::from_fds(config.mechanism, fds.collect())?;
        Self::assemble(config, memory, region, queue, bells)
    }

    /// The record of a seat.
    fn record(&self, seat: Seat) -> Result<View<Member>, Fault> {
        let offset = self.members_at + usize::from(seat.index) * size_of::<Member>();
        self.region.view(offset).map_err(|_| Fault::Corrupt("a seat lies outside the memory"))
    }

    /// Messages that wait now.
    pub(crate) fn len(&self) -> u64 {
        match (&self.carrier, self.config.capacity) {
            (_, Capacity::Zero) => 0,
            (Carrier::Kernel(_), _) => self.block.control.admission().inside(),
            (Carrier::Ring(ring), _) => self.ring_len(ring).unwrap_or(0) + self.overflow.len(),
        }
    }

    /// Whether a sender may find room. Where nothing is counted, that is for the sender to find out.
    pub(crate) fn has_room(&self) -> bool {
        match self.config.capacity {
            Capacity::Bounded(n) => self.len() < u64::from(n),
            _ => true,
        }
    }
}

impl Config {
    fn write_header(&self, region: &Region) -> Result<(), Fault> {
        let header: View<Header> =
            region.view(0).map_err(|_| Fault::Corrupt("the memory holds no header"))?;
        let (kind, capacity) = match self.capacity {
            Capacity::Zero => (0, 0),
            Capacity::Bounded(n) => (1, n),
            Capacity::Unbounded => (2, 0),
        };
        header.mechanism.store(self.mechanism.code(), Relaxed);
        header.capacity_kind.store(kind, Relaxed);
        header.capacity.store(capacity.into(), Relaxed);
        header.max_message.store(self.max_message as u64, Relaxed);
        header.fixed_size.store(self.fixed_size.map_or(0, |n| n as u64 + 1), Relaxed);
        header.byte_cap.store(self.byte_cap, Relaxed);
        header.form.store(u64::from(self.form == Form::OneToOne), Relaxed);
        header.entry_limit.store(self.entry_limit as u64, Relaxed);
        header.zero_window.store(self.zero_window.into(), Relaxed);
        header.packs.store(self.packs.into(), Relaxed);
        header.lifetime.store(u64::from(self.lifetime == Lifetime::Owned), Relaxed);
        header.policy.store(self.policy.code(), Relaxed);
        names::store(&header.name, self.name.as_ref());
        // Pairs with the load in `read_header`.
        header.magic.store(MAGIC, Release);
        Ok(())
    }

    fn read_header(region: &Region) -> Result<Self, Fault> {
        let corrupt = Fault::Corrupt("the memory is not that of a channel of this version");
        let header: View<Header> = region.view(0).map_err(|_| corrupt.clone())?;
        // Pairs with the store in `write_header`.
        if header.magic.load(Acquire) != MAGIC {
            return Err(corrupt);
        }
        let small = |word: u64| u32::try_from(word).ok();
        let read = || {
            let n = small(header.capacity.load(Relaxed))?;
            Some(Config {
                mechanism: Mechanism::from_code(header.mechanism.load(Relaxed))?,
                capacity: match header.capacity_kind.load(Relaxed) {
                    0 => Capacity::Zero,
                    1 => Capacity::Bounded(n),
                    _ => Capacity::Unbounded,
                },
                max_message: small(header.max_message.load(Relaxed))? as usize,
                fixed_size: match small(header.fixed_size.load(Relaxed))? {
                    0 => None,
                    n => Some(n as usize - 1),
                },
                byte_cap: header.byte_cap.load(Relaxed),
                form: match header.form.load(Relaxed) {
                    0 => Form::ManyToMany,
                    _ => Form::OneToOne,
                },
                entry_limit: small(header.entry_limit.load(Relaxed))? as usize,
                zero_window: small(header.zero_window.load(Relaxed))?,
                packs: header.packs.load(Relaxed) != 0,
                lifetime: match header.lifetime.load(Relaxed) {
                    0 => Lifetime::Ends,
                    _ => Lifetime::Owned,
                },
                policy: Policy::from_code(header.policy.load(Relaxed))?,
                name: names::load(&header.name),
            })
        };
        let config = read().ok_or(corrupt.clone())?;
        let packs_well = config.mechanism != Mechanism::SharedMemory
            && config.capacity != Capacity::Zero
            && config.lifetime == Lifetime::Ends;
        let sane = config.check().is_ok()
            && (packs_well || !config.packs)
            && (LEAST_ENTRY_LIMIT..=1 << 16).contains(&config.entry_limit)
            && (1..=1024).contains(&config.zero_window)
            && region.len() >= config.layout().total;
        if sane { Ok(config) } else { Err(corrupt) }
    }
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("config", &self.config).finish_non_exhaustive()
    }
}
