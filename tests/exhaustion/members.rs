//! Tables that are full: seats, receipts under way, names in a right; and many at once.

use postbox::{
    Access, Bytes, Capacity, Group, MailboxOptions, Mechanism, Name, ReceiveError, Right, Wait,
    channel,
};
use postbox_tests::bench::Bench;
use postbox_tests::{Case, Gate, Outcome, connect, soon};
use std::thread;
use std::time::Duration;

/// How many synchronous sends can be under way in a channel.
const RECEIPTS: u32 = 256;

/// Without a bell in between: whoever finds no cell waits for one.
pub fn receipts(mechanism: Mechanism) -> Outcome {
    const SENDERS: u32 = RECEIPTS + 44;
    let options = postbox::Options::new(mechanism).capacity(Capacity::Bounded(1000));
    let (tx, rx) = connect::<u32>(&options)?;
    thread::scope(|scope| {
        let delivering: Vec<_> = (0..SENDERS)
            .map(|n| {
                let tx = tx.clone();
                scope.spawn(move || tx.deliver_with(&n, &soon()).map(drop))
            })
            .collect();
        // Shared memory has 64 slots for offers, the others a cell for each.
        let most = match mechanism {
            Mechanism::SharedMemory => 64,
            _ => RECEIPTS as usize,
        };
        postbox_tests::eventually("all that can be are under way", || {
            (tx.len() >= most).then_some(())
        });
        // A few may have looked at the same instant; the rest waits.
        assert!(tx.len() < SENDERS as usize, "all of them are under way");
        // One more is in time, and leaves nothing behind.
        let brief = Wait::timeout(Duration::from_millis(5));
        assert!(tx.deliver_with(&0, &brief).unwrap_err().is_timeout());
        // Those that only send have room.
        tx.try_send(&SENDERS)?;
        let mut seen: Vec<u32> = Vec::new();
        while seen.len() <= SENDERS as usize {
            seen.push(*rx.receive_with(&soon())?);
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..=SENDERS), "one was lost, or came twice");
        for delivering in delivering {
            delivering.join().map_err(|_| "a sender panicked")??;
        }
        assert!(rx.try_receive()?.is_none());
        Ok(())
    })
}

pub fn senders(mechanism: Mechanism) -> Outcome {
    const SENDERS: u32 = 64;
    const EACH: u32 = 40;
    let options = postbox::Options::new(mechanism).capacity(Capacity::Bounded(3));
    let (tx, rx) = connect::<(u32, u32)>(&options)?;
    let start = Gate::new()?;
    let mut group = Group::new();
    for sender in 0..SENDERS {
        group.fork(tx.clone(), |tx| {
            start.pass()?;
            for n in 0..EACH {
                match n % 8 {
                    7 => drop(tx.deliver_with(&(sender, n), &soon())?),
                    _ => tx.send_with(&(sender, n), &soon())?,
                }
            }
            Ok(())
        })?;
    }
    drop(tx);
    (0..SENDERS).try_for_each(|_| start.open())?;
    let mut next = [0; SENDERS as usize];
    loop {
        match rx.receive_with(&soon()) {
            Ok(delivery) => {
                let (sender, n) = *delivery;
                assert_eq!(n, next[sender as usize], "out of order, lost or doubled");
                next[sender as usize] += 1;
            }
            Err(ReceiveError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        }
    }
    assert_eq!(next, [EACH; SENDERS as usize]);
    Ok(group.wait()?)
}

/// The 2048 seats of a mailbox, taken by the ends of two processes.
pub fn seats(mechanism: Mechanism) -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    let [owner, user] = [domain.join("owner")?, domain.join("user")?];
    let options = MailboxOptions::from(crate::partner::small(mechanism)).receivers(Access::Members);
    let _mailbox = owner.create_mailbox::<Bytes>("jobs", options)?;
    let jobs = user.open_mailbox::<Bytes>("jobs")?;
    let mut senders = vec![jobs.sender()?];
    let error = loop {
        match jobs.sender() {
            Ok(sender) => senders.push(sender),
            Err(error) => break error.to_string(),
        }
        assert!(senders.len() <= 2048, "there is no limit");
    };
    assert_eq!(senders.len(), 2048);
    for said in [error, jobs.receiver().unwrap_err().to_string()] {
        assert!(said.contains("2048") && said.contains("drop one first"), "{said}");
    }
    senders[7].try_send(b"still works")?;
    senders.truncate(2000);
    let receiver = jobs.receiver()?;
    assert_eq!(&**receiver.receive_with(&soon())?, b"still works");
    Ok(())
}

