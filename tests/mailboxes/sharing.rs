//! Who takes part in a mailbox, and who gets what.

use crate::actor::{Actor, ENOUGH, Stage};
use postbox::{Bytes, MailboxOptions, Mechanism, fork};
use postbox_tests::{Outcome, soon, until_asleep};
use std::collections::HashMap;

/// Lines `SENDER NUMBER`, in the order of one file.
pub fn lines(file: &str) -> std::io::Result<Vec<(String, u32)>> {
    let text = std::fs::read_to_string(file)?;
    Ok(text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(sender, number)| (sender.to_owned(), number.parse().expect("a number")))
        .collect())
}

/// In each of the files, each sender's messages are in order; together they are all, once.
pub fn all_once(files: &[Vec<(String, u32)>], senders: usize, each: u32) {
    let mut seen = HashMap::new();
    for file in files {
        let mut last = HashMap::new();
        for (sender, number) in file {
            let before = last.insert(sender, *number);
            assert!(before < Some(*number), "{sender} {number} after {before:?}");
            assert!(seen.insert((sender, *number), ()).is_none(), "{sender} {number} twice");
        }
    }
    assert_eq!(seen.len(), senders * each as usize, "some were lost");
}

pub fn several(mechanism: Mechanism) -> Outcome {
    let stage = Stage::new()?;
    let (mut a, mut b) = (stage.actor("a")?, stage.actor("b")?);
    for name in ["red", "green", "blue"] {
        a.does(&format!("create {name} mechanism={mechanism} receivers=members"))?;
        b.does(&format!("open {name}"))?;
    }
    for name in ["blue", "red", "green"] {
        a.does(&format!("send {name} to-{name}"))?;
    }
    for name in ["red", "green", "blue"] {
        assert_eq!(b.ask(&format!("receive {name}"))?, format!("to-{name} from a"));
        b.does(&format!("send {name} back-{name}"))?;
        assert_eq!(a.ask(&format!("receive {name}"))?, format!("back-{name} from b"));
        assert_eq!(b.ask(&format!("try_receive {name}"))?, "nothing");
    }
    a.ended_well()?;
    b.ended_well()?;
    assert!(stage.is_bare());
    Ok(())
}

/// Lets one wait in a call, and returns when it does.
fn waiting(actor: &mut Actor, call: &str) -> Outcome {
    actor.tell(call)?;
    until_asleep(actor.pid());
    Ok(())
}

pub fn named() -> Outcome {
    let stage = Stage::new()?;
    let (mut boss, mut one, mut two) =
        (stage.actor("boss")?, stage.actor("w1")?, stage.actor("w2")?);
    boss.does("create jobs receivers=w1,w2")?;
    one.does("open jobs")?;
    two.does("open jobs")?;
    for _ in 0..3 {
        waiting(&mut one, "receive jobs")?;
        assert_eq!(boss.ask("deliver jobs x")?, format!("taken by w1 {}", one.pid()));
        one.hear("x from boss")?;
        waiting(&mut two, "receive jobs")?;
        assert_eq!(one.ask("deliver jobs y")?, format!("taken by w2 {}", two.pid()));
        two.hear("y from w1")?;
    }
    Ok(())
}

/// What is handed over while all of them wait goes to each in turn.
pub fn take_turns(mechanism: Mechanism) -> Outcome {
    for capacity in ["64", "0", "unbounded"] {
        let stage = Stage::new()?;
        let mut boss = stage.actor("boss")?;
        let options = format!("mechanism={mechanism} receivers=members capacity={capacity}");
        boss.does(&format!("create jobs {options}"))?;
        let mut takers = Vec::new();
        for i in 0..4 {
            let mut taker = stage.actor(&format!("w{i}"))?;
            taker.does("open jobs")?;
            waiting(&mut taker, "receive jobs")?;
            if i == 0 {
                // Whoever comes wakes all, and then nobody is first.
                boss.does("send jobs x")?;
                taker.hear("x from boss")?;
                waiting(&mut taker, "receive jobs")?;
            }
            takers.push(taker);
        }
        for i in [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3] {
            takers.iter().for_each(|taker| until_asleep(taker.pid()));
            let taker = &mut takers[i];
            assert_eq!(boss.ask("deliver jobs x")?, format!("taken by w{i} {}", taker.pid()));
            taker.hear("x from boss")?;
            waiting(taker, "receive jobs")?;
        }
    }
    Ok(())
}

/// Room goes to each of the senders that wait for it in turn.
pub fn senders_take_turns(mechanism: Mechanism) -> Outcome {
    let stage = Stage::new()?;
    let mut boss = stage.actor("boss")?;
    boss.does(&format!("create jobs mechanism={mechanism} capacity=1"))?;
    assert_eq!(boss.ask("try_receive jobs")?, "nothing");
    boss.does("send jobs first")?;
    let mut senders = Vec::new();
    for i in 0..3 {
        let mut sender = stage.actor(&format!("s{i}"))?;
        sender.does("open jobs")?;
        waiting(&mut sender, "send jobs x")?;
        senders.push(sender);
    }
    let mut before = "first from boss".to_owned();
    for i in [0, 1, 2, 0, 1, 2, 0, 1, 2] {
        senders.iter().for_each(|sender| until_asleep(sender.pid()));
        assert_eq!(boss.ask("receive jobs")?, before);
        before = format!("x from s{i}");
        senders[i].hear("done")?;
        waiting(&mut senders[i], "send jobs x")?;
    }
    Ok(())
}

