//! Child processes: how they are started, how they end, and that nobody's end is overlooked.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::unistd::{Pid, getppid, pause};
use postbox::{
    Bytes, Cancel, Capacity, ChildError, ForkError, Group, GroupError, InheritError, Mechanism,
    Receiver, Spawn, SpawnError, Wait, channel, fork, inherited,
};
use postbox_tests::{Case, Gate, Outcome, eventually, ignore, own_thread, run, soon, until_asleep};
use std::io::{Read, Seek};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PEER: &str = env!("CARGO_BIN_EXE_postbox-peer");

fn main() -> ExitCode {
    run(vec![
        Case::new("a child's status is 0, 1 with the error on standard error, or 101", statuses),
        Case::new("how a child ended is told with its pid", how_it_ended),
        Case::new("where SIGCHLD is ignored a child may have gone before it is known", ignored),
        Case::new("a child that is dropped is ended and reaped", dropped_child),
        Case::new("a child that ignores SIGTERM is killed a second later", stubborn_child),
        Case::new("a group waits for all and reports the first failure", group_reports),
        Case::new("a dropped group ends exactly its own children", group_ends_its_own),
        Case::new("a cancelled or timed out wait ends the group's children", group_cancelled),
        Case::new("waiting for a group costs no cpu time once some have ended", group_waits_free),
        Case::new("a group of children that ignore SIGTERM ends in one second", stubborn_group),
        Case::new("fork works after a ctrlc handler was installed", after_ctrlc),
        Case::new("fork with other threads is refused and says how many there are", threads),
        Case::new("a child is its own process with the ends passed to it alone", own_process),
        Case::new("ends pass together in tuples, arrays, vectors and options", together),
        Case::new("a name that no end can have is refused", wrong_names),
        Case::new("a program that is missing is named, and its ends are gone", missing_program),
        Case::new("an end is picked up once, by its name, in its direction", picked_up_once),
        Case::new("an end is picked up only by the process it was passed to", only_by_the_taker),
        Case::new("a program that was passed nothing finds nothing", nothing_passed),
        Case::new("nonsense in the environment is an error and no more", nonsense),
        Case::new("a program finds no descriptors but its own ends", nothing_else_passed),
    ])
}

fn failed(outcome: Result<(), ChildError>) -> Result<(u32, Option<i32>), String> {
    match outcome {
        Err(ChildError::Failed { pid, status }) => Ok((pid, status.code())),
        other => Err(format!("{other:?}")),
    }
}

fn statuses() -> Outcome {
    fork((), |()| Ok(()))?.wait()?;
    let mut said = tempfile::tempfile()?;
    let outer = fork((), |()| {
        nix::unistd::dup2_stderr(&said)?;
        let child = fork((), |()| Err("the valve is stuck".into()))?;
        let pid = child.pid();
        assert_eq!(failed(child.wait())?, (pid, Some(1)));
        let child = fork((), |()| panic!("the valve is gone"))?;
        let pid = child.pid();
        assert_eq!(failed(child.wait())?, (pid, Some(101)));
        Ok(())
    })?;
    let status = outer.wait();
    let mut text = String::new();
    said.rewind()?;
    said.read_to_string(&mut text)?;
    status.map_err(|error| format!("{error}; {text}"))?;
    assert!(text.contains("the valve is stuck") && text.contains("the valve is gone"), "{text}");
    Ok(())
}

/// Nobody can say how such a child ended, nor signal another that has its number.
fn ignored() -> Outcome {
    let untold =
        |error: &ChildError| matches!(error, ChildError::Wait { errno: Errno::ECHILD, .. });
    let outer = fork((), |()| {
        ignore(Signal::SIGCHLD)?;
        for _ in 0..300 {
            assert!(fork((), |()| Ok(()))?.wait().is_err_and(|error| untold(&error)));
            let mut group = Group::new();
            group.fork((), |()| Ok(()))?;
            assert!(matches!(group.wait(), Err(GroupError::Child(error)) if untold(&error)));
        }
        Ok(())
    })?;
    Ok(outer.wait()?)
}

