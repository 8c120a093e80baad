//! What a mailbox is created with, and how one is opened.

use super::error::MailboxError;
use super::rights::{Access, MAX_NAMES};
use crate::channel::Options;
use crate::mechanism::{Capacity, Mechanism, WaitStrategy};
use crate::policy::Policy;
use crate::wait::Wait;
use serde::{Deserialize, Serialize};

/// Bytes of the longest schema.
pub(crate) const MAX_SCHEMA: usize = 64;

/// What to do about a mailbox that is there already, or is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Existing {
    /// Create it; one of that name that is there already is an error.
    #[default]
    Create,
    /// Open the one that is there; none is an error. Only the schema of the options is looked at.
    Open,
    /// Open the one that is there, whose schema alone is looked at, or else create it. Of several
    /// processes that do this at the same time exactly one creates it.
    OpenOrCreate,
}

/// To whom a mailbox belongs when it is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ownership {
    /// To the process that creates it: it dies with that process, and everyone who waits is told.
    #[default]
    Process,
    /// To the keeper of the domain: it lives on until it is destroyed.
    Keeper,
}

/// What a mailbox is to be; everything has a default.
///
/// ```
/// use postbox::{Access, Capacity, Existing, MailboxOptions, Mechanism, Policy};
///
/// let options = MailboxOptions::new(Mechanism::MessageQueue)
///     .capacity(Capacity::Bounded(100))
///     .policy(Policy::OneAtATime)
///     .receivers(Access::Members)
///     .schema("job/1")
///     .existing(Existing::OpenOrCreate);
/// # let _ = options;
/// ```
#[derive(Debug, Clone)]
pub struct MailboxOptions {
    pub(super) options: Options,
    pub(super) policy: Policy,
    pub(super) receivers: Access,
    pub(super) senders: Access,
    pub(super) schema: Option<String>,
    pub(super) existing: Existing,
    pub(super) owner: Ownership,
}

impl Default for MailboxOptions {
    fn default() -> Self {
        Options::default().into()
    }
}

impl From<Options> for MailboxOptions {
    /// A mailbox over a channel of these options.
    fn from(options: Options) -> Self {
        MailboxOptions {
            options,
            policy: Policy::default(),
            receivers: Access::Owner,
            senders: Access::Members,
            schema: None,
            existing: Existing::default(),
            owner: Ownership::default(),
        }
    }
}

impl From<Mechanism> for MailboxOptions {
    /// A mailbox over that mechanism with the defaults of everything else.
    fn from(mechanism: Mechanism) -> Self {
        MailboxOptions::new(mechanism)
    }
}

impl MailboxOptions {
    /// Over that mechanism: `Bounded(64)`, policy `Any`, the owner alone receives, every member of
    /// the domain sends, and it belongs to the process that creates it.
    pub fn new(mechanism: Mechanism) -> Self {
        Options::new(mechanism).into()
    }

    /// How many messages may wait; see [`Options::capacity`].
    pub fn capacity(mut self, capacity: Capacity) -> Self {
        self.options = self.options.capacity(capacity);
        self
    }

    /// Bytes of the largest message; see [`Options::max_message`].
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.options = self.options.max_message(bytes);
        self
    }

    /// Every message has exactly this many bytes; see [`Options::fixed_size`].
    pub fn fixed_size(mut self, bytes: usize) -> Self {
        self.options = self.options.fixed_size(bytes);
        self
    }

    /// Bytes that waiting messages may take in shared memory; see [`Options::byte_cap`].
    pub fn byte_cap(mut self, bytes: u64) -> Self {
        self.options = self.options.byte_cap(bytes);
        self
    }

    /// What its ends do before they sleep.
    pub fn wait_strategy(mut self, wait: WaitStrategy) -> Self {
        self.options = self.options.wait_strategy(wait);
        self
    }

    /// Who gets a message when several receive; `Any` unless asked otherwise.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Who may receive; the owner unless asked otherwise.
    pub fn receivers(mut self, receivers: Access) -> Self {
        self.receivers = receivers;
        self
    }

    /// Who may send; every member of the domain unless asked otherwise.
    pub fn senders(mut self, senders: Access) -> Self {
        self.senders = senders;
        self
    }

    /// What its messages are, in a word of at most 64 bytes of the application's own, such as
    /// `job/1`. Who opens it with another is refused.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// What to do about a mailbox of that name that is there already.
    pub fn existing(mut self, existing: Existing) -> Self {
        self.existing = existing;
        self
    }

    /// To whom it belongs.
    pub fn owner(mut self, owner: Ownership) -> Self {
        self.owner = owner;
        self
    }

    /// What the channel does not check by itself.
    pub(super) fn check(&self) -> Result<(), MailboxError> {
        check_schema(self.schema.as_deref())?;
        for access in [&self.receivers, &self.senders] {
            if let Access::Listed(names) = access
                && names.len() > MAX_NAMES
            {
                return Err(MailboxError::Option { option: "names listed", limit: MAX_NAMES });
            }
        }
        Ok(())
    }
}

fn check_schema(schema: Option<&str>) -> Result<(), MailboxError> {
    match schema {
        Some(schema) if schema.len() > MAX_SCHEMA => {
            Err(MailboxError::Option { option: "bytes of the schema", limit: MAX_SCHEMA })
        }
        _ => Ok(()),
    }
}

/// How a mailbox is opened.
///
/// ```
/// use postbox::{Opening, Wait};
/// use std::time::Duration;
///
/// // Waits up to five seconds for a mailbox that is not there yet.
/// let opening = Opening::new().schema("job/1").wait(Wait::timeout(Duration::from_secs(5)));
/// # let _ = opening;
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct Opening<'c> {
    pub(super) schema: Option<&'c str>,
    /// How long to wait for a mailbox that is not there; none fails at once.
    pub(super) wait: Option<Wait<'c>>,
}

impl<'c> Opening<'c> {
    /// Takes any schema, and a mailbox that is not there is an error.
    pub fn new() -> Self {
        Opening::default()
    }

    /// The mailbox has to have that schema.
    pub fn schema(mut self, schema: &'c str) -> Self {
        self.schema = Some(schema);
        self
    }

    /// Waits for a mailbox that is not there yet, for as long as `wait` says.
    pub fn wait(mut self, wait: Wait<'c>) -> Self {
        self.wait = Some(wait);
        self
    }

    pub(super) fn check(&self) -> Result<(), MailboxError> {
        check_schema(self.schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_refused_with_its_limit() {
        let long = MailboxOptions::default().schema("s".repeat(65)).check().unwrap_err();
        assert!(long.to_string().contains("64"), "{long}");
        assert!(MailboxOptions::default().schema("s".repeat(64)).check().is_ok());
        let names: Vec<String> = (0..=MAX_NAMES).map(|i| format!("p{i}")).collect();
        let many = MailboxOptions::default().receivers(names.join(",").parse().unwrap());
        assert!(many.check().unwrap_err().to_string().contains("48"));
    }
}
