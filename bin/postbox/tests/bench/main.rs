//! `postbox bench` as its users meet it: real processes, real signals, bounded by a watchdog.

mod bad_input;
mod exchange;
mod peers;
mod results;
mod stopping;
mod support;
mod targets;