pub fn none_starves() -> Outcome {
    const EACH: u32 = 50_000;
    const ROUNDS: u32 = 20;
    let stage = Stage::new()?;
    let mut boss = stage.actor("boss")?;
    boss.does("create jobs receivers=members capacity=64")?;
    let files = [0, 1, 2, 3].map(|i| stage.file(&format!("w{i}")));
    let mut takers = Vec::new();
    for (i, file) in files.iter().enumerate() {
        let mut taker = stage.actor(&format!("w{i}"))?;
        taker.does("open jobs")?;
        taker.tell(&format!("drain jobs {file}"))?;
        takers.push(taker);
    }
    takers.iter().for_each(|taker| until_asleep(taker.pid()));
    let mut senders = [stage.actor("s1")?, stage.actor("s2")?];
    for sender in &mut senders {
        sender.does("open jobs")?;
        // Attached from here on: the first to be done is not the last to be there.
        sender.does("send jobs begin")?;
    }
    // A hundred thousand take as long as some ten slices of the scheduler's time: who has none of these has had nothing yet.
    let mut rounds = 0;
    let count = |file| Ok(std::fs::read(file)?.into_iter().filter(|byte| *byte == b'\n').count());
    let taken = || files.iter().map(count).collect::<std::io::Result<Vec<_>>>();
    while taken()?.into_iter().any(|taken| taken < ENOUGH as usize) {
        assert!(rounds < ROUNDS, "of {} they took {:?}", 2 * EACH * ROUNDS, taken()?);
        for sender in &mut senders {
            sender.tell(&format!("flood jobs {} {}", rounds * EACH, (rounds + 1) * EACH))?;
        }
        for sender in &mut senders {
            sender.hear("done")?;
        }
        rounds += 1;
    }
    for sender in senders {
        sender.ended_well()?;
    }
    for mut taker in takers {
        let said = taker.next()?;
        assert!(said.ends_with("every sender is gone and nothing is left"), "{said}");
    }
    let taken = files.iter().map(|file| lines(file)).collect::<Result<Vec<_>, _>>()?;
    all_once(&taken, 2, rounds * EACH);
    Ok(())
}

pub fn pair(mechanism: Mechanism) -> Outcome {
    let stage = Stage::new()?;
    let (mut a, mut b, mut c) = (stage.actor("a")?, stage.actor("b")?, stage.actor("c")?);
    a.does(&format!("create duo mechanism={mechanism} policy=pair receivers=members"))?;
    b.does("open duo")?;
    for _ in 0..2 {
        let refused = c.ask("open duo")?;
        assert!(refused.contains(&format!("{} and {}", a.pid(), b.pid())), "{refused}");
    }
    a.does("send duo hello")?;
    b.killed()?;
    c.does("open duo")?;
    assert_eq!(c.ask("receive duo")?, "hello from a");
    // By leaving, too.
    let mut d = stage.actor("d")?;
    assert!(d.ask("open duo")?.starts_with("error"));
    c.does("leave duo")?;
    d.does("open duo")?;
    assert!(c.ask("open duo")?.starts_with("error"));
    Ok(())
}

/// An end of a pair's mailbox that goes to a third process.
pub fn pair_passed() -> Outcome {
    let stage = Stage::new()?;
    let mut a = stage.actor("a")?;
    a.does("create duo policy=pair receivers=members capacity=4")?;
    let me = stage.join("me")?;
    let open = || me.open_mailbox::<Bytes>("duo");
    let duo = open()?;
    // The giver uses it on: there is no place for a third.
    let refused = format!("{} and {} use it already", a.pid(), std::process::id());
    let refused = |reason: &dyn std::fmt::Display| assert!(reason.to_string().contains(&refused));
    fork((duo.sender()?, duo.receiver()?), |(tx, rx)| {
        refused(&tx.try_send(b"x").unwrap_err());
        refused(&rx.try_receive().unwrap_err());
        Ok(())
    })?
    .wait()?;
    duo.send(b"mine")?;
    assert_eq!(a.ask("receive duo")?, "mine from me");
    drop(duo);
    // The giver gives away all that it has, and its place goes along, again and again.
    for _ in 0..20 {
        let duo = open()?;
        let ends = (duo.sender()?, duo.receiver()?, duo.sender()?);
        drop(duo);
        let child = fork(ends, |(tx, _rx, _more)| {
            let _ = tx.deliver_with(b"its", &soon())?;
            Ok(())
        })?;
        let pids = format!("{} and {} use it already", a.pid(), child.pid());
        let third = open().err().ok_or("a third was let in")?.to_string();
        assert!(third.contains(&pids), "{third}");
        assert!(a.ask("receive duo")?.starts_with("its from "));
        child.wait()?;
    }
    Ok(())
}