fn how_it_ended() -> Outcome {
    let child = fork((), |()| std::process::exit(7))?;
    let pid = child.pid();
    let error = child.wait().unwrap_err().to_string();
    assert!(error.contains("status 7") && error.contains(&pid.to_string()), "{error}");

    let mut child = fork((), |()| {
        pause();
        Ok(())
    })?;
    assert!(child.try_wait()?.is_none());
    child.signal(9)?;
    assert_eq!(child.wait_status()?.signal(), Some(9));
    assert_eq!(child.try_wait()?, Some(child.wait_status()?));
    assert!(child.signal(0).is_err() && child.signal(15).is_err(), "it has been waited for");
    let error = child.wait().unwrap_err().to_string();
    assert!(error.contains("SIGKILL"), "{error}");
    Ok(())
}

fn is_there(pid: u32) -> bool {
    kill(Pid::from_raw(pid as i32), None).is_ok()
}

fn dropped_child() -> Outcome {
    let child = fork((), |()| {
        loop {
            pause();
        }
    })?;
    let pid = child.pid();
    drop(child);
    assert!(!is_there(pid));
    let child = fork((), |()| {
        loop {
            pause();
        }
    })?;
    let pid = child.pid();
    child.end();
    assert!(!is_there(pid));
    Ok(())
}

/// A child that SIGTERM does not end, once this returns.
fn stubborn() -> Result<postbox::Child, Box<dyn std::error::Error>> {
    let deaf = Gate::new()?;
    let child = fork((), |()| {
        SigSet::from(Signal::SIGTERM).thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        deaf.open()?;
        loop {
            pause();
        }
    })?;
    deaf.pass()?;
    Ok(child)
}

fn stubborn_child() -> Outcome {
    let child = stubborn()?;
    let pid = child.pid();
    let start = Instant::now();
    drop(child);
    let took = start.elapsed();
    assert!(!is_there(pid));
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    Ok(())
}

fn group_reports() -> Outcome {
    Group::new().wait()?;
    let mut group = Group::new();
    let (go, second) = (Gate::new()?, Gate::new()?);
    let first_pid = group.fork((), |()| std::process::exit(3))?;
    group.fork((), |()| {
        go.pass()?;
        second.open()?;
        std::process::exit(4)
    })?;
    group.fork((), |()| Ok(()))?;
    let own = fork((), |()| Ok(()))?;
    let own_pid = group.adopt(own);
    assert_eq!(group.children().len(), 4);
    assert!(group.children().iter().any(|child| child.pid() == own_pid));
    // Only when the last has ended is the first failure told.
    eventually("the end of the first", || is_zombie(first_pid).then_some(()));
    go.open()?;
    match group.wait() {
        Err(GroupError::Child(ChildError::Failed { pid, status })) => {
            assert_eq!((pid, status.code()), (first_pid, Some(3)));
        }
        other => return Err(format!("{other:?}").into()),
    }
    second.pass()?;
    assert!(group.children().is_empty());
    Ok(())
}

