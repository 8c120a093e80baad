//! Members that are killed at random moments of traffic: the others go on, nothing is doubled,
//! nothing is lost but what a dead receiver had taken, and room comes back to exactly n.
//!
//! `POSTBOX_SEED` sets the seed, `POSTBOX_KILLS` how many die per case.

mod loans;
mod partners;
mod traffic;

use std::process::ExitCode;

fn main() -> ExitCode {
    postbox_tests::run_side_by_side(
        traffic::cases().into_iter().chain(partners::cases()).chain(loans::cases()).collect(),
    )
}
