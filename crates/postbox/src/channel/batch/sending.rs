//! Sending many messages: gathered into packets, put into a ring before anybody is told, or one by one.

use crate::channel::carry::{Gathered, Went};
use crate::channel::sender::ByteSender;
use crate::channel::{Carrier, Channel, Sender};
use crate::error::{SendBatchError, SendError, TrySendError};
use crate::mechanism::{Capacity, WaitStrategy};
use crate::message::Message;
use crate::wait::{FOREVER, Wait};
use postbox_sys::cpu;
use std::cell::Cell;

/// How often a sender looks for room for the rest of its packet before it takes what there is: some
/// microseconds.
const LINGER: u32 = 64;

/// How often a packet that finds the kernel object full is tried again: some ten microseconds.
const TRIES: u32 = 16;

/// How often a sender looks at most whether the overflow is empty before its messages overflow, too, and the breaths of
/// some 32 ns between: a tenth of a millisecond, in which a receiver that is at it takes some hundred messages.
const MOST_LOOKS: u32 = 800;
const BETWEEN_LOOKS: u32 = 4;
/// Of so many times once as often, whatever was learnt.
const RETRY_EVERY: u32 = 64;

/// What a sender has learnt about waiting behind the overflow.
pub(in crate::channel) struct Behind {
    looks: Cell<u32>,
    times: Cell<u32>,
}

impl Default for Behind {
    fn default() -> Self {
        Behind { looks: Cell::new(MOST_LOOKS), times: Cell::new(0) }
    }
}

impl Behind {
    /// Waits for it to come, as long as that paid the last times.
    fn await_end(&self, mut is_over: impl FnMut() -> bool) {
        self.times.set(self.times.get().wrapping_add(1));
        let all = self.times.get().is_multiple_of(RETRY_EVERY);
        let looks = if all { MOST_LOOKS } else { self.looks.get() };
        for _ in 0..looks {
            cpu::breathe(BETWEEN_LOOKS);
            if is_over() {
                self.looks.set(MOST_LOOKS);
                return;
            }
        }
        self.looks.set(looks / 2);
    }
}

/// Messages in a ring of which no receiver was told, at most.
const MOST_UNTOLD: u64 = 64;

/// Messages in a ring of which no receiver was told; they are when this is dropped, whatever the
/// iterator does.
struct Untold<'c> {
    channel: &'c Channel,
    count: u64,
}

impl Untold<'_> {
    fn tell(&mut self) {
        self.channel.tell(std::mem::take(&mut self.count));
    }
}

impl Drop for Untold<'_> {
    fn drop(&mut self) {
        self.tell();
    }
}