fn is_zombie(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

fn group_ends_its_own() -> Outcome {
    let sleeper = |()| loop {
        pause();
    };
    let mut before = fork((), sleeper)?;
    let mut group = Group::new();
    let pids = (0..5).map(|_| group.fork((), sleeper)).collect::<Result<Vec<_>, _>>()?;
    let (tx, rx) = channel::<Bytes>(Mechanism::Pipe, Capacity::Bounded(1))?;
    let program = group.spawn(Spawn::new(PEER).args(["hold", "in"]).pass("in", rx)?)?;
    let mut after = fork((), sleeper)?;
    drop(group);
    assert!(pids.into_iter().chain([program]).all(|pid| !is_there(pid)));
    assert!(before.try_wait()?.is_none() && after.try_wait()?.is_none());
    assert!(
        tx.send_with(b"1", &soon()).is_err_and(|error| error.is_disconnected())
            || tx.deliver_with(b"1", &soon()).is_err()
    );
    Ok(())
}

fn group_cancelled() -> Outcome {
    let own = own_thread();
    let mut group = Group::new();
    let pid = group.fork((), |()| {
        loop {
            pause();
        }
    })?;
    let cancel = Cancel::new()?;
    let firing = cancel.clone();
    let canceller = thread::spawn(move || {
        until_asleep(own);
        firing.fire();
    });
    let outcome = group.wait_with(&Wait::forever().cancelled_by(&cancel));
    assert!(matches!(outcome, Err(GroupError::Cancelled)), "{outcome:?}");
    canceller.join().unwrap();
    assert!(!is_there(pid) && group.children().is_empty());

    let pid = group.fork((), |()| {
        loop {
            pause();
        }
    })?;
    let start = Instant::now();
    let outcome = group.wait_with(&Wait::timeout(Duration::from_millis(30)));
    assert!(matches!(outcome, Err(GroupError::TimedOut)), "{outcome:?}");
    assert!(start.elapsed() >= Duration::from_millis(30));
    assert!(!is_there(pid) && group.children().is_empty());
    Ok(())
}

fn group_waits_free() -> Outcome {
    let (begun, go) = (Gate::new()?, Gate::new()?);
    let waiter = fork((), |()| {
        let mut group = Group::new();
        group.fork((), |()| Ok(()))?;
        // This one has inherited what the group knows of the first.
        group.fork((), |()| {
            begun.open()?;
            Ok(go.pass()?)
        })?;
        Ok(group.wait()?)
    })?;
    // Both are there, before one of them is seen to be gone.
    begun.pass()?;
    eventually("the first child's end", || {
        let children = format!("/proc/{0}/task/{0}/children", waiter.pid());
        let children = std::fs::read_to_string(children).ok()?;
        (children.split_whitespace().count() == 1).then_some(())
    });
    until_asleep(waiter.pid());
    let before = (postbox_tests::cpu_time(waiter.pid()), postbox_tests::switches(waiter.pid()));
    let until = Instant::now() + Duration::from_millis(50);
    while Instant::now() < until {
        thread::yield_now();
    }
    let after = (postbox_tests::cpu_time(waiter.pid()), postbox_tests::switches(waiter.pid()));
    go.open()?;
    waiter.wait()?;
    assert_eq!(before.1, after.1, "it woke");
    assert!(after.0 - before.0 < Duration::from_millis(2), "it cost {:?}", after.0 - before.0);
    Ok(())
}

fn stubborn_group() -> Outcome {
    let mut group = Group::new();
    for _ in 0..4 {
        group.adopt(stubborn()?);
    }
    let start = Instant::now();
    drop(group);
    let took = start.elapsed();
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
    Ok(())
}

static INTERRUPTIONS: AtomicU32 = AtomicU32::new(0);

fn after_ctrlc() -> Outcome {
    ctrlc::set_handler(|| {
        INTERRUPTIONS.fetch_add(1, Ordering::SeqCst);
    })?;
    let (tx, rx) = channel::<u32>(Mechanism::SharedMemory, Capacity::Bounded(1))?;
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut child = fork(rx.clone(), |rx| {
            rx.receive()?;
            Ok(())
        })?;
        until_asleep(child.pid());
        child.signal(signal as i32)?;
        assert_eq!(child.wait_status()?.signal(), Some(signal as i32), "the child itself ends");
    }
    assert_eq!(INTERRUPTIONS.load(Ordering::SeqCst), 0, "the child's signal came here");
    // The handler of this process is as it was.
    kill(Pid::this(), Signal::SIGINT)?;
    eventually("the handler", || (INTERRUPTIONS.load(Ordering::SeqCst) == 1).then_some(()));
    let child = fork(rx, |rx| {
        assert_eq!(*rx.receive()?, 1);
        Ok(())
    })?;
    tx.send(&1)?;
    Ok(child.wait()?)
}

fn threads() -> Outcome {
    let (begun, end) = (Barrier::new(4), Barrier::new(4));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                begun.wait();
                end.wait();
            });
        }
        begun.wait();
        let refused = fork((), |()| Ok(())).map(drop);
        end.wait();
        match refused {
            Err(error @ ForkError::Threads { count: 3 }) => {
                let text = error.to_string();
                assert!(text.contains("3 other thread") && text.contains("spawn"), "{text}");
            }
            other => panic!("{other:?}"),
        }
    });
    // A thread cannot fork: the main one would be lost.
    let refused = thread::spawn(|| fork((), |()| Ok(())).map(drop)).join().unwrap();
    assert!(matches!(refused, Err(ForkError::Threads { count: 1 })), "{refused:?}");
    Ok(fork((), |()| Ok(()))?.wait()?)
}

