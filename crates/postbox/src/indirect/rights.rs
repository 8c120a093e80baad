//! Who may send and who may receive.
//!
//! A right is given to a name together with its user: whoever joins under that name as that user has
//! it, before and after a restart, and another user under the same name has not. The table of one
//! right says who had it from the beginning, who was let in since and who was shut out.

use crate::name::Name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// Names that the table of one right holds at most; it has to fit a packet of the protocol.
pub(crate) const MAX_NAMES: usize = 48;

/// Who may do something with a mailbox from the beginning.
///
/// ```
/// use postbox::Access;
///
/// assert_eq!("members".parse::<Access>()?, Access::Members);
/// let listed: Access = "worker-1,worker-2".parse()?;
/// assert_eq!(listed.to_string(), "worker-1, worker-2");
/// assert!("worker 1".parse::<Access>().is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// The owner alone, and whom the owner lets in later. Of a keeper's mailbox that is nobody until
    /// somebody is let in.
    Owner,
    /// The processes of these names, each as the user that holds the name when the mailbox is
    /// created, or as the creator's user where nobody does. The owner only if it is among them.
    Listed(Vec<Name>),
    /// Every process that has joined the domain.
    Members,
}

/// Text that is neither `owner` nor `members` nor a list of names.
#[derive(Debug, Clone, thiserror::Error)]
#[error("'{0}' names nobody: give owner, members, or names of processes separated by commas")]
pub struct InvalidAccess(String);

impl FromStr for Access {
    type Err = InvalidAccess;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "owner" => Ok(Access::Owner),
            "members" => Ok(Access::Members),
            list => list
                .split(',')
                .map(|name| Name::new(name.trim()))
                .collect::<Result<_, _>>()
                .map(Access::Listed)
                .map_err(|_| InvalidAccess(text.to_owned())),
        }
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Access::Owner => f.pad("owner"),
            Access::Members => f.pad("members"),
            Access::Listed(names) => {
                let names: Vec<&str> = names.iter().map(Name::as_str).collect();
                f.pad(&names.join(", "))
            }
        }
    }
}

/// A name and the user that has to bear it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    /// The name that a process joins under.
    pub name: Name,
    /// The user that it runs as.
    pub uid: u32,
}

/// Who had the right from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Origin {
    Owner,
    Listed,
    Members,
}

/// Who has one right to a mailbox, as [`MailboxStatus`](crate::MailboxStatus) shows it.
///
/// Displayed as `owner`, `members`, `owner, worker-1` or `members but not worker-2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rights {
    origin: Origin,
    granted: Vec<Grant>,
    revoked: Vec<Name>,
}

/// Why a table was not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unchanged {
    /// It holds [`MAX_NAMES`] already.
    TooMany,
    /// The owner has the right by being the owner.
    TheOwners,
}

impl Rights {
    /// The table that a mailbox begins with; `uid_of` tells the user of a listed name.
    pub(crate) fn new<E>(
        access: &Access,
        mut uid_of: impl FnMut(&Name) -> Result<u32, E>,
    ) -> Result<Self, E> {
        let (origin, names) = match access {
            Access::Owner => (Origin::Owner, &[][..]),
            Access::Members => (Origin::Members, &[][..]),
            Access::Listed(names) => (Origin::Listed, &names[..]),
        };
        let granted = names
            .iter()
            .map(|name| Ok(Grant { name: name.clone(), uid: uid_of(name)? }))
            .collect::<Result<_, E>>()?;
        Ok(Rights { origin, granted, revoked: Vec::new() })
    }

    /// Whether every member of the domain has it unless shut out.
    pub fn is_members(&self) -> bool {
        self.origin == Origin::Members
    }

    /// Those who were let in by name, each with its user.
    pub fn granted(&self) -> &[Grant] {
        &self.granted
    }

    /// Those who were shut out by name.
    pub fn revoked(&self) -> &[Name] {
        &self.revoked
    }

