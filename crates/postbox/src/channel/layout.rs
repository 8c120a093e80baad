//! Where each part of a channel's memory lies, and how large it is.

use super::LEAST_BYTE_CAP;
use super::control::{Cell, Control, Header, Member};
use super::envelope::{FIRST_LINE, MANY_LINES};
use super::lifetime::Lifetime;
use crate::error::CreateError;
use crate::mechanism::{Capacity, Form, MAX_BOUNDED, Mechanism};
use crate::name::Name;
use crate::policy::Policy;
use postbox_ring::log::{LogLayout, Restart};
use postbox_ring::slots::SlotLayout;
use std::mem::size_of;

/// Ends that a channel can tell apart.
pub(crate) const MEMBERS: usize = 2048;
/// Synchronous sends under way at a time.
pub(crate) const CELLS: usize = 256;
/// Offers that may lie in a kernel object and its overflow, withdrawn ones included, before further
/// offers wait.
const KERNEL_OFFERS: u64 = 1024;
/// Slots beyond the capacity, which withdrawn offers and messages being read may occupy.
const RING_SLACK: u32 = 64;
/// The slot of the message that the one receiver of a ring for two reads in place.
const READ_IN_PLACE: u32 = 1;
/// Slots in front of the overflow of an unbounded channel over shared memory.
const UNBOUNDED_FRONT: u32 = 1024;
/// Bodies of messages go to a small log first, which restarts early and whose pages are kept: what a
/// stream of large messages uses again and again stays in the cache, and is neither punched nor filled
/// anew. So large it is, unless it would be more than an eighth of the cap.
const WARM_BYTES: u64 = 16 << 20;
/// Bytes after which it restarts when its start is free.
const WARM_SOFT_BYTES: u64 = 3 << 20;
/// Unless that would be too few for so many bodies: a stream whose receiver is further behind takes from the
/// other log, whose pages are cold.
const BEHIND: u32 = 8;
/// Room for what the kernel object holds at most, when its packets are opened for several receivers.
const FRONT_BYTES: u64 = 16 << 20;
/// Room after which a log goes back to its start when it can, to stay small and in the cache.
const LOG_SOFT_BYTES: u64 = 1 << 20;
/// Chunks of a log that are kept when a burst is over; a chunk is 1 MiB, or more in large logs.
pub(crate) const KEEP: u32 = 4;
/// The same of the log of warm bodies: all. What is given back and taken again costs more than a message does.
pub(crate) const KEEP_WARM: u32 = (WARM_BYTES >> 20) as u32;
/// A channel that says how large its messages are has them in their slots: up to so many bytes each,
pub(super) const INLINE_MAX: usize = 4096;
/// up to so many where all slots together take no more than `RING_BYTES`, nor than an eighth of the cap. Larger
/// ones gain little by it, and in their bodies they can be read in place whatever the form.
const INLINE_MOST: usize = 16 << 10;
const RING_BYTES: u64 = 4 << 20;
/// Where messages may be larger the slots hold the short ones, and the log of bodies the others. A ring is
/// gone through from end to end and so occupies what all its slots occupy: each has its share of this, which
/// stays in a core's own cache, or of an eighth of the cap if that is less,
const MIXED_RING_BYTES: u64 = 512 << 10;
/// within these bounds: messages of 104 bytes and of some more than a KiB.
const LEAST_MIXED_STRIDE: usize = 128;
const MOST_MIXED_STRIDE: usize = 1024 + 64;
/// Slots consist of whole cache lines.
const LINE: usize = 64;

/// More than any file has, less than what overflows when added up: checked options need far less.
const BEYOND: usize = usize::MAX >> 4;

/// The largest `max_message`: 1 GiB.
pub(crate) const MAX_MESSAGE: usize = 1 << 30;

/// Everything a channel was created with; each process keeps its own checked copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub mechanism: Mechanism,
    pub capacity: Capacity,
    pub max_message: usize,
    pub fixed_size: Option<usize>,
    /// Bytes that the overflow and the bodies may take, each; the bodies an eighth more at most.
    pub byte_cap: u64,
    pub form: Form,
    /// Largest entry of the kernel object, header included; of no meaning for shared memory.
    pub entry_limit: usize,
    /// Offers outstanding at a time when the capacity is zero.
    pub zero_window: u32,
    /// Whether messages may share packets, as long as there is one receiver.
    pub packs: bool,
    pub lifetime: Lifetime,
    pub policy: Policy,
    /// The mailbox's, for errors to say.
    pub name: Option<Name>,
}

/// Offsets of the parts.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    pub control: usize,
    pub cells: usize,
    pub members: usize,
    pub ring: Option<SlotLayout>,
    /// In front of the kernel object, where messages share packets.
    pub front: Option<LogLayout>,
    pub overflow: LogLayout,
    /// None where the cap leaves no room for it.
    pub warm_bodies: Option<LogLayout>,
    pub bodies: LogLayout,
    pub total: usize,
}

