//! Mailboxes that are handed over in a hurry, and names that come to another mailbox.

use crate::actor::{Actor, Stage};
use postbox::{Bytes, Capacity, MailboxError, MailboxOptions, Mechanism, Wait};
use postbox_tests::{Outcome, until_asleep};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A handle is of one mailbox. What is done with it does not befall the next of that name.
pub fn namesakes() -> Outcome {
    let stage = Stage::new()?;
    let keeper = stage.keeper()?;
    let (mut a, mut b) = (stage.actor("a")?, stage.actor("b")?);
    a.does("create jobs owner=keeper receivers=members")?;
    b.does("open jobs")?;
    b.does("create keep owner=keeper")?;
    a.does("destroy jobs")?;
    assert!(b.ask("status jobs")?.contains("is no more"));
    a.does("create jobs owner=keeper receivers=members")?;
    a.does("send jobs x")?;
    for order in ["status jobs", "destroy jobs", "revoke jobs a", "grant jobs b", "transfer jobs b"]
    {
        let refused = b.ask(order)?;
        assert!(
            refused.ends_with("is no more: it was destroyed, or its owner has gone"),
            "{refused}"
        );
    }
    assert_eq!(a.ask("receive jobs")?, "x from a");
    a.does("destroy jobs")?;
    b.does("destroy keep")?;
    keeper.ended_well()
}

/// Two that hand the same mailbox on at once: the second waits for what comes of the first.
pub fn two_at_once() -> Outcome {
    let stage = Stage::new()?;
    let me = stage.join("me")?;
    let (b, c) = (stage.actor("b")?, stage.actor("c")?);
    let jobs = me.create_mailbox::<Bytes>("jobs", Mechanism::Pipe)?;
    b.stopped()?;
    let first = std::thread::spawn({
        let jobs = jobs.clone();
        move || jobs.transfer_to_with("b", &Wait::timeout(Duration::from_millis(500)))
    });
    let second = jobs.transfer_to("c");
    let first = first.join().map_err(|_| "it panicked")?;
    // Whichever came first: neither was told that nobody answers for the mailbox.
    let first = first.unwrap_err().to_string();
    assert!(first.contains("did not answer in time") || first.ends_with("c may"), "{first}");
    second?;
    assert_eq!(jobs.status()?.owner.pid, c.pid());
    let refused = jobs.transfer_to("b").unwrap_err().to_string();
    assert!(refused.ends_with("c may"), "{refused}");
    Ok(())
}

/// Owners that give it to each other with hardly any patience, while others come and go.
pub fn bounced() -> Outcome {
    const TRIES: u32 = 1500;
    const VISITS: u32 = 300;
    let stage = Stage::new()?;
    let mut owners = [stage.actor("p0")?, stage.actor("p1")?, stage.actor("p2")?];
    owners[0].does("create jobs receivers=members capacity=unbounded")?;
    owners[1].does("open jobs")?;
    owners[2].does("open jobs")?;
    let mut visitor = stage.actor("v")?;
    visitor.does("open jobs")?;
    visitor.does("send jobs first")?;
    let before: Vec<usize> = owners.iter().map(descriptors).collect();
    visitor.tell(&format!("visit jobs {VISITS}"))?;
    for (i, owner) in owners.iter_mut().enumerate() {
        owner.tell(&format!("bounce jobs p{} {TRIES}", (i + 1) % 3))?;
    }
    for owner in &mut owners {
        let said = owner.next()?;
        assert!(said.starts_with("gave "), "{said}");
    }
    visitor.hear("done")?;
    // It is somebody's, and whoever that is can still give it on.
    let status = stage.domain()?.mailbox("jobs")?.status()?;
    assert_eq!(status.queued, VISITS as usize + 1);
    let at = owners.iter().position(|owner| owner.pid() == status.owner.pid).ok_or("whose?")?;
    for step in 0..3 {
        let (from, to) = ((at + step) % 3, (at + step + 1) % 3);
        owners[from].does(&format!("transfer jobs p{to}"))?;
    }
    for i in 0..VISITS {
        if i == 0 {
            assert!(visitor.ask("receive jobs")?.starts_with("first "));
        }
        assert!(visitor.ask("receive jobs")?.starts_with(&format!("v {i} ")));
    }
    for (owner, before) in owners.iter().zip(before) {
        let now = descriptors(owner);
        assert!(now < before + 40, "{before} descriptors were open, and now {now}");
    }
    for actor in owners.into_iter().chain([visitor]) {
        actor.ended_well()?;
    }
    assert!(stage.is_bare());
    Ok(())
}

