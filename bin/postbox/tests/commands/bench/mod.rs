//! `postbox bench`, and the exchange that it counts.

mod bad_input;
mod exchange;
mod peers;
mod results;
mod shortage;
mod stopping;
mod support;
mod targets;
