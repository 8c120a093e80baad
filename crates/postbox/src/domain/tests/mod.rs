//! What can be shown in one process. What takes several stands in the tests of the workspace.

mod claims;
mod directories;
mod registrars;

use super::{Address, Domain, DomainOptions};
use crate::name::Name;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of its own for each test, removed when dropped.
struct Bench(PathBuf);

impl Bench {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("postbox-domain-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Bench(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn open(&self) -> Domain {
        DomainOptions::new().directory(&self.0).open("lab").unwrap()
    }

    /// The names of what is in there.
    fn names(&self, below: &str) -> Vec<String> {
        names(&self.path(below))
    }
}

fn names(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn process(name: &str) -> Address {
    Address::process(&Name::new(name).unwrap())
}

fn mailbox(name: &str) -> Address {
    Address::mailbox(&Name::new(name).unwrap())
}
