//! Ten thousand connections to one registrar, which say nothing, stop in the middle, dribble, babble,
//! or never read an answer: all others are served meanwhile, and its descriptors come back.

use crate::partner::{MAILBOX, Partner, small};
use crate::scarce::{limited, lower};
use nix::errno::Errno;
use nix::sys::resource::Resource;
use nix::sys::socket::{setsockopt, sockopt::RcvBuf};
use nix::unistd::{Gid, Uid, getuid, setgid, setgroups, setuid};
use postbox::{Bytes, Domain, DomainOptions, Group, JoinOptions, Mechanism};
use postbox_tests::bench::{Bench, connection, say};
use postbox_tests::{Gate, Outcome, eventually};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// How many connections there are in all, and by how many processes.
const ALL: usize = 10_000;
const CALLERS: usize = 10;

/// How long anybody who asks rightly may have to wait meanwhile.
const BOUND: Duration = Duration::from_secs(5);

/// What a connection does besides being there.
fn behave(n: usize, connection: &OwnedFd) -> Outcome {
    let said = match n % 5 {
        // Nothing, and later nothing either.
        0 => return Ok(()),
        // The beginning of a request, of which the rest does not come: a packet is whole or nothing.
        1 => say(connection, &[1, 1, 200, b'n']),
        // Byte by byte.
        2 => say(connection, &[1]).and_then(|_| say(connection, &[0])),
        // Nonsense, and much of it.
        3 => say(connection, &[0xa5; 9000]),
        // A question whose answer has no room to go.
        _ => {
            setsockopt(connection, RcvBuf, &1)?;
            say(connection, &[1, 0, 0]).and_then(|_| say(connection, &[1, 0, 0]))
        }
    };
    match said {
        // Hung up on already.
        Ok(_) | Err(Errno::EPIPE | Errno::ECONNRESET | Errno::EAGAIN) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// A process that makes its share of the connections and keeps them for as long as it is let.
fn pester(domain: &Domain, pid: u32, share: usize, made: &Gate, end: &Gate) -> Outcome {
    let mut kept = Vec::new();
    for n in 0..share {
        let connection = connection(domain, crate::partner::NAME, pid)?;
        behave(n, &connection)?;
        kept.push(connection);
    }
    made.open()?;
    Ok(end.pass()?)
}

/// Whoever asks for something meanwhile gets it, and soon.
fn is_served(domain: &Domain, n: u32) -> Outcome {
    let begun = Instant::now();
    let links = JoinOptions::new().links(small(Mechanism::SharedMemory));
    for prefix in ["a", "z"] {
        let me = domain.join_with(&format!("{prefix}-{n}"), links.clone())?;
        me.sender_to::<u32>(crate::partner::NAME)?;
        me.open_mailbox::<Bytes>(MAILBOX)?;
    }
    let took = begun.elapsed();
    if took > BOUND { Err(format!("somebody had to wait for {took:?}").into()) } else { Ok(()) }
}

fn crowd(domain: &Domain, callers: usize, become_other: impl Fn(usize) -> Outcome) -> Outcome {
    // Of sockets it has those of its registrar alone.
    let partner = Partner::start(domain, Mechanism::SharedMemory)?;
    let pid = partner.pid();
    is_served(domain, 0)?;
    let before = eventually("nobody is talking", || Some(sockets(pid)).filter(|&open| open <= 2));
    let (made, end) = (Gate::new()?, Gate::new()?);
    let mut group = Group::new();
    for n in 0..callers {
        group.fork((), |()| {
            become_other(n)?;
            pester(domain, pid, ALL / callers, &made, &end)
        })?;
    }
    // For as long as they come and go.
    let mut served = 0;
    while !made.is_open()? || served < 5 {
        served += 1;
        is_served(domain, served)?;
    }
    (0..callers).try_for_each(|_| made.pass())?;
    is_served(domain, served + 1)?;
    // All are hung up on though they keep their ends.
    eventually("its descriptors come back", || (sockets(pid) == before).then_some(()));
    (0..callers).try_for_each(|_| end.open())?;
    group.wait()?;
    is_served(domain, served + 2)?;
    partner.end()
}

/// How many sockets it has open.
fn sockets(pid: u32) -> usize {
    let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let is_socket = |target: std::path::PathBuf| {
        target.to_str().is_some_and(|name| name.starts_with("socket:"))
    };
    open.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(is_socket)).count()
}

pub fn of_the_same_user() -> Outcome {
    let bench = Bench::new()?;
    crowd(&bench.open(), CALLERS, |_| Ok(()))
}

pub fn of_one_process() -> Outcome {
    let bench = Bench::new()?;
    crowd(&bench.open(), 1, |_| Ok(lower(Resource::RLIMIT_NOFILE, u64::MAX)?))
}

pub fn of_strangers() -> Outcome {
    /// A group that all of them are in.
    const GROUP: u32 = 64_100;
    if !getuid().is_root() {
        println!("not shown: only root can be several users");
        return Ok(());
    }
    let bench = Bench::for_all()?;
    limited(|| {
        setgroups(&[])?;
        let domain = DomainOptions::new()
            .directory(bench.path().join("domains"))
            .group(GROUP)
            .open("lab")?;
        crowd(&domain, CALLERS, |n| {
            // Two strangers, neither of whom is let have more than a part of the connections.
            setgid(Gid::from_raw(GROUP))?;
            Ok(setuid(Uid::from_raw(64_101 + n as u32 % 2))?)
        })
    })
}
