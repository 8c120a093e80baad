//! Honest calls on a channel that is being spoilt: each ends in time, in whatever way it ends.

use nix::libc::rlim_t;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, setrlimit};
use postbox::{Bytes, Receiver, Sender, Wait};
use postbox_tests::Chance;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// The largest message of these channels: too large for them to have all of them in their slots.
pub const MAX_MESSAGE: usize = 100_000;
/// How long an honest call waits.
const DEADLINE: Duration = Duration::from_micros(300);
/// How much longer it may take, on a busy machine and unoptimised.
const LATE: Duration = Duration::from_secs(6);
/// What a process may have besides what it has: to allocate what a liar claims is to die.
const MEMORY: u64 = 48 << 20;

/// Limits what this process may allocate to little more than it has now.
pub fn limit_memory() -> std::io::Result<()> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let data = status.lines().find_map(|line| line.strip_prefix("VmData:"));
    let data = data.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    let most = (data.ok_or(std::io::ErrorKind::NotFound)? * 1024 + MEMORY) as rlim_t;
    // The sanitizer keeps its own books on memory, and they are larger.
    if std::env::var_os("ASAN_OPTIONS").is_none() {
        setrlimit(Resource::RLIMIT_DATA, most, most)?;
    }
    Ok(())
}

fn in_time<R>(what: &str, act: impl FnOnce() -> R) -> R {
    let begun = Instant::now();
    let result = act();
    let took = begun.elapsed();
    assert!(took < DEADLINE + LATE, "{what} took {took:?}");
    result
}

fn soon() -> Wait<'static> {
    Wait::timeout(DEADLINE)
}

/// One call to send, of whatever kind.
pub fn send(tx: &Sender<Bytes>, chance: &mut Chance) {
    let lengths = [0, 1, 60, 90, 300, 1200, 5000, 8000, MAX_MESSAGE];
    send_of_kind(tx, chance.below(8), &vec![7; chance.pick(&lengths)]);
}

fn send_of_kind(tx: &Sender<Bytes>, kind: u64, message: &[u8]) {
    match kind {
        0 => drop(in_time("try_send", || tx.try_send(message))),
        1 => drop(in_time("send", || tx.send_with(message, &soon()))),
        2 => drop(in_time("deliver", || tx.deliver_with(message, &soon()))),
        3 => drop(in_time("try_deliver", || tx.try_deliver(message))),
        4 => drop(in_time("try_send_batch", || tx.try_send_batch([message, b"second", message]))),
        5 => drop(in_time("a clone's try_send", || tx.clone().try_send(message))),
        6 => in_time("a clone's loan", || lend(tx.clone(), message)),
        _ => {
            in_time("len", || tx.len());
            in_time("statistics", || tx.statistics());
        }
    }
}

fn lend(mut tx: Sender<Bytes>, message: &[u8]) {
    let Ok(mut loan) = tx.loan_with(message.len(), &soon()) else { return };
    loan.bytes_mut().copy_from(0, message).expect("as long as was asked for");
    let _ = loan.send_with(&soon());
}

/// One call to receive, of whatever kind.
pub fn receive(rx: &Receiver<Bytes>, chance: &mut Chance) {
    receive_of_kind(rx, chance.below(7));
}

fn receive_of_kind(rx: &Receiver<Bytes>, kind: u64) {
    let fits = |message: &[u8]| assert!(message.len() <= MAX_MESSAGE, "longer than agreed");
    match kind {
        0 => {
            if let Ok(Some(message)) = in_time("try_receive", || rx.try_receive()) {
                fits(&message);
            }
        }
        1 => {
            if let Ok(message) = in_time("receive", || rx.receive_with(&soon())) {
                fits(&message);
            }
        }
        2 => {
            let batch = in_time("try_receive_batch", || rx.try_receive_batch(5));
            batch.iter().flatten().for_each(|message| fits(message));
        }
        3 => in_time("a pollable", || {
            let Ok(pollable) = rx.pollable() else { return };
            let mut fds = [PollFd::new(pollable.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut fds, PollTimeout::ZERO);
            let _ = rx.try_receive();
        }),
        4 => drop(in_time("a clone's try_receive", || rx.clone().try_receive())),
        5 => in_time("a clone's receive in place", || {
            let mut rx = rx.clone();
            if let Ok(message) = rx.receive_in_place_with(&soon()) {
                fits(&message.bytes().to_vec());
                assert_eq!(message.bytes().len(), message.len());
            }
        }),
        _ => {
            in_time("len", || rx.len());
            in_time("statistics", || rx.statistics());
        }
    }
}

/// Every kind of call once.
pub fn all_kinds(tx: &Sender<Bytes>, rx: &Receiver<Bytes>) {
    for kind in 0..8 {
        send_of_kind(tx, kind, if kind % 2 == 0 { b"small" } else { &[1; 9000] });
        receive_of_kind(rx, kind % 7);
    }
}

/// Both ends are dropped, in time too.
pub fn drop_in_time<E>(ends: E) {
    in_time("drop", || drop(ends));
}
