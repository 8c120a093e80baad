//! `consumer` by itself: what it says of its options. With others it is tested in `bin/postbox`.

use std::process::{Command, Output, Stdio};

fn consumer(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_consumer"));
    command.args(arguments).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn help_names_every_option_and_the_exit_codes() {
    let output = consumer(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for word in [
        "--from",
        "--mailbox",
        "--as",
        "--framing",
        "--until-drained",
        "--count",
        "--timeout",
        "130",
    ] {
        assert!(help.contains(word), "{word} in {help}");
    }
}

#[test]
fn a_usage_error_is_one_line_and_exit_code_2() {
    for arguments in
        [&["--from", "a", "--mailbox", "b"][..], &["--mailbox", ""], &["--count", "-1"], &["file"]]
    {
        let output = consumer(arguments);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.starts_with("consumer: "), "{said}");
    }
}
