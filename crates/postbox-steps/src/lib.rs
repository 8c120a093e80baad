//! The steps of Postbox's algorithms, by name.
//!
//! Whoever changes what others can see says so with [`at`]: after a ticket was taken, before a slot is
//! published, between two halves of a transfer. In a normal build that is no code at all, only a line that
//! tells the reader where it matters. With the feature `armed`, a test chooses a step, and the process dies
//! there by SIGKILL (or stops there by SIGSTOP), at exactly the *n*-th time that it comes by.
//!
//! ```
//! use postbox_steps::{Step, at};
//!
//! at(Step::TicketTaken); // nothing, unless a test has armed it
//! ```

#[cfg(feature = "armed")]
mod armed;
mod list;

#[cfg(feature = "armed")]
pub use armed::{
    Fate, arm, arm_also, arm_descendants, disarm, for_descendants, forget, keep_to_oneself, times,
};
pub use list::Step;

/// Whether steps can be armed: then what is rare otherwise comes often enough to be walked over.
pub const ARMED: bool = cfg!(feature = "armed");

/// This process has come to `step`.
#[cfg(feature = "armed")]
pub fn at(step: Step) {
    armed::at(step);
}

/// This process has come to `step`.
#[cfg(not(feature = "armed"))]
#[inline(always)]
pub const fn at(_step: Step) {}
