//! Processes: forking and spawning them with ends of channels, waiting for them, ending them.
//!
//! An end passed to another process is a member at every instant: its record is the giver's until
//! the taker's identity is in it, so nobody sees the channel without it.
//!
//! ```text
//!  fork    giver ── fork ──► child runs the closure with the ends; the giver's are dead wood
//!  spawn   giver ── exec ──► POSTBOX_ENDS names descriptors; inherited("name") takes them over
//!                            inherited_fd("name") likewise, for a descriptor that is no end
//! ```

mod child;
mod descriptor;
mod ends;
mod fork;
mod group;
mod identity;
mod inherit;
pub(crate) mod quiet;
mod spawn;

pub use child::{Child, ChildError};
pub use descriptor::inherited_fd;
pub use ends::Ends;
pub use fork::{ForkError, fork};
pub use group::{Group, GroupError};
pub use inherit::{InheritError, inherited};
pub use spawn::{Spawn, SpawnError};

pub(crate) use identity::Identity;
