//! Something is used up: what, how much there is of it and what to do is said, and nothing is killed.

use super::support::{file, started};
use crate::run::{Ended, Run, limited};
use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::Stdio;

/// What it says of that much on standard input, under those limits.
fn told(limits: &str, input: &[u8], output: Stdio) -> Ended {
    let file = file(input);
    let input = Stdio::from(File::open(file.path()).unwrap());
    let mut command = limited(limits);
    command.args(["compare", "-", "--naming=channel", "--mechanism=buffer"]);
    Run::with(&mut command, input, output).finish()
}

#[test]
fn beyond_a_file_size_limit_standard_input_is_not_kept() {
    for (limits, limit, bytes) in [("ulimit -f 0", 0, 20), ("ulimit -f 1", 1024, 2000)] {
        let ended = told(limits, &vec![b'\n'; bytes], Stdio::piped());
        assert_eq!((ended.code(), ended.out()), (Some(1), String::new()), "{ended:?}");
        let said = ended.err();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains("standard input") && said.contains("or give a file"), "{said}");
        assert!(said.contains(&format!("RLIMIT_FSIZE is {limit} bytes: raise it")), "{said}");
    }
}

#[test]
fn beyond_a_file_size_limit_the_table_is_an_error() {
    let output = tempfile::tempfile().unwrap();
    let ended = told("ulimit -f 1", b"line\n", Stdio::from(output));
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let said = ended.err();
    assert!(said.contains("standard output") && said.contains("RLIMIT_FSIZE is 1024"), "{said}");
}

#[test]
fn each_row_that_fails_is_told_apart() {
    let file = file(b"line\n");
    let mut command = limited("ulimit -n 8");
    command.arg("compare").arg(file.path()).arg("--mechanism=shm");
    let ended = Run::of(&mut command).finish();
    assert_eq!(ended.code(), Some(1), "{ended:?}");
    let said = ended.err();
    let lines: BTreeSet<&str> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    for naming in ["channel", "direct", "mailbox"] {
        assert!(said.contains(&format!("postbox: shm 8 {naming}: ")), "{said}");
    }
    assert!(lines.iter().all(|line| line.contains("RLIMIT_NOFILE is 8")), "{said}");
}

#[test]
fn a_place_for_temporary_files_that_is_not_there_is_named() {
    let file = file(b"line\n");
    let path = file.path().to_str().unwrap();
    for naming in ["--naming=direct", "--naming=mailbox"] {
        let arguments = [path, naming, "--mechanism=pipe"];
        let ended = started(&arguments, &[("TMPDIR", Path::new("/nonexistent"))]).finish();
        assert_eq!(ended.code(), Some(1), "{ended:?}");
        let said = ended.err();
        assert_eq!(said.lines().count(), 1, "{said}");
        assert!(said.contains(" in /nonexistent: ") && said.contains("set TMPDIR"), "{said}");
    }
}

#[test]
fn a_low_limit_on_memory_is_named_whatever_it_stops() {
    // A limit that leaves the program itself room, but not what is asked of it.
    let large = file(&[b'x'; 40_000_000]);
    let path = large.path().to_str().unwrap();
    for (limit, records, first) in [
        // The survey; a worker's own memory; the channel, made smaller by the limit.
        (60_000, "whole", "cannot read '"),
        (60_000, "lines", "cannot read '"),
        (60_000, "bytes:20000000", ""),
        (80_000, "bytes:20000000", ""),
        (170_000, "bytes:20000000", ""),
        (400_000, "bytes:20000000", ""),
    ] {
        let mut command = limited(&format!("ulimit -v {limit}"));
        let arguments = ["compare", path, "--mechanism=pipe", "--mechanism=buffer", "--records"];
        let ended = Run::of(command.args(arguments).arg(records)).finish();
        assert_eq!(ended.code(), Some(1), "{limit} {records}: {ended:?}");
        let said = ended.err();
        for line in said.lines() {
            let named = format!("RLIMIT_AS is {} bytes", limit * 1024);
            assert!(line.starts_with(&format!("postbox: {first}")), "{limit} {records}: {said}");
            assert!(
                line.contains(&named) && line.contains("ulimit -v"),
                "{limit} {records}: {said}"
            );
        }
        assert!(!said.is_empty(), "{limit} {records}");
    }
}
