//! `postbox chaos`.

mod bad_input;
mod results;
mod stopping;
mod support;
