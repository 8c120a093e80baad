//! What the programs `postbox`, `producer` and `consumer` share: everything between the command
//! line and the library.
//!
//! | module | what |
//! | --- | --- |
//! | [`command_line`] | what clap has to say in one line; values that several programs take |
//! | [`place`] | options that name a domain and oneself |
//! | [`target`], [`source`] | whom to send to, whom to receive from |
//! | [`carriage`] | what a channel is to be |
//! | [`peers`] | who sent or took how many |
//! | [`stop`] | SIGINT, SIGTERM, a reader that has left: remembered, and told to whoever waits |
//! | [`ending`] | exit codes, and the one line that says why |
//! | [`records`] | files as streams of records, and back |
//! | [`input`], [`output`] | standard streams that a signal or a closed reader ends |
//! | [`pace`] | so many a second |
//! | [`plain`] | what others say, fit for a terminal |
//! | [`summary`] | what a run amounted to |
//! | [`tables`] | tables for people, JSON for programs |

pub mod carriage;
pub mod command_line;
pub mod ending;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod input;
pub mod output;
pub mod pace;
pub mod peers;
pub mod place;
pub mod plain;
pub mod records;
pub mod source;
pub mod stop;
pub mod summary;
pub mod tables;
pub mod target;

mod refusals;
