//! A lone sender's way into its ring, at its pace.
//!
//! Whoever streams fetches slots before it writes them: of those that come next the receiver has the lines, since
//! it read them a lap ago. A fetch takes as long as three messages, so it is made in time, for the slot after
//! the next: the next one a receiver that keeps up is looking at already. Between messages
//! that wait for an answer it would be a detour: the receiver has all the time to look.

use postbox_ring::Corrupt;
use postbox_ring::slots::{Claim, ClaimError, MappedSlots, SlotRing};
use postbox_ring::spsc::SpscSender;
use postbox_sys::clock;

/// The pace is taken every so many messages.
const EVERY: u32 = 32;
/// Messages this far from one to the next on average, in nanoseconds, are a stream: half of what the quickest answer
/// takes, and three times the price of a message.
const STREAM: u64 = 120;

/// The sending end of a ring for two.
pub(super) struct Solo {
    sender: SpscSender<MappedSlots>,
    /// Messages until the pace is taken again.
    left: u32,
    /// When it was taken last, in nanoseconds.
    since: u64,
    streams: bool,
}

impl Solo {
    pub(super) fn attach(ring: SlotRing) -> Result<Solo, Corrupt> {
        Ok(Solo { sender: SpscSender::attach(ring)?, left: EVERY, since: 0, streams: false })
    }

    /// As [`SpscSender::claim`].
    #[inline(always)]
    pub(super) fn claim(&mut self) -> Result<Claim, ClaimError> {
        self.sender.claim()
    }

    /// As [`SpscSender::claim_at_once`].
    #[inline(always)]
    pub(super) fn claim_at_once(&mut self) -> Option<Claim> {
        self.sender.claim_at_once()
    }

    /// As [`SpscSender::publish`].
    #[inline(always)]
    pub(super) fn publish(&mut self, claim: Claim) {
        self.sender.publish(claim);
        self.left -= 1;
        if self.left == 0 {
            self.take_pace();
        }
        if self.streams {
            self.sender.fetch_ahead();
        }
    }

    #[inline(never)]
    fn take_pace(&mut self) {
        let now = clock::now();
        self.streams = now.wrapping_sub(self.since) < u64::from(EVERY) * STREAM;
        (self.left, self.since) = (EVERY, now);
    }
}
