use super::{Bench, mailbox, process};
use crate::domain::protocol::{MAX_PACKET, Reply, Request};
use crate::domain::{
    Address, Answer, Arrivals, AskError, Caller, Claim, Domain, Registrar, Served, Service, ask,
};
use crate::wait::{Cancel, Wait};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use postbox_sys::inotify::{self, Change};
use postbox_sys::{Errno, descriptors, eventfd, listener, socket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Answers a probe with its number and bells: as many as came, and one more for each up to the
/// number. 13 is bad luck, 14 more than an answer can hold.
struct Counter;

impl Service for Counter {
    fn answer(&self, caller: &Caller, request: Request, fds: Vec<OwnedFd>) -> Answer {
        let Request::Probe(number) = request else { return Reply::NotUnderstood.into() };
        assert_ne!(number, 13, "meant to fail");
        if number == 14 {
            return Reply::Failed { why: "!".repeat(MAX_PACKET) }.into();
        }
        let mut fds: Vec<_> = fds.into_iter().map(Arc::new).collect();
        fds.extend((0..number).map(|_| Arc::new(eventfd::create().unwrap())));
        Answer { reply: Reply::Probe { number, caller: caller.name.clone() }, fds }
    }
}

struct Office {
    domain: Domain,
    registrar: Registrar,
    _claim: Claim,
    _served: Served,
}

fn office(bench: &Bench, name: &str) -> Office {
    let domain = bench.open();
    let claim = domain.claim(&process(name)).unwrap();
    let registrar = Registrar::start(&domain).unwrap();
    let served = registrar.serve(process(name), Arc::new(Counter)).unwrap();
    Office { domain, registrar, _claim: claim, _served: served }
}

fn soon() -> Wait<'static> {
    Wait::timeout(Duration::from_secs(20))
}

fn probe(domain: &Domain, to: &Address, number: u32) -> Result<(u32, usize), AskError> {
    let answered = ask(domain, to, None, &Request::Probe(number), &[], &soon())?;
    match answered.reply {
        Reply::Probe { number, caller: None } => Ok((number, answered.fds.len())),
        other => panic!("{other:?}"),
    }
}

/// A connection that does not keep to the protocol.
fn stranger(domain: &Domain, name: &str) -> OwnedFd {
    let path = domain.path().join("processes");
    let directory = postbox_sys::directory::open_path(&path).unwrap();
    let file = format!("{name}.{}", std::process::id());
    loop {
        match listener::connect(&directory, &file) {
            Err(Errno::EAGAIN) => std::thread::yield_now(),
            connection => return connection.unwrap(),
        }
    }
}

fn until_readable(fd: impl AsFd) {
    let mut polled = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut polled, PollTimeout::from(20_000_u16)), Ok(1));
}

#[test]
fn whoever_holds_a_name_answers_and_knows_who_asks() {
    let bench = Bench::new();
    let a = office(&bench, "a");
    let b = office(&bench, "b");
    let asked = ask(&b.domain, &process("a"), None, &Request::Hello, &[], &soon()).unwrap();
    assert!(matches!(asked.reply, Reply::Hello { caller: None }));
    assert_eq!((asked.pid, asked.uid), (std::process::id(), nix::unistd::geteuid().as_raw()));
    // A name counts only if its lock is held.
    for (claimed, proved) in [("b", true), ("nobody", false)] {
        let name = process(claimed).name;
        let asked = ask(&b.domain, &process("a"), Some(&name), &Request::Hello, &[], &soon());
        let Reply::Hello { caller } = asked.unwrap().reply else { panic!() };
        assert_eq!(caller.is_some(), proved);
    }
    drop(a);
    assert!(matches!(probe(&b.domain, &process("a"), 1), Err(AskError::Absent)));
    assert!(matches!(probe(&b.domain, &process("never"), 1), Err(AskError::Absent)));
}

