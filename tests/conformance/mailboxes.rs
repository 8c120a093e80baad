//! What is a mailbox's own: no absence ends it, and its owner ends it for everybody.

use postbox::{
    Access, Capacity, Child, Domain, DomainOptions, Group, Mailbox, MailboxOptions, Mechanism,
    Options, Process, ReceiveError, Receiver, SendError, Sender, Wait, fork,
};
use postbox_tests::{
    CAPACITIES, Case, Gate, Outcome, destroy_mailboxes, mailbox, median, over_mailboxes, soon,
    until_asleep,
};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the contract says; the median has to keep it, each single time a machine under load.
const CONTRACT: Duration = Duration::from_millis(200);
const AT_MOST: Duration = Duration::from_secs(1);
const TIMES: usize = 3;

pub fn cases() -> Vec<Case> {
    [
        over_mailboxes("receivers wait on for the next sender", &CAPACITIES, next_sender),
        over_mailboxes(
            "senders fill the queue with no receiver left and the next one gets it all",
            &CAPACITIES,
            next_receiver,
        ),
        over_mailboxes(
            "until drained a receiver waits for the first sender and ends with the last",
            &CAPACITIES,
            until_drained,
        ),
        over_mailboxes("destruction ends every call within 200 ms", &CAPACITIES, destroyed),
        over_mailboxes("the owner's sigkill ends every call within 200 ms", &CAPACITIES, killed),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn new(
    mechanism: Mechanism,
    capacity: Capacity,
) -> Result<Mailbox<u32>, Box<dyn std::error::Error>> {
    mailbox(&Options::new(mechanism).capacity(capacity))
}

/// How many are to wait.
fn some(capacity: Capacity) -> u32 {
    match capacity {
        Capacity::Zero => 0,
        Capacity::Bounded(n) => n,
        Capacity::Unbounded => 500,
    }
}

fn briefly() -> Wait<'static> {
    Wait::timeout(Duration::from_millis(5))
}

fn next_sender(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let mailbox = new(mechanism, capacity)?;
    let rx = mailbox.receiver()?;
    assert!(rx.try_receive()?.is_none(), "there was no sender yet");
    for round in 0..3 {
        let sender = fork(mailbox.sender()?, |tx| Ok(tx.send_with(&round, &soon())?))?;
        assert_eq!(*rx.receive_with(&soon())?, round);
        sender.wait()?;
        assert!(rx.try_receive()?.is_none());
        assert!(rx.receive_with(&briefly()).unwrap_err().is_timeout());
        assert!(rx.try_receive_batch(3)?.is_empty());
    }
    // The one that it waits for comes while it sleeps, after another has come in vain.
    let waiting = fork(rx, |rx| {
        assert_eq!(*rx.receive_with(&soon())?, 9);
        Ok(())
    })?;
    until_asleep(waiting.pid());
    drop(mailbox.sender()?);
    let mut vain = fork(mailbox.sender()?, |tx| {
        let _ = tx.len();
        loop {
            nix::unistd::pause();
        }
    })?;
    vain.signal(9)?;
    vain.wait_status()?;
    mailbox.sender()?.send_with(&9, &soon())?;
    Ok(waiting.wait()?)
}

fn next_receiver(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let mailbox = new(mechanism, capacity)?;
    let tx = mailbox.sender()?;
    for _ in 0..2 {
        drop(mailbox.receiver()?);
        for i in 0..some(capacity) {
            tx.try_send(&i)?;
        }
        if capacity != Capacity::Unbounded {
            assert!(tx.try_send(&0).unwrap_err().is_full());
            assert!(tx.send_with(&0, &briefly()).unwrap_err().is_timeout());
        }
        assert!(tx.deliver_with(&0, &briefly()).unwrap_err().is_timeout());
        let more = some(capacity);
        let waiting = fork(tx.clone(), |tx| Ok(tx.deliver_with(&more, &soon()).map(drop)?))?;
        until_asleep(waiting.pid());
        let rx = mailbox.receiver()?;
        for i in 0..=more {
            assert_eq!(*rx.receive_with(&soon())?, i);
        }
        waiting.wait()?;
        assert!(rx.try_receive()?.is_none());
    }
    Ok(())
}

fn until_drained(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let mailbox = new(mechanism, capacity)?;
    let (draining, staying) = (mailbox.receiver()?.until_drained(), mailbox.receiver()?);
    assert!(draining.try_receive()?.is_none(), "there was no sender yet");
    assert!(draining.receive_with(&briefly()).unwrap_err().is_timeout());
    let several = fork(mailbox.sender()?, |tx| {
        (0..some(capacity)).try_for_each(|i| tx.try_send(&i))?;
        Ok(())
    })?;
    several.wait()?;
    // Those that wait are drained first, by its clone too.
    let clone = draining.clone();
    for i in 0..some(capacity) {
        assert_eq!(*clone.receive()?, i);
    }
    assert!(clone.receive().unwrap_err().is_disconnected());
    for _ in 0..3 {
        assert!(draining.receive().unwrap_err().is_disconnected());
        assert!(draining.try_receive().unwrap_err().is_disconnected());
    }
    assert!(staying.try_receive()?.is_none(), "it was not to end with the senders");
    // A call that waits is ended too, when the last of two has gone.
    let (one, other) = (mailbox.sender()?, mailbox.sender()?);
    let waiting = fork(draining, |rx| {
        assert!(rx.receive_with(&soon()).unwrap_err().is_disconnected());
        Ok(())
    })?;
    drop(one);
    until_asleep(waiting.pid());
    drop(other);
    Ok(waiting.wait()?)
}

/// Processes that wait in every call that waits, each until it is told `Destroyed`; and one that
/// tries again and again.
fn waiters(
    group: &mut Group,
    full: &Mailbox<u32>,
    empty: &Mailbox<u32>,
    capacity: Capacity,
    trying: &Gate,
) -> Outcome {
    let tx = full.sender()?;
    (0..some(capacity)).try_for_each(|i| tx.try_send(&i))?;
    let sends: [fn(&Sender<u32>) -> SendError; 4] = [
        |tx| tx.deliver(&1).unwrap_err().reason().clone(),
        |tx| tx.deliver_with(&1, &soon()).unwrap_err().reason().clone(),
        |tx| tx.send(&1).unwrap_err(),
        |tx| tx.send_batch([&1, &2]).unwrap_err().reason,
    ];
    // A plain send never waits in an unbounded queue.
    let waiting = if capacity == Capacity::Unbounded { &sends[..2] } else { &sends[..] };
    for call in waiting {
        group.fork(tx.clone(), |tx| told(matches!(call(&tx), SendError::Destroyed)))?;
    }
    let receives: [fn(Receiver<u32>) -> ReceiveError; 4] = [
        |rx| rx.receive().unwrap_err(),
        |rx| rx.receive_with(&soon()).unwrap_err(),
        |rx| rx.receive_batch(3).unwrap_err(),
        |rx| rx.until_drained().receive().unwrap_err(),
    ];
    for call in receives {
        let ends = (empty.receiver()?, empty.sender()?);
        group.fork(ends, |(rx, _tx)| told(matches!(call(rx), ReceiveError::Destroyed)))?;
    }
    group.children().iter().for_each(|child| until_asleep(child.pid()));
    group.fork((empty.receiver()?, tx), |(rx, tx)| {
        trying.open()?;
        let received = loop {
            match rx.try_receive() {
                Ok(None) => {}
                other => break other,
            }
        };
        told(matches!(received, Err(ReceiveError::Destroyed)))?;
        // That is another mailbox; a try looks at its owner now and then.
        let sent = loop {
            match tx.try_send(&0) {
                Ok(()) => {}
                Err(error) if error.is_full() => {}
                Err(error) => break error,
            }
        };
        told(sent.is_destroyed())
    })?;
    Ok(trying.pass()?)
}

fn told(is_destroyed: bool) -> Outcome {
    match is_destroyed {
        true => Ok(()),
        false => Err("it was told something else than that the mailbox is destroyed".into()),
    }
}

fn within_the_contract(
    mut measure: impl FnMut() -> Result<Duration, Box<dyn std::error::Error>>,
) -> Outcome {
    let times = (0..TIMES).map(|_| measure()).collect::<Result<Vec<_>, _>>()?;
    println!("{times:?}");
    assert!(times.iter().all(|time| *time < AT_MOST), "{times:?}");
    assert!(median(times.clone()) < CONTRACT, "{times:?}");
    Ok(())
}

fn destroyed(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    within_the_contract(|| {
        let (full, empty) = (new(mechanism, capacity)?, new(mechanism, capacity)?);
        let (mut group, trying) = (Group::new(), Gate::new()?);
        waiters(&mut group, &full, &empty, capacity, &trying)?;
        let moment = Instant::now();
        destroy_mailboxes()?;
        group.wait()?;
        let time = moment.elapsed();
        assert!(full.try_send(&0).unwrap_err().is_destroyed());
        assert!(empty.try_receive().unwrap_err().is_destroyed());
        Ok(time)
    })
}

/// A process that owns two mailboxes of a domain, and this one as another.
struct Abroad {
    owner: Child,
    user: Process,
    place: TempDir,
}

impl Abroad {
    fn new(mechanism: Mechanism, capacity: Capacity) -> Result<Self, Box<dyn std::error::Error>> {
        let place = tempfile::tempdir()?;
        let domain = || DomainOptions::new().directory(place.path()).open("conformance");
        let ready = Gate::new()?;
        let owner = fork((), |()| {
            let owner = Domain::join(&domain()?, "owner")?;
            let options = Options::new(mechanism).capacity(capacity);
            let options = MailboxOptions::from(options).receivers(Access::Members);
            let _full = owner.create_mailbox::<u32>("full", options.clone())?;
            let _empty = owner.create_mailbox::<u32>("empty", options)?;
            ready.open()?;
            loop {
                nix::unistd::pause();
            }
        })?;
        ready.pass()?;
        let user = domain()?.join("user")?;
        Ok(Abroad { owner, user, place })
    }
}

fn killed(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    within_the_contract(|| {
        let Abroad { mut owner, user, place } = Abroad::new(mechanism, capacity)?;
        let (full, empty) = (user.open_mailbox("full")?, user.open_mailbox("empty")?);
        let (mut group, trying) = (Group::new(), Gate::new()?);
        waiters(&mut group, &full, &empty, capacity, &trying)?;
        let moment = Instant::now();
        owner.signal(9)?;
        group.wait()?;
        let time = moment.elapsed();
        owner.wait_status()?;
        assert!(full.try_send(&0).unwrap_err().is_destroyed());
        assert!(empty.try_receive().unwrap_err().is_destroyed());
        drop((full, empty, user));
        assert!(std::fs::read_dir(place.path())?.next().is_none(), "something is left behind");
        Ok(time)
    })
}
