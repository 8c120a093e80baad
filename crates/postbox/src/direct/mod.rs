//! Direct communication: processes name each other.
//!
//! In which order to read it: [`options`] and [`terms`] (what a link is to be), [`link`] (what it is),
//! [`switchboard`] (the links of a process, and how it answers others), [`membership`] (how it comes by
//! one), [`desk`] (the ends of one handle, and receiving from anyone), [`process`] (what a user
//! holds), [`sending`], [`receiving`], [`monitor`], [`listing`] (the links of others).
//!
//! ```text
//!   process ── desk ──────────────► ends of links         one per handle
//!      └────── membership ────────► asks registrars       shared by the handles
//!                  └─ switchboard ► the table of links
//!                          ▲
//!              own registrar's thread: answers others
//! ```

mod desk;
mod error;
mod info;
mod link;
mod listing;
mod membership;
mod monitor;
mod nap;
mod options;
mod process;
mod receiving;
mod sending;
mod switchboard;
mod terms;
#[cfg(test)]
mod tests;

pub use error::{DirectError, JoinError, LinkError};
pub use info::LinkInfo;
pub use monitor::{Departed, Monitor};
pub use options::{Absence, Direction, JoinOptions, LinkOptions};
pub use process::Process;

pub(crate) use membership::Membership;
