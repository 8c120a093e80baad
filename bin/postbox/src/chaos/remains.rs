//! What is left over after a round: nothing may be.

use super::books::{Judged, Rule, against};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// What this process holds, and what bears its name in the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Open descriptors, by what they are of.
    descriptors: Vec<String>,
    /// Mappings of channels.
    mappings: usize,
    /// Child processes.
    children: String,
    /// Message queues and shared memory of Postbox that have a name.
    names: BTreeSet<String>,
}

impl Held {
    /// What there is now of this process and those.
    pub fn now(victims: &BTreeSet<u32>) -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let names = ["/dev/mqueue", "/dev/shm"].into_iter().flat_map(entries);
        Held {
            descriptors: descriptors(),
            mappings: maps.lines().filter(|line| line.contains("memfd:postbox")).count(),
            children: children(),
            names: names.filter(|name| is_ours(name, victims)).collect(),
        }
    }

    /// Whether that is what there was before.
    ///
    /// # Errors
    ///
    /// What there is more or less.
    pub fn compare(&self, before: &Held) -> Judged {
        if self == before {
            return Ok(());
        }
        let mut differences = Vec::new();
        if self.descriptors != before.descriptors {
            let (was, is) = (&before.descriptors, &self.descriptors);
            differences.push(format!("descriptors were {was:?} and are {is:?}"));
        }
        if self.mappings != before.mappings {
            let (was, is) = (before.mappings, self.mappings);
            differences.push(format!("{was} mappings of channels became {is}"));
        }
        if self.children != before.children {
            differences.push(format!("children: {}", self.children));
        }
        if self.names != before.names {
            differences.push(format!("names: {:?}", self.names));
        }
        against(Rule::LeftBehind, differences.join("; "))
    }
}

/// Whether the last to leave has cleared the domain away.
///
/// # Errors
///
/// What is left of it.
pub fn is_clear(directory: TempDir) -> Judged {
    let left = everything_in(directory.path());
    match left.is_empty() {
        true => Ok(()),
        false => against(Rule::LeftBehind, format!("in the directory of the domain: {left:?}")),
    }
}

fn everything_in(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        found.push(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(everything_in(&entry.path()));
        }
    }
    found
}

fn descriptors() -> Vec<String> {
    let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let mut descriptors: Vec<String> = open
        .filter_map(|entry| fs::read_link(entry.path()).ok())
        .map(|target| target.display().to_string())
        // The listing's own.
        .filter(|target| !target.starts_with("/proc/"))
        .map(|target| target.split(":[").next().unwrap_or_default().to_owned())
        .collect();
    descriptors.sort();
    descriptors
}

fn children() -> String {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks.flat_map(|task| fs::read_to_string(task.path().join("children"))).collect()
}

fn entries(directory: &str) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Channels are made by the ledger, links by its victims.
fn is_ours(name: &str, victims: &BTreeSet<u32>) -> bool {
    let pid = name.strip_prefix("postbox-").and_then(|rest| rest.split('-').next());
    let pid = pid.and_then(|pid| pid.parse().ok());
    pid.is_some_and(|pid| pid == std::process::id() || victims.contains(&pid))
}
