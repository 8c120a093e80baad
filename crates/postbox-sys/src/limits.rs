//! What the system grants: resource limits, pipe sizes, and the memory of a control group.

use crate::Result;
use crate::proc_file::{number, read};
use nix::sys::resource::getrlimit;
use nix::unistd::{SysconfVar, sysconf};
use std::path::{Path, PathBuf};

pub use nix::sys::resource::Resource;

/// Bytes of a page of memory: 4096, and on some processors up to 64 KiB.
pub fn page_size() -> usize {
    let bytes = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(4096)
}

/// A limit of this process: (soft, hard), `u64::MAX` for none.
///
/// See [`getrlimit(2)`](https://man7.org/linux/man-pages/man2/getrlimit.2.html).
///
/// # Errors
///
/// `EINVAL`: the kernel does not know this resource.
pub fn rlimit(resource: Resource) -> Result<(u64, u64)> {
    getrlimit(resource)
}

/// The largest buffer, in bytes, that an unprivileged process may give to a pipe.
///
/// # Errors
///
/// `ENOENT`: `/proc` is not mounted.
pub fn pipe_max_size() -> Result<u64> {
    number("/proc/sys/fs/pipe-max-size")
}

/// The pages that an unprivileged user's pipes may take together before new pipes get small
/// buffers; 0 for no limit.
///
/// # Errors
///
/// `ENOENT`: `/proc` is not mounted.
pub fn pipe_user_pages_soft() -> Result<u64> {
    number("/proc/sys/fs/pipe-user-pages-soft")
}

/// The files that may be open in the whole system.
///
/// # Errors
///
/// `ENOENT`: `/proc` is not mounted. `EMFILE`, `ENFILE`.
pub fn file_max() -> Result<u64> {
    number("/proc/sys/fs/file-max")
}

/// The descriptors that a user may have in epoll sets.
///
/// # Errors
///
/// As [`file_max`].
pub fn max_user_watches() -> Result<u64> {
    number("/proc/sys/fs/epoll/max_user_watches")
}

/// Bytes of memory that could be taken now without swapping: `MemAvailable` of `/proc/meminfo`.
///
/// `fallocate(2)` of more than that is not refused: the kernel kills processes, anybody's, to find
/// it. So whoever takes much at once asks first. `None` where `/proc` is not mounted.
pub fn memory_available() -> Option<u64> {
    let facts = read("/proc/meminfo").ok()?;
    let line = facts.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

/// Bytes of memory that the control groups of this process allow it: the least on the way from its
/// own group to the root; `None` if no group sets a limit or none can be read.
///
/// Beyond it the kernel kills, without an error to anybody. Knows version 2 (`memory.max`) and the
/// memory controller of version 1 (`memory.limit_in_bytes`). See
/// [`cgroups(7)`](https://man7.org/linux/man-pages/man7/cgroups.7.html).
pub fn cgroup_memory_max() -> Option<u64> {
    let groups = read("/proc/self/cgroup").ok()?;
    let mounts = read("/proc/self/mountinfo").ok()?;
    let directories = Hierarchy::ALL.iter().filter_map(|hierarchy| {
        let group = hierarchy.own_group(&groups)?;
        let (root, point) = hierarchy.mount(&mounts)?;
        Some(least(&point, &root, group, hierarchy.limit_file()))
    });
    directories.flatten().min()
}

/// The two forms of control groups; a system may have both, with memory in one of them.
#[derive(Clone, Copy)]
enum Hierarchy {
    /// Version 1: a tree for memory alone.
    Memory,
    /// Version 2: one tree for everything.
    Unified,
}

impl Hierarchy {
    const ALL: [Hierarchy; 2] = [Hierarchy::Memory, Hierarchy::Unified];

    fn limit_file(self) -> &'static str {
        match self {
            Hierarchy::Memory => "memory.limit_in_bytes",
            Hierarchy::Unified => "memory.max",
        }
    }

    /// The path of this process's group, from `/proc/self/cgroup`: `number:controllers:path`.
    fn own_group(self, groups: &str) -> Option<&str> {
        groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':');
            let (number, controllers) = (fields.next()?, fields.next()?);
            let here = match self {
                Hierarchy::Memory => controllers.split(',').any(|name| name == "memory"),
                Hierarchy::Unified => number == "0",
            };
            fields.next().filter(|_| here)
        })
    }

    /// Which group is mounted where, from `/proc/self/mountinfo`.
    fn mount(self, mounts: &str) -> Option<(PathBuf, PathBuf)> {
        mounts.lines().find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut before = before.split(' ').skip(3);
            let (root, point) = (before.next()?, before.next()?);
            let mut after = after.split(' ');
            let (kind, options) = (after.next()?, after.nth(1)?);
            let here = match self {
                Hierarchy::Memory => {
                    kind == "cgroup" && options.split(',').any(|name| name == "memory")
                }
                Hierarchy::Unified => kind == "cgroup2",
            };
            here.then(|| (root.into(), point.into()))
        })
    }
}

