use crate::joining::resident;
use nix::errno::Errno;
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use postbox::{Capacity, Mechanism, channel, fork};
use postbox_tests::bench::{Bench, connection, connection_at, greet, greet_as, hear};
use postbox_tests::{Outcome, bystander, soon};
use std::process::Command;

/// Whether `name` is this process's, asked in a child, to which its own locks show.
fn is_ours(bench: &Bench, name: &str) -> Result<bool, Box<dyn std::error::Error>> {
    let owner = std::process::id();
    let (tx, rx) = channel::<bool>(Mechanism::Pipe, Capacity::Bounded(1))?;
    let child = fork(tx, |tx| {
        let processes = bench.open().processes()?;
        tx.send(&processes.iter().any(|p| p.name() == name && p.pid() == owner))?;
        Ok(())
    })?;
    let answer = *rx.receive_with(&soon())?;
    child.wait()?;
    Ok(answer)
}

pub fn keeps() -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    let me = domain.join("me")?;
    assert!(is_ours(&bench, "me")?);
    drop(domain);
    assert!(is_ours(&bench, "me")?);
    drop(bench.open());
    drop(bench.open().join("other")?);
    assert!(bench.open().processes()?.len() == 1);
    assert!(is_ours(&bench, "me")?);
    assert!(Command::new("true").status()?.success());
    assert!(is_ours(&bench, "me")?);
    let refused = bench.open().join("me").err().ok_or("joined twice under one name")?;
    assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
    // A child that drops all that it has inherited gives up nothing of its parent's.
    let mut handle = Some(me);
    fork((), |()| {
        drop(handle.take());
        Ok(())
    })?
    .wait()?;
    // The closure was this process's too, and has not run here.
    assert!(is_ours(&bench, "me")?);
    drop(handle);
    assert!(!is_ours(&bench, "me")?);
    assert_eq!(bench.leftovers(), [""; 0]);
    Ok(())
}

pub fn outlived() -> Outcome {
    set_child_subreaper(true)?;
    let bench = Bench::new()?;
    let domain = bench.open();
    let (tx, rx) = channel::<u32>(Mechanism::Pipe, Capacity::Bounded(1))?;
    let mut parent = fork(tx, |tx| {
        let _me = domain.join("sensor")?;
        let heir = bystander(|| {
            loop {
                nix::unistd::pause();
            }
        })?;
        tx.send(&heir.pid())?;
        loop {
            nix::unistd::pause();
        }
    })?;
    let heir = Pid::from_raw(*rx.receive_with(&soon())? as i32);
    assert_eq!(domain.processes()?[0].pid(), parent.pid());
    parent.signal(Signal::SIGKILL as i32)?;
    parent.wait_status()?;
    assert!(kill(heir, None).is_ok());
    assert!(domain.processes()?.is_empty());
    let me = domain.join("sensor")?;
    assert_eq!(domain.processes()?[0].pid(), std::process::id());
    greet_from_a_child(&bench, "sensor")?;
    drop(me);
    drop(domain);
    assert_eq!(bench.leftovers(), [""; 0]);
    kill(heir, Signal::SIGKILL)?;
    waitpid(heir, None)?;
    Ok(())
}

fn greet_from_a_child(bench: &Bench, name: &str) -> Outcome {
    let pid = std::process::id();
    let child = fork((), |()| Ok(greet(&bench.open(), name, pid)?))?;
    Ok(child.wait()?)
}

pub fn while_asked() -> Outcome {
    let bench = Bench::new()?;
    let pid = std::process::id();
    let me = bench.open().join("busy")?;
    let mut askers = Vec::new();
    for _ in 0..2 {
        askers.push(fork((), |()| {
            let domain = bench.open();
            loop {
                greet_as(&domain, "busy", "busy", pid)?;
            }
        })?);
    }
    for _ in 0..200 {
        fork((), |()| {
            // What the registrar may have held is free here.
            let domain = bench.open();
            assert!(domain.join("busy").is_err());
            let me = domain.join(&format!("child-{}", std::process::id()))?;
            fork((), |()| Ok(()))?.wait()?;
            drop(me);
            Ok(())
        })?
        .wait()?;
    }
    drop(askers);
    drop(me);
    assert_eq!(bench.leftovers(), [""; 0]);
    Ok(())
}

pub fn child_joins() -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    let me = domain.join("parent")?;
    // By a handle that it has inherited.
    let child = resident(&domain, "child")?;
    let seen = domain.processes()?;
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!((seen[0].name().as_str(), seen[0].pid()), ("child", child.pid()));
    greet(&domain, "child", child.pid())?;
    greet(&domain, "parent", std::process::id())?;
    drop(child);
    assert_eq!(domain.processes()?.len(), 1);
    drop(me);
    assert_eq!(bench.leftovers(), [""; 0]);
    fork((), |()| {
        drop(domain.join("last")?);
        assert_eq!(bench.leftovers(), [""; 0]);
        Ok(())
    })?
    .wait()?;
    Ok(())
}

pub fn leaves_a_copy() -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    let pid = std::process::id();
    let me = domain.join("host")?;
    // Whoever is silent is hung up on, and whoever calls too late refused, although a forked child
    // has copies of the sockets.
    let silent = connection(&domain, "host", pid)?;
    greet(&domain, "host", pid)?;
    let heir = bystander(|| {
        loop {
            nix::unistd::pause();
        }
    })?;
    assert_eq!(hear(&silent)?, b"");
    let socket = domain.path().join(format!("processes/host.{pid}"));
    std::fs::hard_link(&socket, bench.path().join("copy"))?;
    drop(me);
    assert!(!socket.exists());
    assert_eq!(connection_at(&bench.path().join("copy")).err(), Some(Errno::ECONNREFUSED));
    drop(heir);
    Ok(())
}