#[test]
fn descriptors_go_both_ways_and_up_to_the_limit() {
    let bench = Bench::new();
    let office = office(&bench, "a");
    let bell = eventfd::create().unwrap();
    let request = Request::Probe(0);
    let asked = ask(&office.domain, &process("a"), None, &request, &[bell.as_fd()], &soon());
    let asked = asked.unwrap();
    eventfd::ring(&bell).unwrap();
    until_readable(&asked.fds[0]);
    assert_eq!(probe(&office.domain, &process("a"), 64).unwrap(), (64, 64));
    let over = ask(&office.domain, &process("a"), None, &Request::Probe(65), &[], &soon());
    assert!(matches!(over.unwrap().reply, Reply::Failed { .. }));
}

#[test]
fn a_service_that_fails_harms_nobody_else() {
    let bench = Bench::new();
    let office = office(&bench, "a");
    for number in [13, 14] {
        let request = Request::Probe(number);
        let asked = ask(&office.domain, &process("a"), None, &request, &[], &soon()).unwrap();
        assert!(matches!(asked.reply, Reply::Failed { .. }), "{:?}", asked.reply);
    }
    assert_eq!(probe(&office.domain, &process("a"), 3).unwrap(), (3, 3));
}

#[test]
fn one_registrar_answers_for_many_addresses_until_each_is_given_up() {
    let bench = Bench::new();
    let office = office(&bench, "a");
    let names: Vec<_> = (0..50).map(|n| mailbox(&format!("m{n}"))).collect();
    let claims: Vec<_> = names.iter().map(|name| office.domain.claim(name).unwrap()).collect();
    let mut served: Vec<_> = names
        .iter()
        .map(|name| office.registrar.serve(name.clone(), Arc::new(Counter)).unwrap())
        .collect();
    for name in &names {
        assert_eq!(probe(&office.domain, name, 1).unwrap(), (1, 1));
    }
    let listed = office.domain.mailboxes().unwrap();
    assert_eq!(listed.len(), 50);
    assert!(listed.iter().all(|entry| entry.owner() == std::process::id()));
    drop(served.split_off(1));
    assert_eq!(office.domain.mailboxes().unwrap().len(), 1);
    assert_eq!(probe(&office.domain, &names[0], 1).unwrap(), (1, 1));
    // Held, but not answered for: that may change, so one waits.
    let late = Wait::timeout(Duration::from_millis(30));
    let asked = ask(&office.domain, &names[1], None, &Request::Probe(1), &[], &late);
    assert!(matches!(asked, Err(AskError::TimedOut)));
    let cancel = Cancel::new().unwrap();
    cancel.fire();
    let cancelled = Wait::forever().cancelled_by(&cancel);
    let asked = ask(&office.domain, &names[1], None, &Request::Probe(1), &[], &cancelled);
    assert!(matches!(asked, Err(AskError::Cancelled)));
    drop(claims);
}

#[test]
fn an_address_that_was_served_twice_stays_with_whoever_is_left() {
    let bench = Bench::new();
    let office = office(&bench, "a");
    let _claim = office.domain.claim(&mailbox("jobs")).unwrap();
    let first = office.registrar.serve(mailbox("jobs"), Arc::new(Counter)).unwrap();
    // As where a mailbox is handed over within a process, and then is not.
    let second = office.registrar.serve(mailbox("jobs"), Arc::new(Counter)).unwrap();
    drop(second);
    assert_eq!(probe(&office.domain, &mailbox("jobs"), 2).unwrap(), (2, 2));
    drop(first);
    assert_eq!(bench.names("lab/mailboxes"), [""; 0]);
}

#[test]
fn an_address_that_moved_is_not_removed_by_the_one_that_had_it() {
    let bench = Bench::new();
    let office = office(&bench, "a");
    let _claim = office.domain.claim(&mailbox("jobs")).unwrap();
    let first = office.registrar.serve(mailbox("jobs"), Arc::new(Counter)).unwrap();
    let second = office.registrar.serve(mailbox("jobs"), Arc::new(Counter)).unwrap();
    drop(first);
    assert_eq!(probe(&office.domain, &mailbox("jobs"), 2).unwrap(), (2, 2));
    drop(second);
    assert!(office.domain.mailboxes().unwrap().is_empty());
}