impl<T: Message> Sender<T> {
    /// Sends all of them in order, each as by [`send`](Self::send), and says how many.
    ///
    /// Over a pipe, a socket or a message queue they share system calls while the channel has one
    /// receiver that was never cloned (channels as such; over links and mailboxes each goes by itself).
    /// So the first may wait in this process for the next ones to come out of the iterator, and the
    /// iterator may be ahead of what was sent by some hundred messages. When the call returns, all have
    /// gone, or the error says which have.
    ///
    /// # Errors
    ///
    /// Says how many went before the one that did not, and why it did not.
    pub fn send_batch<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m T::Borrowed>,
    ) -> Result<usize, SendBatchError>
    where
        T::Borrowed: 'm,
    {
        self.send_batch_with(messages, FOREVER)
    }

    /// As [`send_batch`](Self::send_batch), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also [`TimedOut`](SendError::TimedOut) and [`Cancelled`](SendError::Cancelled): then those that
    /// went have gone, and of the others nothing.
    pub fn send_batch_with<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m T::Borrowed>,
        wait: &Wait,
    ) -> Result<usize, SendBatchError>
    where
        T::Borrowed: 'm,
    {
        self.send_all(messages.into_iter(), Some(wait))
    }

    /// Sends as many of them as there is room for, in order, and says how many.
    ///
    /// # Errors
    ///
    /// Any reason but a full channel.
    pub fn try_send_batch<'m>(
        &self,
        messages: impl IntoIterator<Item = &'m T::Borrowed>,
    ) -> Result<usize, SendBatchError>
    where
        T::Borrowed: 'm,
    {
        self.send_all(messages.into_iter(), None)
    }

    /// Waits for room as long as `wait` says, or not at all.
    fn send_all<'m>(
        &self,
        messages: impl Iterator<Item = &'m T::Borrowed>,
        wait: Option<&Wait>,
    ) -> Result<usize, SendBatchError>
    where
        T::Borrowed: 'm,
    {
        let mut sent = 0;
        // Taken out, should the iterator send by this very end.
        let mut gathered = self.bytes.outbox.take_gathered();
        let channel = &self.end().channel;
        let outcome = match &channel.carrier {
            _ if channel.config.capacity == Capacity::Zero => {
                self.one_by_one(messages, wait, &mut sent)
            }
            Carrier::Ring(_) => self.publish(messages, wait, &mut sent),
            Carrier::Kernel(_) if channel.packs() => {
                self.gather(messages, &mut gathered, wait, &mut sent)
            }
            Carrier::Kernel(_) => self.one_by_one(messages, wait, &mut sent),
        };
        self.bytes.outbox.keep_gathered(gathered);
        match outcome {
            Ok(()) => Ok(sent),
            Err(reason) => Err(SendBatchError { sent, reason }),
        }
    }

    /// Each by itself, until one finds no room and is not to wait.
    fn one_by_one<'m>(
        &self,
        messages: impl Iterator<Item = &'m T::Borrowed>,
        wait: Option<&Wait>,
        sent: &mut usize,
    ) -> Result<(), SendError>
    where
        T::Borrowed: 'm,
    {
        for message in messages {
            if !self.send_one(message, wait)? {
                break;
            }
            *sent += 1;
        }
        Ok(())
    }

    /// Over a ring: receivers are told of many at once.
    fn publish<'m>(
        &self,
        messages: impl Iterator<Item = &'m T::Borrowed>,
        wait: Option<&Wait>,
        sent: &mut usize,
    ) -> Result<(), SendError>
    where
        T::Borrowed: 'm,
    {
        let mut untold = Untold { channel: &self.end().channel, count: 0 };
        for message in messages {
            self.bytes.before_next(&untold)?;
            let went =
                self.with_bytes(message, |bytes| self.bytes.put_untold(bytes, &mut untold))?;
            // Why not, and whether to wait, is told by itself.
            if !went && !self.send_one(message, wait)? {
                break;
            }
            *sent += 1;
        }
        Ok(())
    }

    /// Whether it went; if not, the channel is full and nobody was to wait.
    #[inline(never)]
    fn send_one(&self, message: &T::Borrowed, wait: Option<&Wait>) -> Result<bool, SendError> {
        match wait {
            Some(wait) => self.send_with(message, wait).map(|()| true),
            None => match self.try_send(message) {
                Ok(()) => Ok(true),
                Err(TrySendError::Full) => Ok(false),
                Err(TrySendError::Send(reason)) => Err(reason),
            },
        }
    }

    fn gather<'m>(
        &self,
        messages: impl Iterator<Item = &'m T::Borrowed>,
        gathered: &mut Gathered,
        wait: Option<&Wait>,
        sent: &mut usize,
    ) -> Result<(), SendError>
    where
        T::Borrowed: 'm,
    {
        gathered.clear();
        for message in messages {
            // What is wrong with this one is told when those before it have gone.
            let mut added = self.add(message, gathered);
            if !matches!(added, Ok(true)) {
                if !self.bytes.flush(gathered, wait, sent)? {
                    return Ok(());
                }
                gathered.clear();
                if added.is_ok() {
                    added = self.add(message, gathered);
                }
            }
            // Alone it is too long for a packet, too.
            if !added? {
                if !self.send_one(message, wait)? {
                    return Ok(());
                }
                *sent += 1;
            }
        }
        self.bytes.flush(gathered, wait, sent).map(drop)
    }

    /// Whether there is room for it among what was gathered.
    fn add(&self, message: &T::Borrowed, gathered: &mut Gathered) -> Result<bool, SendError> {
        let limit = self.end().channel.config.entry_limit;
        self.with_bytes(message, |bytes| gathered.add(bytes, limit))
    }
}

