//! What a process answers for at its address besides its links.

use super::{Answer, Caller, Domain, Serving};
use crate::name::Name;
use std::any::Any;
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// A process that has joined a domain, as far as a tenant is concerned.
#[derive(Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) domain: &'a Domain,
    pub(crate) name: &'a Name,
    pub(crate) serving: &'a Serving,
}

/// Something that belongs to a process for as long as it has joined: its mailboxes. Whoever joins
/// brings it, so that memberships need not know what it is.
pub(crate) trait Tenant: Any + Send + Sync {
    /// Answers one request, as a [`Service`](super::Service) does.
    fn answer(
        self: Arc<Self>,
        member: Member<'_>,
        caller: &Caller,
        request: &[u8],
        fds: Vec<OwnedFd>,
    ) -> Answer;

    /// The process leaves.
    fn close(&self);
}
