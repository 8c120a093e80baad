//! How long a call may wait, and what may end it early.

use crate::error::Fault;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// The patience of one call: a deadline, a [`Cancel`], both or neither.
///
/// Deadlines are on the monotonic clock and never early. A signal alone never ends a wait.
///
/// ```
/// use postbox::{Cancel, Wait};
/// use std::time::Duration;
///
/// let cancel = Cancel::new()?;
/// let wait = Wait::timeout(Duration::from_millis(20)).cancelled_by(&cancel);
/// # let _ = wait;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Wait<'c> {
    pub(crate) deadline: Option<Instant>,
    pub(crate) cancel: Option<&'c Cancel>,
}

impl Wait<'static> {
    /// Waits for as long as it takes.
    pub const fn forever() -> Self {
        Wait { deadline: None, cancel: None }
    }

    /// Waits for at most `duration` from now. A duration beyond what the clock can express waits
    /// for as long as it takes.
    pub fn timeout(duration: Duration) -> Self {
        Wait { deadline: Instant::now().checked_add(duration), cancel: None }
    }

    /// Waits until `instant`.
    pub const fn until(instant: Instant) -> Self {
        Wait { deadline: Some(instant), cancel: None }
    }
}

impl<'c> Wait<'c> {
    pub(crate) fn is_forever(&self) -> bool {
        self.deadline.is_none() && self.cancel.is_none()
    }

    /// The same patience, ended early once `cancel` fires.
    pub fn cancelled_by<'a>(self, cancel: &'a Cancel) -> Wait<'a>
    where
        'c: 'a,
    {
        Wait { cancel: Some(cancel), ..self }
    }

    /// Why the call must end now, if it must.
    pub(crate) fn over(&self) -> Option<Ended> {
        if self.cancel.is_some_and(Cancel::is_fired) {
            Some(Ended::Cancelled)
        } else if self.deadline.is_some_and(|d| Instant::now() >= d) {
            Some(Ended::TimedOut)
        } else {
            None
        }
    }
}

/// [`Wait::forever`] as it lies in the program: made for each call, it would be written for each.
pub(crate) const FOREVER: &Wait<'static> = &Wait::forever();

/// Why a wait ended without what it waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    TimedOut,
    Cancelled,
}

/// Ends the waits that were given it, from another thread or from a signal handler.
///
/// Once fired it stays fired: every later wait that is given it ends at once. Clones share one
/// state.
#[derive(Debug, Clone)]
pub struct Cancel {
    inner: Arc<CancelState>,
}

#[derive(Debug)]
struct CancelState {
    fired: AtomicBool,
    bell: OwnedFd,
}

impl Cancel {
    /// A cancel that has not fired.
    ///
    /// # Errors
    ///
    /// `EMFILE`, `ENFILE` or `ENOMEM` of `eventfd(2)`.
    pub fn new() -> io::Result<Self> {
        let bell = postbox_sys::eventfd::create().map_err(|errno| {
            // Of the same kind, and with what to do about it.
            let fault = Fault::System { call: "eventfd", errno };
            io::Error::new(io::Error::from(errno).kind(), fault)
        })?;
        Ok(Cancel { inner: Arc::new(CancelState { fired: AtomicBool::new(false), bell }) })
    }

    /// Fires. Async-signal-safe: one atomic store and one `write(2)`.
    pub fn fire(&self) {
        // Pairs with the load in `is_fired`: whoever was woken by the bell sees the flag.
        self.inner.fired.store(true, Ordering::Release);
        let _ = postbox_sys::eventfd::ring(self.inner.bell.as_fd());
    }

    /// Whether it has fired.
    pub fn is_fired(&self) -> bool {
        // Pairs with the store in `fire`.
        self.inner.fired.load(Ordering::Acquire)
    }

    pub(crate) fn bell(&self) -> BorrowedFd<'_> {
        self.inner.bell.as_fd()
    }
}
