//! What a low limit on memory does: a channel holds less than it was made for, a process cannot have what it needs, or
//! dies of that. The words name the limit.

use postbox::SendError;
use postbox_program::ending::memory;
use postbox_sys::limits::{self, Resource};
use std::error::Error;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// SIGABRT: how a process ends that cannot have the memory it asks for.
const ABORTED: i32 = 6;

/// The limits, and how they are raised.
const LIMITS: [(Resource, &str, &str); 2] = [
    (Resource::RLIMIT_AS, "RLIMIT_AS", "ulimit -v"),
    (Resource::RLIMIT_FSIZE, "RLIMIT_FSIZE", "ulimit -f"),
];

/// The end of a sentence that says which limit it was, from its colon on; empty if none is set.
pub fn remedy() -> String {
    let set = LIMITS.into_iter().filter_map(|(resource, name, raise)| {
        let (soft, _) = limits::rlimit(resource).ok().filter(|&(soft, _)| soft != u64::MAX)?;
        Some(format!(": {name} is {soft} bytes, which makes channels smaller: raise it ({raise})"))
    });
    set.collect()
}

/// What an error says, and the limit if it is about one. A message is never too large for the channel that was made for
/// it, unless the channel was made smaller.
pub fn told(error: &(dyn Error + 'static)) -> String {
    if let Some(SendError::TooLarge(_)) = error.downcast_ref() {
        return format!("{error}{}", remedy());
    }
    let short = |error: &io::Error| error.kind() == ErrorKind::OutOfMemory;
    if error.downcast_ref().is_some_and(short) {
        return format!("{error}: {}", memory());
    }
    error.to_string()
}

/// The end of a sentence that says how a process ended, from its colon on; empty unless a limit on memory
/// explains it.
pub fn of_end(status: ExitStatus) -> String {
    let limited = limits::rlimit(Resource::RLIMIT_AS).is_ok_and(|(soft, _)| soft != u64::MAX);
    if status.signal() == Some(ABORTED) && limited {
        format!(": as when memory is short: {}", memory())
    } else {
        String::new()
    }
}

/// Room for a message of so many bytes.
///
/// # Errors
///
/// There is none (`ENOMEM`).
pub fn room(bytes: usize) -> io::Result<Vec<u8>> {
    let mut room = Vec::new();
    room.try_reserve_exact(bytes).map_err(|_| {
        io::Error::new(ErrorKind::OutOfMemory, format!("no room for a message of {bytes} bytes"))
    })?;
    Ok(room)
}
