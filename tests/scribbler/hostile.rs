//! The hostile member: a program that was given ends, and what it does with all that came with them.

use crate::honest::{self, MAX_MESSAGE};
use crate::memory::Memory;
use crate::owner;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::socket::{Shutdown, shutdown};
use nix::unistd::{ftruncate, write};
use postbox::{Bytes, Receiver, Sender, inherited};
use postbox_sys::{Errno, descriptors, eventfd, inherited as passed, memfd, mqueue, pipe, socket};
use postbox_tests::{Chance, Outcome};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Says that this program is to be the hostile member, and from which seed.
pub const PART: &str = "POSTBOX_SCRIBBLER";
/// Says as whom to join which domain, where ends are not passed but asked for.
pub const DOMAIN: &str = "POSTBOX_SCRIBBLER_DOMAIN";
/// Where descriptors lie that a program was started with.
const FIRST: i32 = 10;

/// Everything that a member has in its hands.
pub struct Hostile {
    memory: Memory,
    bells: Vec<Bell>,
    pipes: Vec<OwnedFd>,
    sockets: Vec<OwnedFd>,
    queues: Vec<OwnedFd>,
    tx: Option<Sender<Bytes>>,
    rx: Option<Receiver<Bytes>>,
    chance: Chance,
    /// Words of the memory that were in use when it last looked.
    words: Vec<u64>,
}

/// One of the channel's bells.
struct Bell {
    fd: OwnedFd,
    /// Rung by adding nothing, on a count that began at one. The level bell's began at none: whoever
    /// lets its writers wait and fills it in the right instant can make a call wait with them, which is
    /// known and told.
    edge: bool,
}

impl Bell {
    fn new(fd: OwnedFd) -> Self {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()));
        let count = info.unwrap_or_default();
        let count = count.lines().find_map(|line| line.strip_prefix("eventfd-count:"));
        Bell { fd, edge: count.is_some_and(|count| count.trim() != "0") }
    }
}

/// As a program of its own, which goes on until it is killed.
pub fn act(seed: u64) -> Outcome {
    // The descriptors as they came, before anything is closed.
    let kept: Vec<OwnedFd> = (FIRST..FIRST + 40).flat_map(passed::duplicate).collect();
    let (tx, rx) = (inherited("tx").ok(), inherited("rx").ok());
    let mut hostile = Hostile::with(kept, tx, rx, Chance::seeded(seed))?;
    loop {
        hostile.scribble();
    }
}

/// As a guest in a domain, of a user that may only send.
pub fn visit(seed: u64, domain: &str) -> Outcome {
    let me = owner::domain(domain.as_ref())?.join("guest")?;
    let jobs = me.open_mailbox::<Bytes>("jobs")?;
    let tx = jobs.sender()?;
    assert!(jobs.receiver().is_err(), "it was to send alone");
    let kept: Vec<OwnedFd> = (3..60).flat_map(passed::duplicate).collect();
    let mut hostile = Hostile::with(kept, Some(tx), None, Chance::seeded(seed))?;
    println!("here");
    loop {
        hostile.scribble();
    }
}

impl Hostile {
    /// With these descriptors, told apart by what `/proc` says of them.
    pub fn with(
        kept: Vec<OwnedFd>,
        tx: Option<Sender<Bytes>>,
        rx: Option<Receiver<Bytes>>,
        chance: Chance,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let memory = Memory::find()?;
        let words = memory.words()?;
        let mut hostile = Hostile {
            memory,
            words,
            chance,
            tx,
            rx,
            bells: Vec::new(),
            pipes: Vec::new(),
            sockets: Vec::new(),
            queues: Vec::new(),
        };
        for fd in kept {
            let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
            match link.to_string_lossy() {
                link if link.contains("[eventfd]") => hostile.bells.push(Bell::new(fd)),
                link if link.starts_with("pipe:") => hostile.pipes.push(fd),
                link if link.starts_with("socket:") => hostile.sockets.push(fd),
                link if link.starts_with("/postbox") => hostile.queues.push(fd),
                _ => {}
            }
        }
        Ok(hostile)
    }

    /// Does one hostile thing, or a few of a kind.
    pub fn scribble(&mut self) {
        match self.chance.below(40) {
            0..20 => self.write_words(),
            20..22 => self.shuffle_page(),
            22..27 => self.put_garbage_in(),
            27..29 => self.drain(),
            29..32 => self.pull_at_bells(),
            32..34 => self.set_flags(),
            34 => self.reshape(),
            35 if self.chance.once_in(40) => self.shut_down(),
            _ => self.call(),
        }
    }

    fn write_words(&mut self) {
        for _ in 0..32 {
            let at = self.chance.pick(&self.words);
            let value = self.memory.any_value(at, &mut self.chance);
            self.memory.write(at, value);
        }
        if self.chance.once_in(50)
            && let Ok(words) = self.memory.words()
            && !words.is_empty()
        {
            self.words = words;
        }
    }

    fn shuffle_page(&mut self) {
        let page = self.chance.pick(&self.words) & !4095;
        self.memory.shuffle(page, &mut self.chance);
    }

