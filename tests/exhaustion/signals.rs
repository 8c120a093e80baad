//! A signal every millisecond: over every call by name, over forking, starting and waiting. (Those of
//! the ends are struck in tests/conformance/waiting.rs, over every mechanism and naming.)

use crate::partner::small;
use nix::sys::signal::SaFlags;
use postbox::{
    Absence, Access, Bytes, Capacity, Group, GroupError, JoinOptions, LinkOptions, MailboxOptions,
    Mechanism, Opening, Select, Spawn, Wait, channel, fork,
};
use postbox_tests::bench::Bench;
use postbox_tests::{Outcome, Storm, soon};
use std::time::{Duration, Instant};

/// With a handler that lets calls end early, and with one that has them go on.
const BOTH: [SaFlags; 2] = [SaFlags::empty(), SaFlags::SA_RESTART];

/// How often everything is done at least. It goes on until the storm has struck often enough.
const ROUNDS: u32 = 10;
/// How often the storm is to strike in the midst of it.
const STRIKES: u64 = 150;

/// Rounds, for as long as it takes.
fn in_storm(flags: SaFlags, mut round: impl FnMut(u32) -> Outcome) -> Outcome {
    let storm = Storm::begin(flags)?;
    for n in 0.. {
        round(n).map_err(|error| format!("in round {n}: {error}"))?;
        if n >= ROUNDS && storm.strikes() >= STRIKES {
            break;
        }
    }
    Ok(())
}

pub fn coming_together(mechanism: Mechanism) -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    let links =
        || JoinOptions::new().links(LinkOptions::new(small(mechanism)).absent(Absence::Wait));
    for flags in BOTH {
        let (tx, rx) = channel::<u32>(mechanism, Capacity::Bounded(1))?;
        // The other side answers each round, and is struck too.
        let other = fork(rx, |rx| {
            let _storm = Storm::begin(flags)?;
            loop {
                let Ok(n) = rx.receive() else { return Ok(()) };
                let me = domain.join_with(&format!("other-{}", *n), links())?;
                let order = me.receive::<u32>()?;
                me.send("asker", &(*order + 1))?;
                let opening = Opening::new().wait(soon());
                let jobs = me.open_mailbox_with::<u32>("jobs", &opening)?;
                assert_eq!(*jobs.receive()?, *n);
                assert_eq!(*jobs.receive()?, *n);
                // It is this process's before it leaves, and ends with it.
                assert_eq!(*me.receive_from::<u32>("asker")?, 7);
                assert_eq!(jobs.status()?.owner.pid, std::process::id());
            }
        })?;
        in_storm(flags, |n| {
            tx.send(&n)?;
            let me = domain.join_with("asker", links())?;
            let name = format!("other-{n}");
            me.send(&name, &n)?;
            assert_eq!(*me.receive_from::<u32>(&name)?, n + 1);
            let members = MailboxOptions::from(small(mechanism)).receivers(Access::Members);
            let jobs = me.create_mailbox::<u32>("jobs", members)?;
            jobs.send(&n)?;
            assert_eq!(jobs.deliver(&n)?.receiver().name().map(|it| it.as_str()), Some(&*name));
            assert!(domain.processes()?.len() >= 2);
            me.monitor(&name)?;
            jobs.transfer_to(&name)?;
            me.send(&name, &7_u32)?;
            // Until it has left.
            match me.monitor(&name) {
                Ok(monitor) => drop(monitor.wait_with(&soon())?),
                Err(error) if error.is_absent() => {}
                Err(error) => return Err(error.into()),
            }
            Ok(())
        })?;
        drop(tx);
        other.wait()?;
    }
    Ok(())
}

pub fn children(mechanism: Mechanism) -> Outcome {
    for flags in BOTH {
        in_storm(flags, |_| {
            let (tx, rx) = channel::<Vec<u8>>(mechanism, Capacity::Zero)?;
            // It ends only when all that it was to see is over.
            let child = fork(rx, |rx| {
                let _storm = Storm::begin(flags)?;
                for delivery in &rx {
                    assert_eq!(delivery?.len(), 10_000);
                }
                Ok(())
            })?;
            (0..5).try_for_each(|_| tx.send(&vec![1; 10_000]))?;
            drop(tx);
            child.wait()?;
            let mut group = Group::new();
            group.fork((), |()| {
                std::thread::sleep(Duration::from_millis(3));
                Ok(())
            })?;
            group.spawn(Spawn::new("sleep").arg("0.003"))?;
            group.wait()?;
            Ok(())
        })?;
    }
    Ok(())
}

