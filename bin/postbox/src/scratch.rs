//! The directories in which the processes of a run meet. One goes with the process that made it; what a
//! SIGKILL leaves bears that process's id, by which it is found: `postbox-COMMAND-PID-NAMESPACE-RANDOM`.

use postbox_program::ending::file_size;
use postbox_sys::directory::own_uid;
use postbox_sys::{Errno, pidfd};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use tempfile::TempDir;

/// The commands that make such directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    Bench,
    Chaos,
    Compare,
}

const USERS: [User; 3] = [User::Bench, User::Chaos, User::Compare];

impl User {
    fn prefix(self) -> &'static str {
        match self {
            User::Bench => "postbox-bench-",
            User::Chaos => "postbox-chaos-",
            User::Compare => "postbox-compare-",
        }
    }

    /// A directory of this process's, where temporary files lie.
    ///
    /// # Errors
    ///
    /// In words, with the place and what to do.
    pub fn directory(self) -> Result<TempDir, String> {
        let prefix = format!("{}{}-{}-", self.prefix(), std::process::id(), pid_namespace());
        let made = tempfile::Builder::new().prefix(&prefix).tempdir();
        made.map_err(|error| refused("make a directory", &error))
    }
}

/// Says that the system's place for temporary files did not do, and what to do about it.
pub fn refused(what: &str, error: &io::Error) -> String {
    let place = std::env::temp_dir();
    let remedy = match file_size(error) {
        Some(remedy) => format!("{remedy}, or give a file"),
        None => "make room or set TMPDIR".into(),
    };
    format!("cannot {what} in {}: {error}: {remedy}", place.display())
}

/// Those of this user whose maker is dead. What is another namespace's nobody can judge from here.
pub fn abandoned() -> Vec<PathBuf> {
    let entries = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_str().and_then(maker).is_some_and(is_dead))
        // Not followed: a link would be somebody's trick.
        .filter(|entry| {
            let status = entry.metadata();
            status.is_ok_and(|status| status.is_dir() && status.uid() == own_uid())
        })
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// The process of this namespace that made the directory of that name.
fn maker(name: &str) -> Option<u32> {
    let rest = USERS.iter().find_map(|user| name.strip_prefix(user.prefix()))?;
    let (pid, rest) = rest.split_once('-')?;
    let (namespace, _) = rest.split_once('-')?;
    if namespace.parse() == Ok(pid_namespace()) { pid.parse().ok() } else { None }
}

/// Tells it from others; 0 where that is not to be seen.
fn pid_namespace() -> u64 {
    fs::metadata("/proc/self/ns/pid").map_or(0, |namespace| namespace.ino())
}

/// Whether no process has that id any more.
pub fn is_dead(pid: u32) -> bool {
    pidfd::open(pid).err() == Some(Errno::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_maker_to_those_of_the_same_namespace() {
        let own = std::process::id();
        for user in USERS {
            let directory = user.directory().unwrap();
            let name = directory.path().file_name().unwrap().to_str().unwrap();
            assert_eq!(maker(name), Some(own));
            assert!(!abandoned().contains(&directory.path().to_owned()));
        }
        let other = pid_namespace() + 1;
        for name in [
            format!("postbox-chaos-{own}-{other}-aaaaaa"),
            "postbox-chaos-aaaaaa".into(),
            "postbox-chaos--1-2-a".into(),
            format!("other-{own}-{}-a", pid_namespace()),
        ] {
            assert_eq!(maker(&name), None, "{name}");
        }
    }
}
