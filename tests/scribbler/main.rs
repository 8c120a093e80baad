//! A hostile member against honest ones: it writes what it likes wherever it can, and puts into the
//! kernel object what it likes. The channel is spoilt; nobody crashes, hangs or grows, and other
//! channels of the same processes do not notice.
//!
//! `POSTBOX_SCRIBBLE=30` lets each case go on for so many seconds, `POSTBOX_SEED` repeats one.

mod honest;
mod memory;
mod plan;
mod words;

use postbox_tests::run;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut cases = plan::over_all(
        "no word that is overwritten harms who comes upon it",
        words::one_at_a_time,
    );
    cases.shrink_to_fit();
    run(cases)
}
