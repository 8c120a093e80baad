//! Starting `postbox compare`, and what it is to compare.

use crate::run::{Ended, Run, postbox};
use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file of those bytes, gone when it is dropped.
pub fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// `count` lines: empty ones, short ones, binary ones, some with a carriage return; the last has no
/// line end. And the bytes of the records.
pub fn lines(count: usize) -> (Vec<u8>, u64) {
    let mut text = Vec::new();
    for line in 0..count {
        match line % 5 {
            0 => {}
            1 => text.extend(line.to_string().bytes()),
            2 => text.extend((0..=255).filter(|&byte| byte != b'\n')),
            3 => text.extend(b"carriage return\r"),
            _ => text.extend(vec![b'x'; line % 300]),
        }
        text.push(b'\n');
    }
    text.extend(b"last");
    let bytes = text.iter().filter(|&&byte| byte != b'\n').count() as u64;
    (text, bytes)
}

/// Starts it with those arguments.
pub fn start<A: Into<PathBuf>>(arguments: impl IntoIterator<Item = A>) -> Run {
    Run::of(&mut command(arguments))
}

/// As [`start`], with other standard streams.
pub fn with<A: Into<PathBuf>>(
    arguments: impl IntoIterator<Item = A>,
    input: Stdio,
    output: Stdio,
) -> Run {
    Run::with(&mut command(arguments), input, output)
}

/// As [`start`], with those variables in the environment.
pub fn started(arguments: &[&str], environment: &[(&str, &Path)]) -> Run {
    Run::of(command(arguments.iter().copied()).envs(environment.iter().copied()))
}

fn command<A: Into<PathBuf>>(arguments: impl IntoIterator<Item = A>) -> Command {
    let mut command = postbox();
    command.arg("compare").args(arguments.into_iter().map(Into::into));
    command
}

/// Waits until it has that many workers, none of them `other`.
pub fn await_workers(run: &Run, count: usize, other: &BTreeSet<i32>) -> BTreeSet<i32> {
    let what = format!("{count} workers");
    run.await_children(&what, |workers| workers.len() == count && workers.is_disjoint(other))
}

/// The rows of a run in which all went well.
pub fn good_rows(ended: &Ended) -> Vec<Value> {
    assert_eq!((ended.code(), ended.err()), (Some(0), String::new()), "{ended:?}");
    let rows = ended.rows();
    assert!(rows.iter().all(|row| row["verified"] == true), "{rows:?}");
    rows
}