/// The least limit from `group` up to the mount at `point`, which shows the group `root`.
fn least(point: &Path, root: &Path, group: &str, file: &str) -> Option<u64> {
    // In a container the mount may begin at the container's own group.
    let below = Path::new(group).strip_prefix(root).or_else(|_| Path::new(group).strip_prefix("/"));
    below.ok()?.ancestors().filter_map(|group| limit(&point.join(group).join(file))).min()
}

/// One limit file: a number of bytes, or `max`. Version 1 writes no limit as a huge number.
fn limit(file: &Path) -> Option<u64> {
    number(file).ok().filter(|&bytes| bytes < i64::MAX as u64 / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;

    #[test]
    fn a_soft_limit_is_at_most_the_hard_one() {
        let (soft, hard) = rlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert!(0 < soft && soft <= hard);
    }

    #[test]
    fn the_pipe_limits_are_those_of_the_running_system() {
        assert!(pipe_max_size().unwrap() >= 4096);
        pipe_user_pages_soft().unwrap();
    }

    #[test]
    fn a_limit_that_does_not_exist_is_enoent() {
        assert_eq!(number("/proc/sys/fs/no-such-limit"), Err(Errno::ENOENT));
    }

    #[test]
    fn groups_and_mounts_are_found_in_both_versions() {
        let groups = "9:name=systemd:/\n4:cpu,memory:/a:b\n0::/user.slice/x\n";
        assert_eq!(Hierarchy::Memory.own_group(groups), Some("/a:b"));
        assert_eq!(Hierarchy::Unified.own_group(groups), Some("/user.slice/x"));
        let mounts = "30 1 0:2 / / rw - ext4 /dev/vda rw\n\
            31 30 0:3 /box /cg/memory rw shared:9 - cgroup cgroup rw,memory\n\
            32 30 0:4 / /cg/unified rw - cgroup2 cgroup2 rw\n";
        let mounted = |root: &str, point: &str| Some((root.into(), point.into()));
        assert_eq!(Hierarchy::Memory.mount(mounts), mounted("/box", "/cg/memory"));
        assert_eq!(Hierarchy::Unified.mount(mounts), mounted("/", "/cg/unified"));
    }

    #[test]
    fn the_least_limit_on_the_way_to_the_root_counts() {
        let root = std::env::temp_dir().join(format!("postbox-limits-{}", std::process::id()));
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("memory.max"), "9000\n").unwrap();
        std::fs::write(root.join("a/memory.max"), "5000\n").unwrap();
        std::fs::write(root.join("a/b/memory.max"), "max\n").unwrap();
        let file = "memory.max";
        assert_eq!(least(&root, Path::new("/"), "/a/b", file), Some(5000));
        assert_eq!(least(&root, Path::new("/"), "/", file), Some(9000));
        assert_eq!(least(&root, Path::new("/outside"), "/outside/a/b", file), Some(5000));
        std::fs::write(root.join("memory.max"), "9223372036854771712\n").unwrap();
        assert_eq!(least(&root, Path::new("/"), "/", file), None);
        std::fs::remove_dir_all(root).unwrap();
    }
}
