//! What a user may have of the machine altogether: processes, queues, pages of pipes.

use crate::scarce::{keeps_the_contract, limited, lower, says};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::Resource;
use nix::unistd::getuid;
use postbox::{Bytes, Capacity, ForkError, Mechanism, Spawn, channel, fork};
use postbox_tests::bench::Bench;
use postbox_tests::{Bystander, Outcome, descriptors, holder, soon, unprivileged_as};
use std::fs;
use std::os::unix::fs::PermissionsExt;

pub fn unprivileged(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    limited(|| {
        unprivileged_as(65_534)?;
        let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
        keeps_the_contract(&tx, &rx)?;
        let sender = fork(tx.clone(), |tx| {
            for i in 0..1000u32 {
                tx.send_with(&i.to_le_bytes(), &soon())?;
            }
            Ok(())
        })?;
        for i in 0..1000u32 {
            assert_eq!(&**rx.receive_with(&soon())?, i.to_le_bytes());
        }
        sender.wait()?;
        let receiver = fork(rx.clone(), |rx| {
            rx.receive_with(&soon())?;
            Ok(())
        })?;
        assert_eq!(tx.deliver_with(b"1", &soon())?.receiver().pid(), receiver.pid());
        receiver.wait()?;
        let mut killed = holder(tx)?;
        killed.signal(9)?;
        assert!(rx.receive_with(&soon()).unwrap_err().is_disconnected());
        killed.wait_status()?;
        Ok(())
    })
}

pub fn no_more_processes() -> Outcome {
    limited(|| {
        unprivileged_as(64_001)?;
        // Where the kernel lets everybody have one, this is the second.
        let bystander = Bystander::idle()?;
        lower(Resource::RLIMIT_NPROC, 1)?;
        match fork((), |()| Ok(())).map(drop) {
            Err(error @ ForkError::System(nix::errno::Errno::EAGAIN)) => {
                says(&error, "RLIMIT_NPROC is 1 processes");
                lower(Resource::RLIMIT_NPROC, 64)?;
                fork((), |()| Ok(()))?.wait()?;
                drop(bystander);
                Ok(())
            }
            other => Err(format!("{other:?}").into()),
        }
    })
}

pub fn no_queue_quota(mechanism: Mechanism) -> Outcome {
    limited(|| {
        lower(Resource::RLIMIT_MSGQUEUE, 0)?;
        let before = descriptors();
        match channel::<Bytes>(mechanism, Capacity::Bounded(4)) {
            Ok((tx, rx)) => {
                assert!(mechanism != Mechanism::MessageQueue, "a queue without a quota");
                keeps_the_contract(&tx, &rx)
            }
            Err(error) => {
                says(&error, "mq_open");
                says(&error, "RLIMIT_MSGQUEUE is 0 bytes");
                assert_eq!(descriptors(), before, "it left descriptors behind");
                lower(Resource::RLIMIT_MSGQUEUE, u64::MAX)?;
                let (tx, rx) = channel::<Bytes>(mechanism, Capacity::Bounded(4))?;
                keeps_the_contract(&tx, &rx)
            }
        }
    })
}

