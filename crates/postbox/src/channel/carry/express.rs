//! The express lane: a plain message through a bounded ring for two.
//!
//! Plain is a message that lies whole in its slot and is no offer. Where anything else turns up, or
//! anything is to be done but to copy, the lane leaves everything as it was and the long way decides.
//! It is the same protocol, word for word, without the questions that cannot arise here.

use super::{Inbox, Outbox, Popped};
use crate::channel::Channel;
use crate::channel::end::End;
use crate::channel::envelope::Envelope;
use postbox_ring::sync::Ordering::SeqCst;
use postbox_steps::{Step, at};

/// Bytes of a body that share a line with the slot's word, the envelope not counted.
const NEAR: usize = 48;
const HEADER: usize = Envelope::slot_overhead(false);

impl Channel {
    /// Sends a message if that is plain; it may be that long, and there are partners.
    #[inline(always)]
    pub(crate) fn push_express(&self, end: &End, outbox: &Outbox, message: &[u8]) -> bool {
        let pushed = self.put_express(end, outbox, message);
        if pushed {
            self.published();
        }
        pushed
    }

    /// The same, and nobody is told.
    #[inline(always)]
    pub(super) fn put_express(&self, end: &End, outbox: &Outbox, message: &[u8]) -> bool {
        let Ok(mut single) = outbox.single.try_borrow_mut() else { return false };
        let Some(sender) = &mut *single else { return false };
        let Some(claim) = sender.claim_at_once() else { return false };
        if claim.body_len() < HEADER + message.len() {
            return false;
        }
        let offset = claim.body_offset();
        let header = Envelope::plain_header(end.pid(), message.len() as u32);
        // What shares its line with the word comes last: see `fill_slot`.
        let (near, far) = message.split_at(message.len().min(NEAR));
        let region = &self.region;
        let written = (far.is_empty() || region.write(offset + HEADER + NEAR, far).is_ok())
            && region.write(offset + HEADER, near).is_ok()
            && region.write(offset, &header).is_ok();
        if !written {
            return false;
        }
        at(Step::SlotWritten);
        sender.publish(claim);
        true
    }

    /// Takes the next message into `into`, which is empty, if that is plain.
    #[inline(always)]
    pub(crate) fn receive_express(
        &self,
        end: &End,
        inbox: &Inbox,
        into: &mut Vec<u8>,
    ) -> Option<Popped> {
        if !self.express || end.guarded {
            return None;
        }
        let mut single = inbox.single.try_borrow_mut().ok()?;
        let receiver = (*single).as_mut()?;
        let taken = receiver.take().ok().flatten()?;
        let offset = taken.body_offset();
        let mut header = [0; HEADER];
        self.region.read(offset, &mut header).ok()?;
        let (sender_pid, len) = Envelope::from_plain_header(header)?;
        let len = len as usize;
        // SeqCst: as in `lower_level`, which has nothing to do then.
        let watched = self.block.control.pollables.load(SeqCst) > 0;
        if watched || len > taken.body_len() - HEADER || !self.config.allows(len) {
            return None;
        }
        self.region.read_append(offset + HEADER, len, into).ok()?;
        at(Step::SlotRead);
        receiver.release(taken);
        self.freed();
        end.count_message(len);
        Some(Popped { sender_pid })
    }
}
