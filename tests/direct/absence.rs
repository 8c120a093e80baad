//! A partner that is not there yet, or no more.

use crate::lab::{Lab, open};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use postbox::{Absence, JoinOptions, LinkError, LinkOptions, Options, Wait};
use postbox_tests::{Case, Outcome, eventually, own_thread, soon, until_asleep};
use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("an absent partner is an error at once", absent),
        Case::new("an absent partner is waited for until it joins", waited_for),
        Case::new(
            "a partner killed and restarted is drained, then ended once, then new",
            restarted,
        ),
        Case::new("a sender finds the successor of a partner that was killed", successor),
        Case::new("a stopped partner keeps no deadline from being kept", stopped),
        Case::new("a link that its asker gave up waiting for carries messages", given_up),
        Case::new(
            "what the gone have left stands in the way of more, and none of it is lost",
            undrained,
        ),
    ]
}

fn absent() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    for name in ["a-nobody", "z-nobody"] {
        let error = me.send(name, &1).unwrap_err();
        let text = error.to_string();
        assert!(error.is_absent(), "{error}");
        assert!(text.contains(name) && text.contains("'lab'") && text.contains("Absence::Wait"));
        assert!(me.try_send(name, &1).unwrap_err().is_absent());
        assert!(me.deliver(name, &1).unwrap_err().is_absent());
        assert!(me.receive_from::<i32>(name).unwrap_err().is_absent());
        assert!(me.try_receive_from::<i32>(name).unwrap_err().is_absent());
        assert!(me.monitor(name).unwrap_err().is_absent());
        assert!(me.sender_to::<i32>(name).unwrap_err().is_absent());
    }
    Ok(())
}

fn waited_for() -> Outcome {
    let lab = Lab::new()?;
    let waits = JoinOptions::new().links(LinkOptions::default().absent(Absence::Wait));
    let me = lab.domain()?.join_with("me", waits)?;
    for name in ["a-late", "z-late"] {
        assert!(me.try_send(name, &1).unwrap_err().is_absent(), "it never waits");
        let start = Instant::now();
        let patience = Duration::from_millis(20);
        let late = me.send_with(name, &"x".to_string(), &Wait::timeout(patience));
        let late = late.unwrap_err();
        assert!(late.is_timeout() && late.is_absent() && start.elapsed() >= patience, "{late}");
        assert!(late.to_string().contains(name) && late.to_string().contains("'lab'"), "{late}");
        let late = me.receive_from_with::<String>(name, &Wait::timeout(patience)).unwrap_err();
        assert!(late.is_timeout() && late.is_absent(), "{late}");
        let cancel = postbox::Cancel::new()?;
        let (own, firing) = (own_thread(), cancel.clone());
        let canceller = thread::spawn(move || {
            until_asleep(own);
            firing.fire();
        });
        let cancelled = me.send_with(name, &"x".to_string(), &soon().cancelled_by(&cancel));
        assert!(cancelled.unwrap_err().is_cancelled());
        canceller.join().unwrap();
        // It joins while we sleep, and an unrelated one before it.
        let own = own_thread();
        let place = lab.place.path().to_owned();
        let joining = thread::spawn(move || {
            until_asleep(own);
            let domain = open(&place).unwrap();
            let other = domain.join("unrelated").unwrap();
            until_asleep(own);
            let late = domain.join(name).unwrap();
            drop(other);
            assert_eq!(*late.receive_from::<String>("me").unwrap(), "at last");
        });
        let _ = me.deliver_with(name, &"at last".to_string(), &soon())?;
        joining.join().unwrap();
    }
    Ok(())
}

fn restarted() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    for name in ["a-worker", "z-worker"] {
        let mut first = lab.actor(name, "forward me")?;
        for i in 0..3 {
            first.tell(&format!("first {i}"))?;
            first.hear("sent")?;
        }
        assert_eq!(*me.receive_from_with::<String>(name, &soon())?, "first 0");
        let pid = first.pid();
        first.killed()?;
        let mut second = lab.actor(name, "forward me")?;
        second.tell("second")?;
        second.hear("sent")?;
        for i in 1..3 {
            let message = me.receive_from_with::<String>(name, &soon())?;
            assert_eq!((message.as_str(), message.sender().pid()), (&*format!("first {i}"), pid));
        }
        let end = me.receive_from_with::<String>(name, &soon()).unwrap_err();
        assert!(end.is_disconnected(), "{end}");
        let message = me.receive_from_with::<String>(name, &soon())?;
        assert_eq!((message.as_str(), message.sender().pid()), ("second", second.pid()));
        // A handle that never looked gets what is left and no more than that.
        assert!(me.clone().try_receive_from::<String>(name)?.is_none());
    }
    // Asleep in a receive when it happens.
    let mut actor = lab.actor("late", "forward me")?;
    actor.tell("x")?;
    assert_eq!(*me.receive_from_with::<String>("late", &soon())?, "x");
    let own = own_thread();
    let death = thread::spawn(move || {
        until_asleep(own);
        actor.killed().unwrap();
        Instant::now()
    });
    assert!(me.receive_from_with::<String>("late", &soon()).unwrap_err().is_disconnected());
    let told = Instant::now();
    assert!(told.saturating_duration_since(death.join().unwrap()) < Duration::from_millis(200));
    assert!(me.receive_from::<String>("late").unwrap_err().is_absent());
    Ok(())
}