fn names() -> Outcome {
    const MOST: usize = 48;
    let bench = Bench::new()?;
    let domain = bench.open();
    let owner = domain.join("owner")?;
    let mailbox = owner.create_mailbox::<Bytes>("jobs", MailboxOptions::default())?;
    let admin = domain.mailbox("jobs")?;
    (0..MOST).try_for_each(|n| admin.grant(Right::Receive, &format!("worker-{n}")))?;
    let error = admin.grant(Right::Receive, "one-more").unwrap_err().to_string();
    assert!(error.contains("48 processes") && error.contains("revoke some"), "{error}");
    let error = mailbox.grant_receive("one-more").unwrap_err().to_string();
    assert!(error.contains("48 processes") && error.contains("revoke some"), "{error}");
    admin.revoke(Right::Receive, "worker-7")?;
    mailbox.grant_receive("one-more")?;
    let worker = domain.join("one-more")?;
    worker.open_mailbox::<Bytes>("jobs")?.receiver()?;
    // At creation too.
    let many = (0..=MOST).map(|n| Name::new(&format!("w-{n}")));
    let many = Access::Listed(many.collect::<Result<_, _>>()?);
    let options = MailboxOptions::default().receivers(many);
    let error = owner.create_mailbox::<Bytes>("more", options).unwrap_err().to_string();
    assert!(error.contains("at most 48"), "{error}");
    Ok(())
}

/// A name is two bytes under a lock: a thousand are held at once as well as one.
fn many_names() -> Outcome {
    const NAMES: usize = 1000;
    let bench = Bench::new()?;
    let domain = bench.open();
    let owner = domain.join("owner")?;
    let options = || postbox::Options::new(Mechanism::SharedMemory).byte_cap(1 << 16);
    let limit = nix::sys::resource::Resource::RLIMIT_NOFILE;
    crate::scarce::lower(limit, u64::MAX)?;
    let mailboxes = (0..NAMES)
        .map(|n| owner.create_mailbox::<u32>(&format!("box-{n}"), options()))
        .collect::<Result<Vec<_>, _>>()?;
    assert_eq!(domain.mailboxes()?.len(), NAMES);
    let error = owner.create_mailbox::<u32>("box-500", options()).unwrap_err();
    assert!(error.is_taken(), "{error}");
    mailboxes[500].destroy()?;
    owner.create_mailbox::<u32>("box-500", options())?.try_send(&1)?;
    Ok(())
}

pub fn single() -> Vec<Case> {
    vec![
        Case::new("a right that names as many as it can says so, and one goes for another", names),
        Case::new(
            "a thousand names are held at once, and each is free when its mailbox ends",
            many_names,
        ),
    ]
}

/// What is left of a channel that has given up a thousand offers: it works as a new one.
pub fn corpses(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, Capacity::Bounded(4))?;
    for n in 0..3000 {
        assert!(tx.deliver_with(&n, &Wait::timeout(Duration::ZERO)).unwrap_err().is_timeout());
    }
    // However many were withdrawn, none counts.
    for round in 0..3 {
        (0..4).try_for_each(|n| tx.try_send(&(10 * round + n)))?;
        assert!(tx.try_send(&99).unwrap_err().is_full());
        for n in 0..4 {
            assert_eq!(rx.try_receive()?.map(|number| *number), Some(10 * round + n));
        }
        assert!(rx.try_receive()?.is_none());
    }
    Ok(())
}
