//! Reading the kernel's text files: `/proc` and the control group tree.

use crate::{Errno, Result};
use std::path::Path;

/// What `/proc/PID/stat` or `/proc/PID/task/TID/stat` says, as far as this crate asks.
pub(crate) struct Stat {
    /// Process or thread id.
    pub id: u32,
    /// Name of the thread, at most 15 bytes, any bytes.
    pub name: Vec<u8>,
    /// The kernel's `PF_*` flags of the task.
    pub flags: u32,
    /// How many threads its process has.
    pub threads: usize,
    /// Start in clock ticks since boot: with the id it names one process for ever.
    pub start_time: u64,
}

impl Stat {
    /// Parses one `stat` line; `None` if it does not have the documented form.
    ///
    /// The name stands in parentheses and may itself hold spaces, parentheses and line breaks, so
    /// it reaches from the first `(` to the last `)`.
    pub(crate) fn parse(line: &[u8]) -> Option<Stat> {
        let open = line.iter().position(|&byte| byte == b'(')?;
        let close = line.iter().rposition(|&byte| byte == b')')?;
        let id = std::str::from_utf8(line.get(..open)?).ok()?.trim().parse().ok()?;
        let name = line.get(open + 1..close)?.to_vec();
        // After the name comes field 3 (state); flags are field 9, the number of threads is field 20,
        // the start time is field 22.
        let mut rest = std::str::from_utf8(line.get(close + 1..)?).ok()?.split_ascii_whitespace();
        let flags = rest.nth(9 - 3)?.parse().ok()?;
        let threads = rest.nth(20 - 9 - 1)?.parse().ok()?;
        let start_time = rest.nth(22 - 20 - 1)?.parse().ok()?;
        Some(Stat { id, name, flags, threads, start_time })
    }

    /// Reads and parses the file at `path`; `ESRCH` if the task is gone.
    pub(crate) fn read(path: impl AsRef<Path>) -> Result<Stat> {
        match std::fs::read(path) {
            Ok(line) => Stat::parse(&line).ok_or(Errno::EIO),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Errno::ESRCH),
            Err(error) => Err(errno(&error)),
        }
    }
}

/// Reads a small text file.
pub(crate) fn read(path: impl AsRef<Path>) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| errno(&error))
}

/// Reads a file that holds one decimal number.
pub(crate) fn number(path: impl AsRef<Path>) -> Result<u64> {
    read(path)?.trim().parse().map_err(|_| Errno::EIO)
}

/// The errno behind an I/O error; `EINVAL` for errors that the standard library makes up itself.
pub(crate) fn errno(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EINVAL, Errno::from_raw)
}

#[cfg(test)]
mod tests {
    use super::Stat;

    #[test]
    fn a_name_with_parentheses_spaces_and_line_breaks_does_not_shift_the_fields() {
        let line =
            b"42 (a) R 1 (\n\xff b)) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 987 5 6";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat.id, 42);
        assert_eq!(stat.name, b"a) R 1 (\n\xff b)");
        assert_eq!(stat.flags, 4_194_560);
        assert_eq!((stat.threads, stat.start_time), (1, 987));
    }

    #[test]
    fn a_malformed_line_is_refused_not_misread() {
        for line in [&b""[..], b"42", b"42 (a", b")(", b"42 (a) S 1", b"x (a) S 1 1 1 1 1 1"] {
            assert!(Stat::parse(line).is_none());
        }
    }

    #[test]
    fn the_stat_of_this_process_carries_its_pid() {
        assert_eq!(Stat::read("/proc/self/stat").unwrap().id, std::process::id());
    }
}
