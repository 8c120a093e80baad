//! What is left over after a round: nothing may be.

use super::books::{Judged, Rule, against};
use postbox::{Bytes, Mechanism, Options};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// How often names are looked for that somebody else may just be using.
const LOOKS: usize = 20;

/// What this process holds, and what bears its name in the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Open descriptors, by what they are of.
    descriptors: Vec<String>,
    /// Mappings of channels.
    mappings: usize,
    /// Child processes.
    children: String,
    /// Message queues of this user that still have their name.
    names: Vec<String>,
}

impl Held {
    /// What there is now of this process and those.
    pub fn now() -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        Held {
            descriptors: descriptors(),
            mappings: maps.lines().filter(|line| line.contains("memfd:postbox")).count(),
            children: children(),
            names: names(),
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

/// The names under which processes of this user make queues, which each of them takes away at once. What
/// a victim has left that was killed in between goes with the next queue that is made; another process
/// may be making one just now.
fn names() -> Vec<String> {
    drop(Options::new(Mechanism::MessageQueue).channel::<Bytes>());
    let ours = format!("postbox-{}-", nix::unistd::geteuid());
    let look = || {
        let entries = fs::read_dir("/dev/mqueue").into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| name.starts_with(&ours)).collect()
    };
    (0..LOOKS).map(|_| look()).find(Vec::is_empty).unwrap_or_else(look)
}
