//! Receiving many messages: what is held of a packet at one go, and then what else is there.

use super::Batch;
use crate::channel::carry::Popped;
use crate::channel::floor::Floor;
use crate::channel::receiver::ByteReceiver;
use crate::channel::{Delivery, Receiver};
use crate::error::ReceiveError;
use crate::message::{Bytes, Message};
use crate::wait::{FOREVER, Wait};
use std::ops::ControlFlow;

impl<T: Message> Receiver<T> {
    /// Waits for a message, then takes what else is there, up to `most` in all.
    ///
    /// # Errors
    ///
    /// Those of [`receive`](Self::receive), if not even one came. An error after the first ends
    /// the batch, and is what the next call returns.
    pub fn receive_batch(&self, most: usize) -> Result<Vec<Delivery<T>>, ReceiveError> {
        self.receive_batch_with(most, FOREVER)
    }

    /// As [`receive_batch`](Self::receive_batch), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also [`TimedOut`](ReceiveError::TimedOut) and [`Cancelled`](ReceiveError::Cancelled), if not
    /// even one came.
    pub fn receive_batch_with(
        &self,
        most: usize,
        wait: &Wait,
    ) -> Result<Vec<Delivery<T>>, ReceiveError> {
        let mut batch = Vec::new();
        if most > 0 {
            self.bytes.end.check()?;
            self.bytes.settle_pending()?;
            // One receive, however many messages.
            let _floor = Floor::wait(&self.bytes.end, wait)?;
            batch.push(self.receive_with(wait)?);
            self.fill(&mut batch, most);
        }
        Ok(batch)
    }

    /// Takes what is there, up to `most`; none where there is nothing.
    ///
    /// # Errors
    ///
    /// Those of [`try_receive`](Self::try_receive), if not even one came.
    pub fn try_receive_batch(&self, most: usize) -> Result<Vec<Delivery<T>>, ReceiveError> {
        let mut batch = Vec::new();
        self.bytes.end.check()?;
        // One receive as well. Without the floor there is nothing, but perhaps an error.
        let floor = Floor::try_take(&self.bytes.end);
        if most > 0
            && let Some(first) = self.try_receive()?
        {
            batch.push(first);
            if floor.is_some() {
                self.fill(&mut batch, most);
            }
        }
        Ok(batch)
    }

    fn fill(&self, batch: &mut Vec<Delivery<T>>, most: usize) {
        while batch.len() < most {
            let more = match self.bytes.end.channel.next_held(&self.bytes.inbox) {
                0 => self.try_receive().map(|next| {
                    let none = next.is_none();
                    batch.extend(next);
                    !none
                }),
                held => {
                    batch.reserve(held.min(most - batch.len()));
                    self.open_held(batch, most).map(|()| true)
                }
            };
            match more {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    *self.bytes.pending.borrow_mut() = Some(error);
                    break;
                }
            }
        }
    }

    /// What this end holds of a packet, up to `most` in all, or up to one that is no `T`.
    fn open_held(&self, batch: &mut Vec<Delivery<T>>, most: usize) -> Result<(), ReceiveError> {
        let (channel, end) = (&self.bytes.end.channel, &self.bytes.end);
        let mut opened = Ok(());
        channel.take_many_held(end, &self.bytes.inbox, most - batch.len(), |message, popped| {
            match T::decode(&mut message.to_vec()) {
                Ok(message) => {
                    batch.push(Delivery::new(message, self.bytes.peer(popped)));
                    ControlFlow::Continue(())
                }
                Err(error) => {
                    opened = Err(ReceiveError::from(error));
                    ControlFlow::Break(())
                }
            }
        })?;
        opened
    }
}

impl Receiver<Bytes> {
    /// Waits for a message and replaces what `batch` holds by it and by what else is there, up to
    /// `most` in all; how many. Nothing is allocated if its memory suffices.
    ///
    /// # Errors
    ///
    /// Those of [`receive_batch`](Self::receive_batch).
    pub fn receive_batch_into(
        &self,
        batch: &mut Batch,
        most: usize,
    ) -> Result<usize, ReceiveError> {
        self.receive_batch_into_with(batch, most, FOREVER)
    }

    /// As [`receive_batch_into`](Self::receive_batch_into), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Those of [`receive_batch_with`](Self::receive_batch_with).
    pub fn receive_batch_into_with(
        &self,
        batch: &mut Batch,
        most: usize,
        wait: &Wait,
    ) -> Result<usize, ReceiveError> {
        self.bytes.receive_batch(batch, most, wait)
    }

    /// Replaces what `batch` holds by what is there, up to `most`; how many, and none where there is
    /// nothing.
    ///
    /// # Errors
    ///
    /// Those of [`try_receive_batch`](Self::try_receive_batch).
    pub fn try_receive_batch_into(
        &self,
        batch: &mut Batch,
        most: usize,
    ) -> Result<usize, ReceiveError> {
        self.bytes.try_receive_batch(batch, most)
    }
}

impl ByteReceiver {
    fn receive_batch(
        &self,
        batch: &mut Batch,
        most: usize,
        wait: &Wait,
    ) -> Result<usize, ReceiveError> {
        batch.clear();
        if most > 0 {
            self.end.check()?;
            self.settle_pending()?;
            // One receive, however many messages.
            let _floor = Floor::wait(&self.end, wait)?;
            let popped = self.wait_into(&mut batch.bytes, wait)?;
            batch.ended();
            batch.sent_by(self.peer(popped));
            self.fill_into(batch, most);
        }
        Ok(batch.len())
    }

    fn try_receive_batch(&self, batch: &mut Batch, most: usize) -> Result<usize, ReceiveError> {
        batch.clear();
        self.end.check()?;
        let floor = Floor::try_take(&self.end);
        if most > 0
            && let Some(popped) = self.try_take_into(&mut batch.bytes)?
        {
            batch.ended();
            batch.sent_by(self.peer(popped));
            if floor.is_some() {
                self.fill_into(batch, most);
            }
        }
        Ok(batch.len())
    }

    fn fill_into(&self, batch: &mut Batch, most: usize) {
        while batch.len() < most {
            let (whole, count) = (batch.bytes.len(), batch.len());
            let taken = match self.end.channel.next_held(&self.inbox) {
                0 => self
                    .try_take_into(&mut batch.bytes)
                    .map(|popped| popped.inspect(|_| batch.ended())),
                _ => self.take_held(batch, most - batch.len()).map(Some),
            };
            match taken {
                Ok(Some(popped)) => batch.sent_by(self.peer(popped)),
                Ok(None) => break,
                Err(error) => {
                    batch.bytes.truncate(whole);
                    batch.ends.truncate(count);
                    *self.pending.borrow_mut() = Some(error);
                    break;
                }
            }
        }
    }

    /// As many of what this end holds of a packet, which are one sender's.
    fn take_held(&self, batch: &mut Batch, most: usize) -> Result<Popped, ReceiveError> {
        let Batch { bytes, ends, .. } = batch;
        let (channel, end) = (&self.end.channel, &self.end);
        let mut popped = Popped { sender_pid: 0 };
        channel.take_many_held(end, &self.inbox, most, |message, by| {
            bytes.extend_from_slice(message);
            ends.push(bytes.len());
            popped = by;
            ControlFlow::Continue(())
        })?;
        Ok(popped)
    }
}
