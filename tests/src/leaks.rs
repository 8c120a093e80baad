//! What a process holds: to be the same after a case as before.

use std::fs;

/// Descriptors, shared mappings of channels, and children of this process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    descriptors: Vec<String>,
    mappings: usize,
    children: String,
}

pub(crate) fn count() -> Held {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mappings = maps.lines().filter(|line| line.contains("memfd:postbox")).count();
    let pid = std::process::id();
    let children =
        fs::read_to_string(format!("/proc/self/task/{pid}/children")).unwrap_or_default();
    Held { descriptors: descriptors(), mappings, children }
}

/// The open descriptors of this process, by what they are of.
pub fn descriptors() -> Vec<String> {
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