    /// Whether those have the right now whom `access` means, however it came about: names in whatever order,
    /// however often, and with whatever users they were let in.
    ///
    /// ```no_run
    /// use postbox::{Access, Domain};
    ///
    /// let jobs = Domain::open("example")?.mailbox("jobs")?.status()?;
    /// if !jobs.may_receive.is_as(&Access::Members) {
    ///     println!("not everybody may receive");
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn is_as(&self, access: &Access) -> bool {
        let granted: BTreeSet<&Name> = self.granted.iter().map(|grant| &grant.name).collect();
        match (self.origin, access) {
            (Origin::Owner, Access::Owner) => granted.is_empty(),
            (Origin::Listed, Access::Listed(names)) => granted == names.iter().collect(),
            // Who was shut out and let in again is in, be it as another user.
            (Origin::Members, Access::Members) => {
                self.revoked.iter().all(|name| granted.contains(name))
            }
            _ => false,
        }
    }

    /// Whether the process of that name and user has the right, while `owner` owns the mailbox.
    pub(crate) fn allow(&self, name: &Name, uid: u32, owner: &Name) -> bool {
        let granted = || self.granted.iter().any(|grant| grant.name == *name && grant.uid == uid);
        match self.origin {
            Origin::Owner => name == owner || granted(),
            Origin::Listed => granted(),
            Origin::Members => !self.revoked.contains(name) || granted(),
        }
    }

    /// Lets one in.
    pub(crate) fn grant(&mut self, grant: Grant) -> Result<(), Unchanged> {
        if self.granted.contains(&grant) {
            return Ok(());
        }
        match self.origin {
            // Everybody is in; only who was shut out needs a word.
            Origin::Members if !self.revoked.contains(&grant.name) => return Ok(()),
            Origin::Members | Origin::Owner | Origin::Listed => {}
        }
        if self.names() >= MAX_NAMES {
            return Err(Unchanged::TooMany);
        }
        self.granted.push(grant);
        Ok(())
    }

    /// Shuts that name out, whichever users bear it.
    pub(crate) fn revoke(&mut self, name: &Name, owner: &Name) -> Result<(), Unchanged> {
        match self.origin {
            Origin::Owner if name == owner => return Err(Unchanged::TheOwners),
            Origin::Members if !self.revoked.contains(name) => {
                if self.names() >= MAX_NAMES {
                    return Err(Unchanged::TooMany);
                }
                self.revoked.push(name.clone());
            }
            Origin::Owner | Origin::Listed | Origin::Members => {}
        }
        self.granted.retain(|grant| grant.name != *name);
        Ok(())
    }

    /// What came in a packet may be anything: whether it is a table that this module could have made.
    pub(crate) fn is_sane(&self) -> bool {
        self.names() <= MAX_NAMES
    }

