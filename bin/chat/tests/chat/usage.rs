//! What it says of its options, and when it cannot begin.

use crate::scene::Scene;
use nix::sys::signal::Signal;
use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Output, Stdio};

fn one_line(output: &Output) -> String {
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.starts_with("chat: "), "{said}");
    assert!(output.stdout.is_empty());
    said
}

#[test]
fn help_names_the_options_and_the_exit_codes() {
    let scene = Scene::new();
    let output = scene.chat("ann").arg("--help").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for word in ["--as", "--domain", "130"] {
        assert!(help.contains(word), "{word} in {help}");
    }
}

#[test]
fn what_cannot_be_shown_is_one_line_and_exit_code_1() {
    let scene = Scene::new();
    for (arguments, input) in [(&["--help"][..], ""), (&[], "hi\n"), (&[], "")] {
        let mut command = scene.chat("ann");
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        command.args(arguments).stdin(Stdio::piped()).stdout(full).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may have failed before it could be told.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?} {output:?}");
        assert!(one_line(&output).contains("cannot write to standard output"), "{output:?}");
    }
    scene.finish();
}

#[test]
fn a_name_that_is_none_is_one_line_and_exit_code_2() {
    let scene = Scene::new();
    let output = scene.chat("../ann").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    one_line(&output);
    scene.finish();
}

#[test]
fn a_name_in_use_is_one_line_and_exit_code_1() {
    let scene = Scene::new();
    let mut ann = scene.enter("ann");
    let output = scene.chat("ann").stdin(Stdio::null()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let pid = ann.pid().to_string();
    assert!(one_line(&output).contains(&pid));
    ann.quits();
    scene.finish();
}

#[test]
fn sigterm_leaves_too() {
    let scene = Scene::new();
    let (mut ann, mut bob) = (scene.enter("ann"), scene.enter("bob"));
    bob.signal(Signal::SIGTERM);
    assert_eq!(bob.ends(), (Some(143), String::new()));
    ann.sees("* bob has left");
    ann.quits();
    scene.finish();
}
