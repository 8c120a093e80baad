//! Names of processes, mailboxes and domains.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A name of a process, a mailbox or a domain: 1 to [`Name::MAX`] bytes, each an ASCII letter, a
/// digit, `.`, `_` or `-`, of which the last never stands first, nor does `.`.
///
/// So a name is always a plain file name: it hides nothing, leads nowhere, and no program takes it
/// for an option. It is checked before any system call sees it.
///
/// ```
/// use postbox::Name;
///
/// assert_eq!(Name::new("sensor.3")?.as_str(), "sensor.3");
/// assert!(Name::new("../sensor").is_err());
/// # Ok::<(), postbox::InvalidName>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Arc<str>);

/// A string that cannot be a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name:?} is no name ({why}): use 1 to {} letters, digits, '.', '_' and '-', \
     beginning with none of '.' and '-'",
    Name::MAX
)]
pub struct InvalidName {
    /// The beginning of the string.
    name: Box<str>,
    why: &'static str,
}

impl InvalidName {
    /// The string that was refused, or as much of it as is worth showing.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Name {
    /// The most bytes of a name.
    pub const MAX: usize = 64;

    /// Checks a name.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] says what is wrong with it.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        let strange = |byte: u8| !(byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let why = if name.is_empty() {
            "it is empty"
        } else if name.len() > Name::MAX {
            "it is too long"
        } else if name.starts_with(['.', '-']) {
            "it begins with '.' or '-'"
        } else if name.bytes().any(strange) {
            "it has another character"
        } else {
            return Ok(Name(name.into()));
        };
        Err(InvalidName { name: name.chars().take(Name::MAX).collect(), why })
    }

    /// The name as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        *self.0 == *other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self.0 == **other
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        Name::new(name)
    }
}

impl TryFrom<&str> for Name {
    type Error = InvalidName;

    fn try_from(name: &str) -> Result<Self, InvalidName> {
        Name::new(name)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    /// Only what [`Name::new`] would take: what another process sends is checked as what a user
    /// types.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Checked;

        impl serde::de::Visitor<'_> for Checked {
            type Value = Name;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }

            fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Name, E> {
                Name::new(name).map_err(E::custom)
            }
        }

        deserializer.deserialize_str(Checked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_plain_file_name() {
        for good in ["a", "lab", "Sensor_3", "a.b-c", "0", "x.", &"n".repeat(Name::MAX)] {
            assert_eq!(Name::new(good).unwrap().as_str(), good);
        }
        let long = "n".repeat(Name::MAX + 1);
        for bad in ["", ".", "..", ".a", "-a", "a/b", "a b", "a\0b", "ä", "a\n", &long] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_error_shows_the_name_and_what_would_do() {
        let error = Name::new("a/b").unwrap_err();
        assert_eq!(error.name(), "a/b");
        assert!(error.to_string().contains("64 letters"), "{error}");
        assert_eq!(Name::new(&"é".repeat(1000)).unwrap_err().name().chars().count(), Name::MAX);
    }

    #[test]
    fn what_another_process_sends_is_checked_too() {
        let name = Name::new("sensor").unwrap();
        let bytes = postcard::to_stdvec(&name).unwrap();
        assert_eq!(postcard::from_bytes::<Name>(&bytes).unwrap(), name);
        let bytes = postcard::to_stdvec("../sensor").unwrap();
        assert!(postcard::from_bytes::<Name>(&bytes).is_err());
    }
}
