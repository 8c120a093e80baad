//! The terms of a link: which way it goes, over what, and what it tells of itself.

use crate::lab::Lab;
use nix::unistd::getuid;
use postbox::{Capacity, Direction, JoinOptions, LinkError, LinkOptions, Mechanism, Options, Wait};
use postbox_tests::{Case, Outcome, own_thread, soon, until_asleep};
use std::thread;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("a link in one direction refuses the other", unidirectional),
        Case::new(
            "in a domain of one-way links a receive waits for the partner",
            waits_to_be_asked,
        ),
        Case::new("a second one that insists on other terms is refused", mismatch),
        Case::new("links tell what there is", links_told),
    ]
}

fn unidirectional() -> Outcome {
    let lab = Lab::new()?;
    for (mine, theirs) in [("a", "b"), ("d", "c")] {
        let (me, other) = (lab.join(mine)?, lab.join(theirs)?);
        let outward = LinkOptions::default().direction(Direction::Outward);
        let info = me.link_with(theirs, outward.clone())?;
        assert_eq!(info.direction(), Some(Direction::Outward));
        me.send(theirs, &1)?;
        assert_eq!(*other.receive_from::<i32>(mine)?, 1);
        let error = other.send(mine, &2).unwrap_err();
        assert!(error.is_unidirectional() && error.to_string().contains(mine), "{error}");
        assert!(me.receive_from::<i32>(theirs).unwrap_err().is_unidirectional());
        assert!(me.try_receive_from::<i32>(theirs).unwrap_err().is_unidirectional());
        assert!(matches!(other.sender_to::<i32>(mine), Err(LinkError::Unidirectional { .. })));
        // Again the same: fine. Both ways: not any more.
        me.link_with(theirs, outward)?;
        assert!(other.link_with(mine, LinkOptions::default()).unwrap_err().is_mismatch());
        me.send(theirs, &3)?;
        assert_eq!(*other.receive::<i32>()?, 3);
    }
    Ok(())
}

fn waits_to_be_asked() -> Outcome {
    let lab = Lab::new()?;
    let outward = JoinOptions::new().links(LinkOptions::default().direction(Direction::Outward));
    for (mine, theirs) in [("a", "b"), ("d", "c")] {
        let me = lab.domain()?.join_with(mine, outward.clone())?;
        let absent = me.receive_from::<i32>(theirs).unwrap_err();
        assert!(absent.is_absent(), "{absent}");
        let other = lab.domain()?.join_with(theirs, outward.clone())?;
        let patience = Wait::timeout(Duration::from_millis(10));
        assert!(me.receive_from_with::<i32>(theirs, &patience).unwrap_err().is_timeout());
        assert!(me.links()?.is_empty());
        let own = own_thread();
        let name = mine.to_string();
        let sending = thread::spawn(move || {
            until_asleep(own);
            other.send(&name, &7).unwrap();
            other
        });
        assert_eq!(*me.receive_from_with::<i32>(theirs, &soon())?, 7);
        let other = sending.join().unwrap();
        assert!(me.send(theirs, &1).unwrap_err().is_unidirectional());
        drop(other);
    }
    Ok(())
}

fn mismatch() -> Outcome {
    let lab = Lab::new()?;
    for (mine, theirs) in [("a", "b"), ("d", "c")] {
        let (me, other) = (lab.join(mine)?, lab.join(theirs)?);
        let terms =
            |n| LinkOptions::new(Options::new(Mechanism::Pipe).capacity(Capacity::Bounded(n)));
        me.link_with(theirs, terms(5))?;
        me.link_with(theirs, terms(5))?;
        other.link_with(mine, terms(5))?;
        let error = other.link_with(mine, terms(6)).unwrap_err();
        let text = error.to_string();
        assert!(error.is_mismatch() && text.contains("capacity 6") && text.contains("capacity 5"));
        assert!(me.link_with(theirs, terms(7)).unwrap_err().is_mismatch());
        // What does not insist takes it as it is.
        other.send(mine, &1)?;
        let tx = other.sender_to::<i32>(mine)?;
        assert_eq!((tx.mechanism(), tx.capacity()), (Mechanism::Pipe, Capacity::Bounded(5)));
        assert_eq!(*me.receive::<i32>()?, 1);
    }
    let schema = |s: &str| JoinOptions::new().links(LinkOptions::default().schema(s));
    for (mine, theirs) in [("e", "f"), ("h", "g")] {
        let me = lab.domain()?.join_with(mine, schema("job/1"))?;
        let other = lab.domain()?.join_with(theirs, schema("job/2"))?;
        let error = me.send(theirs, &1).unwrap_err();
        assert!(error.is_mismatch() && error.to_string().contains("job/2"), "{error}");
        drop(other);
        // Who states none takes any.
        let other = lab.join(theirs)?;
        me.send(theirs, &1)?;
        assert_eq!(*other.receive::<i32>()?, 1);
        let insists = LinkOptions::default().schema("job/3");
        assert!(other.link_with(mine, insists).unwrap_err().is_mismatch());
    }
    let long = LinkOptions::default().schema("s".repeat(65));
    assert!(lab.domain()?.join_with("x", JoinOptions::new().links(long)).is_err());
    Ok(())
}

fn links_told() -> Outcome {
    let lab = Lab::new()?;
    let me = lab.join("me")?;
    let actor = lab.actor("other", "hold")?;
    assert!(me.links()?.is_empty());
    let options = Options::new(Mechanism::Socket).capacity(Capacity::Bounded(9));
    me.link_with("other", LinkOptions::new(options).schema("text/1"))?;
    me.send("other", &"waits".to_string())?;
    let links = me.links()?;
    let [link] = &links[..] else { return Err(format!("{links:?}").into()) };
    assert_eq!(link.partner().name().unwrap().as_str(), "other");
    assert_eq!(
        (link.partner().pid(), link.partner().uid()),
        (actor.pid(), Some(getuid().as_raw()))
    );
    assert_eq!((link.mechanism(), link.capacity()), (Mechanism::Socket, Capacity::Bounded(9)));
    assert_eq!((link.schema(), link.direction()), (Some("text/1"), Some(Direction::Both)));
    let (waiting, statistics) = link.outgoing().ok_or("no way out")?;
    assert_eq!((waiting, statistics.sent), (1, 1));
    assert_eq!(link.incoming().ok_or("no way back")?.0, 0);
    Ok(())
}
