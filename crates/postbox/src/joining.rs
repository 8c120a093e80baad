//! Joining a domain: where links and mailboxes come together in one process.

use crate::direct::{JoinError, JoinOptions, Membership, Process};
use crate::domain::Domain;
use crate::indirect::Owned;
use std::sync::Arc;

impl Domain {
    /// Joins: from now on this process has that name in the domain, until the last clone of the
    /// [`Process`] is dropped or the process ends, by whatever means. A process may join under
    /// several names.
    ///
    /// # Errors
    ///
    /// [`JoinError`]: the name is none or a live process has it; or what opening the domain's files
    /// and starting a thread need is short.
    pub fn join(&self, name: &str) -> Result<Process, JoinError> {
        self.join_with(name, JoinOptions::new())
    }

    /// As [`join`](Self::join), with options for all the links of the process.
    ///
    /// # Errors
    ///
    /// Those of [`join`](Self::join).
    pub fn join_with(&self, name: &str, options: JoinOptions) -> Result<Process, JoinError> {
        let mailboxes = Owned::new();
        Ok(Process::of(Arc::new(Membership::join(self, name, options, mailboxes)?)))
    }
}
