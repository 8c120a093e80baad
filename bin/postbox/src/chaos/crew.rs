//! The victims of a round: started, heard, struck, and started again.

use super::books::{Seat, Victim};
use super::naming::Outcome;
use super::note::{Note, Unread};
use super::victims::{DATA, Order};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use postbox::{Bytes, Child, Receiver, Sender, Spawn};
use postbox_sys::{Errno, clock};
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};
use std::time::Duration;

/// This program, even if its file has been replaced meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// The numbers of the signals that victims get.
const SIGKILL: i32 = 9;
const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;

/// A process of the crew.
#[derive(Debug)]
pub struct Member {
    pub victim: Victim,
    child: Child,
    orders: File,
    notes: File,
    unread: Unread,
    /// Since when it is stopped, and until when.
    pub stopped: Option<(u64, u64)>,
    /// It rests, as far as its notes say.
    pub rests: bool,
    /// It has its ends.
    pub ready: bool,
    /// Since when, as far as is known.
    pub ready_since: u64,
    /// There was more to read than was read.
    pub lags: bool,
    /// How many went into the link that it was to fill.
    pub counted: Option<u32>,
}

/// The end of a channel that is passed to a victim.
#[derive(Debug)]
pub enum Given {
    Sender(Sender<Bytes>),
    Receiver(Receiver<Bytes>),
    Nothing,
}

impl Member {
    /// Starts one with these arguments and that end.
    pub fn start(seat: Seat, number: u32, arguments: Vec<OsString>, given: Given) -> Outcome<Self> {
        let (theirs, orders) = io::pipe()?;
        let (notes, noting) = io::pipe()?;
        let mut command = Command::new(OWN_PROGRAM);
        command.arg0("postbox").arg("victim").args(arguments).stdin(theirs).stdout(noting);
        let spawn = Spawn::from(command);
        let spawn = match given {
            Given::Sender(tx) => spawn.pass(DATA, tx)?,
            Given::Receiver(rx) => spawn.pass(DATA, rx)?,
            Given::Nothing => spawn,
        };
        let since = clock::now();
        let child = spawn.spawn()?;
        let notes = OwnedFd::from(notes);
        fcntl(&notes, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let victim = Victim { number, pid: child.pid(), seat, since };
        Ok(Member {
            victim,
            child,
            orders: OwnedFd::from(orders).into(),
            notes: notes.into(),
            unread: Unread::default(),
            stopped: None,
            rests: false,
            ready: false,
            ready_since: since,
            lags: false,
            counted: None,
        })
    }

    /// What it has noted since, as far as it has written it.
    pub fn read(&mut self) -> Outcome<Vec<Note>> {
        let mut bytes = [0; 1 << 16];
        match self.notes.read(&mut bytes) {
            Ok(read) => {
                self.unread.extend(&bytes[..read]);
                self.lags = read == bytes.len();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => self.lags = false,
            Err(error) => return Err(error.into()),
        }
        let notes = self.unread.by_ref().collect::<Result<Vec<_>, _>>()?;
        for note in &notes {
            match note {
                Note::Ready => (self.ready, self.ready_since) = (true, clock::now()),
                Note::Resting => self.rests = true,
                Note::Counted(went) => self.counted = Some(*went),
                _ => {}
            }
        }
        Ok(notes)
    }

    /// Gives it an order. One that is dead does not mind.
    pub fn order(&mut self, order: Order) {
        if order == Order::Go {
            self.rests = false;
        }
        let _ = self.orders.write_all(&[order.byte()]);
    }

    /// Kills it; when it had ended, and how. On a busy machine a signal takes a while.
    pub fn kill(&mut self) -> Outcome<(u64, ExitStatus)> {
        self.child.signal(SIGKILL)?;
        let status = self.child.wait_status()?;
        Ok((clock::now(), status))
    }

    /// Kills it, and does not wait for its end.
    pub fn shoot(&mut self) -> Outcome<()> {
        Ok(self.child.signal(SIGKILL)?)
    }

    pub fn stop(&mut self, length: Duration) -> Outcome<()> {
        self.child.signal(SIGSTOP)?;
        let now = clock::now();
        self.stopped = Some((now, now + length.as_nanos() as u64));
        Ok(())
    }

    pub fn go_on(&mut self) -> Outcome<()> {
        self.stopped = None;
        Ok(self.child.signal(SIGCONT)?)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Outcome<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // At once: a stopped one would let SIGTERM wait.
        let _ = self.child.signal(SIGKILL);
        let _ = self.child.wait_status();
    }
}

/// Sleeps until one of them has written something, for so long at most.
pub fn sleep<'m>(members: impl Iterator<Item = &'m Member>, most: Duration) -> Outcome<()> {
    let mut polled: Vec<PollFd<'_>> =
        members.map(|member| PollFd::new(member.notes.as_fd(), PollFlags::POLLIN)).collect();
    let patience = PollTimeout::try_from(most.as_millis().min(1000)).unwrap_or(PollTimeout::ZERO);
    match poll(&mut polled, patience) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}
