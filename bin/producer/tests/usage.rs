//! `producer` by itself: what it says of its options. With others it is tested in `bin/postbox`.

use std::process::{Command, Output, Stdio};

fn producer(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_producer"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn help_names_every_option_and_the_exit_codes() {
    let output = producer(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "--to",
        "--mailbox",
        "--as",
        "--framing",
        "--deliver",
        "--rate",
        "--count",
        "--timeout",
        "130",
    ] {
        assert!(help.contains(word), "{word} in {help}");
    }
}

#[test]
fn a_usage_error_is_one_line_and_exit_code_2() {
    for arguments in [
        &[][..],
        &["--to", "a", "--mailbox", "b"],
        &["--to", "../a"],
        &["--to", "a", "--rate", "0"],
    ] {
        let output = producer(arguments);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("producer: "), "{said}");
    }
}
