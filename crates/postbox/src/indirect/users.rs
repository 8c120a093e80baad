//! Which user a name belongs to.

use crate::domain::{Address, Domain};
use crate::error::Fault;
use crate::name::Name;
use postbox_sys::process;

/// The user of whoever bears that name now, if anybody does.
pub(super) fn user_of(domain: &Domain, name: &Name) -> Result<Option<u32>, Fault> {
    let holder = domain.holder(&Address::process(name))?;
    Ok(holder.and_then(|pid| user_of_member(domain, name, pid)))
}

/// The user of the process that has joined under that name.
pub(super) fn user_of_member(domain: &Domain, name: &Name, pid: u32) -> Option<u32> {
    // Others may not be looked at (`hidepid`), or there is no descriptor left to look with: then it is the user
    // that it was when it joined, whose its socket is.
    process::try_user_of(pid).ok().flatten().or_else(|| domain.user_who_joined(name, pid))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::DomainOptions;

    #[test]
    fn who_may_not_be_looked_at_is_whoever_joined() {
        let directory = tempfile::tempdir().unwrap();
        let domain = DomainOptions::new().directory(directory.path()).open("users").unwrap();
        let _member = domain.join("member").unwrap();
        let (name, own) = (Name::new("member").unwrap(), std::process::id());
        let uid = Some(postbox_sys::directory::own_uid());
        assert_eq!(user_of(&domain, &name).unwrap(), uid);
        assert_eq!(domain.user_who_joined(&name, own), uid);
        assert_eq!(domain.user_who_joined(&name, own + 1), None);
        for other in ["member.0", "nobody.1"] {
            let place = directory.path().join("users/processes").join(other);
            std::os::unix::net::UnixListener::bind(&place).unwrap();
        }
        std::fs::write(directory.path().join("users/processes/file.1"), "").unwrap();
        assert_eq!(domain.user_who_joined(&name, 0), None);
        assert_eq!(domain.user_who_joined(&Name::new("nobody").unwrap(), 1), uid);
        assert_eq!(domain.user_who_joined(&Name::new("file").unwrap(), 1), None);
        assert_eq!(domain.user_who_joined(&Name::new("nobody").unwrap(), own), None);
        assert_eq!(user_of(&domain, &Name::new("nobody").unwrap()).unwrap(), None);
    }
}
