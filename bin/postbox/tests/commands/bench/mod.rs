//! `postbox bench`, and the exchange that it counts.

mod bad_input;
mod exchange;
mod results;
mod stopping;
mod support;
mod targets;
