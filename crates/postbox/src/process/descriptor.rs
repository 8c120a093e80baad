//! Descriptors that a program is started with, as such: for what is no end of a channel.

use super::inherit::{ENVIRONMENT, InheritError};
use postbox_sys::inherited as sys;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::sync::{Mutex, PoisonError};

/// One descriptor on offer: `name:fd:number:device:inode`.
///
/// The environment outlives the descriptor, also into programs that this one starts in turn, where
/// the number may be anybody's: the file behind it has to be the one that was passed.
pub(super) struct OfferedFd<'n> {
    name: &'n str,
    number: RawFd,
    file: FileId,
}

/// Which file it is, whatever descriptor leads to it: device and inode.
type FileId = (u64, u64);

/// Numbers that were picked up and closed, and may since be those of other objects here.
static PICKED_UP: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

impl<'n> OfferedFd<'n> {
    pub(super) fn new(name: &'n str, fd: BorrowedFd<'_>, number: RawFd) -> io::Result<Self> {
        let file = file_id(&File::from(fd.try_clone_to_owned()?))?;
        Ok(OfferedFd { name, number, file })
    }

    fn parse(text: &'n str) -> Option<Self> {
        let mut parts = text.split(':');
        let name = parts.next()?;
        let kind = parts.next()?;
        let number = parts.next()?.parse().ok()?;
        let file = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        (kind == "fd" && parts.next().is_none() && number > 2).then_some(OfferedFd {
            name,
            number,
            file,
        })
    }
}

impl fmt::Display for OfferedFd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (device, inode) = self.file;
        write!(f, "{}:fd:{}:{device}:{inode}", self.name, self.number)
    }
}

fn file_id(file: &File) -> io::Result<FileId> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The descriptor that this program was started with under that name; see
/// [`Spawn::pass_fd`](crate::Spawn::pass_fd).
///
/// It can be picked up once. It is close-on-exec from then on.
///
/// # Errors
///
/// [`InheritError::Missing`].
pub fn inherited_fd(name: &str) -> Result<OwnedFd, InheritError> {
    let missing = || InheritError::Missing(name.to_owned());
    let offers = std::env::var(ENVIRONMENT).map_err(|_| missing())?;
    let offer = offers
        .split(';')
        .filter_map(OfferedFd::parse)
        .find(|offer| offer.name == name)
        .ok_or_else(missing)?;
    let mut picked_up = PICKED_UP.lock().unwrap_or_else(PoisonError::into_inner);
    if picked_up.contains(&offer.number) {
        return Err(missing());
    }
    let copy = File::from(sys::duplicate(offer.number).map_err(|_| missing())?);
    if file_id(&copy).ok() != Some(offer.file) {
        return Err(missing());
    }
    // It is the one that was passed, and nobody has picked it up: ours to close.
    sys::close(offer.number);
    picked_up.push(offer.number);
    Ok(copy.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn an_offer_is_read_as_it_was_written() {
        let (reading, _writing) = io::pipe().unwrap();
        let text = OfferedFd::new("a-name", reading.as_fd(), 17).unwrap().to_string();
        let read = OfferedFd::parse(&text).unwrap();
        assert_eq!((read.name, read.number), ("a-name", 17));
        assert_eq!(read.file, file_id(&File::from(OwnedFd::from(reading))).unwrap());
    }

    #[test]
    fn what_is_no_offer_is_refused() {
        for text in ["", "x", "x:fd", "x:fd:2:1:1", "x:fd:-1:1:1", "x:fd:10:1", "x:fd:10:1:1:1"] {
            assert!(OfferedFd::parse(text).is_none(), "{text}");
        }
        assert!(OfferedFd::parse("x:s:10:1:1").is_none());
        assert!(OfferedFd::parse("x:fd:99999999999:1:1").is_none());
    }
}