fn successor() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    for name in ["a-taker", "z-taker"] {
        let mut first = lab.actor(name, "take")?;
        first.tell("me")?;
        let _ = me.deliver_with(name, &"1".to_string(), &soon())?;
        first.hear("1")?;
        first.killed()?;
        let mut second = lab.actor(name, "take")?;
        second.tell("me")?;
        let mut ends = 0;
        let receipt = loop {
            match me.deliver_with(name, &"2".to_string(), &soon()) {
                Ok(receipt) => break receipt,
                Err(error) if error.is_disconnected() => ends += 1,
                Err(error) => return Err(error.into()),
            }
        };
        assert!(ends <= 1, "told {ends} times of one end");
        assert_eq!(receipt.receiver().pid(), second.pid());
        second.hear("2")?;
    }
    Ok(())
}

fn given_up() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    // With the smaller name it makes the link, at this process's request.
    let mut actor = lab.actor("a-forwarder", "forward me")?;
    actor.signal(Signal::SIGSTOP)?;
    let soon_over = Wait::timeout(Duration::from_millis(30));
    let error = me.send_with("a-forwarder", &"x".to_string(), &soon_over).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    actor.signal(Signal::SIGCONT)?;
    // What was asked before has been answered, to nobody.
    assert_eq!(lab.domain()?.links_of("a-forwarder")?.len(), 1);
    assert_eq!(me.links()?.len(), 0);
    actor.tell("hello")?;
    actor.hear("sent")?;
    assert_eq!(*me.receive_with::<String>(&soon())?, "hello");
    assert_eq!(me.links()?.len(), 1);
    actor.ended_well()
}

fn stopped() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    for name in ["a-idler", "z-idler"] {
        let mut actor = lab.actor(name, "take")?;
        actor.signal(Signal::SIGSTOP)?;
        for patience in [1, 30] {
            let patience = Duration::from_millis(patience);
            let start = Instant::now();
            let error = me.send_with(name, &"x".to_string(), &Wait::timeout(patience)).unwrap_err();
            let took = start.elapsed();
            assert!(error.is_timeout() && !error.is_absent(), "{error}");
            assert!(took >= patience && took < Duration::from_secs(1), "{took:?}");
        }
        let cancel = postbox::Cancel::new()?;
        cancel.fire();
        let wait = soon().cancelled_by(&cancel);
        assert!(me.receive_from_with::<String>(name, &wait).unwrap_err().is_cancelled());
        let full = me.try_send(name, &"x".to_string()).unwrap_err();
        assert!(matches!(full, postbox::DirectError::Link(LinkError::TimedOut)), "{full}");
        actor.signal(Signal::SIGCONT)?;
        actor.tell("me")?;
        me.send_with(name, &"after all".to_string(), &soon())?;
        actor.hear("after all")?;
        assert_eq!(me.links()?.len(), 1);
        // Now that there is a link, its registrar is not needed.
        actor.signal(Signal::SIGSTOP)?;
        me.send_with(name, &"meanwhile".to_string(), &soon())?;
        actor.signal(Signal::SIGCONT)?;
        actor.tell("me")?;
        actor.hear("meanwhile")?;
        actor.ended_well()?;
        eventually("the link's end", || me.links().unwrap().is_empty().then_some(()));
    }
    Ok(())
}

fn undrained() -> Outcome {
    let lab = Lab::new()?;
    let hub = lab.join("hub")?;
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, 600, hard)?;
    // The one makes its link itself, the other asks for it; the third is always another.
    let comes_and_goes = |i: u32| -> Result<(), Box<dyn Error>> {
        let name = match i % 3 {
            0 => "a".to_owned(),
            1 => "z".to_owned(),
            _ => format!("p{i}"),
        };
        Ok(lab.join(&name)?.send("hub", &i)?)
    };
    for _ in 0..2 {
        let mut left = 0;
        let refusal = loop {
            match comes_and_goes(left) {
                Ok(()) => left += 1,
                Err(error) => break error.to_string(),
            }
            assert!(left < 300, "nothing stands in the way");
        };
        assert!(
            refusal.contains(&format!("{left} links of processes that have gone")),
            "{refusal}"
        );
        for name in ["a", "b", "z"] {
            let process = lab.join(name)?;
            let refused = process.link_with("hub", Options::default()).unwrap_err();
            assert!(matches!(refused, LinkError::Refused { .. }), "{refused}");
            let refused = hub.link_with(name, Options::default()).unwrap_err();
            assert!(matches!(refused, LinkError::Refused { .. }), "{refused}");
        }
        let mut received = Vec::new();
        while let Some(message) = hub.try_receive::<u32>()? {
            received.push(*message);
        }
        received.sort();
        assert!(received.into_iter().eq(0..left), "something was lost");
        println!("{left} were kept");
    }
    Ok(())
}