pub fn one_at_a_time(mechanism: Mechanism) -> Outcome {
    let stage = Stage::new()?;
    let (mut boss, mut one, mut two) =
        (stage.actor("boss")?, stage.actor("w1")?, stage.actor("w2")?);
    boss.does(&format!(
        "create jobs mechanism={mechanism} policy=one-at-a-time receivers=members"
    ))?;
    one.does("open jobs")?;
    two.does("open jobs")?;
    for i in 0..3 {
        waiting(&mut one, "receive jobs")?;
        waiting(&mut two, "receive jobs")?;
        assert_eq!(boss.ask(&format!("deliver jobs {i}"))?, format!("taken by w1 {}", one.pid()));
        one.hear(&format!("{i} from boss"))?;
        assert_eq!(boss.ask("deliver jobs next")?, format!("taken by w2 {}", two.pid()));
        two.hear("next from boss")?;
    }
    waiting(&mut one, "receive jobs")?;
    assert_eq!(boss.ask("try_receive jobs")?, "nothing");
    waiting(&mut two, "receive jobs")?;
    one.killed()?;
    assert_eq!(boss.ask("deliver jobs last")?, format!("taken by w2 {}", two.pid()));
    two.hear("last from boss")?;
    Ok(())
}

pub fn waited_for() -> Outcome {
    let stage = Stage::new()?;
    let (mut a, mut b) = (stage.actor("a")?, stage.actor("b")?);
    let absent = b.ask("open jobs")?;
    assert!(absent.contains("no mailbox 'jobs' in domain 'lab'"), "{absent}");
    b.tell("await jobs")?;
    until_asleep(b.pid());
    a.does("create other")?;
    a.does("create jobs")?;
    b.hear("done")?;
    b.does("send jobs x")?;
    assert_eq!(a.ask("receive jobs")?, "x from b");
    Ok(())
}

pub fn raced() -> Outcome {
    let stage = Stage::new()?;
    let mut actors =
        (0..20).map(|i| stage.actor(&format!("p{i}"))).collect::<Result<Vec<_>, _>>()?;
    for round in 0..5 {
        let name = format!("m{round}");
        for actor in &mut actors {
            actor.tell(&format!("create {name} existing=either receivers=members"))?;
        }
        for actor in &mut actors {
            actor.hear("done")?;
        }
        // It is one mailbox.
        for (i, actor) in actors.iter_mut().enumerate() {
            actor.does(&format!("send {name} {i}"))?;
        }
        for i in 0..20 {
            assert_eq!(actors[19 - i].ask(&format!("receive {name}"))?, format!("{i} from p{i}"));
        }
    }
    Ok(())
}

pub fn existing() -> Outcome {
    let stage = Stage::new()?;
    let (mut a, mut b) = (stage.actor("a")?, stage.actor("b")?);
    assert!(b.ask("create jobs existing=open")?.contains("no mailbox"));
    a.does("create jobs")?;
    let taken = b.ask("create jobs")?;
    assert!(taken.contains(&format!("exists already, at process {}", a.pid())), "{taken}");
    b.does("create jobs existing=open")?;
    b.does("create jobs existing=either")?;
    assert!(b.ask("create ../jobs")?.contains("is no name"));
    let long = b.ask(&format!("create other schema={}", "s".repeat(65)))?;
    assert!(long.contains("at most 64"), "{long}");
    Ok(())
}

pub fn schemas() -> Outcome {
    let stage = Stage::new()?;
    let (mut a, mut b) = (stage.actor("a")?, stage.actor("b")?);
    a.does("create jobs schema=job/1")?;
    a.does("create bare")?;
    b.does("open jobs job/1")?;
    b.does("open jobs")?;
    let refused = b.ask("open jobs job/2")?;
    assert!(refused.contains("the schema 'job/1', not the schema 'job/2'"), "{refused}");
    assert!(b.ask("create jobs existing=either schema=job/2")?.contains("not the schema"));
    assert!(b.ask("open bare job/1")?.contains("no schema"));
    Ok(())
}

pub fn forked() -> Outcome {
    let stage = Stage::new()?;
    let me = stage.join("me")?;
    let jobs = me.create_mailbox::<Bytes>("jobs", MailboxOptions::default())?;
    jobs.send(b"1")?;
    fork((), |()| {
        assert!(jobs.send(b"2").is_err() && jobs.try_receive().is_err());
        assert!(jobs.sender().is_err() && jobs.status().is_err() && jobs.destroy().is_err());
        assert!(jobs.transfer_to("nobody").is_err());
        assert!(me.open_mailbox::<Bytes>("jobs").is_err());
        assert!(me.create_mailbox::<Bytes>("more", MailboxOptions::default()).is_err());
        drop(jobs.clone());
        Ok(())
    })?
    .wait()?;
    assert_eq!(&**jobs.receive()?, b"1");
    assert_eq!(jobs.status()?.queued, 0);
    drop((me, jobs));
    assert!(stage.is_bare());
    Ok(())
}
