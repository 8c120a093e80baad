//! Which user a name or a process belongs to.

use crate::domain::{Address, Domain};
use crate::error::Fault;
use crate::name::Name;

/// The user of whoever bears that name now, if anybody does.
pub(super) fn user_of(domain: &Domain, name: &Name) -> Result<Option<u32>, Fault> {
    Ok(domain.holder(&Address::process(name))?.and_then(user_of_process))
}

/// The user that a process runs as, if it lives and may be looked at.
pub(super) fn user_of_process(pid: u32) -> Option<u32> {
    // Not the owner of /proc/PID: that is root where a process has changed its user.
    effective_user(&std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?)
}

/// The second of the four in the line `Uid:`, which is the one that credentials show.
fn effective_user(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_is_the_one_that_counts() {
        assert_eq!(effective_user("Name:\tx\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"), Some(2));
        assert_eq!(effective_user("Name:\tUid\n"), None);
        assert_eq!(effective_user("Uid:\tx y"), None);
    }

    #[test]
    fn this_process_is_its_users_and_nobody_is_pid_0s() {
        let own = postbox_sys::directory::own_uid();
        assert_eq!(user_of_process(std::process::id()), Some(own));
        assert_eq!(user_of_process(0), None);
    }
}
