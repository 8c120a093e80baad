//! Processes that name each other: started separately, related by nothing but a domain.
//!
//! ```text
//!  case ──► this program again, as an actor: a name in the domain, orders by standard input,
//!           answers by standard output, a line each
//! ```

mod absence;
mod encounters;
mod lab;
mod monitors;
mod names;
mod talking;
mod terms;

use postbox_tests::run;
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Ok(part) = std::env::var(lab::PART) {
        return match lab::act(&part) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{part}: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let parts = [
        talking::cases(),
        encounters::cases(),
        terms::cases(),
        absence::cases(),
        monitors::cases(),
        names::cases(),
    ];
    run(parts.into_iter().flatten().collect())
}