    /// An entry that is none, or looks like one.
    fn garbage(&mut self) -> Vec<u8> {
        let lengths = [0, 1, 8, 15, 16, 24, 32, 100, 1000, 4096, 5000, 9000, MAX_MESSAGE + 1];
        let length = self.chance.pick(&lengths);
        let mut entry: Vec<u8> = (0..length).map(|_| self.chance.below(256) as u8).collect();
        if length >= 16 && self.chance.below(4) > 0 {
            let kind = 0x80 | self.chance.below(8);
            let first = kind << 56 | self.chance.below(3) << 48 | self.chance.below(100);
            let len = self.chance.pick(&[0, 1, length as u64 - 16, 5000, 8000, 9000, u64::MAX]);
            entry[..8].copy_from_slice(&first.to_le_bytes());
            let second = self.chance.below(1 << 22) << 32 | len & u64::from(u32::MAX);
            entry[8..16].copy_from_slice(&second.to_le_bytes());
            for at in (16..length - 7).step_by(8).take(2) {
                let bits = self.chance.below(40);
                let reference = self.chance.below(1 << bits);
                entry[at..at + 8].copy_from_slice(&reference.to_le_bytes());
            }
        }
        entry
    }

    fn put_garbage_in(&mut self) {
        for _ in 0..self.chance.below(8) {
            let entry = self.garbage();
            for pipe in &self.pipes {
                let _ = pipe::write_nowait(pipe, &entry[..entry.len().min(4096)]);
            }
            for queue in &self.queues {
                let _ = mqueue::send_nowait(queue, &entry);
            }
            for socket in &self.sockets {
                // With descriptors beside it, which are not to get into anybody's hands.
                let beside = [self.memory.file().as_fd(); 3];
                let beside = &beside[..self.chance.below(4) as usize];
                let _ = descriptors::send_with_fds(socket, &entry, beside);
            }
        }
    }

    fn drain(&mut self) {
        let mut buffer = vec![0; 1 << 16];
        for _ in 0..self.chance.below(16) {
            for pipe in &self.pipes {
                let _ = pipe::read_nowait(pipe, &mut buffer);
            }
            for queue in &self.queues {
                let _ = mqueue::receive_nowait(queue, &mut buffer);
            }
            for socket in &self.sockets {
                let _ = socket::recv(socket, &mut buffer);
            }
        }
    }

    fn pull_at_bells(&mut self) {
        if self.bells.is_empty() {
            return;
        }
        let Bell { fd: bell, edge } =
            &self.bells[self.chance.below(self.bells.len() as u64) as usize];
        match self.chance.below(4) {
            0 => {
                for _ in 0..100 {
                    let _ = eventfd::nudge(bell);
                }
            }
            1 => {
                let _ = eventfd::clear(bell);
            }
            2 => {
                let _ = fcntl(bell, FcntlArg::F_SETFL(OFlag::O_NONBLOCK));
                let _ = eventfd::clear(bell);
                let _ = write(bell, &(u64::MAX - 1).to_ne_bytes());
                if *edge {
                    let _ = fcntl(bell, FcntlArg::F_SETFL(OFlag::empty()));
                }
            }
            _ => {
                let blocking = *edge && self.chance.below(2) == 0;
                let flags = if blocking { OFlag::empty() } else { OFlag::O_NONBLOCK };
                let _ = fcntl(bell, FcntlArg::F_SETFL(flags));
            }
        }
    }

    fn set_flags(&mut self) {
        let flags = [OFlag::empty(), OFlag::O_NONBLOCK, OFlag::O_DIRECT, OFlag::O_ASYNC];
        let (one, other) = (self.chance.pick(&flags), self.chance.pick(&flags));
        for fd in self.pipes.iter().chain(&self.sockets).chain(&self.queues) {
            let _ = fcntl(fd, FcntlArg::F_SETFL(one | other));
        }
        for pipe in &self.pipes {
            let _ = pipe::set_capacity(pipe, 4096 << self.chance.below(6));
        }
    }

    /// The size of the memory is not for anybody to change; what lies in it is.
    fn reshape(&mut self) {
        let len = self.memory.len();
        for size in [0, 4096, len - 1, len + 1, len * 2] {
            assert_eq!(ftruncate(self.memory.file(), size as i64), Err(Errno::EPERM));
        }
        let at = self.chance.below(len);
        let _ = memfd::punch(self.memory.file(), at..at + 1 + self.chance.below(1 << 20));
    }

    fn shut_down(&mut self) {
        let how = self.chance.pick(&[Shutdown::Read, Shutdown::Write, Shutdown::Both]);
        for socket in &self.sockets {
            let _ = shutdown(socket.as_raw_fd(), how);
        }
    }

    /// Takes part, as if nothing were the matter.
    fn call(&mut self) {
        if let Some(tx) = &self.tx {
            honest::send(tx, &mut self.chance);
        }
        if let Some(rx) = &self.rx {
            honest::receive(rx, &mut self.chance);
        }
    }
}
