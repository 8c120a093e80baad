//! Bad input: one line that says what is wrong, exit code 2.

use super::support::{start, start_on_one_core};
use crate::run::Run;

/// The one line on standard error.
fn refused(arguments: &[&str]) -> String {
    one_line(start(arguments))
}

fn one_line(run: Run) -> String {
    let ended = run.finish();
    assert_eq!((ended.code(), ended.out()), (Some(2), String::new()), "{ended:?}");
    let said = ended.err();
    assert!(said.starts_with("postbox: ") && said.lines().count() == 1, "{said}");
    said
}

#[test]
fn a_usage_error_says_what_to_choose() {
    assert!(refused(&["--mechanism=carrier-pigeon"]).contains("mqueue"));
    assert!(refused(&["--metric=beauty"]).contains("latency"));
    for nonsense in ["7", "17M", "x", "", "64,"] {
        assert!(refused(&["--payload", nonsense]).contains("16M"), "{nonsense}");
    }
    assert!(refused(&["--naming=postman"]).contains("mailbox"));
    assert!(refused(&["--wait=patiently"]).contains("adaptive"));
    assert!(refused(&["--capacity=-1"]).contains("unbounded"));
    assert!(refused(&["--rounds=0"]).contains("1.."));
    assert!(refused(&["--producers=0"]).contains("1.."));
    assert!(refused(&["--cores=none"]).contains("different"));
}

#[test]
fn what_does_not_go_together_is_refused_with_a_remedy() {
    assert!(refused(&["--naming=direct", "--consumers=2"]).contains("--consumers 1"));
    assert!(refused(&["--cores=same", "--wait=spin"]).contains("--wait adaptive"));
    assert!(refused(&["--metric=latency", "--producers=2"]).contains("--metric throughput"));
}

#[test]
fn targets_have_names_and_go_with_nothing_else() {
    let said = refused(&["--targets", "--only=latency,beauty"]);
    assert!(
        said.contains("'beauty'") && said.contains("stream") && said.contains("idle"),
        "{said}"
    );
    assert!(refused(&["--targets", "--only=latency/"]).contains("'latency/'"));
    assert!(refused(&["--targets", "--only=peers"]).contains("--peers"));
    assert!(refused(&["--only=latency"]).contains("--targets"));
    assert!(refused(&["--markdown=targets.md"]).contains("--targets"));
    for other in
        ["--payload=64", "--mechanism=pipe", "--cores=same", "--producers=2", "--wait=spin"]
    {
        assert!(refused(&["--targets", other]).contains("--targets"), "{other}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_told_first() {
    assert!(refused(&["--html=/no/such/directory/report.html"]).contains("/no/such/directory"));
    let said = refused(&["--targets", "--markdown=/no/such/directory/targets.md"]);
    assert!(said.contains("/no/such/directory"), "{said}");
}

#[test]
fn one_core_cannot_be_two() {
    let said = one_line(start_on_one_core(&["--cores=different"]));
    assert!(said.contains("--cores same"), "{said}");
}
