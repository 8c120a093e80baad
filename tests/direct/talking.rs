//! Who sends to whom, and what arrives.

use crate::lab::Lab;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::unistd::getuid;
use postbox::{Bytes, Capacity, JoinOptions, Mechanism, Options, Wait};
use postbox_tests::{
    Case, Outcome, cpu_time, eventually, over, over_capacities, own_thread, soon, until_asleep,
};
use std::collections::HashMap;
use std::thread;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    let capacities = [Capacity::Zero, Capacity::Bounded(3), Capacity::Unbounded];
    let mut cases = vec![
        Case::new("whoever receives from anyone learns name, pid and user", from_anyone),
        Case::new("whoever names its partner gets that one's messages alone", symmetric),
        Case::new("two hundred senders reach one receiver in order", two_hundred),
        Case::new("a receive from anyone outlives every sender", never_ended),
        Case::new("a sleeping receive is woken by a link that is new", woken_by_new_link),
    ];
    cases.extend(over_capacities("messages go both ways in order", &capacities, both_ways));
    cases.extend(over("large and raw messages go over a link", raw));
    cases
}

fn from_anyone() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    let mut actors = Vec::new();
    for name in ["alpha", "zeta"] {
        let mut actor = lab.actor(name, "forward me")?;
        actor.tell(&format!("I am {name}"))?;
        actors.push((name, actor));
    }
    for _ in 0..2 {
        let message = me.receive_with::<String>(&soon())?;
        let sender = message.sender();
        let name = sender.name().ok_or("no name")?.as_str();
        let (_, actor) = actors.iter().find(|(n, _)| *n == name).ok_or("a stranger")?;
        assert_eq!(*message, format!("I am {name}"));
        assert_eq!((sender.pid(), sender.uid()), (actor.pid(), Some(getuid().as_raw())));
    }
    assert!(me.try_receive::<String>()?.is_none());
    Ok(())
}

fn symmetric() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    let mut alpha = lab.actor("alpha", "forward me")?;
    let mut zeta = lab.actor("zeta", "forward me")?;
    assert!(me.try_receive_from::<String>("alpha")?.is_none());
    for i in 0..5 {
        alpha.tell(&format!("a{i}"))?;
        alpha.hear("sent")?;
        zeta.tell(&format!("z{i}"))?;
        zeta.hear("sent")?;
    }
    for i in 0..5 {
        assert_eq!(*me.receive_from_with::<String>("zeta", &soon())?, format!("z{i}"));
    }
    assert!(me.try_receive_from::<String>("zeta")?.is_none());
    let late = me.receive_from_with::<String>("zeta", &Wait::timeout(Duration::from_millis(5)));
    assert!(late.unwrap_err().is_timeout());
    for i in 0..5 {
        let message = me.try_receive_from::<String>("alpha")?.ok_or("nothing")?;
        assert_eq!((message.as_str(), message.sender().pid()), (&*format!("a{i}"), alpha.pid()));
    }
    // Synchronous, and the other way.
    let mut taker = lab.actor("taker", "take")?;
    taker.tell("me")?;
    let receipt = me.deliver_with("taker", &"for you".to_string(), &soon())?;
    assert_eq!(receipt.receiver().pid(), taker.pid());
    assert_eq!(receipt.receiver().name().map(|name| name.as_str()), Some("taker"));
    taker.hear("for you")?;
    let refused =
        me.deliver_with("taker", &"no".to_string(), &Wait::timeout(Duration::from_millis(5)));
    assert!(refused.unwrap_err().is_timeout());
    Ok(())
}

