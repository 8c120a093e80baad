//! How a receive takes its message: at once, by the channel's fast path, or the slow path, which can do anything.

use super::ByteReceiver;
use crate::channel::Awaited;
use crate::channel::carry::{FastPath, Glance, Missed, Popped};
use crate::channel::floor::Floor;
use crate::channel::lifetime::Over;
use crate::channel::rendezvous::obliged;
use crate::channel::turn::Turn;
use crate::error::{Fault, ReceiveError};
use crate::wait::Wait;
use std::hint::spin_loop;

impl ByteReceiver {
    /// Waits for a message, and appends it to `into`.
    #[inline(always)]
    pub(in crate::channel) fn wait_into(
        &self,
        into: &mut Vec<u8>,
        wait: &Wait,
    ) -> Result<Popped, ReceiveError> {
        let mut left = None;
        loop {
            match self.came_at_once(into) {
                Ok(popped) => return Ok(popped),
                Err(Missed::Empty) if *left.get_or_insert_with(|| self.end.glances()) > 0 => {
                    left = left.map(|left| left - 1);
                    spin_loop();
                }
                Err(missed) => return self.wait_slow_path(into, wait, missed),
            }
        }
    }

    #[inline(never)]
    fn wait_slow_path(
        &self,
        into: &mut Vec<u8>,
        wait: &Wait,
        missed: Missed,
    ) -> Result<Popped, ReceiveError> {
        self.end.check()?;
        self.settle_pending()?;
        let forever = wait.is_forever();
        let empty = forever && (missed == Missed::Empty || self.sleeps_first());
        self.look_at_owner()?;
        let _floor = match Floor::wait(&self.end, wait) {
            Ok(floor) => floor,
            Err(error) => return self.leave_line(error),
        };
        let turn = Turn::wait(&self.end);
        let mut attempt = |earnest: bool| {
            if !earnest {
                match self.end.channel.glance(&self.end, &self.inbox, into)? {
                    Ok(popped) => return Ok(Some(popped)),
                    Err(Missed::Empty) => return Ok(None),
                    Err(Missed::Unusual) => {}
                }
            }
            self.pop_or_end(into)
        };
        let first = if empty { Ok(None) } else { attempt(true) };
        let outcome = match first {
            Ok(Some(popped)) => {
                self.end.was_awake();
                Ok(popped)
            }
            Ok(None) => self.end.wait_for_more(Awaited::Message, wait, attempt),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(popped) => Ok(popped),
            Err(error) => self.leave_without(error, &turn, into),
        }
    }

    /// Takes a message if one is there, and appends it to `into`.
    #[inline(always)]
    pub(in crate::channel) fn try_take_into(
        &self,
        into: &mut Vec<u8>,
    ) -> Result<Option<Popped>, ReceiveError> {
        match self.came_at_once(into) {
            Ok(popped) => Ok(Some(popped)),
            Err(missed) => self.try_slow_path(into, missed),
        }
    }

    #[inline(never)]
    fn try_slow_path(
        &self,
        into: &mut Vec<u8>,
        missed: Missed,
    ) -> Result<Option<Popped>, ReceiveError> {
        self.end.check()?;
        self.settle_pending()?;
        self.look_at_owner()?;
        self.end.usable()?;
        let popped = match Floor::try_take(&self.end) {
            Some(_floor) => self.try_pop(into, missed),
            // Somebody else executes a receive, which may be to wait for ever.
            None => self.end.ended().map(|()| None).map_err(ReceiveError::from),
        };
        if let Ok(Some(_)) = popped {
            self.end.was_awake();
        }
        if let (Ok(None), Some(polled)) = (&popped, self.polled()) {
            polled.refresh(&self.end)?;
        }
        popped
    }