#[test]
fn garbage_is_told_so_or_hung_up_on() {
    let bench = Bench::new();
    let office = office(&bench, "a");
    let mut buffer = [0; 64];
    for garbage in [&b"\x01"[..], b"\x02\0\0", b"\x01\x01\x03../\0", &[0xff; 1000], b"\x01\0\0x"] {
        let connection = stranger(&office.domain, "a");
        socket::send(&connection, garbage).unwrap();
        until_readable(&connection);
        let answer = socket::recv(&connection, &mut buffer).unwrap();
        assert_eq!(buffer[..answer.bytes], [1, 1], "{garbage:?}");
    }
    for unheard in [vec![], vec![1; MAX_PACKET + 1]] {
        let connection = stranger(&office.domain, "a");
        socket::send(&connection, &unheard).unwrap();
        until_readable(&connection);
        assert_eq!(socket::recv(&connection, &mut buffer).unwrap().bytes, 0);
    }
    let connection = stranger(&office.domain, "a");
    let bells: Vec<_> = (0..200).map(|_| eventfd::create().unwrap()).collect();
    let bells: Vec<_> = bells.iter().map(|bell| bell.as_fd()).collect();
    descriptors::send_with_fds(&connection, b"\x01", &bells).unwrap();
    until_readable(&connection);
    assert_eq!(socket::recv(&connection, &mut buffer).unwrap().bytes, 0);
    assert_eq!(probe(&office.domain, &process("a"), 1).unwrap(), (1, 1));
}

#[test]
fn the_silent_are_hung_up_on_after_a_second_or_when_there_are_too_many() {
    let bench = Bench::new();
    let office = office(&bench, "a");
    let start = Instant::now();
    let silent: Vec<_> = (0..300).map(|_| stranger(&office.domain, "a")).collect();
    // The longest silent make room for others at once.
    until_readable(&silent[0]);
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(probe(&office.domain, &process("a"), 1).unwrap(), (1, 1));
    for connection in &silent {
        until_readable(connection);
    }
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn an_arrival_is_told_and_forgotten() {
    let bench = Bench::new();
    let domain = bench.open();
    let _claim = domain.claim(&process("waiter")).unwrap();
    let arrivals = Arrivals::new(&domain).unwrap();
    let ready = |arrivals: &Arrivals| {
        let mut polled = [PollFd::new(arrivals.as_fd(), PollFlags::POLLIN)];
        poll(&mut polled, PollTimeout::ZERO).unwrap() == 1
    };
    assert!(!ready(&arrivals));
    let _late = office(&bench, "late");
    until_readable(&arrivals);
    arrivals.clear();
    assert!(!ready(&arrivals));
    // Once this user's watches are used up, it is told again and again to look.
    let directory = postbox_sys::directory::open_path(&bench.0).unwrap();
    let watches: Vec<_> =
        std::iter::from_fn(|| inotify::watch(&directory, Change::Appears).ok()).collect();
    let looking = Arrivals::new(&domain).unwrap();
    drop(watches);
    for _ in 0..2 {
        until_readable(&looking);
        looking.clear();
    }
}

/// Keeps a handle on its own registrar, as a process does that a service can end.
struct Last(Mutex<Option<Registrar>>);

impl Service for Last {
    fn answer(&self, _: &Caller, _: Request, _: Vec<OwnedFd>) -> Answer {
        drop(self.0.lock().unwrap().take());
        Reply::Probe { number: 0, caller: None }.into()
    }
}

#[test]
fn a_registrar_may_be_ended_from_its_own_thread() {
    let bench = Bench::new();
    let domain = bench.open();
    let _claim = domain.claim(&process("a")).unwrap();
    let service = Arc::new(Last(Mutex::new(None)));
    let registrar = Registrar::start(&domain).unwrap();
    let served = registrar.serve(process("a"), service.clone()).unwrap();
    *service.0.lock().unwrap() = Some(registrar);
    assert_eq!(probe(&domain, &process("a"), 0).unwrap(), (0, 0));
    drop(served);
    assert!(domain.processes().unwrap().is_empty());
}