pub fn many_at_once(mechanism: Mechanism) -> Outcome {
    const EACH: u32 = 600;
    for flags in BOTH {
        let mut group = Group::new();
        let mut receivers = Vec::new();
        // Nobody is told that a sender has ended: what they have sent is counted.
        let mut held = Vec::new();
        for _ in 0..3 {
            let (tx, rx) = channel::<u32>(mechanism, Capacity::Bounded(5))?;
            receivers.push(rx);
            held.push(tx.clone());
            group.fork(tx, |tx| {
                let _storm = Storm::begin(flags)?;
                let numbers: Vec<u32> = (0..EACH).collect();
                let mut left = &numbers[..];
                while !left.is_empty() {
                    let (now, later) = left.split_at(left.len().min(8));
                    assert_eq!(tx.send_batch(now)?, now.len());
                    left = later;
                }
                Ok(())
            })?;
        }
        let storm = Storm::begin(flags)?;
        let mut select = Select::new()?;
        let places: Vec<usize> =
            receivers.iter().map(|rx| select.add(rx)).collect::<Result<_, _>>()?;
        let mut next = [0; 3];
        // Half of them by selection, the rest in batches: none is lost, none comes early.
        while next.iter().sum::<u32>() < 3 * EACH / 2 {
            let (place, number) = select.receive()?;
            let which = places.iter().position(|one| *one == place).ok_or("no such place")?;
            assert_eq!(*number, next[which]);
            next[which] += 1;
        }
        drop(select);
        for (rx, next) in receivers.iter().zip(&mut next) {
            while *next < EACH {
                for number in rx.receive_batch(7)? {
                    assert_eq!(*number, *next);
                    *next += 1;
                }
            }
        }
        drop(storm);
        group.wait()?;
    }
    Ok(())
}

/// Every call by name that can be given a deadline, none of which gets what it waits for.
pub fn deadlines(mechanism: Mechanism) -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    let links = LinkOptions::new(small(mechanism)).absent(Absence::Wait);
    let me = domain.join_with("me", JoinOptions::new().links(links.clone()))?;
    let other = domain.join_with("other", JoinOptions::new().links(links.clone()))?;
    other.sender_to::<Bytes>("me")?;
    let (tx, rx) = channel::<u32>(mechanism, Capacity::Bounded(1))?;
    let mut select = Select::new()?;
    select.add(&rx)?;
    let jobs = me.create_mailbox::<u32>("jobs", small(mechanism))?;
    let storm = Storm::begin(SaFlags::empty())?;
    for patience in [1, 7, 20].map(Duration::from_millis) {
        let late = |call: &str, act: &mut dyn FnMut(&Wait) -> Option<bool>| {
            let begun = Instant::now();
            let timed_out = act(&Wait::timeout(patience));
            let took = begun.elapsed();
            assert_eq!(timed_out, Some(true), "{call}");
            assert!(took >= patience, "{call} was early: {took:?} of {patience:?}");
            assert!(took < patience + Duration::from_secs(2), "{call} was late: {took:?}");
        };
        late("sending to nobody", &mut |wait| {
            me.send_with("nobody", &1_u32, wait).err().map(|error| error.is_timeout())
        });
        late("a link with nobody", &mut |wait| {
            me.link_within("nobody", links.clone(), wait).err().map(|error| error.is_timeout())
        });
        late("receiving from one", &mut |wait| {
            me.receive_from_with::<u32>("other", wait).err().map(|error| error.is_timeout())
        });
        late("receiving from anyone", &mut |wait| {
            me.receive_with::<u32>(wait).err().map(|error| error.is_timeout())
        });
        late("delivering to one", &mut |wait| {
            me.deliver_with("other", &1_u32, wait).err().map(|error| error.is_timeout())
        });
        late("a mailbox that is not there", &mut |wait| {
            let opening = Opening::new().wait(*wait);
            let opened = me.open_mailbox_with::<u32>("none", &opening);
            opened.err().map(|error| error.is_timeout())
        });
        late("a mailbox", &mut |wait| {
            jobs.receive_with(wait).err().map(|error| error.is_timeout())
        });
        late("delivering to a mailbox", &mut |wait| {
            jobs.deliver_with(&1, wait).err().map(|error| error.is_timeout())
        });
        late("a selection", &mut |wait| {
            select.receive_with(wait).err().map(|error| error.is_timeout())
        });
        late("a delivery", &mut |wait| {
            tx.deliver_with(&1, wait).err().map(|error| error.is_timeout())
        });
        late("a group", &mut |wait| {
            let mut group = Group::new();
            let forked = group.fork((), |()| {
                nix::unistd::pause();
                Ok(())
            });
            forked.ok()?;
            Some(matches!(group.wait_with(wait), Err(GroupError::TimedOut)))
        });
    }
    assert!(storm.strikes() > 50, "there was no storm");
    Ok(())
}
