//! An asynchronous send: the message is in the channel, or there is no room for it.
//!
//! Three ways, the shorter first: at once through a ring, with nothing to be done but to copy; by an express lane, after a
//! look around; and the long way, which can do anything.

use super::Sender;
use crate::channel::carry::Outgoing;
use crate::error::{SendError, TrySendError};
use crate::mechanism::Capacity;
use crate::message::Message;
use crate::wait::Wait;

impl<T: Message> Sender<T> {
    /// Whether the message went through a ring, with nothing to be done but to copy it. Whatever else there
    /// is, an error to be told included, is left to the long way, which begins anew.
    #[inline(always)]
    pub(super) fn went_at_once(&self, bytes: &[u8]) -> bool {
        let Sender { end, outbox, .. } = self;
        if !end.channel.express {
            return self.went_among_many(bytes);
        }
        let went = end.sends_at_once(bytes.len()) && end.channel.push_express(end, outbox, bytes);
        if went {
            end.count_message(bytes.len());
        }
        went
    }

    #[inline(never)]
    fn went_among_many(&self, bytes: &[u8]) -> bool {
        let Sender { end, outbox, .. } = self;
        let went = end.channel.shared_lane
            && end.sends_at_once(bytes.len())
            && end.channel.push_among_many(end, outbox, bytes);
        if went {
            end.count_message(bytes.len());
        }
        went
    }

    #[inline(never)]
    pub(super) fn send_long_way(&self, bytes: &[u8], wait: &Wait) -> Result<(), SendError> {
        self.may_send(bytes.len())?;
        self.send_bytes(bytes, wait)
    }

    #[inline(never)]
    pub(super) fn try_long_way(&self, bytes: &[u8]) -> Result<(), TrySendError> {
        self.may_send(bytes.len())?;
        self.try_send_bytes(bytes)
    }

    #[inline(always)]
    pub(super) fn send_bytes(&self, bytes: &[u8], wait: &Wait) -> Result<(), SendError> {
        if self.end.channel.config.capacity == Capacity::Zero {
            return self.deliver_bytes(bytes, wait).map(drop);
        }
        if self.sent_express(bytes) {
            return Ok(());
        }
        self.wait_for_room(wait, || self.push_plain(bytes))
    }

    pub(super) fn try_send_bytes(&self, bytes: &[u8]) -> Result<(), TrySendError> {
        if self.end.channel.config.capacity == Capacity::Zero {
            self.has_receivers()?;
            return match self.end.channel.engage(&self.end, &self.outbox, bytes) {
                Ok(true) => {
                    self.end.count_message(bytes.len());
                    Ok(())
                }
                Ok(false) => Err(TrySendError::Full),
                Err(refused) => {
                    self.refused(refused, bytes.len())?;
                    Err(TrySendError::Full)
                }
            };
        }
        if self.sent_express(bytes) {
            return Ok(());
        }
        // The second time after a repair, if one was due.
        for _ in 0..2 {
            if self.push_plain(bytes)?.is_some() {
                return Ok(());
            }
        }
        Err(TrySendError::Full)
    }

    /// Whether the message went by an express lane.
    #[inline(always)]
    fn sent_express(&self, bytes: &[u8]) -> bool {
        let end = &self.end;
        let sent = end.partners().is_ok()
            && match (end.channel.express, end.channel.shared_lane) {
                (true, _) => end.channel.push_express(end, &self.outbox, bytes),
                (_, true) => end.channel.push_among_many(end, &self.outbox, bytes),
                _ => end.channel.push_plain_entry(end, &self.outbox, bytes),
            };
        if sent {
            end.count_message(bytes.len());
        }
        sent
    }

    /// Some if the message is in the channel, none if there is no room.
    #[inline(always)]
    fn push_plain(&self, bytes: &[u8]) -> Result<Option<()>, SendError> {
        self.has_receivers()?;
        let message = Outgoing { bytes, cell: None, engaging: false };
        match self.end.channel.push(&self.end, &self.outbox, message) {
            Ok(_) => {
                self.end.count_message(bytes.len());
                Ok(Some(()))
            }
            Err(refused) => self.not_pushed(refused, bytes.len()),
        }
    }
}
