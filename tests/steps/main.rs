//! Every step of the algorithms, and a death at each.
//!
//! A normal build has no steps that could be armed. So this program builds itself anew with the
//! feature `armed-steps`, and runs what comes out of it.

#[cfg(feature = "armed-steps")]
mod naming;
#[cfg(feature = "armed-steps")]
mod walk;

use std::process::ExitCode;

#[cfg(feature = "armed-steps")]
fn main() -> ExitCode {
    let mut cases = walk::cases();
    cases.extend(naming::cases());
    postbox_tests::run_twice(cases)
}

#[cfg(not(feature = "armed-steps"))]
fn main() -> ExitCode {
    use std::path::Path;
    use std::process::Command;

    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = std::env::current_exe().expect("the path of this program");
    // target/debug/deps/steps-…: there all is built already that knows nothing of steps.
    let target = own.ancestors().nth(3).unwrap_or(package);
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    // The whole workspace, or what others have in common with it would be built with other features.
    cargo.args(["test", "--quiet", "--workspace", "--features", "postbox-tests/armed-steps"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    cargo.args(["--test", "steps", "--"]).args(std::env::args_os().skip(1));
    let status = cargo.current_dir(package).env("CARGO_TARGET_DIR", target).status();
    match status.expect("cargo runs").code() {
        Some(0) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
