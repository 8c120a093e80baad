//! What became of a call: from what an owner answered, and from what an end says.

use super::error::MailboxError;
use super::wire::MailboxReply;
use crate::denied::Denied;
use crate::error::{DeliverError, Fault, ReceiveError, SendError, TrySendError};
use postbox_sys::Errno;
use std::cell::Cell;

/// An answer to something else than what was asked.
pub(super) fn out_of_place() -> MailboxError {
    Fault::System { call: "an answer about a mailbox", errno: Errno::EPROTO }.into()
}

/// Nothing, if that is all that was to be done.
pub(super) fn done(reply: MailboxReply) -> Result<(), MailboxError> {
    match reply {
        MailboxReply::Done => Ok(()),
        _ => Err(out_of_place()),
    }
}

/// Calls with an end that the caller keeps in `own`, or makes it first. An end whose right was taken
/// back is made anew, in case it has been given again; nothing was sent or taken by the first then.
pub(super) fn call<N, R, E: EndError>(
    own: &Cell<Option<Box<N>>>,
    make: impl Fn() -> Result<Box<N>, MailboxError>,
    call: impl Fn(&N) -> Result<R, E>,
) -> Result<R, E> {
    let end = match own.take() {
        Some(end) => end,
        None => make().map_err(E::unmade)?,
    };
    let outcome = call(&end);
    if !matches!(&outcome, Err(error) if error.is_denied()) {
        own.set(Some(end));
        return outcome;
    }
    drop(end);
    match make() {
        Ok(end) => {
            let outcome = call(&end);
            own.set(Some(end));
            outcome
        }
        // It names those who may.
        Err(MailboxError::Denied(denied)) => Err(E::denied(denied)),
        Err(_) => outcome,
    }
}

/// An error of a call on an end.
pub(super) trait EndError {
    /// Whether the right behind the end was taken back.
    fn is_denied(&self) -> bool;
    /// The right is missing.
    fn denied(denied: Denied) -> Self;
    /// There is no end to call on.
    fn unmade(error: MailboxError) -> Self;
}

impl EndError for SendError {
    fn is_denied(&self) -> bool {
        SendError::is_denied(self)
    }

    fn denied(denied: Denied) -> Self {
        SendError::Denied(denied)
    }

    fn unmade(error: MailboxError) -> Self {
        match error {
            MailboxError::Denied(denied) => SendError::Denied(denied),
            MailboxError::Destroyed { .. } => SendError::Destroyed,
            MailboxError::TimedOut { .. } => SendError::TimedOut,
            MailboxError::Cancelled => SendError::Cancelled,
            other => SendError::Fault(fault(other)),
        }
    }
}

impl EndError for ReceiveError {
    fn is_denied(&self) -> bool {
        ReceiveError::is_denied(self)
    }

    fn denied(denied: Denied) -> Self {
        ReceiveError::Denied(denied)
    }

    fn unmade(error: MailboxError) -> Self {
        match error {
            MailboxError::Denied(denied) => ReceiveError::Denied(denied),
            MailboxError::Destroyed { .. } => ReceiveError::Destroyed,
            MailboxError::TimedOut { .. } => ReceiveError::TimedOut,
            MailboxError::Cancelled => ReceiveError::Cancelled,
            other => ReceiveError::Fault(fault(other)),
        }
    }
}

impl EndError for TrySendError {
    fn is_denied(&self) -> bool {
        TrySendError::is_denied(self)
    }

    fn denied(denied: Denied) -> Self {
        SendError::denied(denied).into()
    }

    fn unmade(error: MailboxError) -> Self {
        SendError::unmade(error).into()
    }
}

impl EndError for DeliverError {
    fn is_denied(&self) -> bool {
        DeliverError::is_denied(self)
    }

    fn denied(denied: Denied) -> Self {
        SendError::denied(denied).into()
    }

    fn unmade(error: MailboxError) -> Self {
        SendError::unmade(error).into()
    }
}

/// What keeps a process from making an end, other than the mailbox itself.
fn fault(error: MailboxError) -> Fault {
    match error {
        MailboxError::Fault(fault) => fault,
        _ => Fault::System { call: "opening the mailbox once more", errno: Errno::EPROTO },
    }
}
