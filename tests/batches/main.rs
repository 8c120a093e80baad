//! Batches: many messages in one call, which over a kernel object share packets while the channel has
//! one receiver. Nothing but the price may tell.
//!
//! [`contract`]: room, order, errors, ends; [`newcomers`]: what becomes of a packet that is opened when
//! a second receiver comes, or the first goes to another process; [`deaths`]: who dies in the middle;
//! [`calls`]: how many system calls it takes.

mod calls;
mod contract;
mod deaths;
mod newcomers;

use postbox_tests::run;
use std::process::ExitCode;

fn main() -> ExitCode {
    run([contract::cases(), newcomers::cases(), deaths::cases(), calls::cases()]
        .into_iter()
        .flatten()
        .collect())
}