pub fn small_quota(mechanism: Mechanism) -> Outcome {
    if mechanism != Mechanism::MessageQueue {
        return Ok(());
    }
    for quota in [300, 1000, 5000, 20_000, 100_000] {
        limited(|| {
            unprivileged_as(64_002)?;
            lower(Resource::RLIMIT_MSGQUEUE, quota)?;
            let mut channels = Vec::new();
            let error = loop {
                match channel::<Bytes>(mechanism, Capacity::Bounded(10)) {
                    Ok(ends) => channels.push(ends),
                    Err(error) => break error,
                }
                assert!(channels.len() < 1000, "a quota without an end");
            };
            says(&error, &format!("RLIMIT_MSGQUEUE is {quota} bytes"));
            println!("{quota} bytes are good for {} channels", channels.len());
            assert!(quota < 1000 || !channels.is_empty());
            for (tx, rx) in &channels {
                keeps_the_contract(tx, rx)?;
            }
            // What one gives back, the next can have.
            if channels.pop().is_some() {
                let (tx, rx) = channel::<Bytes>(mechanism, Capacity::Bounded(10))?;
                keeps_the_contract(&tx, &rx)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

pub fn pipe_pages(mechanism: Mechanism) -> Outcome {
    limited(|| {
        unprivileged_as(64_003)?;
        let mut pipes = Vec::new();
        loop {
            let pipe = std::io::pipe()?;
            let grown = fcntl(&pipe.1, FcntlArg::F_SETPIPE_SZ(1 << 20));
            pipes.push(pipe);
            if grown.is_err() {
                break;
            }
            if pipes.len() > 2000 {
                println!("this user's pipes have no limit");
                break;
            }
        }
        // What is left by single pages.
        for _ in 0..40 {
            pipes.push(std::io::pipe()?);
        }
        for capacity in [Capacity::Zero, Capacity::Bounded(1), Capacity::Bounded(1000)] {
            let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
            keeps_the_contract(&tx, &rx)?;
            let child = fork(tx, |tx| {
                (0..500u32).try_for_each(|i| tx.send_with(&i.to_le_bytes(), &soon()))?;
                Ok(())
            })?;
            for i in 0..500u32 {
                assert_eq!(&**rx.receive_with(&soon())?, i.to_le_bytes());
            }
            child.wait()?;
        }
        Ok(())
    })
}

/// A new process or thread may not be: by every call that needs one.
pub fn no_more_threads() -> Outcome {
    let bench = Bench::for_all()?;
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o1777))?;
    limited(|| {
        unprivileged_as(64_004)?;
        let domain = bench.open();
        let before = descriptors();
        let owner = domain.join("owner")?;
        let jobs = owner.create_mailbox::<u32>("jobs", Mechanism::SharedMemory)?;
        let heir = domain.join("heir")?;
        let bystander = Bystander::idle()?;
        lower(Resource::RLIMIT_NPROC, 1)?;
        let limit = "RLIMIT_NPROC is 1 processes";
        says(&domain.join("third").unwrap_err(), limit);
        says(&Spawn::new("true").spawn().unwrap_err(), limit);
        // Asked for it, the owner's registrar has another thread do it.
        says(&domain.mailbox("jobs")?.transfer_to("heir").unwrap_err(), limit);
        jobs.transfer_to("heir")?;
        // What is there goes on, and nothing is left of the attempts.
        owner.send("heir", &1_u32)?;
        assert_eq!(*heir.receive_from::<u32>("owner")?, 1);
        drop((owner, heir, jobs));
        lower(Resource::RLIMIT_NPROC, 64)?;
        assert_eq!(descriptors().len(), before.len(), "it left descriptors behind");
        assert!(domain.processes()?.is_empty(), "a name is held by nobody");
        let third = domain.join("third")?;
        let jobs = third.create_mailbox::<u32>("jobs", Mechanism::SharedMemory)?;
        let fourth = domain.join("fourth")?;
        jobs.transfer_to("fourth")?;
        Spawn::new("true").spawn()?.wait()?;
        drop((bystander, fourth));
        Ok(())
    })
}

/// No more queues in the whole system: in one of its own, so that nobody else goes without.
pub fn no_more_queues() -> Outcome {
    const MOST: &str = "/proc/sys/fs/mqueue/queues_max";
    if !getuid().is_root() {
        println!("not shown: only root can have message queues of its own");
        return Ok(());
    }
    limited(|| {
        unshare(CloneFlags::CLONE_NEWIPC)?;
        fs::write(MOST, "3")?;
        // Root may have as many as it likes.
        unprivileged_as(64_005)?;
        let create = || channel::<Bytes>(Mechanism::MessageQueue, Capacity::Bounded(2));
        let mut channels = (0..3).map(|_| create()).collect::<Result<Vec<_>, _>>()?;
        says(&create().unwrap_err(), "fs.mqueue.queues_max is 3");
        channels.pop();
        let (tx, rx) = create()?;
        keeps_the_contract(&tx, &rx)
    })
}
