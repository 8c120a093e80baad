//! Memory: what a file, an address space, a channel may have of it.

use crate::scarce::{keeps_the_contract, limited, lower, says};
use nix::sys::resource::Resource;
use postbox::{
    Bytes, Capacity, Mechanism, Options, Receiver, SendError, Sender, TrySendError, channel, fork,
};
use postbox_tests::{Outcome, descriptors, soon};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

pub fn files(mechanism: Mechanism) -> Outcome {
    for limit in [0, 4096, 1 << 16, 1 << 20, 4 << 20, 64 << 20, 300 << 20] {
        limited(|| {
            lower(Resource::RLIMIT_FSIZE, limit)?;
            let before = descriptors();
            match channel::<Bytes>(mechanism, Capacity::Bounded(7)) {
                Ok((tx, rx)) => {
                    keeps_the_contract(&tx, &rx)?;
                    large_one(&tx, &rx)
                }
                Err(error) => {
                    says(&error, &format!("RLIMIT_FSIZE is {limit} bytes"));
                    assert_eq!(descriptors(), before, "it left descriptors behind");
                    assert!(limit < 64 << 20, "{limit} bytes do not suffice: {error}");
                    lower(Resource::RLIMIT_FSIZE, u64::MAX)?;
                    let (tx, rx) = channel::<Bytes>(mechanism, Capacity::Bounded(7))?;
                    keeps_the_contract(&tx, &rx)
                }
            }
        })
        .map_err(|error| format!("with {limit}: {error}"))?;
    }
    Ok(())
}

/// A large message arrives, or is refused with a reason.
fn large_one(tx: &Sender<Bytes>, rx: &Receiver<Bytes>) -> Outcome {
    match tx.try_send(&vec![3; 8 << 20]) {
        Ok(()) => assert_eq!(rx.receive()?.len(), 8 << 20),
        Err(TrySendError::Send(SendError::TooLarge(refused))) => assert!(refused.max < 64 << 20),
        Err(TrySendError::Send(SendError::Fault(fault))) => println!("{fault}"),
        Err(error) => return Err(error.into()),
    }
    tx.try_send(b"small")?;
    assert_eq!(&**rx.receive()?, b"small");
    Ok(())
}

/// What this process does about signals: blocked, ignored and caught ones, as masks.
fn about_signals() -> Result<Vec<String>, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let fields = ["SigBlk", "SigIgn", "SigCgt"];
    let about = |line: &&str| fields.iter().any(|field| line.starts_with(field));
    Ok(status.lines().filter(about).map(str::to_owned).collect())
}

pub fn files_later(mechanism: Mechanism) -> Outcome {
    for capacity in [Capacity::Bounded(7), Capacity::Unbounded] {
        let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
        let child = fork((tx.clone(), rx.clone()), |(tx, rx)| {
            let before = about_signals()?;
            assert_eq!(before.len(), 3, "{before:?}");
            lower(Resource::RLIMIT_FSIZE, 4096)?;
            large_one(&tx, &rx)?;
            keeps_the_contract(&tx, &rx)?;
            assert_eq!(about_signals()?, before, "it did something about signals");
            Ok(())
        })?;
        child.wait()?;
        keeps_the_contract(&tx, &rx)?;
    }
    Ok(())
}

pub fn address_space(mechanism: Mechanism) -> Outcome {
    const MIB: u64 = 1 << 20;
    for spare in [1, 4, 16, 64, 256, 700] {
        limited(|| {
            let statm = fs::read_to_string("/proc/self/statm")?;
            let pages: u64 = statm.split(' ').next().ok_or("no size")?.parse()?;
            let before = descriptors();
            lower(Resource::RLIMIT_AS, pages * 4096 + spare * MIB)?;
            let created = channel::<Bytes>(mechanism, Capacity::Bounded(7));
            match created {
                Ok((tx, rx)) => keeps_the_contract(&tx, &rx),
                Err(error) => {
                    let limit = (pages * 4096 + spare * MIB).to_string();
                    let text = error.to_string();
                    lower(Resource::RLIMIT_AS, u64::MAX)?;
                    says(&text, &format!("RLIMIT_AS is {limit} bytes"));
                    assert_eq!(descriptors(), before, "it left descriptors behind");
                    assert!(spare < 16, "{spare} MiB do not suffice: {text}");
                    let (tx, rx) = channel::<Bytes>(mechanism, Capacity::Bounded(7))?;
                    keeps_the_contract(&tx, &rx)
                }
            }
        })
        .map_err(|error| format!("with {spare} MiB: {error}"))?;
    }
    Ok(())
}

const CAP: u64 = 1 << 20;

fn capped(mechanism: Mechanism, capacity: Capacity) -> Options {
    Options::new(mechanism).capacity(capacity).byte_cap(CAP)
}

