//! Mailboxes that belong to a keeper.

use crate::actor::Stage;
use nix::sys::signal::Signal;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket,
};
use postbox::{
    Access, Cancel, Keeper, KeeperError, MailboxOptions, Mechanism, Ownership, Right, Wait,
    WhenIdle,
};
use postbox_tests::{Outcome, own_thread, soon, until_asleep};
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

pub fn outlives() -> Outcome {
    let stage = Stage::new()?;
    let keeper = stage.keeper()?;
    let mut a = stage.actor("a")?;
    a.does("create jobs owner=keeper receivers=members")?;
    a.does("send jobs 1")?;
    a.does("send jobs 2")?;
    a.killed()?;
    let mut b = stage.actor("b")?;
    b.does("open jobs")?;
    assert_eq!(b.ask("receive jobs")?.split(' ').next(), Some("1"));
    b.ended_well()?;
    let mut c = stage.actor("c")?;
    c.does("create jobs owner=keeper existing=either")?;
    assert_eq!(c.ask("receive jobs")?.split(' ').next(), Some("2"));
    c.does("destroy jobs")?;
    assert!(c.ask("send jobs x")?.contains("no longer exists"));
    c.ended_well()?;
    // It ends by itself once it owns nothing.
    keeper.ended_well()?;
    assert!(stage.is_bare());
    Ok(())
}

pub fn killed() -> Outcome {
    let stage = Stage::new()?;
    let keeper = stage.keeper()?;
    let mut a = stage.actor("a")?;
    a.does("create jobs owner=keeper receivers=members")?;
    a.tell("receive jobs")?;
    until_asleep(a.pid());
    keeper.killed()?;
    assert!(a.next()?.contains("no longer exists"));
    assert!(a.ask("create jobs owner=keeper")?.contains("no keeper"));
    let _keeper = stage.keeper()?;
    a.does("create jobs owner=keeper receivers=members")?;
    a.does("send jobs x")?;
    assert_eq!(a.ask("receive jobs")?, "x from a");
    Ok(())
}

pub fn one_hop() -> Outcome {
    const COUNT: u32 = 10_000;
    for mechanism in Mechanism::ALL {
        let stage = Stage::new()?;
        let keeper = stage.keeper()?;
        let (mut a, mut b) = (stage.actor("a")?, stage.actor("b")?);
        a.does(&format!("create jobs mechanism={mechanism} owner=keeper receivers=members"))?;
        b.does("open jobs")?;
        keeper.stopped()?;
        let file = stage.file("taken");
        b.tell(&format!("drain jobs {file}"))?;
        until_asleep(b.pid());
        a.does(&format!("flood jobs {COUNT}"))?;
        assert!(b.next()?.starts_with(&format!("{COUNT} then every sender is gone")));
        keeper.signal(Signal::SIGCONT)?;
        a.does("destroy jobs")?;
        keeper.ended_well()?;
    }
    Ok(())
}

pub fn none() -> Outcome {
    let stage = Stage::new()?;
    let mut a = stage.actor("a")?;
    let none = a.ask("create jobs owner=keeper")?;
    assert!(
        none.contains("domain 'lab' has no keeper") && none.contains("postbox keeper"),
        "{none}"
    );
    let domain = stage.domain()?;
    assert!(domain.mailbox("jobs")?.create(Mechanism::Pipe).unwrap_err().is_no_keeper());
    assert!(domain.mailbox("jobs")?.status().unwrap_err().is_absent());
    assert_eq!(Keeper::of(&domain)?, None);
    Ok(())
}

pub fn administered() -> Outcome {
    let stage = Stage::new()?;
    let keeper = stage.keeper()?;
    let domain = stage.domain()?;
    assert_eq!(Keeper::of(&domain)?, Some(keeper.pid()));
    let jobs = domain.mailbox("jobs")?;
    let options = MailboxOptions::new(Mechanism::Socket).receivers(Access::Listed(vec![]));
    let status = jobs.create(options.schema("job/1"))?;
    assert_eq!((status.mechanism, status.schema.as_deref()), (Mechanism::Socket, Some("job/1")));
    assert_eq!((status.owner.pid, status.owner.ownership), (keeper.pid(), Ownership::Keeper));
    assert_eq!(status.may_receive.to_string(), "nobody");
    assert!(jobs.create(Mechanism::Pipe).unwrap_err().is_taken());
    let listed = domain.mailboxes()?;
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name(), listed[0].owner()), (jobs.name(), keeper.pid()));
    let mut worker = stage.actor("w")?;
    worker.does("open jobs")?;
    worker.does("send jobs x")?;
    assert!(worker.ask("receive jobs")?.contains("nobody may"));
    jobs.grant(Right::Receive, "w")?;
    let status = jobs.status()?;
    assert_eq!((status.queued, status.senders, status.receivers), (1, 1, 0));
    assert_eq!(status.may_receive.to_string(), "w");
    assert_eq!(worker.ask("receive jobs")?, "x from w");
    assert_eq!(jobs.status()?.receivers, 1);
    jobs.revoke(Right::Receive, "w")?;
    assert!(worker.ask("receive jobs")?.contains("nobody may"));
    jobs.transfer_to("w")?;
    assert_eq!(jobs.status()?.owner.name, "w");
    assert!(jobs.destroy().unwrap_err().is_denied());
    keeper.ended_well()?;
    worker.does("destroy jobs")?;
    Ok(())
}

