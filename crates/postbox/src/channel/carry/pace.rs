//! A lone sender's way into its ring, at its pace.
//!
//! Whoever streams fetches slots before it writes them: of those that come next the receiver has the lines, since
//! it read them a lap ago. A fetch takes as long as several messages, so it is made in time, for the slot after
//! the next: the next one a receiver that keeps up is looking at already. Between messages
//! that wait for an answer it would be a detour: the receiver has all the time to look.
//!
//! Some processors do not fetch what is only going to be written. There slots are touched instead, a few at a time: a store
//! that waits for its line behind the message that was published delays nobody, and so it is made at every pace.

use postbox_ring::pairing::{Barriers, Held};
use postbox_ring::slots::{Claim, MappedSlots, SlotRing};
use postbox_ring::spsc::SpscSender;
use postbox_ring::{Corrupt, RingPairing};
use postbox_sys::{clock, cpu};
use std::cell::Cell;

/// The pace is taken of so many messages between two slots of a lap. Rings have room for two such runs at least.
const EVERY: u32 = 32;
/// Messages less far than this from one to the next on average, in nanoseconds, are a stream. It is several times the
/// price of a message, and an answer takes longer: two trips between cores, of two cache lines each.
const STREAM: u64 = 120;

/// The sending end of a ring for two.
pub(super) struct Solo {
    pub(super) sender: SpscSender<MappedSlots>,
    pace: Pace,
    /// Slots are fetched by writing to them, and at every pace.
    touches: bool,
}

impl Solo {
    pub(super) fn attach(ring: SlotRing) -> Result<Solo, Corrupt> {
        let sender = SpscSender::attach(ring)?;
        Ok(Solo { sender, pace: Pace::default(), touches: !cpu::fetches_for_writing() })
    }

    /// As [`SpscSender::publish_next`]; slots are fetched for what comes.
    #[inline(always)]
    pub(super) fn publish_next(&self) {
        self.sender.publish_next();
        if self.touches {
            self.sender.touch_ahead();
        } else {
            self.fetch_in_stream();
        }
    }

    /// The same while its ring is a pair's, or if it was when the slot was claimed.
    ///
    /// # Errors
    /// Where memory makes no sense; the message is published all the same.
    #[inline(always)]
    pub(super) fn publish_of_pair(
        &self,
        pairing: &RingPairing,
        held: Held<Claim>,
        member: u16,
        barriers: &impl Barriers,
    ) -> Result<(), Corrupt> {
        let is_of_two = matches!(held, Held::OfTwo(_));
        pairing.publish(&self.sender, held);
        if self.touches && is_of_two {
            return pairing.touch_ahead(&self.sender, member, barriers);
        }
        self.fetch_in_stream();
        Ok(())
    }

    #[inline(always)]
    fn fetch_in_stream(&self) {
        if self.pace.is_stream(self.sender.position().index(), clock::now) {
            self.sender.fetch_ahead();
        }
    }
}

/// How closely messages follow each other.
#[derive(Default)]
struct Pace {
    /// When it was taken last, in nanoseconds.
    since: Cell<u64>,
    streams: Cell<bool>,
}

impl Pace {
    /// One message more, and that slot of the ring is next; whether they are a stream.
    #[inline(always)]
    fn is_stream(&self, index: u32, now: impl FnOnce() -> u64) -> bool {
        if index % EVERY == EVERY - 1 {
            self.take(index, now());
        }
        self.streams.get()
    }

    #[inline(never)]
    fn take(&self, index: u32, now: u64) {
        // The first of a lap only begins: there may be more slots behind the last one.
        if index >= EVERY {
            self.streams.set(now.wrapping_sub(self.since.get()) < u64::from(EVERY) * STREAM);
        }
        self.since.set(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_a_stream_as_long_as_they_follow_each_other_closely() {
        let (pace, mut time) = (Pace::default(), 1 << 40);
        // A lap of a ring whose slots are no multiple of it: what they were taken for from each mark on.
        let mut lap = |apart: u64| {
            let mut seen = (0..3 * EVERY - 1).map(|index| {
                time += apart;
                pace.is_stream(index, || time)
            });
            let before = seen.by_ref().take(2 * EVERY as usize - 1).collect::<Vec<_>>();
            let after = seen.collect::<Vec<_>>();
            for part in [&before, &after] {
                assert!(part.iter().all(|streams| *streams == part[0]), "judged in between");
            }
            (before[0], after[0])
        };
        assert_eq!(lap(STREAM - 1), (false, true), "nothing is known of the first ones");
        assert_eq!(lap(STREAM - 1), (true, true), "however many slots end a lap");
        assert_eq!(lap(STREAM), (true, false));
        assert_eq!(lap(10_000_000), (false, false));
        assert_eq!(lap(30), (false, true));
        assert_eq!(lap(30), (true, true));
    }
}
