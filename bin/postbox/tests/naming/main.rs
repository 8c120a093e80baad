//! The programs by name: `postbox`, `producer` and `consumer` as their users start them, each run in
//! a domain of its own, bounded by a watchdog, with nothing left behind.

mod administration;
mod bad_input;
mod doctor;
mod keeping;
mod links;
mod mailboxes;
mod messages;
mod scene;
mod shortage;
mod stopping;