impl Layout {
    /// Bytes from the start that every member touches.
    pub(crate) fn fixed_part(&self) -> usize {
        self.members + 4096
    }
}

/// Bytes of a unit in a log of that size: a log has at most 2²² of them, and a unit 64 bytes unless that asks for
/// more.
fn unit_of(size: u64) -> u64 {
    (size >> 22).max(64)
}

/// The size of the smallest log that a message of so many bytes fits. One unit of a log is never used.
pub(super) fn log_for(bytes: usize) -> u64 {
    let bytes = bytes.min(MAX_MESSAGE) as u64;
    let size = bytes.next_power_of_two().max(LEAST_BYTE_CAP);
    if size - unit_of(size) < bytes { 2 * size } else { size }
}

fn page_up(offset: usize) -> usize {
    offset.next_multiple_of(4096)
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), CreateError> {
        let refuse = |option, value, range| Err(CreateError::Option { option, value, range });
        if let Capacity::Bounded(n) = self.capacity
            && !(1..=MAX_BOUNDED).contains(&n)
        {
            return refuse("capacity", n.into(), "1..=1048576; use Capacity::Zero or Unbounded");
        }
        if let Some(bytes) = self.fixed_size.filter(|bytes| *bytes > MAX_MESSAGE) {
            return refuse("fixed_size", bytes as u64, "0..=1073741824 bytes");
        }
        if self.max_message > MAX_MESSAGE {
            return refuse("max_message", self.max_message as u64, "0..=1073741824 bytes");
        }
        if self.byte_cap < LEAST_BYTE_CAP || self.byte_cap > 1 << 40 {
            return refuse("byte_cap", self.byte_cap, "65536..=1099511627776 bytes");
        }
        Ok(())
    }

    /// How many messages may be admitted at a time; none when unbounded.
    pub(crate) fn window(&self) -> Option<u64> {
        match self.capacity {
            Capacity::Zero => Some(self.zero_window.into()),
            Capacity::Bounded(n) => Some(n.into()),
            Capacity::Unbounded => None,
        }
    }

    /// Whether the first two ends that use a ring for many have it for themselves until others do.
    pub(crate) fn may_be_paired(&self) -> bool {
        self.mechanism == Mechanism::SharedMemory && self.form == Form::ManyToMany
    }

    /// Whether a message may be that long.
    #[inline]
    pub(crate) fn allows(&self, len: usize) -> bool {
        match self.fixed_size {
            Some(size) => len == size,
            None => len <= self.max_message,
        }
    }

    /// Offers that may lie in the queue, withdrawn ones included.
    pub(crate) fn most_offers(&self) -> u64 {
        match self.mechanism {
            // A withdrawn offer counts no more but keeps its slot until it is popped.
            Mechanism::SharedMemory => RING_SLACK.into(),
            _ => KERNEL_OFFERS,
        }
    }

    /// Bytes of each of so many slots: a word, an entry header and a body.
    fn stride(&self, slots: u32) -> usize {
        let body = self.fixed_size.unwrap_or(self.max_message);
        let begin = if body < MANY_LINES { 16 } else { FIRST_LINE };
        let whole = (8 + begin + body).next_multiple_of(LINE);
        let (slots, most) = (u64::from(slots), self.byte_cap / 8);
        if body <= INLINE_MAX || body <= INLINE_MOST && whole as u64 * slots <= RING_BYTES.min(most)
        {
            return whole;
        }
        let share = (MIXED_RING_BYTES.min(most) / slots) as usize;
        (share / LINE * LINE).clamp(LEAST_MIXED_STRIDE, MOST_MIXED_STRIDE)
    }

    pub(crate) fn layout(&self) -> Layout {
        let control = page_up(size_of::<Header>());
        let cells = page_up(control + size_of::<Control>());
        let members = page_up(cells + CELLS * size_of::<Cell>());
        let mut end = page_up(members + MEMBERS * size_of::<Member>());

        let ring = (self.mechanism == Mechanism::SharedMemory).then(|| {
            let window = self.window().map_or(UNBOUNDED_FRONT, |n| n as u32);
            let slots = window + RING_SLACK + READ_IN_PLACE;
            let ring = SlotLayout { offset: end, slots, window, stride: self.stride(slots) };
            end = page_up(end + ring.bytes_needed().unwrap_or(BEYOND));
            ring
        });
        let mut log = |size: u64, soft: u64, restart: Restart| {
            let unit = unit_of(size);
            let log = LogLayout {
                offset: end,
                units: (size / unit) as u32,
                unit: unit as usize,
                soft: (soft.min(size / 4) / unit) as u32,
                restart,
            };
            end = page_up(end + log.bytes_needed().unwrap_or(BEYOND));
            log
        };
        let size = self.byte_cap.next_power_of_two();
        let front =
            self.packs.then(|| log(size.min(FRONT_BYTES), LOG_SOFT_BYTES, Restart::WhenEmpty));
        let overflow = log(size, LOG_SOFT_BYTES, Restart::WhenEmpty);
        let warm_bodies = (size / 8 >= WARM_BYTES)
            .then(|| log(WARM_BYTES, WARM_SOFT_BYTES, Restart::WhenStartIsFree { behind: BEHIND }));
        let bodies = log(size, LOG_SOFT_BYTES, Restart::WhenEmpty);
        Layout { warm_bodies, front, control, cells, members, ring, overflow, bodies, total: end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::options::Options;

    fn stride(options: &Options) -> usize {
        options.config().layout().ring.expect("over shared memory").stride
    }

    fn with(capacity: Capacity, max_message: usize) -> Options {
        Options::new(Mechanism::SharedMemory).capacity(capacity).max_message(max_message)
    }

    #[test]
    fn a_slot_holds_the_largest_message_of_a_channel_that_has_small_ones() {
        for (bytes, stride_of) in [(0, 64), (40, 64), (41, 128), (104, 128), (255, 320), (256, 320)]
        {
            for capacity in [Capacity::Zero, Capacity::Bounded(1 << 20), Capacity::Unbounded] {
                assert_eq!(stride(&with(capacity, bytes)), stride_of, "{bytes} {capacity}");
            }
        }
        // From 256 bytes on a message begins at a line of its own.
        assert_eq!(stride(&with(Capacity::Bounded(1 << 20), 4096)), 64 + 4096);
        assert_eq!(stride(&Options::new(Mechanism::SharedMemory).fixed_size(1000)), 1088);
    }

    #[test]
    fn a_log_is_just_large_enough_for_the_message_it_is_for() {
        for bytes in [0, 1, 65_472, 65_473, 1 << 20, 300 << 20, (1 << 29) - 128, MAX_MESSAGE] {
            let cap = log_for(bytes);
            let longest = |cap| {
                let Layout { bodies, .. } = Options::default().byte_cap(cap).config().layout();
                assert_eq!((bodies.units as usize * bodies.unit) as u64, cap);
                (bodies.units as usize - 1) * bodies.unit
            };
            assert!(longest(cap) >= bytes, "{bytes}");
            assert!(cap == LEAST_BYTE_CAP || longest(cap / 2) < bytes, "{bytes}");
        }
    }

    #[test]
    fn larger_ones_as_long_as_the_ring_stays_small() {
        assert_eq!(stride(&with(Capacity::Bounded(256), 8 << 10)), 64 + (8 << 10));
        assert_eq!(stride(&with(Capacity::Bounded(128), 16 << 10)), 64 + (16 << 10));
        // Too long by itself; too many of them; more than an eighth of the cap.
        assert_eq!(stride(&with(Capacity::Bounded(1), (16 << 10) + 1)), MOST_MIXED_STRIDE);
        assert_eq!(stride(&with(Capacity::Bounded(512), 16 << 10)), 896);
        assert_eq!(stride(&with(Capacity::Unbounded, 4097)), 448);
        let capped = with(Capacity::Bounded(64), 16 << 10).byte_cap(16 << 20);
        assert_eq!(stride(&capped), MOST_MIXED_STRIDE);
        assert_eq!(stride(&capped.byte_cap(17 << 20)), 64 + (16 << 10));
    }

    #[test]
    fn the_ring_of_a_channel_as_it_comes_stays_small_until_it_has_many_slots() {
        assert_eq!(stride(&Options::new(Mechanism::SharedMemory)), MOST_MIXED_STRIDE);
        for n in [1, 64, 256, 400, 1024, 4000] {
            let options = Options::new(Mechanism::SharedMemory).capacity(Capacity::Bounded(n));
            let ring = options.config().layout().ring.expect("over shared memory");
            let bytes = ring.stride as u64 * u64::from(ring.slots);
            assert!(bytes <= MIXED_RING_BYTES, "{n} slots take {bytes} bytes");
            assert_eq!(ring.stride % LINE, 0);
        }
        let many = Options::new(Mechanism::SharedMemory).capacity(Capacity::Bounded(1 << 20));
        assert_eq!(stride(&many), LEAST_MIXED_STRIDE);
        let capped = Options::new(Mechanism::SharedMemory).byte_cap(1 << 20);
        assert_eq!(stride(&capped), 960);
        assert_eq!(stride(&capped.byte_cap(1 << 16)), LEAST_MIXED_STRIDE);
    }
}
