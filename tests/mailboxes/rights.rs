//! Who may do what.

use crate::actor::Stage;
use postbox_tests::{Outcome, until_asleep};

pub fn owner_alone() -> Outcome {
    let stage = Stage::new()?;
    let (mut boss, mut other) = (stage.actor("boss")?, stage.actor("other")?);
    boss.does("create jobs")?;
    other.does("open jobs")?;
    other.does("send jobs x")?;
    let refused = other.ask("receive jobs")?;
    assert_eq!(refused, "error: this process may not receive from mailbox 'jobs': boss may");
    assert_eq!(other.ask("receiver jobs")?, refused);
    assert_eq!(other.ask("try_receive jobs")?, refused);
    assert_eq!(boss.ask("receive jobs")?, "x from other");
    Ok(())
}

pub fn listed() -> Outcome {
    let stage = Stage::new()?;
    let (mut boss, mut worker, mut other) =
        (stage.actor("boss")?, stage.actor("w1")?, stage.actor("other")?);
    boss.does("create jobs receivers=w1,w2")?;
    boss.does("send jobs x")?;
    // The owner is not among them.
    assert!(boss.ask("receive jobs")?.contains("w1, w2 may"));
    other.does("open jobs")?;
    assert!(other.ask("receive jobs")?.contains("w1, w2 may"));
    worker.does("open jobs")?;
    assert_eq!(worker.ask("receive jobs")?, "x from boss");
    // Listed before it was there.
    let mut late = stage.actor("w2")?;
    late.does("open jobs")?;
    boss.does("send jobs y")?;
    assert_eq!(late.ask("receive jobs")?, "y from boss");
    Ok(())
}

pub fn survives_restart() -> Outcome {
    let stage = Stage::new()?;
    let (mut boss, mut worker) = (stage.actor("boss")?, stage.actor("w")?);
    boss.does("create jobs")?;
    worker.does("open jobs")?;
    assert!(worker.ask("receive jobs")?.contains("boss may"));
    boss.does("grant jobs w")?;
    for _ in 0..3 {
        boss.does("send jobs x")?;
        assert_eq!(worker.ask("receive jobs")?, "x from boss");
        worker.tell("receive jobs")?;
        until_asleep(worker.pid());
        worker.killed()?;
        worker = stage.actor("w")?;
        worker.does("open jobs")?;
    }
    // To that name alone.
    let mut other = stage.actor("x")?;
    other.does("open jobs")?;
    assert!(other.ask("receive jobs")?.contains("boss, w may"));
    Ok(())
}

pub fn revoked() -> Outcome {
    let stage = Stage::new()?;
    let (mut boss, mut one, mut two) =
        (stage.actor("boss")?, stage.actor("w1")?, stage.actor("w2")?);
    boss.does("create jobs receivers=members")?;
    for worker in [&mut one, &mut two] {
        worker.does("open jobs")?;
        worker.tell("receive jobs")?;
        until_asleep(worker.pid());
    }
    boss.does("revoke jobs w1")?;
    let refused = one.next()?;
    assert!(
        refused.contains("may not receive") && refused.contains("members but not w1"),
        "{refused}"
    );
    assert!(one.ask("try_receive jobs")?.contains("may not receive"));
    // It may still send, and the other goes on.
    one.does("send jobs x")?;
    two.hear("x from w1")?;
    boss.does("grant jobs w1")?;
    boss.does("send jobs y")?;
    assert_eq!(one.ask("receive jobs")?, "y from boss");
    Ok(())
}

pub fn revoked_early() -> Outcome {
    let stage = Stage::new()?;
    let (mut boss, mut worker) = (stage.actor("boss")?, stage.actor("w")?);
    boss.does("create jobs receivers=members senders=members")?;
    // It knows that it may, and has made no end yet.
    worker.does("open jobs")?;
    boss.does("revoke jobs w")?;
    boss.does("revoke_send jobs w")?;
    boss.does("send jobs x")?;
    assert!(worker.ask("receive jobs")?.contains("may not receive"));
    assert!(worker.ask("send jobs y")?.contains("may not send"));
    assert_eq!(boss.ask("receive jobs")?, "x from boss");
    assert_eq!(boss.ask("try_receive jobs")?, "nothing");
    Ok(())
}

pub fn send_limited() -> Outcome {
    let stage = Stage::new()?;
    let (mut boss, mut worker) = (stage.actor("boss")?, stage.actor("w")?);
    boss.does("create news senders=owner receivers=members capacity=1")?;
    worker.does("open news")?;
    assert_eq!(
        worker.ask("send news x")?,
        "error: this process may not send to mailbox 'news': boss may"
    );
    assert!(worker.ask("deliver news x")?.contains("may not send"));
    boss.does("grant_send news w")?;
    worker.does("send news x")?;
    // Full: this one waits, until it may no more.
    worker.tell("send news y")?;
    until_asleep(worker.pid());
    boss.does("revoke_send news w")?;
    assert!(worker.next()?.contains("boss may"));
    // By now the end that sent it is gone, and with it the name.
    assert!(worker.ask("receive news")?.starts_with("x from"));
    assert_eq!(worker.ask("try_receive news")?, "nothing");
    // Who may do nothing is told so.
    boss.does("create own senders=owner")?;
    let neither = worker.ask("open own")?;
    assert!(neither.contains("to send: boss; to receive: boss"), "{neither}");
    Ok(())
}

pub fn changed_by_owner() -> Outcome {
    let stage = Stage::new()?;
    let (mut boss, mut other) = (stage.actor("boss")?, stage.actor("other")?);
    boss.does("create jobs")?;
    other.does("open jobs")?;
    for order in ["grant jobs other", "revoke jobs boss", "transfer jobs other", "destroy jobs"] {
        let refused = other.ask(order)?;
        assert!(refused.ends_with("is not this process's to change: boss may"), "{refused}");
    }
    // Not even by the owner is its own right taken away.
    assert!(boss.ask("revoke jobs boss")?.contains("by being the owner"));
    let admin = stage.domain()?.mailbox("jobs")?;
    assert!(admin.destroy().unwrap_err().is_denied());
    assert_eq!(admin.status()?.may_receive.to_string(), "owner");
    other.does("send jobs x")?;
    assert_eq!(boss.ask("receive jobs")?, "x from other");
    Ok(())
}