fn own_process() -> Outcome {
    let parent = std::process::id();
    let (tx, rx) = channel::<(u32, u32)>(Mechanism::Socket, Capacity::Bounded(1))?;
    let child = fork(tx, |tx| {
        let parents = getppid().as_raw() as u32;
        Ok(tx.send(&(std::process::id(), parents))?)
    })?;
    let delivery = rx.receive()?;
    assert_eq!(*delivery, (child.pid(), parent));
    assert_eq!(delivery.sender().pid(), child.pid());
    Ok(child.wait()?)
}

fn together() -> Outcome {
    let new = || channel::<u32>(Mechanism::MessageQueue, Capacity::Bounded(2));
    let ((a, a_rx), (b, b_rx), (c, c_rx), (d, d_rx)) = (new()?, new()?, new()?, new()?);
    let ends = ((a, b_rx), [Some(c), None], vec![d], ());
    let child = fork(ends, |((a, b_rx), [c, none], d, ())| {
        assert!(none.is_none());
        a.send(&1)?;
        assert_eq!(*b_rx.receive()?, 2);
        c.ok_or("it was passed")?.send(&3)?;
        d[0].send(&4)?;
        Ok(())
    })?;
    b.send(&2)?;
    for (rx, number) in [(a_rx, 1), (c_rx, 3), (d_rx, 4)] {
        assert_eq!(*rx.receive()?, number);
        assert!(rx.receive().unwrap_err().is_disconnected());
    }
    child.wait()?;
    assert!(b.send(&5).unwrap_err().is_disconnected());
    Ok(())
}

fn wrong_names() -> Outcome {
    let long = "n".repeat(65);
    for name in ["", "a b", "a:b", "a;b", "a=b", "ä", "a/b", "a\0", &long] {
        let (tx, rx) = channel::<Bytes>(Mechanism::Pipe, Capacity::Bounded(1))?;
        let error = Spawn::new(PEER).pass(name, rx).map(drop).unwrap_err();
        assert!(matches!(&error, SpawnError::Name(wrong) if wrong == name), "{error}");
        assert!(tx.send(b"1").unwrap_err().is_disconnected(), "the refused end lives on");
    }
    let (tx, rx) = channel::<Bytes>(Mechanism::Pipe, Capacity::Bounded(1))?;
    let twice = Spawn::new(PEER).pass("twice", rx)?.pass("twice", tx).map(drop);
    assert!(matches!(twice, Err(SpawnError::Name(name)) if name == "twice"));
    let (_tx, rx) = channel::<Bytes>(Mechanism::Pipe, Capacity::Bounded(1))?;
    drop(Spawn::new(PEER).pass(&long[1..], rx)?);
    Ok(())
}

fn missing_program() -> Outcome {
    for program in ["/nowhere/postbox-peer", "/etc/passwd"] {
        let (tx, rx) = channel::<Bytes>(Mechanism::SharedMemory, Capacity::Bounded(1))?;
        let error = Spawn::new(program).pass("in", rx)?.spawn().map(drop).unwrap_err();
        assert!(matches!(error, SpawnError::Start { .. }), "{error}");
        assert!(error.to_string().contains(program), "{error}");
        assert!(tx.send(b"1").unwrap_err().is_disconnected());
    }
    Ok(())
}

fn picked_up_once() -> Outcome {
    for mechanism in Mechanism::ALL {
        let (tx, rx) = channel::<Bytes>(mechanism, Capacity::Bounded(1))?;
        let child = Spawn::new(PEER).arg("mistakes").pass("in", rx)?.spawn()?;
        tx.send(b"once")?;
        child.wait()?;
    }
    Ok(())
}

