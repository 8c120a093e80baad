use crate::joining::resident;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use postbox::{Group, fork};
use postbox_tests::bench::{Bench, connection, greet, hear, say};
use postbox_tests::{Chance, Gate, Outcome, eventually};
use std::time::Instant;

/// How many descriptors a process has.
fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

pub fn garbage() -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    let victim = resident(&domain, "victim")?;
    let before = descriptors(victim.pid());
    let pid = victim.pid();
    let mut group = Group::new();
    for seed in 0..4 {
        let domain = &domain;
        group.fork((), |()| {
            let mut chance = Chance::seeded(seed);
            for _ in 0..500 {
                let connection = connection(domain, "victim", pid)?;
                let length = chance.below(9000) as usize;
                let mut packet: Vec<u8> = (0..length).map(|_| chance.below(256) as u8).collect();
                if chance.below(2) == 0 && !packet.is_empty() {
                    packet[0] = 1;
                }
                match say(&connection, &packet) {
                    Ok(_) | Err(Errno::EPIPE) => (),
                    Err(errno) => return Err(errno.into()),
                }
                if chance.below(2) == 0 {
                    let _ = hear(&connection);
                }
            }
            Ok(())
        })?;
    }
    let asker = fork((), |()| {
        for _ in 0..200 {
            greet(&domain, "victim", pid)?;
        }
        Ok(())
    })?;
    asker.wait()?;
    group.wait()?;
    greet(&domain, "victim", pid)?;
    eventually("all are hung up on", || (descriptors(pid) == before).then_some(()));
    Ok(())
}

pub fn silence() -> Outcome {
    const CALLERS: usize = 10;
    const EACH: usize = 1000;
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let bench = Bench::new()?;
    let domain = bench.open();
    let victim = resident(&domain, "victim")?;
    let pid = victim.pid();
    let before = descriptors(pid);
    let (called, end) = (Gate::new()?, Gate::new()?);
    let mut group = Group::new();
    for _ in 0..CALLERS {
        group.fork((), |()| {
            let mut held = Vec::new();
            for _ in 0..EACH {
                held.push(connection(&domain, "victim", pid)?);
            }
            called.open()?;
            end.pass()?;
            Ok(())
        })?;
    }
    // Meanwhile the victim answers, and others join, see each other and leave.
    let start = Instant::now();
    let mut longest = start.elapsed();
    for n in 0..50 {
        let begun = Instant::now();
        greet(&domain, "victim", pid)?;
        let me = domain.join(&format!("other-{n}"))?;
        assert_eq!(domain.processes()?.len(), 2);
        drop(me);
        longest = longest.max(begun.elapsed());
        assert!(descriptors(pid) <= before + 300, "it keeps them all");
    }
    (0..CALLERS).try_for_each(|_| called.pass())?;
    greet(&domain, "victim", pid)?;
    assert!(longest.as_secs() < 5, "one had to wait for {longest:?}");
    eventually("all are hung up on", || (descriptors(pid) == before).then_some(()));
    (0..CALLERS).try_for_each(|_| end.open())?;
    group.wait()?;
    greet(&domain, "victim", pid)?;
    Ok(())
}