pub fn passed() -> Outcome {
    let stage = Stage::new()?;
    let keeper = stage.keeper()?;
    let (mut a, mut b) = (stage.actor("a")?, stage.actor("b")?);
    a.does("create jobs receivers=members")?;
    a.does("send jobs 1")?;
    a.does("transfer jobs keeper")?;
    a.killed()?;
    b.does("open jobs")?;
    assert_eq!(b.ask("receive jobs")?.split(' ').next(), Some("1"));
    assert_eq!(stage.domain()?.mailbox("jobs")?.status()?.owner.ownership, Ownership::Keeper);
    b.does("transfer jobs b")?;
    keeper.ended_well()?;
    b.does("send jobs 2")?;
    assert_eq!(b.ask("receive jobs")?, "2 from b");
    b.ended_well()?;
    assert!(stage.is_bare());
    Ok(())
}

pub fn misbehaviour() -> Outcome {
    let stage = Stage::new()?;
    let keeper = stage.keeper()?;
    let mut a = stage.actor("a")?;
    a.does("create jobs owner=keeper receivers=members")?;
    let place = stage.path().join("lab");
    let mut silent = Vec::new();
    for socket_path in [
        place.join(format!("processes/keeper.{}", keeper.pid())),
        place.join(format!("mailboxes/jobs.{}", keeper.pid())),
    ] {
        for i in 0..40u8 {
            let flags = SockFlag::SOCK_CLOEXEC;
            let client = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
            connect(client.as_raw_fd(), &UnixAddr::new(&socket_path)?)?;
            if i % 2 == 0 {
                // Version 1, nobody, a request about a mailbox, and then anything.
                let _ = send(
                    client.as_raw_fd(),
                    &[1, 0, i / 8, 3, i, 0xff, 0x80],
                    MsgFlags::MSG_NOSIGNAL,
                );
            }
            silent.push(client);
        }
    }
    a.does("send jobs x")?;
    let mut b = stage.actor("b")?;
    b.does("open jobs")?;
    assert_eq!(b.ask("receive jobs")?, "x from a");
    b.does("create more owner=keeper")?;
    drop(silent);
    a.does("destroy jobs")?;
    b.does("destroy more")?;
    keeper.ended_well()
}

pub fn one() -> Outcome {
    let stage = Stage::new()?;
    let keeper = stage.keeper()?;
    let second = Keeper::start(&stage.domain()?, WhenIdle::Stay);
    let pid = keeper.pid();
    assert!(matches!(second, Err(KeeperError::Running { pid: there }) if there == pid));
    // A process that merely has the name keeps nothing.
    keeper.killed()?;
    let impostor = stage.join("keeper")?;
    let mut a = stage.actor("a")?;
    assert!(a.ask("create jobs owner=keeper")?.contains("is no keeper"));
    drop(impostor);
    Ok(())
}

pub fn asked_in_vain() -> Outcome {
    let stage = Stage::new()?;
    let (domain, owner) = (stage.domain()?, stage.join("owner")?);
    let jobs = owner.create_mailbox::<u32>("jobs", Mechanism::SharedMemory)?;
    let keeper = Keeper::start(&domain, WhenIdle::End(Duration::ZERO))?;
    let (told, task) = channel();
    let running = std::thread::spawn(move || {
        let _ = told.send(own_thread());
        // Half of what it would wait to be asked at all.
        keeper.run(&Wait::timeout(Duration::from_secs(5)))
    });
    until_asleep(task.recv()?);
    let there = domain.mailbox("jobs")?.create(Mechanism::SharedMemory);
    assert!(there.is_err_and(|error| error.is_taken()));
    running.join().map_err(|_| "the keeper panicked")??;
    jobs.destroy()?;
    Ok(())
}