fn only_by_the_taker() -> Outcome {
    let quietly = |script: &str| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, PEER]).stderr(std::process::Stdio::null());
        Spawn::from(command)
    };
    // The shell becomes the program.
    let (tx, rx) = channel::<Bytes>(Mechanism::Pipe, Capacity::Bounded(1))?;
    let child = quietly("exec \"$0\" drain").pass("in", rx)?.spawn()?;
    assert_eq!(tx.deliver_with(b"1", &soon())?.receiver().pid(), child.pid());
    drop(tx);
    child.wait()?;
    // The shell stays, and starts the program.
    let (tx, rx) = channel::<Bytes>(Mechanism::Pipe, Capacity::Bounded(1))?;
    let child = quietly("\"$0\" drain; exit 42").pass("in", rx)?.spawn()?;
    let pid = child.pid();
    assert_eq!(failed(child.wait())?, (pid, Some(42)));
    tx.send_with(b"1", &Wait::timeout(Duration::ZERO)).ok();
    let error = tx.deliver_with(b"1", &soon()).unwrap_err();
    assert!(error.is_disconnected(), "somebody picked it up: {error}");
    Ok(())
}

fn nothing_passed() -> Outcome {
    let missing = inherited::<Receiver<Bytes>>("in").unwrap_err();
    assert!(matches!(&missing, InheritError::Missing(name) if name == "in"), "{missing}");
    let child = Spawn::new(PEER).args(["drain"]);
    let mut child = child.spawn()?;
    assert_eq!(child.wait_status()?.code(), Some(1));
    Ok(())
}

fn nonsense() -> Outcome {
    for ends in [
        "",
        ";;;",
        "in",
        "in:r",
        "in:r:0:1:block:1:3:3",
        "in:r:0:1:block:1:3:16",
        "in:r:65535:1:block:1:3:8",
        "in:r:0:1:block:1:2147483647:16",
        "in:r:0:1:block:1:-5:8",
        "in:r:0:1:block:1:0:3",
        "in:r:99999999:1:block:1:3:8",
        "in:x:0:1:nothing:18446744073709551615:3:1",
        "in:r:0:1:block:0:3:8",
        "in:r:0:1:block:1:3:0",
    ] {
        // Descriptors 3 to 5 are there, and are no channel.
        let script = "exec 3</dev/null 4</dev/zero 5<&3; exec \"$0\" drain";
        let output = Command::new("/bin/sh")
            .args(["-c", script, PEER])
            .env("POSTBOX_ENDS", ends)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "'{ends}': {} {said}", output.status);
        assert!(said.contains("postbox-peer") && !said.contains("panicked"), "'{ends}': {said}");
    }
    Ok(())
}

fn nothing_else_passed() -> Outcome {
    let (tx, rx) = channel::<Bytes>(Mechanism::Socket, Capacity::Bounded(1))?;
    let (_other_tx, _other_rx) = channel::<Bytes>(Mechanism::Socket, Capacity::Bounded(1))?;
    let script = "exec \"$0\" hold in";
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, PEER]);
    let child = Spawn::from(command).pass("in", rx)?.spawn()?;
    let open = || {
        let entries = std::fs::read_dir(format!("/proc/{}/fd", child.pid())).ok()?;
        let numbers = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let links = numbers.filter_map(|number| {
            std::fs::read_link(format!("/proc/{}/fd/{number}", child.pid())).ok()
        });
        Some(links.map(|link| link.display().to_string()).collect::<Vec<_>>())
    };
    // It has picked its end up when it sleeps; nothing of the other channel came along.
    eventually("picking up", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/wchan", child.pid())).ok()?;
        (stat.contains("pause") || stat.contains("sigsuspend")).then_some(())
    });
    let open = open().ok_or("no descriptors can be listed")?;
    let memories = open.iter().filter(|link| link.contains("memfd:postbox")).count();
    let sockets = open.iter().filter(|link| link.starts_with("socket:")).count();
    assert_eq!((memories, sockets), (1, 2), "{open:?}");
    drop(child);
    assert!(tx.deliver_with(b"1", &soon()).unwrap_err().is_disconnected());
    Ok(())
}