pub fn byte_cap(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = capped(mechanism, Capacity::Unbounded).channel::<Bytes>()?;
    let mut last = 0;
    for round in 0..4 {
        let mut went = 0u32;
        loop {
            let mut message = [0; 1000];
            message[..4].copy_from_slice(&went.to_le_bytes());
            match tx.try_send(&message) {
                Ok(()) => went += 1,
                Err(TrySendError::Send(SendError::ByteCap { cap })) => {
                    assert_eq!(cap, CAP);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
            assert!(went < 10_000, "there is no cap");
        }
        assert!(matches!(tx.send(&[0; 1000]), Err(SendError::ByteCap { .. })), "send may not wait");
        println!("{went} messages of 1000 bytes in round {round}");
        assert!(went > 500, "only {went} in {CAP} bytes in round {round}");
        assert_eq!(tx.len(), went as usize);
        // Some room comes back with some of the messages.
        for i in 0..went {
            assert_eq!(rx.try_receive()?.ok_or("one was lost")?[..4], i.to_le_bytes());
        }
        assert!(rx.try_receive()?.is_none());
        assert!(round == 0 || went.abs_diff(last) < went / 10, "{last}, then {went}");
        last = went;
    }
    keeps_the_contract(&tx, &rx)
}

pub fn byte_cap_of_bodies(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = capped(mechanism, Capacity::Unbounded).channel::<Bytes>()?;
    for round in 0..20 {
        let mut went = 0;
        while tx.try_send(&vec![went as u8; 50_000]).is_ok() {
            went += 1;
            assert!(went < 100, "there is no cap");
        }
        assert!((15..=21).contains(&went), "{went} of 50 kB in {CAP} bytes in round {round}");
        for i in 0..went {
            assert!(rx.try_receive()?.ok_or("one was lost")?.iter().all(|byte| *byte == i as u8));
        }
        assert!(rx.try_receive()?.is_none());
    }
    keeps_the_contract(&tx, &rx)
}

pub fn beyond_the_cap(mechanism: Mechanism) -> Outcome {
    for capacity in [Capacity::Zero, Capacity::Bounded(3), Capacity::Unbounded] {
        let (tx, rx) = capped(mechanism, capacity).channel::<Bytes>()?;
        let huge = vec![1; 2 * CAP as usize];
        assert!(
            matches!(tx.send(&huge), Err(SendError::TooLarge(refused)) if refused.max < CAP as usize)
        );
        assert!(matches!(tx.deliver(&huge).unwrap_err().reason(), SendError::TooLarge(_)));
        if capacity != Capacity::Zero {
            let error = tx.try_send(&huge).unwrap_err();
            assert!(matches!(error, TrySendError::Send(SendError::TooLarge(_))), "{error}");
        }
        assert!(rx.try_receive()?.is_none());
        keeps_the_contract(&tx, &rx)?;
    }
    Ok(())
}

pub fn bounded_at_the_cap(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = capped(mechanism, Capacity::Bounded(1000)).channel::<Bytes>()?;
    let child = fork(tx, |tx| {
        for i in 0..300u32 {
            tx.send_with(&vec![i as u8; 100_000], &soon())?;
        }
        Ok(())
    })?;
    for i in 0..300u32 {
        let delivery = rx.receive_with(&soon())?;
        assert!(delivery.len() == 100_000 && delivery.iter().all(|byte| *byte == i as u8));
    }
    assert!(rx.receive_with(&soon()).unwrap_err().is_disconnected());
    Ok(child.wait()?)
}

/// A control group for memory of its own, which goes with it.
struct ControlGroup(PathBuf);

impl ControlGroup {
    /// None where there are none, or this process may not make one.
    fn new(bytes: u64) -> Option<Self> {
        let unique = format!("postbox-test-{}", std::process::id());
        let trees =
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")];
        trees.into_iter().find_map(|(tree, limit)| {
            let group = ControlGroup(Path::new(tree).join(&unique));
            // Dropped, and so removed again, where it has no such limit.
            fs::create_dir(&group.0).ok()?;
            fs::write(group.0.join(limit), bytes.to_string()).ok()?;
            Some(group)
        })
    }

    fn enter(&self) -> std::io::Result<()> {
        fs::write(self.0.join("cgroup.procs"), std::process::id().to_string())
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

pub fn control_group(mechanism: Mechanism) -> Outcome {
    const LIMIT: u64 = 64 << 20;
    let Some(group) = ControlGroup::new(LIMIT) else {
        println!("not shown: no control group can be made here");
        return Ok(());
    };
    // Whoever is over its group's limit is killed: it has to end well.
    limited(|| {
        group.enter()?;
        let (tx, rx) = channel::<Bytes>(mechanism, Capacity::Unbounded)?;
        let message = vec![1; 100_000];
        let mut went = 0_u64;
        let cap = loop {
            match tx.try_send(&message) {
                Ok(()) => went += 1,
                Err(TrySendError::Send(SendError::ByteCap { cap })) => break cap,
                Err(error) => return Err(error.into()),
            }
            assert!(went * 100_000 < LIMIT, "nothing holds it back");
        };
        assert_eq!(cap, LIMIT / 4);
        assert!(went * 100_000 > cap / 2, "only {went} went");
        for _ in 0..went {
            assert_eq!(rx.receive()?.len(), message.len());
        }
        keeps_the_contract(&tx, &rx)
    })
}
