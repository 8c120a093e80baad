//! Who a process is in its domain, and what its children and threads are.

use crate::lab::Lab;
use postbox::{Absence, JoinError, JoinOptions, LinkError, LinkOptions, Process, fork};
use postbox_tests::{Case, Outcome, bystander, soon};
use std::thread;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("a name is free again when its last handle is dropped", name_is_free),
        Case::new("names that cannot be are refused", impossible_names),
        Case::new("a child of plain fork cannot use what it inherited", plain_child),
        Case::new("a forked child is in no domain, and may join", forked_child),
        Case::new("clones in threads are one member with ends of their own", clones),
        Case::new("a process under two names has a link with itself", two_names),
    ]
}

fn name_is_free() -> Outcome {
    let lab = Lab::new()?;
    let domain = lab.domain()?;
    for _ in 0..20 {
        let me = domain.join("me")?;
        let again = domain.join("me").unwrap_err();
        assert!(
            matches!(&again, JoinError::Taken { pid, .. } if *pid == std::process::id()),
            "{again}"
        );
        let second = me.clone();
        drop(me);
        assert!(domain.join("me").is_err(), "a clone holds it still");
        drop(second);
    }
    drop(domain);
    assert!(lab.is_bare());
    Ok(())
}

fn impossible_names() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    let oneself = me.send("me", &1).unwrap_err().to_string();
    assert!(oneself.contains("itself"), "{oneself}");
    for name in ["", "..", "a/b", "-x", &"n".repeat(65)] {
        assert!(matches!(me.sender_to::<i32>(name), Err(LinkError::InvalidName(_))), "{name}");
        assert!(matches!(lab.domain()?.join(name), Err(JoinError::InvalidName(_))), "{name}");
    }
    Ok(())
}

fn refused_to_children(me: &Process) {
    let error = me.send("other", &1).unwrap_err().to_string();
    assert!(error.contains("joined the domain in another process"), "{error}");
    assert!(me.try_receive::<i32>().is_err());
    assert!(me.receive_from::<i32>("other").is_err());
    assert!(me.links().is_err());
    assert!(me.monitor("other").is_err());
    assert!(me.clone().sender_to::<i32>("other").is_err());
}

fn plain_child() -> Outcome {
    let lab = Lab::new()?;
    let mut actor = lab.actor("other", "forward me")?;
    let me = lab.join("me")?;
    actor.tell("one")?;
    assert_eq!(*me.receive_with::<String>(&soon())?, "one");
    let inherited = me.clone();
    bystander(move || {
        refused_to_children(&inherited);
        drop(inherited);
    })?
    .ended_well();
    // Nothing that the child did, dropped or closed has touched the membership.
    actor.tell("two")?;
    assert_eq!(*me.receive_with::<String>(&soon())?, "two");
    assert!(lab.domain()?.join("me").is_err());
    // Nor does a child that outlives us keep the name.
    Ok(())
}

fn forked_child() -> Outcome {
    let lab = Lab::new()?;
    let mut actor = lab.actor("other", "take")?;
    let domain = lab.domain()?;
    let waits = JoinOptions::new().links(LinkOptions::default().absent(Absence::Wait));
    let me = domain.join_with("me", waits)?;
    let child = fork((), |()| {
        refused_to_children(&me);
        assert!(matches!(domain.join("me"), Err(JoinError::Taken { .. })));
        let own = domain.join("child")?;
        own.send_with("other", &"from the child".to_string(), &soon())?;
        own.receive_from_with::<String>("me", &soon())?;
        Ok(())
    })?;
    actor.tell("child")?;
    actor.hear("from the child")?;
    me.send_with("child", &"go".to_string(), &soon())?;
    child.wait()?;
    actor.tell("me")?;
    me.send("other", &"from me".to_string())?;
    actor.hear("from me")
}

fn clones() -> Outcome {
    const EACH: u32 = 500;
    let lab = Lab::new()?;
    let hub = lab.join("hub")?;
    let me = lab.join("me")?;
    let threads: Vec<_> = (0..4u32)
        .map(|thread| {
            let me = me.clone();
            thread::spawn(move || {
                (0..EACH).for_each(|i| me.send_with("hub", &(thread, i), &soon()).unwrap());
            })
        })
        .collect();
    let takers: Vec<_> = (0..3)
        .map(|taker| {
            let hub = hub.clone();
            thread::spawn(move || {
                let mut taken = Vec::new();
                loop {
                    // Some by name, some from anyone.
                    let message = match taker {
                        0 => hub.receive_from_with::<(u32, u32)>("me", &soon()),
                        _ => hub.receive_with::<(u32, u32)>(&soon()),
                    }
                    .unwrap()
                    .into_inner();
                    if message.0 == u32::MAX {
                        return taken;
                    }
                    taken.push(message);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    (0..3).for_each(|_| me.send("hub", &(u32::MAX, 0u32)).unwrap());
    let mut all: Vec<_> = takers
        .into_iter()
        .flat_map(|taker| {
            let taken = taker.join().unwrap();
            for thread in 0..4 {
                assert!(taken.iter().filter(|(t, _)| *t == thread).is_sorted());
            }
            taken
        })
        .collect();
    all.sort();
    let expected = (0..4).flat_map(|thread| (0..EACH).map(move |i| (thread, i)));
    assert!(all.into_iter().eq(expected));
    assert_eq!((me.links()?.len(), hub.links()?.len()), (1, 1));
    Ok(())
}

fn two_names() -> Outcome {
    let lab = Lab::new()?;
    let (one, two) = (lab.join("one")?, lab.join("two")?);
    for i in 0..100 {
        one.send("two", &i)?;
        let message = two.receive::<u32>()?;
        assert_eq!((*message, message.sender().name().unwrap().as_str()), (i, "one"));
        two.send("one", &i)?;
        assert_eq!(*one.receive_from::<u32>("two")?, i);
    }
    // One leaves: the other is told, once.
    one.send("two", &100u32)?;
    drop(one);
    assert_eq!(*two.receive_from::<u32>("one")?, 100);
    assert!(two.receive_from::<u32>("one").unwrap_err().is_disconnected());
    assert!(two.receive_from::<u32>("one").unwrap_err().is_absent());
    // And comes back, in the same process: another member.
    let one = lab.join("one")?;
    one.send("two", &7u32)?;
    assert_eq!(*two.receive_from::<u32>("one")?, 7);
    two.send("one", &8u32)?;
    assert_eq!(*one.receive::<u32>()?, 8);
    assert_eq!((one.links()?.len(), two.links()?.len()), (1, 1));
    Ok(())
}
