//! What the programs in `src/peers` have in common: each drives one library for `postbox bench
//! --peers`, and answers the lines that README.md describes.
//!
//! In reading order: [`protocol`] (the lines), [`serve`] (the loop that answers them), [`halves`]
//! (two processes, one run) and [`threads`] (two threads instead), [`work`] (what both do: the same
//! as the bench's own), [`in_place`] (for messages that are made where they lie).

pub mod halves;
pub mod in_place;
pub mod protocol;
pub mod serve;
pub mod threads;
pub mod work;

/// What can go wrong is told in words.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;
