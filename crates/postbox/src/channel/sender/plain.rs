//! An asynchronous send: the message is in the channel, or there is no room for it.
//!
//! Two ways: at once, by the channel's fast path, with nothing to be done but to copy; and the slow path, which can
//! do anything.

use super::ByteSender;
use crate::channel::carry::{FastPath, Outgoing};
use crate::error::{SendError, TrySendError};
use crate::mechanism::Capacity;
use crate::wait::Wait;

impl ByteSender {
    /// Whether the message went by the channel's fast path, with nothing to be done but to copy it. Whatever else there
    /// is, an error to be told included, is left to the slow path, which begins anew.
    #[inline(always)]
    pub(super) fn went_at_once(&self, bytes: &[u8]) -> bool {
        let ByteSender { end, outbox, .. } = self;
        if end.channel.fast_path != FastPath::ForTwo {
            return self.went_by_call(bytes);
        }
        let went = end.sends_at_once(bytes.len()) && end.channel.put_for_two(end, outbox, bytes);
        if went {
            end.channel.published();
            end.count_message(bytes.len());
        }
        went
    }

    /// The fast paths that are not worth a copy of their code in each caller.
    #[inline(never)]
    fn went_by_call(&self, bytes: &[u8]) -> bool {
        let ByteSender { end, outbox, .. } = self;
        let channel = &end.channel;
        let went = end.sends_at_once(bytes.len())
            && match channel.fast_path {
                FastPath::ForMany => channel.push_of_pair_or_many(end, outbox, bytes),
                FastPath::Kernel => channel.push_plain_entry(end, outbox, bytes),
                FastPath::ForTwo | FastPath::None => false,
            };
        if went {
            end.count_message(bytes.len());
        }
        went
    }

    #[inline(never)]
    pub(super) fn send_slow_path(&self, bytes: &[u8], wait: &Wait) -> Result<(), SendError> {
        self.may_send(bytes.len())?;
        self.send_bytes(bytes, wait)
    }

    #[inline(never)]
    pub(super) fn try_slow_path(&self, bytes: &[u8]) -> Result<(), TrySendError> {
        self.may_send(bytes.len())?;
        self.try_send_bytes(bytes)
    }

    #[inline(always)]
    pub(super) fn send_bytes(&self, bytes: &[u8], wait: &Wait) -> Result<(), SendError> {
        if self.end.channel.config.capacity == Capacity::Zero {
            return self.deliver_bytes(bytes, wait).map(drop);
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
        // The second time after a repair, if one was due.
        for _ in 0..2 {
            if self.push_plain(bytes)?.is_some() {
                return Ok(());
            }
        }
        Err(TrySendError::Full)
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