/// It looks at the beginning of each wait, and then goes on waiting.
fn stays(keeper: &Keeper) -> Outcome {
    match keeper.run(&Wait::timeout(Duration::from_millis(50))) {
        Err(KeeperError::TimedOut) => Ok(()),
        ended => Err(format!("it did not stay: {ended:?}").into()),
    }
}

/// It waits, notices that nobody can reach it, and says so.
fn gives_up(keeper: &Keeper, directory: &Path) -> Outcome {
    match keeper.run(&soon()) {
        Err(error @ KeeperError::Unreachable { .. }) => {
            let said = error.to_string();
            let named = said.contains(&*directory.to_string_lossy());
            assert!(named && said.contains("postbox keeper") && !said.contains('\n'), "{said}");
            Ok(())
        }
        ended => Err(format!("it did not give up: {ended:?}").into()),
    }
}

pub fn directory_removed() -> Outcome {
    let stage = Stage::new()?;
    let domain = stage.domain()?;
    let keeper = Keeper::start(&domain, WhenIdle::Stay)?;
    let (mut a, mut b) = (stage.actor("a")?, stage.actor("b")?);
    a.does("create jobs owner=keeper receivers=members")?;
    a.does("send jobs 1")?;
    b.does("open jobs")?;
    assert_eq!(b.ask("receive jobs")?, "1 from a");
    std::fs::remove_dir_all(domain.path())?;
    stays(&keeper)?;
    // Who had it goes on, and another keeper of the same place is nothing to do with it.
    a.does("send jobs 2")?;
    assert_eq!(b.ask("receive jobs")?, "2 from a");
    let another = stage.keeper()?;
    domain.mailbox("jobs")?.create(Mechanism::Pipe)?;
    b.ended_well()?;
    stays(&keeper)?;
    a.does("send jobs 3")?;
    // It is noticed while it waits, too.
    let gone = std::thread::spawn(move || a.ended_well().map_err(|error| error.to_string()));
    gives_up(&keeper, &domain.path())?;
    gone.join().map_err(|_| "it panicked")??;
    drop(keeper);
    domain.mailbox("jobs")?.destroy()?;
    another.ended_well()?;
    drop(domain);
    assert!(stage.is_bare());
    Ok(())
}

pub fn sockets_removed() -> Outcome {
    let stage = Stage::new()?;
    let domain = stage.domain()?;
    let keeper = Keeper::start(&domain, WhenIdle::Stay)?;
    let mut a = stage.actor("a")?;
    a.does("create jobs owner=keeper receivers=members")?;
    a.does("send jobs 1")?;
    a.ended_well()?;
    let own = std::process::id();
    std::fs::remove_file(domain.path().join(format!("processes/keeper.{own}")))?;
    // Nobody can ask for another mailbox, but this one can be opened.
    stays(&keeper)?;
    let mut b = stage.actor("b")?;
    b.does("open jobs")?;
    assert_eq!(b.ask("receive jobs")?.split(' ').next(), Some("1"));
    std::fs::remove_file(domain.path().join(format!("mailboxes/jobs.{own}")))?;
    stays(&keeper)?;
    b.ended_well()?;
    gives_up(&keeper, &domain.path())?;
    drop((keeper, domain));
    assert!(stage.is_bare());
    Ok(())
}

pub fn comes_and_goes() -> Outcome {
    let stage = Stage::new()?;
    let domain = stage.domain()?;
    let enough = Cancel::new()?;
    let keeping = std::thread::spawn({
        let (domain, enough) = (domain.clone(), enough.clone());
        move || {
            let mut keepers = 0;
            loop {
                let keeper = Keeper::start(&domain, WhenIdle::End(Duration::ZERO))?;
                keepers += 1;
                match keeper.run(&Wait::forever().cancelled_by(&enough)) {
                    Ok(()) => {}
                    Err(KeeperError::Cancelled) => return Ok(keepers),
                    Err(error) => return Err(error),
                }
            }
        }
    });
    let jobs = domain.mailbox("jobs")?;
    let mut created = 0;
    while created < 100 {
        match jobs.create(Mechanism::SharedMemory) {
            // What was created is there.
            Ok(_) => created += 1,
            Err(error) if error.is_no_keeper() => continue,
            Err(error) => return Err(error.into()),
        }
        jobs.status()?;
        jobs.destroy()?;
    }
    enough.fire();
    let keepers: u32 = keeping.join().map_err(|_| "the keeper panicked")??;
    assert!(keepers > 1, "it never went");
    drop((domain, jobs));
    assert!(stage.is_bare());
    Ok(())
}