impl ByteSender {
    /// What comes before each message that is put into a ring untold.
    #[inline]
    fn before_next(&self, untold: &Untold<'_>) -> Result<(), SendError> {
        if untold.count == 0 {
            self.end.check()?;
            self.end.look_around()?;
        }
        Ok(self.end.partners()?)
    }

    /// Whether it went into the ring. Receivers are told now and then, and when there is no room.
    #[inline]
    fn put_untold(&self, bytes: &[u8], untold: &mut Untold<'_>) -> bool {
        let went = untold.channel.push_untold(&self.end, &self.outbox, bytes).is_ok();
        if went {
            self.end.count_message(bytes.len());
            untold.count += 1;
        }
        if !went || untold.count == MOST_UNTOLD {
            untold.tell();
        }
        went
    }

    /// Sends what was gathered; false if the channel is full and nobody was to wait.
    fn flush(
        &self,
        gathered: &mut Gathered,
        wait: Option<&Wait>,
        sent: &mut usize,
    ) -> Result<bool, SendError> {
        if gathered.left() > 0 {
            self.end.check()?;
            self.end.look_around()?;
        }
        while gathered.left() > 0 {
            let went = match wait {
                Some(wait) => {
                    let tries = self.linger(gathered.left());
                    Some(self.wait_for_room(wait, || self.push_gathered(gathered, tries))?)
                }
                // The second time after a repair, if one was due.
                None => match self.push_gathered(gathered, 0)? {
                    None => self.push_gathered(gathered, 0)?,
                    went => went,
                },
            };
            match went {
                Some(went) => *sent += went,
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Gives a receiver that is at it a moment; how often a packet may be tried.
    ///
    /// Room comes message by message, and a receiver that takes many at a time makes much of it in an
    /// instant. Whoever took the first of it at once would send its packet in as many calls as it has
    /// messages. And what overflows goes one by one, and nobody returns to the kernel object before all of it
    /// is taken: a stream that has once overflowed would go on so, several times slower than in packets.
    fn linger(&self, left: usize) -> u32 {
        let channel = &self.end.channel;
        if self.end.patience.strategy() == WaitStrategy::Block {
            return 0;
        }
        if let Capacity::Bounded(n) = channel.config.capacity {
            let wanted = (left as u64).min(u64::from(n).div_ceil(2));
            let admission = channel.block.control.admission();
            for _ in 0..LINGER {
                if admission.room(Some(n.into())) >= wanted {
                    break;
                }
                cpu::breathe(1);
            }
        }
        if !channel.overflow.is_empty() {
            self.behind.await_end(|| channel.overflow.is_empty());
        }
        TRIES
    }

    /// How many went, none if there is no room.
    fn push_gathered(
        &self,
        gathered: &mut Gathered,
        tries: u32,
    ) -> Result<Option<usize>, SendError> {
        self.end.partners()?;
        let len = gathered.first().len();
        match self.end.channel.push_gathered(&self.end, &self.outbox, gathered, tries) {
            Ok(Went { messages, bytes }) => {
                self.end.count_messages(messages, bytes);
                Ok(Some(messages))
            }
            Err(refused) => self.not_pushed(refused, len),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waited_behind_the_overflow_in_vain_waits_less_and_tries_again_now_and_then() {
        let behind = Behind::default();
        let in_vain = || {
            let mut looks = 0;
            behind.await_end(|| {
                looks += 1;
                false
            });
            looks
        };
        let first: Vec<u32> = (1..RETRY_EVERY).map(|_| in_vain()).collect();
        assert_eq!(first[..4], [MOST_LOOKS, MOST_LOOKS / 2, MOST_LOOKS / 4, MOST_LOOKS / 8]);
        assert!(first[12..].iter().all(|looks| *looks == 0));
        assert_eq!((in_vain(), in_vain()), (MOST_LOOKS, MOST_LOOKS / 2));
        behind.await_end(|| true);
        assert_eq!((in_vain(), in_vain()), (MOST_LOOKS, MOST_LOOKS / 2));
    }
}
