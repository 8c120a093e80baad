//! Asking the owner of a mailbox, or a keeper.

use super::error::MailboxError;
use super::later;
use super::wire::{MailboxReply, MailboxRequest, Refusal};
use crate::domain::protocol::Reply;
use crate::domain::{Address, AskError, Domain, ask};
use crate::error::Fault;
use crate::name::Name;
use crate::remedy;
use crate::wait::Wait;
use postbox_sys::Errno;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// How long an owner that does not answer is waited for where the caller says nothing.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);
/// How long one waits before one asks again, at first and at most.
const PAUSES: [Duration; 2] = [Duration::from_millis(1), Duration::from_millis(16)];

/// Whoever asks: a member of a domain under its name, or somebody without one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asking<'a> {
    pub(super) domain: &'a Domain,
    pub(super) from: Option<&'a Name>,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) reply: MailboxReply,
    pub(super) fds: Vec<OwnedFd>,
}

impl Asking<'_> {
    /// Asks whoever owns the mailbox, through changes of owners.
    pub(super) fn owner(
        &self,
        name: &Name,
        request: &MailboxRequest,
        wait: &Wait<'_>,
    ) -> Result<Heard, MailboxError> {
        let absent =
            || MailboxError::Absent { name: name.clone(), domain: self.domain.name().clone() };
        let whom = || format!("the owner of mailbox '{name}'");
        self.ask(&Address::mailbox(name), name, request, wait, absent, whom)
    }

    /// Asks the keeper about a mailbox.
    pub(super) fn keeper(
        &self,
        name: &Name,
        request: &MailboxRequest,
        wait: &Wait<'_>,
    ) -> Result<Heard, MailboxError> {
        let none = || MailboxError::NoKeeper { domain: self.domain.name().clone() };
        let keeper = Address::process(&super::keeper::name());
        self.ask(&keeper, name, request, wait, none, || "the keeper".into())
    }

    fn ask(
        &self,
        to: &Address,
        about: &Name,
        request: &MailboxRequest,
        wait: &Wait<'_>,
        absent: impl Fn() -> MailboxError,
        whom: impl Fn() -> String,
    ) -> Result<Heard, MailboxError> {
        let packed = request.pack()?;
        let [mut pause, longest] = PAUSES;
        loop {
            let answered = match ask(self.domain, to, self.from, &packed, &[], wait) {
                Ok(answered) => answered,
                Err(AskError::TimedOut) => return Err(MailboxError::TimedOut { what: whom() }),
                Err(AskError::Cancelled) => return Err(MailboxError::Cancelled),
                Err(AskError::Fault(fault)) => return Err(fault.into()),
                // Died or left while it was asked; opening again does no harm.
                Err(AskError::Gone { .. }) if request.may_be_repeated() => continue,
                Err(AskError::Absent | AskError::Gone { .. }) => return Err(absent()),
            };
            let reply = match answered.reply {
                Reply::Mailbox(bytes) => MailboxReply::unpack(&bytes),
                Reply::Failed { why } => {
                    let why = remedy::of_another(&whom(), answered.pid, &why);
                    let reason = format!("{} cannot answer: {why}", whom());
                    return Err(MailboxError::Refused { name: about.clone(), reason });
                }
                _ => None,
            };
            let reply = match (reply, answered.fds.first()) {
                (Some(MailboxReply::Later), Some(from)) => {
                    later::receive(from, wait, &whom)?.ok_or_else(&absent)?
                }
                (Some(reply), _) => reply,
                (None, _) => {
                    let call = "an answer about a mailbox";
                    return Err(Fault::System { call, errno: Errno::EPROTO }.into());
                }
            };
            match reply {
                MailboxReply::Refused(Refusal::AskAgain) => {}
                MailboxReply::Refused(refusal) => {
                    return Err(MailboxError::refused(refusal, about, request.schema()));
                }
                reply => return Ok(Heard { reply, fds: answered.fds }),
            }
            if let Some(ended) = wait.over() {
                return Err(MailboxError::ended(ended, whom));
            }
            std::thread::sleep(pause);
            pause = longest.min(pause * 2);
        }
    }
}
