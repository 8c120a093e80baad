//! What needs a process with one thread, or one to spoil: forks, limits, interval timers.
//!
//! No harness, since a harness has threads. Each case runs in a child of its own, and an alarm ends
//! each child that hangs.

#![allow(unsafe_code)]

use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, sigaction};
use postbox_sys::descriptors::{recv_with_fds, send_with_fds};
use postbox_sys::epoll::{Epoll, Event};
use postbox_sys::fork::{CTRL_C, ForkError, Forked, exit_now, fork};
use postbox_sys::signals::{Signal, kill};
use postbox_sys::{Errno, memfd, pidfd, pipe, socket, threads, wipe_on_fork};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitCode, ExitStatus};

const WATCHDOG_SECONDS: u32 = 20;

const CASES: &[(&str, fn())] = &[
    ("a_child_is_reported_with_the_code_it_exits_with", exit_code),
    ("a_child_has_the_default_action_where_ctrlc_had_handlers", default_actions),
    ("an_ignored_sighup_stays_ignored", ignored_hangup),
    ("a_signal_sent_right_after_the_fork_is_not_swallowed", prompt_signals),
    ("the_signal_mask_is_the_same_before_and_after", same_mask),
    ("the_thread_of_ctrlc_does_not_stand_in_the_way", ctrlc_thread),
    ("a_stranger_is_counted_and_nothing_is_forked", stranger),
    ("only_the_main_thread_can_fork", main_thread_only),
    ("threads_that_were_joined_do_not_count", joined_threads),
    ("a_child_has_no_generation_until_it_takes_one_of_its_own", generations),
    ("the_file_size_limit_is_an_error_and_never_a_signal", file_size_limit),
    ("signals_end_a_wait_as_zero_events", interrupted_wait),
    ("signals_do_not_keep_an_allocation_from_ending", interrupted_allocation),
    ("descriptors_that_find_no_room_are_an_error_and_leave_none_open", no_descriptor_left),
];

fn main() -> ExitCode {
    let mut failed = 0;
    for (name, case) in CASES {
        let status = in_child(case);
        let verdict = if status.success() { "ok" } else { "FAILED" };
        println!("case {name} ... {verdict} ({status})");
        failed += usize::from(!status.success());
    }
    println!("{} cases, {failed} failed", CASES.len());
    ExitCode::from(u8::from(failed > 0))
}

/// Runs `body` in a child and says how it ended: by 0, or 101 if it panicked.
fn in_child(body: impl FnOnce()) -> ExitStatus {
    match fork(&[CTRL_C]).unwrap() {
        Forked::Parent { pid } => pidfd::wait(pidfd::open(pid).unwrap()).unwrap(),
        Forked::Child => {
            watch();
            let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body));
            exit_now(if outcome.is_ok() { 0 } else { 101 });
        }
    }
}

/// Ends this process by SIGALRM should it hang. A child does not inherit this.
fn watch() {
    // SAFETY: the call takes a number.
    unsafe { libc::alarm(WATCHDOG_SECONDS) };
}

extern "C" fn nothing(_: libc::c_int) {}

fn handle(signal: Signal, handler: SigHandler) {
    let action = SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    // SAFETY: the handlers used here do nothing.
    unsafe { sigaction(signal, &action) }.unwrap();
}

/// Sends this process SIGALRM every `microseconds`, to a handler that does nothing.
fn interrupt_every(microseconds: i64) {
    handle(Signal::SIGALRM, SigHandler::Handler(nothing));
    let interval = libc::timeval { tv_sec: 0, tv_usec: microseconds };
    let timer = libc::itimerval { it_interval: interval, it_value: interval };
    // SAFETY: the timer is readable, and null says that the old one is not wanted.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
    assert_eq!(set, 0);
}

fn exit_code() {
    assert_eq!(in_child(|| exit_now(42)).code(), Some(42));
}

fn default_actions() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        handle(signal, SigHandler::Handler(nothing));
    }
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let status = in_child(|| kill(std::process::id(), signal).unwrap());
        assert_eq!(status.signal(), Some(signal as i32));
        kill(std::process::id(), signal).unwrap(); // the parent's handler is still there
    }
}

fn ignored_hangup() {
    handle(Signal::SIGHUP, SigHandler::SigIgn);
    assert!(in_child(|| kill(std::process::id(), Signal::SIGHUP).unwrap()).success());
}

fn prompt_signals() {
    handle(Signal::SIGINT, SigHandler::Handler(nothing));
    for _ in 0..200 {
        let Forked::Parent { pid } = fork(&[]).unwrap() else {
            watch();
            loop {
                // SAFETY: the call has no arguments.
                unsafe { libc::pause() };
            }
        };
        kill(pid, Signal::SIGINT).unwrap();
        let status = pidfd::wait(pidfd::open(pid).unwrap()).unwrap();
        assert_eq!(status.signal(), Some(libc::SIGINT));
    }
}

