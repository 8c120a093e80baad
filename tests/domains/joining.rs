use nix::errno::Errno;
use nix::sys::signal::Signal;
use postbox::{Capacity, Child, Domain, Group, Mechanism, channel, fork};
use postbox_tests::bench::{Bench, greet};
use postbox_tests::{Chance, Gate, Outcome, eventually, soon};
use std::time::Instant;

/// A child that has joined and stays until it is ended.
pub fn resident(domain: &Domain, name: &str) -> Result<Child, Box<dyn std::error::Error>> {
    let joined = Gate::new()?;
    let child = fork((), |()| {
        let _me = domain.join(name)?;
        joined.open()?;
        loop {
            nix::unistd::pause();
        }
    })?;
    joined.pass()?;
    Ok(child)
}

pub fn crowd() -> Outcome {
    const CROWD: usize = 200;
    let bench = Bench::new()?;
    let domain = bench.open();
    let (start, end) = (Gate::new()?, Gate::new()?);
    let mut group = Group::new();
    for n in 0..CROWD {
        group.fork((), |()| {
            start.pass()?;
            let me = domain.join(&format!("member-{n}"))?;
            end.pass()?;
            drop(me);
            Ok(())
        })?;
    }
    (0..CROWD).try_for_each(|_| start.open())?;
    let everybody = eventually("everybody joins", || {
        domain.processes().ok().filter(|processes| processes.len() == CROWD)
    });
    for process in &everybody {
        greet(&domain, process.name().as_str(), process.pid())?;
        assert_eq!(process.uid(), nix::unistd::geteuid().as_raw());
    }
    (0..CROWD).try_for_each(|_| end.open())?;
    group.wait()?;
    drop(domain);
    assert_eq!(bench.leftovers(), [""; 0]);
    Ok(())
}

pub fn race() -> Outcome {
    const RACERS: usize = 50;
    let bench = Bench::new()?;
    let domain = bench.open();
    for _ in 0..3 {
        let start = Gate::new()?;
        let (tx, rx) = channel::<bool>(Mechanism::Pipe, Capacity::Bounded(RACERS as u32))?;
        let mut racers = Vec::new();
        for _ in 0..RACERS {
            racers.push(fork(tx.clone(), |tx| {
                start.pass()?;
                let outcome = domain.join("prize");
                tx.send(&outcome.is_ok())?;
                while outcome.is_ok() {
                    nix::unistd::pause();
                }
                Ok(())
            })?);
        }
        drop(tx);
        (0..RACERS).try_for_each(|_| start.open())?;
        let mut winner = None;
        for _ in 0..RACERS {
            let result = rx.receive_with(&soon())?;
            if *result {
                assert_eq!(winner.replace(result.sender().pid()), None, "two have won");
            }
        }
        let winner = winner.ok_or("nobody has won")?;
        assert_eq!(domain.processes()?[0].pid(), winner);
        for mut racer in racers {
            if racer.pid() == winner {
                let refused = domain.join("prize").err().ok_or("a live name was stolen")?;
                assert!(refused.to_string().contains(&winner.to_string()), "{refused}");
                racer.signal(Signal::SIGKILL as i32)?;
                racer.wait_status()?;
            } else {
                racer.wait()?;
            }
        }
        let _next = domain.join("prize")?;
        assert_eq!(domain.processes()?[0].pid(), std::process::id());
    }
    Ok(())
}

pub fn coming_and_going() -> Outcome {
    const ROUNDS: usize = 3000;
    let bench = Bench::new()?;
    let mut group = Group::new();
    // So few that the last one often leaves.
    for n in 0..3_u32 {
        let bench = &bench;
        group.fork((), |()| {
            let mut chance = Chance::seeded(u64::from(n));
            let domain = bench.open();
            for _ in 0..ROUNDS {
                let me = domain.join(&format!("member-{n}"))?;
                let name = format!("member-{n}");
                greet(&domain, &name, std::process::id())?;
                if chance.below(2) == 0 {
                    let _same = bench.open();
                    assert!(domain.join(&name).is_err());
                }
                let seen = domain.processes()?;
                assert!(seen.iter().any(|process| process.name() == &name[..]), "{seen:?}");
                drop(me);
            }
            Ok(())
        })?;
    }
    group.wait()?;
    assert_eq!(bench.leftovers(), [""; 0]);
    Ok(())
}

pub fn leftovers() -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    for n in 0..5 {
        let mut child = resident(&domain, &format!("victim-{n}"))?;
        let socket = domain.path().join(format!("processes/victim-{n}.{}", child.pid()));
        assert!(socket.exists());
        child.signal(Signal::SIGKILL as i32)?;
        child.wait_status()?;
        assert!(socket.exists(), "nobody could have removed it");
        assert!(domain.processes()?.is_empty());
        // Dead names are nobody's, and sockets without a holder nobody's address.
        assert_eq!(greet(&domain, &format!("victim-{n}"), child.pid()), Err(Errno::ECONNREFUSED));
        let me = domain.join("next")?;
        assert!(!socket.exists());
        drop(me);
        assert_eq!(bench.leftovers(), [""; 0]);
    }
    Ok(())
}

pub fn stopped() -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    let child = resident(&domain, "sleeper")?;
    child.signal(Signal::SIGSTOP as i32)?;
    let start = Instant::now();
    assert_eq!(domain.processes()?[0].pid(), child.pid());
    assert!(domain.mailboxes()?.is_empty());
    assert!(domain.join("sleeper").is_err());
    let _me = domain.join("awake")?;
    assert!(start.elapsed().as_secs() < 5);
    child.signal(Signal::SIGCONT as i32)?;
    greet(&domain, "sleeper", child.pid())?;
    Ok(())
}
