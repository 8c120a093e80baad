//! A hostile member against honest ones: it writes what it likes wherever it can, and puts into the
//! kernel object what it likes. The channel is spoilt; nobody crashes, hangs or grows, and other
//! channels of the same processes do not notice.
//!
//! `POSTBOX_SCRIBBLE=30` lets each case go on for so many seconds, `POSTBOX_SEED` repeats one.

mod honest;
mod hostile;
mod memory;
mod owner;
mod plan;
mod rage;
mod words;

use postbox_tests::{over, run_again};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(seed) = std::env::var(hostile::PART).ok().and_then(|seed| seed.parse().ok()) {
        let done = match std::env::var(hostile::DOMAIN) {
            Ok(domain) => hostile::visit(seed, &domain),
            Err(_) => hostile::act(seed),
        };
        return match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("the hostile member: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let mut cases =
        plan::over_all("no word that is overwritten harms who comes upon it", words::one_at_a_time);
    cases.extend(plan::over_all(
        "no page that is shuffled harms who comes upon it",
        words::one_page_at_a_time,
    ));
    cases.extend(plan::over_all("a member that rages harms its own channel alone", rage::rage));
    cases.extend(over(
        "another user that may only send harms no owner of a mailbox",
        owner::visited,
    ));
    run_again(cases)
}