fn same_mask() {
    let mask: SigSet = [Signal::SIGHUP, Signal::SIGUSR1].into_iter().collect();
    mask.thread_set_mask().unwrap();
    assert!(in_child(|| assert_eq!(SigSet::thread_get_mask().unwrap(), mask)).success());
    assert_eq!(SigSet::thread_get_mask().unwrap(), mask);
}

fn ctrlc_thread() {
    ctrlc::set_handler(|| ()).unwrap();
    // At once, while the new thread may still bear the name of its parent.
    assert!(in_child(|| assert_eq!(threads::count(), Ok(1))).success());
    assert_eq!(threads::count(), Ok(2));
    assert_eq!(fork(&[]), Err(ForkError::Threads { count: 1 }));
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let status = in_child(|| kill(std::process::id(), signal).unwrap());
        assert_eq!(status.signal(), Some(signal as i32));
    }
}

fn stranger() {
    let (mut end, mut keep) = std::io::pipe().unwrap();
    let thread = std::thread::spawn(move || end.read(&mut [0]));
    assert_eq!(fork(&[CTRL_C]), Err(ForkError::Threads { count: 1 }));
    keep.write_all(b"x").unwrap();
    thread.join().unwrap().unwrap();
}

fn main_thread_only() {
    let name = std::fs::read_to_string("/proc/self/comm").unwrap();
    let attempt = std::thread::spawn(move || fork(&[name.trim(), CTRL_C]));
    assert_eq!(attempt.join().unwrap(), Err(ForkError::Threads { count: 1 }));
}

fn joined_threads() {
    for _ in 0..5000 {
        std::thread::spawn(|| ()).join().unwrap();
        assert_eq!(threads::count(), Ok(1));
    }
    assert!(in_child(|| ()).success());
}

fn generations() {
    assert_eq!(wipe_on_fork::generation(), 0);
    let own = wipe_on_fork::renew().unwrap();
    let status = in_child(|| {
        assert_eq!(wipe_on_fork::generation(), 0);
        let child = wipe_on_fork::renew().unwrap();
        assert!(child != 0 && child != own);
        let status = in_child(|| {
            assert_eq!(wipe_on_fork::generation(), 0);
            assert!(![0, own, child].contains(&wipe_on_fork::renew().unwrap()));
        });
        assert!(status.success());
        assert_eq!(wipe_on_fork::generation(), child);
    });
    assert!(status.success());
    assert_eq!(wipe_on_fork::generation(), own);
}

fn file_size_limit() {
    let old = memfd::create_sealed("postbox-test", 8 << 20).unwrap();
    setrlimit(Resource::RLIMIT_FSIZE, 4096, 4096).unwrap();
    memfd::create_sealed("postbox-test", 4096).unwrap();
    assert_eq!(memfd::create_sealed("postbox-test", 4097).err(), Some(Errno::EFBIG));
    // A file that is larger already can be used in full, whatever the limit.
    memfd::allocate(&old, 0..8 << 20).unwrap();
    memfd::punch(&old, 1 << 20..8 << 20).unwrap();
    memfd::map(&old).unwrap().write((8 << 20) - 5, b"bytes").unwrap();
    assert_eq!(memfd::allocate(&old, 0..9 << 20), Err(Errno::EFBIG));
    memfd::punch(&old, 0..9 << 20).unwrap();
}

fn interrupted_wait() {
    interrupt_every(1000);
    assert_eq!(Epoll::new().unwrap().wait(&mut [Event::empty()], None), Ok(0));
}

fn interrupted_allocation() {
    let file = memfd::create_sealed("postbox-test", 256 << 20).unwrap();
    interrupt_every(2000);
    memfd::allocate(&file, 0..256 << 20).unwrap();
}

fn no_descriptor_left() {
    let (left, right) = socket::seqpacket_pair().unwrap();
    let (rx, tx) = pipe::packet_pipe().unwrap();
    send_with_fds(&left, b"three", &[tx.as_fd(), tx.as_fd(), tx.as_fd()]).unwrap();
    drop(tx);
    // The lowest free number is the next one: leave room for one descriptor out of three.
    let next = std::os::fd::AsRawFd::as_raw_fd(&rx.try_clone().unwrap()) as u64;
    setrlimit(Resource::RLIMIT_NOFILE, next + 1, next + 1).unwrap();
    assert_eq!(recv_with_fds(&right, &mut [0; 16], 3).err(), Some(Errno::EMFILE));
    // The end of the pipe shows that no write end is left anywhere.
    assert_eq!(pipe::read(&rx, &mut [0; 4]), Ok(0));
}
