//! What processes that were killed have left behind. Nothing of it does harm: the next process to
//! join, or to make a queue, removes it, but for the directories of whole runs.

use super::finding::Finding;
use crate::scratch::{self, is_dead};
use nix::mqueue::mq_unlink;
use postbox::{Domain, Name, temporary_user};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// Where the kernel shows its message queues, if that is mounted.
const QUEUES: &str = "/dev/mqueue";
/// A queue that is being made has a name for some microseconds.
const MAKING: Duration = Duration::from_millis(50);
/// The name of each finding.
const CHECK: &str = "left behind";

/// One thing that was left behind.
#[derive(Debug)]
enum Leftover {
    /// A domain in which nobody is any more.
    Domain(Name),
    /// A socket of a process that is dead, in a domain that is in use.
    Socket(Name, PathBuf),
    /// Something that a process was making, or removing, when it was killed.
    Unfinished(PathBuf),
    /// A message queue whose name was not taken away before its creator was killed.
    Queue(String),
    /// The directory of a run of `bench`, `chaos` or `compare`.
    Run(PathBuf),
}

/// All that is there, and, if it is `clean`ed, what is to be seen of it after that.
pub fn findings(base: Option<&Path>, clean: Clean) -> Vec<Finding> {
    let before = find(base);
    if clean == Clean::No || before.is_empty() {
        return before.iter().map(|leftover| leftover.finding().note(leftover.remedy())).collect();
    }
    before.iter().for_each(Leftover::remove);
    sweep();
    let after = find(base);
    let still = |leftover: &&Leftover| after.iter().any(|other| other.what() == leftover.what());
    let (stay, gone): (Vec<_>, Vec<_>) = before.iter().partition(still);
    let mut findings: Vec<Finding> = gone
        .iter()
        .map(|leftover| Finding { meaning: "removed".into(), ..leftover.finding() })
        .collect();
    findings.extend(stay.iter().map(|leftover| leftover.finding().note("remove it by hand")));
    findings
}

/// Whether to remove what was left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clean {
    /// Only look.
    No,
    /// Remove it.
    Yes,
}

impl Leftover {
    fn what(&self) -> String {
        match self {
            Leftover::Domain(name) => format!("domain '{name}'"),
            Leftover::Socket(_, path) | Leftover::Unfinished(path) | Leftover::Run(path) => {
                path.display().to_string()
            }
            Leftover::Queue(name) => format!("message queue {name}"),
        }
    }

    fn remedy(&self) -> &'static str {
        match self {
            Leftover::Queue(_) => {
                "postbox doctor --clean, or leave it to the next process that makes a queue"
            }
            Leftover::Run(_) => "postbox doctor --clean",
            Leftover::Domain(_) | Leftover::Socket(..) | Leftover::Unfinished(_) => {
                "postbox doctor --clean, or leave it to the next process that joins"
            }
        }
    }

    fn finding(&self) -> Finding {
        Finding::ok(
            CHECK,
            self.what(),
            match self {
                Leftover::Domain(_) => "nobody is in it any more",
                Leftover::Socket(..) => "its process is dead",
                Leftover::Unfinished(_) => {
                    "the process that was making it, or removing it, is dead"
                }
                Leftover::Queue(_) => "the process that created it was killed at that instant",
                Leftover::Run(_) => "the run whose processes met there was killed",
            },
        )
    }

    /// As far as that goes: what is still there afterwards is told. The library removes domains and
    /// what is in them, since it alone can tell what is in use.
    fn remove(&self) {
        match self {
            Leftover::Domain(name) => drop(Domain::open(name.as_str())),
            Leftover::Socket(domain, _) => {
                // Whoever joins sweeps.
                let name = format!("doctor-{}", std::process::id());
                drop(Domain::open(domain.as_str()).map(|domain| domain.join(&name)));
            }
            Leftover::Unfinished(_) => {}
            Leftover::Queue(name) => drop(mq_unlink(name.as_str())),
            Leftover::Run(path) => drop(fs::remove_dir_all(path)),
        }
    }
}

/// Whoever joins sweeps the directory of all domains, too.
fn sweep() {
    let name = format!("doctor-{}", std::process::id());
    drop(Domain::open(&name).map(|domain| domain.join(&name)));
}

fn find(base: Option<&Path>) -> Vec<Leftover> {
    let mut found = Vec::new();
    for (name, path) in base.into_iter().flat_map(entries) {
        if let Some(pid) = temporary_user(&name) {
            if is_dead(pid) {
                found.push(Leftover::Unfinished(path));
            }
        } else if let Ok(name) = Name::new(&name) {
            found.extend(in_domain(&name, &path));
        }
    }
    found.extend(scratch::abandoned().into_iter().map(Leftover::Run));
    found.extend(queues().into_iter().map(|name| Leftover::Queue(format!("/{name}"))));
    found
}

/// Queues that have kept their name for longer than it takes to make one.
fn queues() -> Vec<String> {
    let named = || -> Vec<(String, Option<u64>)> {
        let ours = entries(Path::new(QUEUES)).into_iter();
        ours.filter(|(name, _)| name.starts_with("postbox-"))
            .map(|(name, path)| (name, fs::metadata(path).ok().map(|queue| queue.ino())))
            .collect()
    };
    let before = named();
    if before.is_empty() {
        return Vec::new();
    }
    thread::sleep(MAKING);
    let after = named();
    let kept = before.into_iter().filter(|queue| after.contains(queue));
    kept.map(|(name, _)| name).collect()
}

fn in_domain(name: &Name, path: &Path) -> Vec<Leftover> {
    let parts = ["processes", "mailboxes"].map(|part| path.join(part));
    if !parts.iter().all(|part| part.is_dir()) {
        // Whatever that is, it is none of ours.
        return Vec::new();
    }
    let sockets = parts.iter().flat_map(|part| entries(part));
    let (dead, live): (Vec<_>, Vec<_>) = sockets.partition(|(file, _)| {
        let pid = file.rsplit_once('.').and_then(|(_, pid)| pid.parse().ok());
        temporary_user(file).or(pid).is_some_and(is_dead)
    });
    if live.is_empty() {
        return vec![Leftover::Domain(name.clone())];
    }
    dead.into_iter().map(|(_, path)| Leftover::Socket(name.clone(), path)).collect()
}

fn entries(directory: &Path) -> Vec<(String, PathBuf)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut all: Vec<(String, PathBuf)> = entries
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect();
    all.sort();
    all
}
