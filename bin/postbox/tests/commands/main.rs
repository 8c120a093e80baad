//! `postbox bench`, `chaos` and `compare` as their users meet them: real processes, real signals, bounded by a
//! watchdog, with nothing left behind.

mod bench;
mod chaos;
mod compare;
mod run;
