//! Random operations on a ring and on the plain list that it should behave like.
#![cfg(not(loom))]

#[path = "properties/log.rs"]
mod log;
#[path = "properties/slots.rs"]
mod slots;

/// An operation, and a number that chooses among what it may be applied to.
type Step = (u8, usize);

/// As many cases as a run of seconds allows; no files are left behind.
fn config() -> proptest::test_runner::Config {
    let cases = if cfg!(miri) { 4 } else { 400 };
    proptest::test_runner::Config { cases, failure_persistence: None, ..Default::default() }
}

/// Removes one of `from`, if there is any.
fn pick<T>(from: &mut Vec<T>, choice: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.swap_remove(choice % from.len()))
}
