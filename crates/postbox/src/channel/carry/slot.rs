//! Messages that an end of this process writes or reads in their slot: by the fast path of two, what fits one.
//!
//! ```text
//!  lend_slot ──► written by the application ──► put_slot_lent: published
//!      └──────── dropped: the next claim gives the same slot
//!
//!  take_slot_in_place: the head moves on, its room is back ──► read by the application, until the next is taken
//! ```
//!
//! With many senders a slot that is being written holds up all behind it; here there is nobody behind. The
//! sender does not come round to the slot before the head, so what was taken last stays as it is.

use super::fast_path::{FastPath, Glance, HEADER, Missed};
use super::{Inbox, Outbox, Popped};
use crate::channel::Channel;
use crate::channel::end::End;
use crate::channel::envelope::{Envelope, FIRST_LINE};
use crate::error::Fault;
use postbox_ring::region::{SharedSlice, SharedSliceMut};
use postbox_steps::{Step, at};

/// A message in a slot: where it lies in the memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InSlot {
    pub(super) at: usize,
    pub(super) len: usize,
}

impl InSlot {
    #[inline(always)]
    pub(crate) fn new(at: usize, len: usize) -> InSlot {
        InSlot { at, len }
    }

    #[inline(always)]
    pub(crate) fn len(self) -> usize {
        self.len
    }
}

/// Where a message of that length is made: not in the line that its receiver looks at, which would go to and
/// fro, unless the message fits that and no other.
#[inline(always)]
fn begin(len: usize, room: usize) -> usize {
    match HEADER + len > FIRST_LINE && FIRST_LINE + len <= room {
        true => FIRST_LINE,
        false => HEADER,
    }
}

impl Channel {
    /// Where in the next slot a message that long is to be written; none where it does not fit, or there is no room just now.
    #[inline(always)]
    pub(crate) fn lend_slot(&self, outbox: &Outbox, len: usize) -> Option<usize> {
        if self.fast_path != FastPath::ForTwo || self.overflows() {
            return None;
        }
        let claim = outbox.single.get()?.sender.claim().ok()?;
        let room = claim.body_len();
        let begin = begin(len, room);
        (begin + len <= room).then(|| claim.body_offset() + begin)
    }

    /// Sends the first `len` bytes of what was written in the slot that was lent, from `lent` on. Nobody is told.
    #[inline(always)]
    pub(crate) fn put_slot_lent(
        &self,
        end: &End,
        outbox: &Outbox,
        lent: usize,
        len: usize,
    ) -> Result<(), Fault> {
        // The same as when it was lent: its end has been borrowed since.
        let claimed =
            outbox.single.get().and_then(|solo| Some((solo.sender.claim_at_once()?, solo)));
        let (claim, solo) = claimed.ok_or(Fault::Corrupt("a slot that was lent is gone"))?;
        let mut header = Envelope::plain_header(end.pid(), len as u32);
        if lent != claim.body_offset() + HEADER {
            header = Envelope::at_next_line(header);
        }
        // Within the region, as every slot.
        let _ = self.region.write(claim.body_offset(), &header);
        at(Step::SlotWritten);
        solo.publish_next();
        Ok(())
    }

    /// Takes the next message if that is plain, and leaves it in its slot: by the fast path of two.
    #[inline(always)]
    pub(crate) fn take_slot_in_place(&self, end: &End, inbox: &Inbox) -> Glance<(Popped, InSlot)> {
        let receiver = inbox.single.get().ok_or(Missed::Unusual)?;
        let (taken, sender_pid, lies) = self.look_for_plain(end, receiver)?;
        self.took_plain(end, receiver, taken, lies);
        Ok((Popped { sender_pid }, lies))
    }

    /// A message in a slot, to be read.
    #[inline]
    pub(crate) fn in_slot(&self, lies: InSlot) -> SharedSlice<'_> {
        self.region.slice(lies.at, lies.len).unwrap_or(SharedSlice::from(&[][..]))
    }

    /// A message in a slot, to be written.
    #[inline]
    pub(crate) fn in_slot_mut(&self, lies: InSlot) -> SharedSliceMut<'_> {
        self.region.slice_mut(lies.at, lies.len).unwrap_or(SharedSliceMut::from(&mut [][..]))
    }
}