fn all_descriptors() -> Outcome {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

fn two_hundred() -> Outcome {
    const SENDERS: usize = 200;
    const EACH: u32 = 5;
    all_descriptors()?;
    let lab = Lab::new()?;
    let me = lab.join("hub")?;
    let actors = (0..SENDERS)
        .map(|i| lab.started(&format!("sender-{i}"), &format!("say hub {EACH}")))
        .collect::<Result<Vec<_>, _>>()?;
    let mut next = HashMap::new();
    for _ in 0..SENDERS as u32 * EACH {
        let message = me.receive_with::<(String, u32)>(&soon())?;
        assert_eq!(message.sender().name().map(|n| n.as_str()), Some(&*message.0));
        let expected = next.entry(message.0.clone()).or_insert(0);
        assert_eq!(message.1, *expected);
        *expected += 1;
    }
    assert_eq!(next.len(), SENDERS);
    for actor in actors {
        actor.ended_well()?;
    }
    assert!(me.try_receive::<(String, u32)>()?.is_none());
    eventually("the links' end", || me.links().unwrap().is_empty().then_some(()));
    Ok(())
}

fn never_ended() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    for round in 0..5 {
        let mut actor = lab.actor("other", "forward me")?;
        actor.tell(&format!("round {round}"))?;
        assert_eq!(*me.receive_with::<String>(&soon())?, format!("round {round}"));
        let own = own_thread();
        let death = thread::spawn(move || {
            until_asleep(own);
            actor.killed().unwrap();
        });
        let late = me.receive_with::<String>(&Wait::timeout(Duration::from_millis(30)));
        assert!(late.unwrap_err().is_timeout());
        death.join().unwrap();
    }
    Ok(())
}

fn woken_by_new_link() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    let mut actor = lab.actor("other", "forward me")?;
    let own = own_thread();
    let order = thread::spawn(move || {
        until_asleep(own);
        let before = cpu_time(std::process::id());
        thread::sleep(Duration::from_millis(50));
        assert!(cpu_time(std::process::id()) - before < Duration::from_millis(20));
        actor.tell("hello").unwrap();
        actor
    });
    assert_eq!(*me.receive::<String>()?, "hello");
    let mut actor = order.join().unwrap();
    // By name, and while the partner is known but silent.
    let own = own_thread();
    let order = thread::spawn(move || {
        until_asleep(own);
        actor.tell("again").unwrap();
        actor
    });
    assert_eq!(*me.receive_from::<String>("other")?, "again");
    drop(order.join().unwrap());
    Ok(())
}

fn both_ways(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let lab = Lab::new()?;
    let options = Options::new(mechanism).capacity(capacity);
    let me = lab.domain()?.join_with("me", JoinOptions::new().links(options))?;
    for name in ["alpha", "zeta"] {
        let mut echo = lab.actor(name, "echo")?;
        for i in 0..200 {
            me.send_with(name, &format!("{i}"), &soon())?;
            let answer = me.receive_from_with::<String>(name, &soon())?;
            assert_eq!(*answer, format!("{i} by {name}"));
        }
        let links = me.links()?;
        let link = links.iter().find(|l| l.partner().pid() == echo.pid()).ok_or("no link")?;
        assert_eq!((link.mechanism(), link.capacity()), (mechanism, capacity));
        if let Capacity::Bounded(n) = capacity {
            echo.signal(Signal::SIGSTOP)?;
            (0..n).try_for_each(|_| me.try_send(name, &String::new()))?;
            assert!(me.try_send(name, &String::new()).unwrap_err().is_full());
            echo.signal(Signal::SIGCONT)?;
        }
        echo.let_go();
        echo.killed()?;
    }
    Ok(())
}

fn raw(mechanism: Mechanism) -> Outcome {
    let lab = Lab::new()?;
    let options = Options::new(mechanism).capacity(Capacity::Bounded(4)).max_message(1 << 20);
    let me = lab.domain()?.join_with("me", JoinOptions::new().links(options))?;
    let other = lab.join("other")?;
    for len in [0, 1, 100, 5000, 1 << 20] {
        let message = vec![len as u8; len];
        me.send_bytes("other", &message)?;
        let taken = other.receive::<Bytes>()?;
        assert_eq!(taken[..], message);
        other.try_send_bytes("me", &message)?;
        assert_eq!(me.receive_from::<Bytes>("other")?[..], message);
    }
    assert!(me.send_bytes("other", &vec![0; (1 << 20) + 1]).is_err());
    let (tx, rx) = (me.sender_to::<Bytes>("other")?, other.receiver_from::<Bytes>("me")?);
    tx.send(b"by its own end")?;
    let mut buffer = Vec::new();
    let peer = rx.receive_into(&mut buffer)?;
    assert_eq!((&buffer[..], peer.name().unwrap().as_str()), (&b"by its own end"[..], "me"));
    Ok(())
}