    /// A message that came by the channel's fast path, if that has one.
    #[inline(always)]
    fn came_at_once(&self, into: &mut Vec<u8>) -> Glance {
        let end = &self.end;
        match end.channel.fast_path {
            FastPath::ForTwo if self.may_glance() => {
                end.channel.receive_slot(end, &self.inbox, into)
            }
            _ => self.came_by_call(into),
        }
    }

    /// The fast paths that are not worth a copy of their code in each caller.
    #[inline(never)]
    fn came_by_call(&self, into: &mut Vec<u8>) -> Glance {
        let ByteReceiver { end, inbox, .. } = self;
        if !self.may_glance() {
            return Err(Missed::Unusual);
        }
        let came = match end.channel.fast_path {
            FastPath::ForMany => end.channel.receive_of_pair_or_many(end, inbox, into),
            // Who will most likely have to wait need not ask the kernel first.
            FastPath::Kernel if !end.patience.expects_sleep() => {
                let came = end.channel.receive_entry(end, inbox, into);
                if let Ok(Ok(_)) = came {
                    end.was_awake();
                }
                came
            }
            FastPath::Kernel | FastPath::ForTwo | FastPath::None => Ok(Err(Missed::Unusual)),
        };
        came.unwrap_or_else(|fault| {
            // The slow path begins with it.
            self.pending.replace(Some(fault.into()));
            Err(Missed::Unusual)
        })
    }

    /// Whether nothing comes before a glance at the fast path.
    #[inline(always)]
    pub(in crate::channel) fn may_glance(&self) -> bool {
        self.end.is_ours() && self.pending.borrow().is_none()
    }

    /// Whether it is better to wait at once: the kernel does not let one sleep while there is a message,
    /// unless another receiver has been woken for it.
    #[inline]
    fn sleeps_first(&self) -> bool {
        // A habit may end as it turns out to be alone again.
        self.end.is_alone()
            && self.end.patience.expects_sleep()
            && !self.inbox.looks_ahead()
            && self.end.nothing_new(Awaited::Message)
    }

    #[inline(always)]
    pub(super) fn pop(&self, into: &mut Vec<u8>) -> Result<Option<Popped>, Fault> {
        let channel = &self.end.channel;
        let popped = channel.pop(&self.end, &self.inbox, into)?;
        if channel.queues && popped.is_some() {
            channel.tell_if_drained();
        }
        Ok(popped)
    }

    #[inline(always)]
    fn pop_or_end(&self, into: &mut Vec<u8>) -> Result<Option<Popped>, ReceiveError> {
        self.end.usable()?;
        match self.pop(into)? {
            Some(popped) => Ok(Some(popped)),
            None => self.end_or_none(into),
        }
    }

    /// Nothing was there.
    #[inline(never)]
    fn end_or_none(&self, into: &mut Vec<u8>) -> Result<Option<Popped>, ReceiveError> {
        self.end.mend();
        match self.end.partners() {
            Ok(()) => return Ok(None),
            Err(Over::Disconnected) => {}
            Err(over) => return Err(over.into()),
        }
        // The last sender may have sent and left in between. If it died, what it left half done is
        // in front of the rest until somebody has cleared it, and rings the news then.
        match self.pop(into)? {
            Some(popped) => Ok(Some(popped)),
            None if self.end.channel.is_drained() => Err(ReceiveError::Disconnected),
            None => Ok(None),
        }
    }

    #[inline(always)]
    fn try_pop(&self, into: &mut Vec<u8>, missed: Missed) -> Result<Option<Popped>, ReceiveError> {
        if missed != Missed::Empty
            && let Some(popped) = self.pop(into)?
        {
            return Ok(Some(popped));
        }
        self.end.look_around()?;
        self.end.wake_a_sender(Awaited::Message);
        self.pop_or_end(into)
    }

    /// What a mailbox's owner can take away is looked at although there is something to receive.
    #[inline]
    fn look_at_owner(&self) -> Result<(), ReceiveError> {
        if self.end.guarded {
            self.end.look_around()?;
        }
        Ok(())
    }

