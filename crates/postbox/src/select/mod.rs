//! Waiting on several receivers at once.
//!
//! [`Select`] receives from whichever has something, [`Readiness`] only says which one it is;
//! [`rota`] has the one epoll set and the order of turns behind both.

mod error;
mod readiness;
mod rota;

pub use error::SelectError;
pub use readiness::Readiness;

pub(crate) use rota::{Heard, Rota};

use crate::channel::{Delivery, Receiver};
use crate::error::{Fault, ReceiveError};
use crate::message::Message;
use crate::wait::Wait;

/// Receives from whichever of several receivers has something first: of channels, links and
/// mailboxes alike, over any mechanism.
///
/// Fair: a receiver that always has something is served a bounded number of times in a row, then it
/// is the others' turn. The price does not grow with those that have nothing: a thousand idle
/// receivers cost what one does. Where there is nothing the call spins and sleeps as its receivers do, and
/// never spins where one of them has [`Block`](crate::WaitStrategy::Block). As with a
/// [`Pollable`](crate::Pollable), it is not a waiting call in the sense of capacity zero: a
/// `try_send` there does not find it.
///
/// ```
/// use postbox::{Capacity, Mechanism, Select, Wait};
///
/// let (orders, from_shop) = postbox::channel::<String>(Mechanism::Pipe, Capacity::Bounded(8))?;
/// let (alarms, from_guard) = postbox::channel::<String>(Mechanism::SharedMemory, Capacity::Zero)?;
/// let mut select = Select::new()?;
/// let shop = select.add(&from_shop)?;
/// let guard = select.add(&from_guard)?;
///
/// orders.send(&"two chairs".into())?;
/// let (which, message) = select.receive()?;
/// assert_eq!((which, message.as_str()), (shop, "two chairs"));
///
/// drop(alarms); // told once, then left out
/// assert_eq!(select.receive().unwrap_err().disconnected(), Some(guard));
/// let late = select.receive_with(&Wait::timeout(std::time::Duration::from_millis(5)));
/// assert!(late.unwrap_err().is_timeout());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Select<'r, T: Message> {
    rota: Rota,
    receivers: Vec<&'r Receiver<T>>,
}

impl<'r, T: Message> Select<'r, T> {
    /// Of no receivers yet.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE` or `ENOMEM` of `epoll_create1(2)`.
    pub fn new() -> Result<Self, Fault> {
        Ok(Select { rota: Rota::new()?, receivers: Vec::new() })
    }

    /// One more, and its index: 0 for the first, and so on.
    ///
    /// # Errors
    ///
    /// Those of [`Receiver::pollable`], and `ENOSPC` where `fs.epoll.max_user_watches` is reached.
    pub fn add(&mut self, receiver: &'r Receiver<T>) -> Result<usize, Fault> {
        let index = self.receivers.len();
        self.rota.add(index, receiver.pollable()?, receiver.wait_strategy())?;
        self.receivers.push(receiver);
        Ok(index)
    }

    /// How many have not ended.
    pub fn len(&self) -> usize {
        self.rota.len()
    }

    /// Whether all have ended, or there never was any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for a message; it and the index of the receiver that had it.
    ///
    /// # Errors
    ///
    /// [`Receiver`](SelectError::Receiver) when one of them has ended, which is told once, or took
    /// what is no `T`; [`Exhausted`](SelectError::Exhausted) when all have ended, or a [`Fault`].
    pub fn receive(&mut self) -> Result<(usize, Delivery<T>), SelectError> {
        self.receive_with(&Wait::forever())
    }

    /// As [`receive`](Self::receive), for as long as `wait` says.
    ///
    /// # Errors
    ///
    /// Also [`TimedOut`](SelectError::TimedOut) and [`Cancelled`](SelectError::Cancelled).
    pub fn receive_with(&mut self, wait: &Wait) -> Result<(usize, Delivery<T>), SelectError> {
        self.rota.begin();
        loop {
            if let Some(taken) = self.try_ready()? {
                return Ok(taken);
            }
            if self.is_empty() {
                return Err(SelectError::Exhausted);
            }
            if let Heard::Over(ended) = self.rota.listen(wait)? {
                return Err(ended.into());
            }
        }
    }

    /// Never waits: `None` where no receiver has a message.
    ///
    /// # Errors
    ///
    /// Those of [`receive`](Self::receive).
    pub fn try_receive(&mut self) -> Result<Option<(usize, Delivery<T>)>, SelectError> {
        match self.receive_with(&Wait::until(std::time::Instant::now())) {
            Ok(taken) => Ok(Some(taken)),
            Err(SelectError::TimedOut) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Those that were said to be ready, each in its turn.
    fn try_ready(&mut self) -> Result<Option<(usize, Delivery<T>)>, SelectError> {
        while let Some(index) = self.rota.next() {
            match self.receivers[index].try_receive() {
                Ok(Some(delivery)) => return Ok(Some((index, delivery))),
                Ok(None) => self.rota.pass_on(),
                Err(reason) => {
                    match reason {
                        ReceiveError::Decode(_) => {}
                        ReceiveError::Fault(Fault::System { .. }) => self.rota.pass_on(),
                        // It would say the same for ever.
                        _ => self.rota.remove(index),
                    }
                    return Err(SelectError::Receiver { index, reason });
                }
            }
        }
        Ok(None)
    }
}

impl<T: Message> std::fmt::Debug for Select<'_, T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Select").field("receivers", &self.receivers).finish_non_exhaustive()
    }
}
