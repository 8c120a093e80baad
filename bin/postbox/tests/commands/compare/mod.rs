//! `postbox compare`.

mod bad_input;
mod memory;
mod results;
mod stopping;
mod support;
