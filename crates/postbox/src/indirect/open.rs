//! Creating and opening: how a process comes by the channel of a mailbox.

use super::asking::{Asking, Heard, PATIENCE};
use super::error::MailboxError;
use super::later;
use super::options::{Existing, MailboxOptions, Opening, Ownership};
use super::outcome::{done, out_of_place};
use super::owned::Owned;
use super::wire::{MailboxReply, MailboxRequest, May, Plan, Terms};
use crate::channel::{Attached, Channel, End, Role};
use crate::denied::Right;
use crate::direct::Process;
use crate::domain::{Arrivals, Kind, Member};
use crate::error::Fault;
use crate::name::Name;
use crate::wait::{Ended, Wait};
use postbox_steps::{Step, at};
use std::os::fd::AsFd;
use std::sync::Arc;

/// A mailbox that this process takes part in, and what it was told about its rights.
#[derive(Clone)]
pub(super) struct Opened {
    terms: Terms,
    may: May,
    /// At which epoch of the channel's rights it was told.
    epoch: u64,
    channel: Arc<Channel>,
    /// With the policy `Pair`, one of the two places.
    _place: Attached,
}

impl Opened {
    fn new(reply: MailboxReply, channel: Arc<Channel>) -> Result<Self, MailboxError> {
        match reply {
            MailboxReply::Opened { terms, may, epoch } => {
                at(Step::MailboxOpened);
                let place = channel.attach()?;
                at(Step::MailboxAttached);
                Ok(Opened { terms, may, epoch, channel, _place: place })
            }
            _ => Err(out_of_place()),
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.terms.id
    }

    pub(super) fn is_destroyed(&self) -> bool {
        self.channel.is_destroyed()
    }

    /// A seat in the channel; none where the owner has to be asked whether this process may have one.
    pub(super) fn seat(&self, role: Role, right: Right, name: &Name) -> Result<Option<End>, Fault> {
        if !self.may.has(right) {
            return Ok(None);
        }
        let strategy = self.terms.strategy.into();
        let end = End::join_as(self.channel.clone(), role, strategy, Some(name))?;
        at(Step::MailboxEndMade);
        // A right that was taken back in the meantime bars the end, or shows here.
        Ok((self.channel.rights_epoch() == self.epoch).then_some(end))
    }

    /// The same mailbox, with what was told later. The channel is the same; through which descriptors
    /// depends on the rights.
    pub(super) fn renewed(self, fresh: Opened) -> Self {
        match fresh.may.receive && !self.may.receive {
            true => fresh,
            false => Opened { channel: self.channel, _place: self._place, ..fresh },
        }
    }
}

/// Whether this process is the one that joined, rather than a child that it forked.
pub(super) fn joined(process: &Process) -> Result<(), Fault> {
    process.membership().check().map_err(|_| Fault::NotPassed)
}

fn asking(process: &Process) -> Asking<'_> {
    Asking { domain: process.domain(), from: Some(process.name()) }
}

/// Asks the owner for the channel.
pub(super) fn ask_to_open(
    process: &Process,
    name: &Name,
    needs: Option<Right>,
    schema: Option<&str>,
    wait: &Wait<'_>,
) -> Result<Opened, MailboxError> {
    let request = MailboxRequest::Open { needs, schema: schema.map(str::to_owned) };
    let Heard { reply, fds } = asking(process).owner(name, &request, wait)?;
    Opened::new(reply, Arc::new(Channel::from_fds(fds)?))
}

/// Opens a mailbox, and waits for it first if that was asked for.
pub(super) fn open(
    process: &Process,
    name: &Name,
    opening: &Opening<'_>,
) -> Result<Opened, MailboxError> {
    let Some(wait) = &opening.wait else {
        return ask_to_open(process, name, None, opening.schema, &Wait::timeout(PATIENCE));
    };
    let arrivals = Arrivals::of(process.domain(), Kind::Mailbox)?;
    loop {
        arrivals.clear();
        match ask_to_open(process, name, None, opening.schema, wait) {
            Err(MailboxError::Absent { name, domain }) => match wait.over() {
                Some(Ended::TimedOut) => return Err(MailboxError::StillAbsent { name, domain }),
                Some(Ended::Cancelled) => return Err(MailboxError::Cancelled),
                None => later::sleep(arrivals.as_fd(), wait)?,
            },
            other => return other,
        }
    }
}

/// Creates a mailbox or opens it, as the options say: its id, and the channel unless this process has
/// no right but to own it.
pub(super) fn create(
    process: &Process,
    name: &Name,
    options: &MailboxOptions,
) -> Result<(u64, Option<Opened>), MailboxError> {
    let open_it = |wait: &Wait<'_>| {
        ask_to_open(process, name, None, options.schema.as_deref(), wait)
            .map(|opened| (opened.id(), Some(opened)))
    };
    let wait = Wait::timeout(PATIENCE);
    match options.existing {
        Existing::Open => open_it(&wait),
        Existing::Create => create_it(process, name, options, &wait),
        Existing::OpenOrCreate => loop {
            match open_it(&wait) {
                Err(MailboxError::Absent { .. }) => {}
                other => return other,
            }
            match create_it(process, name, options, &wait) {
                // Somebody was quicker; should theirs be gone again, it is our turn once more.
                Err(MailboxError::Exists { .. }) if wait.over().is_none() => {}
                other => return other,
            }
        },
    }
}

fn create_it(
    process: &Process,
    name: &Name,
    options: &MailboxOptions,
    wait: &Wait<'_>,
) -> Result<(u64, Option<Opened>), MailboxError> {
    match options.owner {
        Ownership::Process => {
            let domain = process.domain();
            let membership = process.membership();
            let (name_of_owner, serving) = (process.name(), membership.registrar().serving());
            let owned = Owned::of(process).ok_or(Fault::NotPassed)?;
            let member = Member { domain, name: name_of_owner, serving: &serving };
            let (host, _place) = owned.create(member, name, options)?;
            let opened = Opened::new(host.opened_by_owner(), host.channel.clone())?;
            Ok((opened.id(), Some(opened)))
        }
        Ownership::Keeper => {
            let plan = Plan::of(options);
            let request = MailboxRequest::Create { name: name.clone(), plan };
            done(asking(process).keeper(name, &request, wait)?.reply)?;
            match ask_to_open(process, name, None, options.schema.as_deref(), wait) {
                Ok(opened) => Ok((opened.id(), Some(opened))),
                // It exists, and this process may change it.
                Err(MailboxError::NoRight { .. }) => {
                    let request = MailboxRequest::Status { which: None };
                    let status = asking(process).owner(name, &request, wait)?;
                    match status.reply {
                        MailboxReply::Status(status) => Ok((status.id, None)),
                        _ => Err(out_of_place()),
                    }
                }
                Err(error) => Err(error),
            }
        }
    }
}