fn descriptors(actor: &Actor) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", actor.pid())).map_or(0, Iterator::count)
}

/// Two names of one process give it to each other.
pub fn within_one_process() -> Outcome {
    let stage = Stage::new()?;
    let (one, two) = (stage.join("one")?, stage.join("two")?);
    let mut other = stage.actor("other")?;
    let options = MailboxOptions::new(Mechanism::SharedMemory);
    let mut owned = one.create_mailbox::<Bytes>("jobs", options)?;
    let mut next = two.open_mailbox::<Bytes>("jobs")?;
    for round in 0..300u64 {
        let to = if owned.status()?.owner.name == "one" { "two" } else { "one" };
        let hurry = Wait::timeout(Duration::from_micros(round * 37 % 500));
        if owned.transfer_to_with(to, &hurry).is_ok() {
            std::mem::swap(&mut owned, &mut next);
        }
        other.does("open jobs")?;
    }
    owned.transfer_to("other")?;
    assert_eq!(next.status()?.owner.pid, other.pid());
    other.does("destroy jobs")?;
    other.ended_well()
}

/// Whoever opens a mailbox while its name goes to and fro finds it: half of the name is always somebody's.
pub fn opened_in_passing() -> Outcome {
    const VISITS: u32 = 200;
    let stage = Stage::new()?;
    let (one, two) = (stage.join("one")?, stage.join("two")?);
    let options = MailboxOptions::new(Mechanism::SharedMemory).capacity(Capacity::Unbounded);
    let owned = one.create_mailbox::<Bytes>("jobs", options)?;
    let next = two.open_mailbox::<Bytes>("jobs")?;
    let mut visitors = [stage.actor("v")?, stage.actor("w")?];
    for visitor in &mut visitors {
        visitor.does("open jobs")?;
        visitor.tell(&format!("visit jobs {VISITS}"))?;
    }
    let over = Arc::new(AtomicBool::new(false));
    let giving = std::thread::spawn({
        let over = over.clone();
        move || {
            while !over.load(Ordering::Relaxed) {
                owned.transfer_to("two")?;
                next.transfer_to("one")?;
            }
            Ok::<_, MailboxError>(())
        }
    });
    let heard = visitors.iter_mut().try_for_each(|visitor| visitor.hear("done"));
    over.store(true, Ordering::Relaxed);
    giving.join().map_err(|_| "it panicked")??;
    heard?;
    visitors.into_iter().try_for_each(Actor::ended_well)
}

/// Two that wait for a pair's mailbox do not push out the one that creates it.
pub fn first_of_a_pair() -> Outcome {
    let stage = Stage::new()?;
    let mut a = stage.actor("a")?;
    let mut others = [stage.actor("b")?, stage.actor("c")?];
    for round in 0..50 {
        for other in &mut others {
            other.tell(&format!("await duo{round}"))?;
        }
        others.iter().for_each(|other| until_asleep(other.pid()));
        a.does(&format!("create duo{round} policy=pair receivers=members"))?;
        let said = [others[0].next()?, others[1].next()?];
        assert_eq!(said.iter().filter(|said| *said == "done").count(), 1, "{said:?}");
    }
    Ok(())
}
