//! A process that sees less of the system than usual, as in a container: `/proc` without the system's settings,
//! one that hides the processes of other users, and that of another pid namespace; or by another
//! clock. Only root can make them.

use crate::partner::small;
use crate::scarce::{keeps_the_contract, limited};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::getuid;
use postbox::{
    Absence, Bytes, JoinOptions, LinkOptions, MailboxOptions, Mechanism, Options, Policy, Spawn,
    fork,
};
use postbox_tests::bench::Bench;
use postbox_tests::{Gate, Outcome, soon, unprivileged_as};
use std::fs;
use std::path::Path;

const PEER: &str = env!("CARGO_BIN_EXE_postbox-peer");

/// Runs it where `/proc` is another, mounted so.
fn with_proc(options: &'static str, body: impl FnOnce() -> Outcome) -> Outcome {
    if !getuid().is_root() {
        println!("not shown: only root can mount");
        return Ok(());
    }
    limited(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), Some(options))?;
        body()
    })
}

/// Channels with a child and a program, and a link with another process: all hold, and that the others are gone is
/// noticed.
fn works(mechanism: Mechanism, bench: &Bench) -> Outcome {
    let channel = || small(mechanism).channel::<Bytes>();
    let ((tx, theirs), (mine, rx)) = (channel()?, channel()?);
    let echo = Spawn::new(PEER).arg("echo").pass("in", theirs)?.pass("out", mine)?.spawn()?;
    tx.send_with(b"to a program", &soon())?;
    assert_eq!(&**rx.receive_with(&soon())?, b"to a program");
    drop(tx);
    echo.wait()?;
    assert!(rx.receive_with(&soon()).is_err_and(|error| error.is_disconnected()));

    let (tx, rx) = Options::new(mechanism).channel::<Bytes>()?;
    keeps_the_contract(&tx, &rx)?;
    let sender = fork(tx, |tx| Ok(tx.send_with(b"from a child", &soon())?))?;
    assert_eq!(&**rx.receive_with(&soon())?, b"from a child");
    sender.wait()?;
    assert!(rx.receive_with(&soon()).is_err_and(|error| error.is_disconnected()));

    let links = LinkOptions::new(small(mechanism)).absent(Absence::Wait);
    let join = |name: &str| bench.open().join_with(name, JoinOptions::new().links(links.clone()));
    let (met, over) = (Gate::new()?, Gate::new()?);
    let other = fork((), |()| {
        let other = join("other")?;
        other.send_bytes_with("one", b"by name", &soon())?;
        met.pass()?;
        other.create_mailbox::<u32>("jobs", small(mechanism))?;
        over.open()?;
        Ok(())
    })?;
    let own = join("one")?;
    assert_eq!(&**own.receive_from_with::<Bytes>("other", &soon())?, b"by name");
    met.open()?;
    over.pass()?;
    other.wait()?;
    assert!(own.receive_from_with::<Bytes>("other", &soon()).is_err());

    // A place among two passes to the child, too.
    let options = MailboxOptions::from(small(mechanism)).policy(Policy::Pair);
    let rx = own.create_mailbox::<Bytes>("two", options)?.receiver()?;
    let there = Gate::new()?;
    let child = fork(rx, |rx| {
        there.open()?;
        assert_eq!(&**rx.receive_with(&soon())?, b"to the other");
        Ok(())
    })?;
    there.pass()?;
    // The other is free.
    own.open_mailbox::<Bytes>("two")?.sender()?.send_with(b"to the other", &soon())?;
    Ok(child.wait()?)
}

pub fn without_settings(mechanism: Mechanism) -> Outcome {
    with_proc("subset=pid", || {
        assert!(!Path::new("/proc/sys").exists());
        works(mechanism, &Bench::new()?)
    })
}

pub fn hidden(mechanism: Mechanism) -> Outcome {
    let init_is_there = || Path::new("/proc/1").exists();
    with_proc("hidepid=invisible", || {
        unprivileged_as(64_020)?;
        assert!(!init_is_there());
        works(mechanism, &Bench::new()?)
    })
}

/// Runs it where processes seem to have started a day later.
fn in_another_time(body: impl FnOnce() -> Outcome) -> Outcome {
    // One of the flags that nix has no name for.
    const NEW_TIME: CloneFlags = CloneFlags::from_bits_retain(0x80);
    limited(|| {
        unshare(NEW_TIME)?;
        // It is its children that are there.
        fs::write("/proc/self/timens_offsets", "boottime 86400 0")?;
        limited(body)
    })
}

pub fn of_another_time() -> Outcome {
    if !getuid().is_root() || !Path::new("/proc/self/ns/time").exists() {
        println!("not shown: only root can make a namespace, where the kernel has such");
        return Ok(());
    }
    let bench = Bench::new()?;
    let refused = |by: u32| {
        let error = bench.open().join("late").unwrap_err().to_string();
        let place = bench.open().path().display().to_string();
        assert!(error.contains("another time namespace") && error.contains(&place), "{error}");
        assert!(error.contains(&format!("process {by} ")) && !error.contains('\n'), "{error}");
    };
    let own = std::process::id();
    let one = bench.open().join("one")?;
    in_another_time(|| {
        refused(own);
        // To look takes no name.
        assert_eq!(bench.open().processes()?.len(), 1);
        Ok(())
    })?;
    // Who was refused is in nobody's way, nor is who has left.
    let two = bench.open().join("two")?;
    drop((one, two));
    let (there, enough) = (Gate::new()?, Gate::new()?);
    let seen = fork((), |()| {
        there.pass()?;
        let processes = bench.open().processes()?;
        let [other] = &processes[..] else { return Err("there is one".into()) };
        refused(other.pid());
        Ok(enough.open()?)
    })?;
    in_another_time(|| {
        let [one, other] = [bench.open().join("one")?, bench.open().join("other")?];
        one.send_bytes_with("other", b"hello", &soon())?;
        assert_eq!(&**other.receive_from_with::<Bytes>("one", &soon())?, b"hello");
        drop(other);
        there.open()?;
        Ok(enough.pass()?)
    })?;
    seen.wait()?;
    assert_eq!(bench.leftovers(), [""; 0]);
    Ok(())
}

pub fn of_other_numbers(mechanism: Mechanism) -> Outcome {
    if !getuid().is_root() {
        println!("not shown: only root can make a namespace");
        return Ok(());
    }
    limited(|| {
        unshare(CloneFlags::CLONE_NEWPID)?;
        // The first process of the namespace, and its end.
        limited(|| {
            assert_eq!(std::process::id(), 1);
            let seen = postbox_sys::process::start_time(1);
            assert_eq!(seen, None, "it is another that began then");
            works(mechanism, &Bench::new()?)
        })
    })
}
