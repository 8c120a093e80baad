//! Waiting on receivers of different types: which one is worth a try.

use super::{Heard, Rota, SelectError};
use crate::channel::Receiver;
use crate::error::Fault;
use crate::message::Message;
use crate::wait::Wait;

/// A receiver of whatever type.
trait Ending {
    /// Whether it will say for ever that it has ended.
    fn has_ended(&self) -> bool;
}

impl<T: Message> Ending for Receiver<T> {
    fn has_ended(&self) -> bool {
        self.end().ended().is_err()
    }
}

/// Says which of several receivers, of types of their own, has something: as
/// [`Select`](crate::Select), where the messages have one type.
///
/// ```
/// use postbox::{Capacity, Mechanism, Readiness, Wait};
///
/// let (numbers, from_numbers) = postbox::channel::<u32>(Mechanism::Socket, Capacity::Bounded(1))?;
/// let (_names, from_names) = postbox::channel::<String>(Mechanism::Pipe, Capacity::Bounded(1))?;
/// let mut ready = Readiness::new()?;
/// let names_at = ready.add(&from_names)?;
/// let numbers_at = ready.add(&from_numbers)?;
///
/// numbers.send(&7)?;
/// match ready.ready(&Wait::forever())? {
///     index if index == numbers_at => assert_eq!(*from_numbers.try_receive()?.unwrap(), 7),
///     index if index == names_at => unreachable!("nobody has sent a name"),
///     _ => unreachable!(),
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Readiness<'r> {
    rota: Rota,
    receivers: Vec<&'r dyn Ending>,
}

impl<'r> Readiness<'r> {
    /// Of no receivers yet.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE` or `ENOMEM` of `epoll_create1(2)`.
    pub fn new() -> Result<Self, Fault> {
        Ok(Readiness { rota: Rota::new()?, receivers: Vec::new() })
    }

    /// One more, and its index: 0 for the first, and so on.
    ///
    /// # Errors
    ///
    /// Those of [`Select::add`](crate::Select::add).
    pub fn add<T: Message>(&mut self, receiver: &'r Receiver<T>) -> Result<usize, Fault> {
        let index = self.receivers.len();
        self.rota.add(index, receiver.pollable()?, receiver.wait_strategy())?;
        self.receivers.push(receiver);
        Ok(index)
    }

    /// How many have not been named as ended.
    pub fn len(&self) -> usize {
        self.rota.len()
    }

    /// Whether all have, or there never was any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits until one of them has something, and names it: call its `try_receive` then. That may
    /// yet find nothing, where a clone was quicker or a sender died half-way.
    ///
    /// One that has ended is named once more, so that its `try_receive` can say so, and left out
    /// from then on.
    ///
    /// # Errors
    ///
    /// [`Exhausted`](SelectError::Exhausted) when all have ended, and [`TimedOut`](SelectError::TimedOut),
    /// [`Cancelled`](SelectError::Cancelled) or a [`Fault`].
    pub fn ready(&mut self, wait: &Wait) -> Result<usize, SelectError> {
        self.rota.begin();
        loop {
            if let Some(index) = self.rota.next() {
                self.rota.pass_on();
                if self.receivers[index].has_ended() {
                    self.rota.remove(index);
                }
                return Ok(index);
            }
            if self.is_empty() {
                return Err(SelectError::Exhausted);
            }
            if let Heard::Over(ended) = self.rota.listen(wait)? {
                return Err(ended.into());
            }
        }
    }
}

impl std::fmt::Debug for Readiness<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Readiness").field("left", &self.len()).finish_non_exhaustive()
    }
}
