//! Thin wrappers over the Linux system calls that Postbox needs.
//!
//! One module per system call family. The wrappers hold no policy: a borrowed descriptor goes in,
//! an owned descriptor or an [`Errno`] comes out, and every descriptor is close-on-exec from the
//! instant it exists. Nothing here waits except [`epoll::Epoll::wait`], [`pidfd::wait`] and, for
//! some milliseconds, [`fork::fork`].
//!
//! In reading order:
//!
//! | module | what it wraps |
//! | --- | --- |
//! | [`pipe`], [`socket`], [`mqueue`], [`memfd`] | the four kernel objects that carry messages |
//! | [`descriptors`] | descriptors sent over a socket (`SCM_RIGHTS`) |
//! | [`listener`] | connections between processes that share a directory |
//! | [`directory`], [`locks`], [`inotify`] | files by descriptor, who holds which bytes, what appears |
//! | [`eventfd`], [`epoll`] | bells and sleeping |
//! | [`pidfd`], [`process`], [`signals`] | who lives, who died, and telling them |
//! | [`fork`], [`threads`], [`wipe_on_fork`] | a safe `fork` and what a child can know about it |
//! | [`inherited`] | descriptors that a program was started with |
//! | [`membarrier`] | memory barriers on behalf of others |
//! | [`clock`], [`cpu`], [`limits`] | time, processors, and what the system grants |
//!
//! `unsafe` is denied for the crate and allowed file by file, in the modules that need it.

pub mod clock;
pub mod cpu;
pub mod descriptors;
pub mod directory;
pub mod epoll;
pub mod eventfd;
pub mod fork;
pub mod inherited;
pub mod inotify;
pub mod limits;
pub mod listener;
pub mod locks;
pub mod membarrier;
pub mod memfd;
pub mod mqueue;
pub mod pidfd;
pub mod pipe;
pub mod process;
pub mod signals;
pub mod socket;
pub mod threads;
pub mod wipe_on_fork;

mod calls;
mod proc_file;
mod vendor;

pub use nix::Result;
pub use nix::errno::Errno;
