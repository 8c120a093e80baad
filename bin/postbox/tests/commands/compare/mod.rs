//! `postbox compare`.

mod bad_input;
mod memory;
mod results;
mod shortage;
mod stopping;
mod support;
