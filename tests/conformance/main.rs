//! The contract, run in real processes over every mechanism and capacity, and over links and mailboxes by name.
//!
//! Each file tells one part of it; each case is a sentence and its proof.

mod capacity;
mod delivery;
mod ends;
mod habits;
mod loans;
mod mailboxes;
mod passing;
mod pollable;
mod rendezvous;
mod streams;
mod survivors;
mod waiting;
mod wakeups;

use std::process::ExitCode;

fn main() -> ExitCode {
    let parts = [
        capacity::cases(),
        rendezvous::cases(),
        delivery::cases(),
        streams::cases(),
        passing::cases(),
        waiting::cases(),
        wakeups::cases(),
        ends::cases(),
        habits::cases(),
        loans::cases(),
        survivors::cases(),
        pollable::cases(),
        mailboxes::cases(),
    ];
    postbox_tests::run_side_by_side(parts.into_iter().flatten().collect())
}