    /// A wait for the floor is over without it.
    #[cold]
    fn leave_line(&self, error: ReceiveError) -> Result<Popped, ReceiveError> {
        if let ReceiveError::Denied(_) | ReceiveError::Disconnected = error {
            self.end.pass_on_wakeups();
        }
        Err(error)
    }

    /// A wait is over without a message.
    #[cold]
    fn leave_without(
        &self,
        error: ReceiveError,
        turn: &Turn<'_>,
        into: &mut Vec<u8>,
    ) -> Result<Popped, ReceiveError> {
        match error {
            // A try_send may have counted on this receiver in the last moment.
            ReceiveError::TimedOut | ReceiveError::Cancelled => {
                obliged(turn, || self.pop(into))?.ok_or(error)
            }
            ReceiveError::Denied(_) => {
                let popped = obliged(turn, || self.pop(into))?;
                self.end.pass_on_wakeups();
                popped.ok_or(error)
            }
            ReceiveError::Disconnected => {
                self.end.pass_on_wakeups();
                Err(error)
            }
            // Whoever counts on this receiver cannot be told.
            ReceiveError::Fault(Fault::System { .. }) => {
                obliged(turn, || self.pop(into))?.ok_or(error)
            }
            other => Err(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bytes, Capacity, Mechanism, Options, WaitStrategy};
    use nix::errno::Errno;

    /// A receiver of a POSIX queue that has always had to wait.
    fn used_to_waiting() -> (crate::Sender<Bytes>, crate::Receiver<Bytes>) {
        let options = Options::new(Mechanism::MessageQueue).wait_strategy(WaitStrategy::Block);
        let (tx, rx) = options.channel::<Bytes>().unwrap();
        assert!(rx.end().is_alone());
        (0..10).for_each(|_| rx.end().patience.waited());
        assert!(rx.end().patience.expects_sleep());
        (tx, rx)
    }

    #[test]
    fn who_is_alone_again_looks_before_it_waits() {
        let (tx, rx) = used_to_waiting();
        tx.send(b"and its partners are known").unwrap();
        rx.try_receive().unwrap();
        rx.try_receive().unwrap();
        (0..10).for_each(|_| rx.end().patience.waited());
        assert!(rx.bytes.sleeps_first());
        drop(rx.clone());
        // They are known again, and nothing else is new.
        rx.try_receive().unwrap();
        assert!(!rx.bytes.sleeps_first() && rx.end().is_alone());
    }

    #[test]
    fn who_finds_a_message_without_waiting_is_used_to_it_no_more() {
        let (tx, rx) = used_to_waiting();
        tx.send(b"there").unwrap();
        assert!(rx.try_receive().unwrap().is_some());
        assert!(!rx.end().patience.expects_sleep());
    }

    #[test]
    fn who_is_counted_on_takes_the_message_whatever_its_wait_ended_in() {
        let full = || ReceiveError::Fault(Fault::system("epoll_create")(Errno::EMFILE));
        let errors = [|| ReceiveError::TimedOut, || ReceiveError::Cancelled, full];
        for mechanism in Mechanism::ALL {
            for error in errors {
                let options = Options::new(mechanism).capacity(Capacity::Zero);
                let (tx, rx) = options.channel::<Bytes>().unwrap();
                let mut into = Vec::new();
                let turn = Turn::wait(rx.end());
                tx.try_send(b"counted on").unwrap();
                rx.bytes.leave_without(error(), &turn, &mut into).unwrap();
                assert_eq!(into, b"counted on", "{mechanism}");
                drop(turn);
                // Nobody has: it says why it goes, and nobody can count on it any more.
                let turn = Turn::wait(rx.end());
                let left = rx.bytes.leave_without(error(), &turn, &mut into).unwrap_err();
                assert_eq!(left.to_string(), error().to_string(), "{mechanism}");
                assert!(tx.try_send(b"too late").is_err(), "{mechanism}");
            }
        }
    }
}
