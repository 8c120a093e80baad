//! A mailbox changes its owner while it is in use.
//!
//! ```text
//!   owner A                         the channel's owner word                    process B
//!   lets go of half of the name          A
//!   offers                               A, offered (n)
//!   Adopt, n, descriptors ─────────────────────────────────────────────────────►
//!                                                       claims that half, binds its socket
//!                                        B  ◄────────── accepts: one compare-and-swap
//!        ◄────────────────────────────────────────────────────────────── Done
//!   lets go of the other half,
//!   then of its socket
//! ```
//!
//! The word decides. Should A lose its patience, it cancels by the same compare-and-swap: either the
//! mailbox has stayed, whatever B still does, or it is B's. The queue, its messages and those who wait
//! are no part of this; they learn of the new owner to watch.

use super::desk::{Asker, Move, Moved};
use super::host::{Host, copies};
use super::wire::{BothRights, MailboxReply, MailboxRequest, Refusal, Terms, cannot};
use crate::channel::{Channel, Lifetime};
use crate::domain::protocol::Reply;
use crate::domain::{Address, AskError, Claim, ClaimError, Domain, ask};
use crate::name::Name;
use crate::wait::Wait;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// How long one waits before one looks again whether the rest of a name is free.
const PAUSE: Duration = Duration::from_millis(1);

/// A mailbox on offer to this process, with its channel open.
pub(super) struct Offer {
    pub(super) name: Name,
    pub(super) terms: Terms,
    pub(super) rights: BothRights,
    pub(super) nonce: u64,
    pub(super) channel: Channel,
}

impl Offer {
    /// Checks what was offered and claims the half of the name that was let go of.
    pub(super) fn receive(
        domain: &Domain,
        from: Asker<'_>,
        name: Name,
        terms: Terms,
        rights: BothRights,
        nonce: u64,
        fds: Vec<OwnedFd>,
    ) -> Result<(Self, Claim), Refusal> {
        let address = Address::mailbox(&name);
        if !domain.holders(&address).map_err(cannot)?.contains(&Some(from.pid)) {
            return Err(cannot("it is not the asker's to give"));
        }
        if !rights.send.is_sane() || !rights.receive.is_sane() {
            return Err(cannot("its rights make no sense"));
        }
        let channel = Channel::from_fds(fds).map_err(cannot)?;
        if channel.config.lifetime != Lifetime::Owned {
            return Err(cannot("what came with it is no mailbox"));
        }
        // Late: the half that is free by now is for another heir.
        if !channel.is_offered(nonce) {
            return Err(cannot("the offer of it was withdrawn"));
        }
        let claim = domain.claim_successor(&address).map_err(|error| match error {
            ClaimError::Taken { pid } => cannot(format!("process {pid} holds its name")),
            ClaimError::Domain(error) => cannot(error),
        })?;
        Ok((Offer { name, terms, rights, nonce, channel }, claim))
    }
}

/// Gives a mailbox of this process to the one of that name.
pub(super) fn give(host: &Host, to: &Name, within: Duration) -> Result<(), Refusal> {
    give_with(host, to, &Wait::timeout(within))
}

/// As [`give`], for as long as `wait` says.
pub(super) fn give_with(host: &Host, to: &Name, wait: &Wait<'_>) -> Result<(), Refusal> {
    let moving = host.begin_move(to)?;
    // Whatever was answered, or not: the word tells whose it is.
    let (moved, outcome) = match let_half_go(host, wait)
        .and_then(|()| offer(host, &moving, to, wait))
    {
        Ok(Offered { taken: Ok(()), .. }) => (Moved::Given, Ok(())),
        Ok(Offered { nonce, taken }) if host.channel.cancel_offer(nonce) => (Moved::Here, taken),
        Ok(_) => (Moved::Given, Ok(())),
        Err(refusal) => (Moved::Here, Err(refusal)),
    };
    if moved == Moved::Here
        && let Some(tenure) = &mut *host.tenure()
    {
        // The half that the other process may still hold for a moment does no harm there.
        let _ = tenure.claim.retake();
    }
    host.settle(moving, moved);
    outcome
}

/// Makes half of the name free to be claimed.
fn let_half_go(host: &Host, wait: &Wait<'_>) -> Result<(), Refusal> {
    loop {
        if let Some(tenure) = &mut *host.tenure() {
            // Half a name is held after an earlier transfer, until the last owner is done with it.
            if tenure.claim.retake().map_err(cannot)? {
                return tenure.claim.yield_half().map_err(cannot);
            }
        } else {
            return Err(Refusal::AskAgain);
        }
        if wait.over().is_some() {
            return Err(cannot("its last owner still holds its name: let it go on, or end it"));
        }
        std::thread::sleep(PAUSE);
    }
}

/// An offer that was made.
struct Offered {
    nonce: u64,
    /// What the other process answered, if it did.
    taken: Result<(), Refusal>,
}

fn offer(host: &Host, moving: &Move, to: &Name, wait: &Wait<'_>) -> Result<Offered, Refusal> {
    let fds = copies(&host.channel.fds()).map_err(cannot)?;
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    let (terms, rights) = {
        let desk = host.desk();
        (desk.terms().clone(), desk.rights().clone())
    };
    let owner = terms.owner.clone();
    let nonce = host.offer(moving)?;
    let request = MailboxRequest::Adopt { name: host.name.clone(), terms, rights, nonce };
    let taken = request.pack().map_err(cannot).and_then(|request| {
        let answered = ask(&host.domain, &Address::process(to), Some(&owner), &request, &fds, wait);
        judge(answered.map(|answered| answered.reply), to)
    });
    Ok(Offered { nonce, taken })
}

fn judge(answered: Result<Reply, AskError>, to: &Name) -> Result<(), Refusal> {
    match answered {
        Ok(Reply::Mailbox(bytes)) => match MailboxReply::unpack(&bytes) {
            Some(MailboxReply::Done) => Ok(()),
            // It is just leaving.
            Some(MailboxReply::Refused(Refusal::AskAgain)) => {
                Err(Refusal::NoSuchProcess { name: to.clone() })
            }
            Some(MailboxReply::Refused(refusal)) => Err(refusal),
            _ => Err(cannot(format!("{to} does not understand what a mailbox is"))),
        },
        Ok(Reply::Failed { why }) => Err(cannot(format!("{to} cannot take it over: {why}"))),
        Ok(_) => Err(cannot(format!("{to} does not take mailboxes over"))),
        Err(AskError::Absent | AskError::Gone { .. }) => {
            Err(Refusal::NoSuchProcess { name: to.clone() })
        }
        Err(AskError::TimedOut) => {
            Err(cannot(format!("{to} did not answer in time; it has stayed")))
        }
        Err(AskError::Cancelled) => Err(cannot("cancelled; it has stayed")),
        Err(AskError::Fault(fault)) => Err(cannot(fault)),
    }
}
