//! Indirect communication: mailboxes, with owners, rights and policies.
//!
//! In which order to read it:
//!
//! 1. [`rights`], [`options`], [`status`]: what a mailbox is
//! 2. [`wire`], [`desk`]: what is asked of its owner, and the rules of the answers
//! 3. [`host`], [`owned`], [`transfer`], [`later`]: the owner's side
//! 4. [`asking`], [`open`], [`outcome`], [`mailbox`], [`owning`]: the side of those who
//!    take part
//! 5. [`keeper`], [`admin`]: mailboxes that belong to no process in particular
//!
//! ```text
//!   mailbox ── open ── asking ────► owner's registrar ── host ── desk
//!      │                                                  │
//!      └─ Sender, Receiver ──►  the channel  ◄── owner ───┘    admission, receipts, wake-ups: all there
//! ```

mod admin;
mod asking;
mod desk;
mod error;
mod host;
mod keeper;
mod later;
mod mailbox;
mod open;
mod options;
mod outcome;
mod owned;
mod owning;
mod rights;
mod status;
mod text;
mod transfer;
mod users;
pub(crate) mod wire;

#[cfg(test)]
mod tests;

pub use admin::MailboxAdmin;
pub use error::MailboxError;
pub use keeper::{Keeper, KeeperError, WhenIdle};
pub use mailbox::Mailbox;
pub use options::{Existing, MailboxOptions, Opening, Ownership};
pub use rights::{Access, Grant, InvalidAccess, Rights};
pub use status::{MailboxOwner, MailboxStatus};

pub(crate) use owned::Owned;