    fn names(&self) -> usize {
        self.granted.len() + self.revoked.len()
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shut_out = |name: &&Name| {
            self.origin == Origin::Members && !self.granted.iter().any(|g| g.name == **name)
        };
        let names: Vec<&str> = match self.origin {
            Origin::Members => self.revoked.iter().filter(shut_out).map(Name::as_str).collect(),
            Origin::Owner => {
                let granted = self.granted.iter().map(|grant| grant.name.as_str());
                std::iter::once("owner").chain(granted).collect()
            }
            Origin::Listed if self.granted.is_empty() => vec!["nobody"],
            Origin::Listed => self.granted.iter().map(|grant| grant.name.as_str()).collect(),
        };
        match (self.origin, names.as_slice()) {
            (Origin::Members, []) => f.pad("members"),
            (Origin::Members, names) => f.pad(&format!("members but not {}", names.join(", "))),
            (_, names) => f.pad(&names.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn rights(access: &str) -> Rights {
        Rights::new(&access.parse().unwrap(), |_| Ok::<_, ()>(1000)).unwrap()
    }

    fn grant(text: &str) -> Grant {
        Grant { name: name(text), uid: 1000 }
    }

    #[test]
    fn the_owners_right_goes_with_ownership() {
        let table = rights("owner");
        assert!(table.allow(&name("a"), 1000, &name("a")));
        assert!(!table.allow(&name("a"), 1000, &name("b")));
        assert!(table.allow(&name("b"), 1000, &name("b")));
    }

    #[test]
    fn a_grant_is_to_a_name_and_its_user() {
        let mut table = rights("owner");
        table.grant(grant("w")).unwrap();
        assert!(table.allow(&name("w"), 1000, &name("a")));
        assert!(!table.allow(&name("w"), 1001, &name("a")));
        table.revoke(&name("w"), &name("a")).unwrap();
        assert!(!table.allow(&name("w"), 1000, &name("a")));
        assert_eq!(table.to_string(), "owner");
    }

    #[test]
    fn who_is_not_listed_has_no_right_be_it_the_owner() {
        let mut table = rights("w, x");
        assert!(!table.allow(&name("a"), 1000, &name("a")));
        assert!(table.allow(&name("x"), 1000, &name("a")));
        table.revoke(&name("w"), &name("a")).unwrap();
        table.revoke(&name("x"), &name("a")).unwrap();
        assert_eq!(table.to_string(), "nobody");
    }

    #[test]
    fn members_are_all_but_those_shut_out() {
        let mut table = rights("members");
        table.revoke(&name("w"), &name("a")).unwrap();
        assert!(!table.allow(&name("w"), 7, &name("a")) && table.allow(&name("x"), 7, &name("a")));
        assert_eq!(table.to_string(), "members but not w");
        table.grant(grant("w")).unwrap();
        assert!(
            table.allow(&name("w"), 1000, &name("a")) && !table.allow(&name("w"), 7, &name("a"))
        );
        assert_eq!(table.to_string(), "members");
        table.revoke(&name("w"), &name("a")).unwrap();
        assert!(!table.allow(&name("w"), 1000, &name("a")));
    }

    #[test]
    fn rights_are_what_was_asked_for_by_what_they_mean() {
        let is = |table: &Rights, access: &str| table.is_as(&access.parse().unwrap());
        let listed = rights("b,a,b");
        assert!(is(&listed, "a, b") && is(&listed, "b,a,a") && is(&rights("a"), "a,a"));
        for other in ["a", "a,b,c", "owner", "members", "owner,a,b"] {
            assert!(!is(&listed, other), "{other}");
        }
        let (mut owner, mut members) = (rights("owner"), rights("members"));
        assert!(is(&owner, "owner") && is(&members, "members"));
        assert!(!is(&owner, "members") && !is(&members, "owner") && !is(&owner, "a"));
        owner.grant(grant("a")).unwrap();
        assert!(!is(&owner, "owner") && !is(&owner, "a"));
        members.revoke(&name("a"), &name("o")).unwrap();
        assert!(!is(&members, "members"));
        members.grant(grant("a")).unwrap();
        assert!(is(&members, "members"));
    }

    #[test]
    fn a_name_that_reads_like_a_word_for_rights_is_a_name() {
        let mut owner = rights("owner");
        owner.grant(grant("a")).unwrap();
        // Printed alike.
        let named: Access = "owner,a".parse().unwrap();
        assert_eq!(owner.to_string(), named.to_string());
        assert!(!owner.is_as(&named));
        let mut nobody = rights("a");
        nobody.revoke(&name("a"), &name("o")).unwrap();
        assert_eq!(nobody.to_string(), "nobody");
        assert!(!nobody.is_as(&"nobody".parse().unwrap()) && nobody.is_as(&Access::Listed(vec![])));
        assert!(!rights("members").is_as(&Access::Listed(vec![name("members")])));
    }

    #[test]
    fn the_owner_cannot_be_shut_out_of_what_is_the_owners() {
        let mut table = rights("owner");
        assert_eq!(table.revoke(&name("a"), &name("a")), Err(Unchanged::TheOwners));
        assert_eq!(rights("members").revoke(&name("a"), &name("a")), Ok(()));
    }

    #[test]
    fn a_table_has_an_end() {
        let (mut owner, mut members) = (rights("owner"), rights("members"));
        for i in 0..MAX_NAMES {
            owner.grant(grant(&format!("w{i}"))).unwrap();
            owner.grant(grant(&format!("w{i}"))).unwrap();
            members.revoke(&name(&format!("w{i}")), &name("a")).unwrap();
        }
        assert_eq!(owner.grant(grant("more")), Err(Unchanged::TooMany));
        assert_eq!(members.revoke(&name("more"), &name("a")), Err(Unchanged::TooMany));
        assert!(owner.is_sane() && members.is_sane());
    }

    #[test]
    fn two_full_tables_fit_a_packet() {
        let long = "n".repeat(60);
        let mut table = rights("members");
        for i in 0..MAX_NAMES {
            table.revoke(&name(&format!("{long}{i:04}")), &name("a")).unwrap();
        }
        let bytes = postcard::to_allocvec(&(&table, &table)).unwrap();
        assert!(bytes.len() < 7 << 10, "{}", bytes.len());
        let back: (Rights, Rights) = postcard::from_bytes(&bytes).unwrap();
        assert_eq!(back.0, table);
    }
}
