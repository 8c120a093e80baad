//! Waiting on several receivers: whoever has something is served, and everybody gets a turn.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use postbox::{
    Cancel, Capacity, Child, Mechanism, Options, Readiness, Receiver, Select, Sender, Wait,
    WaitStrategy, channel, fork,
};
use postbox_tests::{
    Case, MECHANISMS, Outcome, cpu_time, eventually, holder, over, own_thread, run, soon, switches,
    until_asleep,
};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let mut cases = vec![
        Case::new("mechanisms and capacities go together", all_together),
        Case::new("receivers of different types are named in turn", different_types),
        Case::new("a receiver of nothing at all is exhausted at once", nothing_at_all),
    ];
    cases.extend(over("ten that are always busy all get their turn", all_get_their_turn));
    cases.extend(over("one busy among a thousand idle ones is found at once", one_among_many));
    cases.extend(over("sleeping ones cost nothing and are woken by any", woken_by_any));
    cases.extend(over("bursts to any of them leave nobody asleep", bursts));
    cases.extend(over("a death is told to who looks for messages alone", killed_beside_a_spinner));
    cases.extend(over("an end is told at once after however many messages", ended_after_so_many));
    cases.extend(over("the caller's own pollable tells of what it takes", own_pollable));
    cases.extend(over("it spins unless one of its receivers would not", spins_as_the_calmest));
    cases.extend(over("one that has ended is told once and left out", ended_once));
    cases.extend(over("one whose sender was killed is told once", killed));
    cases.extend(over("deadline and cancel end the wait", deadline_and_cancel));
    cases.extend(over("a message of another type names its receiver", another_type));
    run(cases)
}

/// As many descriptors as this user may have.
fn all_descriptors() -> Outcome {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// The two sides of several channels.
type Sides<T> = (Vec<Sender<T>>, Vec<Receiver<T>>);

fn several<T: postbox::Message>(
    options: &Options,
    count: usize,
) -> Result<Sides<T>, postbox::CreateError> {
    (0..count).map(|_| options.channel::<T>()).collect()
}

fn all_get_their_turn(mechanism: Mechanism) -> Outcome {
    const BUSY: usize = 10;
    let options = Options::new(mechanism).capacity(Capacity::Bounded(40));
    let (senders, receivers) = several::<u32>(&options, BUSY)?;
    let mut select = Select::new()?;
    receivers.iter().try_for_each(|rx| select.add(rx).map(drop))?;
    let fill = |tx: &Sender<u32>| while tx.try_send(&1).is_ok() {};
    senders.iter().for_each(fill);
    let mut last = [0; BUSY];
    for now in 1..=4000 {
        let (index, _) = select.receive_with(&soon())?;
        fill(&senders[index]);
        last[index] = now;
        if now > 1000 {
            let longest = now - last.iter().min().unwrap();
            assert!(longest < 400, "receiver {last:?} was passed over for {longest} messages");
        }
    }
    Ok(())
}

fn one_among_many(mechanism: Mechanism) -> Outcome {
    all_descriptors()?;
    // Queues are counted per user, a few hundred of them by default.
    let idle = if mechanism == Mechanism::MessageQueue { 60 } else { 999 };
    let options = Options::new(mechanism).capacity(Capacity::Bounded(8)).max_message(64);
    let (senders, receivers) = several::<u32>(&options, idle + 1)?;
    let mut select = Select::new()?;
    receivers.iter().try_for_each(|rx| select.add(rx).map(drop))?;
    let busy = idle / 2;
    for i in 0..2000 {
        senders[busy].send(&i)?;
        let (index, message) = select.receive_with(&soon())?;
        assert_eq!((index, *message), (busy, i));
    }
    assert!(select.try_receive()?.is_none());
    // Another one takes over.
    senders[idle].send(&7)?;
    assert_eq!(select.receive_with(&soon())?.0, idle);
    Ok(())
}

fn woken_by_any(mechanism: Mechanism) -> Outcome {
    let options = Options::new(mechanism).capacity(Capacity::Bounded(2));
    let (senders, receivers) = several::<u32>(&options, 5)?;
    let child = fork(receivers, |receivers| {
        let mut select = Select::new()?;
        receivers.iter().try_for_each(|rx| select.add(rx).map(drop))?;
        for i in 0..50 {
            let (index, message) = select.receive()?;
            assert_eq!((index, *message), (i as usize % 5, i));
        }
        Ok(())
    })?;
    for i in 0..50 {
        until_asleep(child.pid());
        if i == 25 {
            let before = cpu_time(child.pid());
            thread::sleep(Duration::from_millis(100));
            assert!(cpu_time(child.pid()) - before < Duration::from_millis(20));
        }
        senders[i as usize % 5].send(&i)?;
    }
    Ok(child.wait()?)
}

/// Some at a time, so that what came after the last look is to be heard, too.
fn bursts(mechanism: Mechanism) -> Outcome {
    const ROUNDS: u32 = 300;
    let options = Options::new(mechanism).capacity(Capacity::Bounded(8));
    let (senders, receivers) = several::<u32>(&options, 3)?;
    let child = fork(receivers, |receivers| {
        let mut select = Select::new()?;
        receivers.iter().try_for_each(|rx| select.add(rx).map(drop))?;
        let mut next = [0; 3];
        while next != [ROUNDS; 3] {
            let (index, message) = select.receive_with(&soon())?;
            assert_eq!(*message, next[index]);
            next[index] += 1;
        }
        Ok(())
    })?;
    for round in 0..ROUNDS {
        if round % 10 == 0 {
            until_asleep(child.pid());
        }
        senders.iter().try_for_each(|tx| tx.send_with(&round, &soon()))?;
    }
    Ok(child.wait()?)
}

fn killed_beside_a_spinner(mechanism: Mechanism) -> Outcome {
    let options = Options::new(mechanism).wait_strategy(WaitStrategy::Spin);
    let (mut senders, receivers) = several::<u32>(&options, 2)?;
    let mut select = Select::new()?;
    receivers.iter().try_for_each(|rx| select.add(rx).map(drop))?;
    senders[1].send(&7)?;
    assert_eq!(select.receive_with(&soon())?.0, 1);
    // Messages are being looked for by then, or will be.
    told_of_death(&mut select, 1, holder(senders.remove(1))?, thread::yield_now)
}

/// Whatever the number of messages before: the last of a streak is no exception.
fn ended_after_so_many(mechanism: Mechanism) -> Outcome {
    for count in 1..70 {
        let (tx, rx) = channel::<u32>(mechanism, Capacity::Bounded(100))?;
        (0..count).try_for_each(|i| tx.send(&i))?;
        drop(tx);
        let mut select = Select::new()?;
        select.add(&rx)?;
        for i in 0..count {
            assert_eq!(select.try_receive()?.map(|(_, message)| *message), Some(i));
        }
        let ended = select.try_receive().map(|more| more.is_some());
        assert_eq!(ended.map_err(|error| error.disconnected()), Err(Some(0)), "after {count}");
    }
    Ok(())
}

fn own_pollable(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, Capacity::Bounded(4))?;
    let mut select = Select::new()?;
    select.add(&rx)?;
    for round in 0..3 {
        // The select has had something from it, and nothing is left: it looks for itself.
        tx.send(&round)?;
        assert_eq!(*select.receive_with(&soon())?.1, round);
        assert!(select.try_receive()?.is_none());
        let pollable = rx.pollable()?;
        let is_readable = || {
            let mut polled = [PollFd::new(pollable.as_fd(), PollFlags::POLLIN)];
            poll(&mut polled, PollTimeout::ZERO).map(|ready| ready > 0)
        };
        assert!(!is_readable()?);
        tx.send(&round)?;
        assert!(is_readable()?);
        assert_eq!(*select.receive_with(&soon())?.1, round);
        assert!(select.try_receive()?.is_none() && !is_readable()?);
    }
    Ok(())
}

fn spins_as_the_calmest(mechanism: Mechanism) -> Outcome {
    use WaitStrategy::{Block, Spin};
    for other in [Spin, Block] {
        let options = |strategy| Options::new(mechanism).wait_strategy(strategy);
        let ((tx, one), (_kept, two)) =
            (options(Spin).channel::<u32>()?, options(other).channel::<u32>()?);
        let child = fork([one, two], |receivers| {
            let mut select = Select::new()?;
            receivers.iter().try_for_each(|rx| select.add(rx).map(drop))?;
            assert_eq!(*select.receive()?.1, 1);
            assert_eq!(*select.receive()?.1, 2);
            Ok(())
        })?;
        tx.send(&1)?;
        if other == Block {
            until_asleep(child.pid());
        } else {
            let busy_for = |time| {
                let until = cpu_time(child.pid()) + Duration::from_millis(time);
                eventually("spinning", || (cpu_time(child.pid()) >= until).then_some(()));
            };
            busy_for(50);
            let before = switches(child.pid());
            busy_for(20);
            assert_eq!(switches(child.pid()), before, "it has slept");
        }
        tx.send(&2)?;
        child.wait()?;
    }
    Ok(())
}

fn ended_once(mechanism: Mechanism) -> Outcome {
    let options = Options::new(mechanism).capacity(Capacity::Bounded(4));
    let (mut senders, receivers) = several::<u32>(&options, 3)?;
    let mut select = Select::new()?;
    receivers.iter().try_for_each(|rx| select.add(rx).map(drop))?;
    senders[1].send(&5)?;
    drop(senders.remove(1));
    // What is left is drained first.
    assert_eq!(select.receive_with(&soon())?.0, 1);
    assert_eq!(select.receive_with(&soon()).unwrap_err().disconnected(), Some(1));
    assert_eq!(select.len(), 2);
    assert!(select.try_receive()?.is_none());
    senders[1].send(&6)?;
    assert_eq!(select.receive_with(&soon())?.0, 2);
    drop(senders);
    let mut ended = [select.receive(), select.receive()]
        .map(|end| end.unwrap_err().disconnected().ok_or("another error"))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    ended.sort();
    assert_eq!(ended, [0, 2]);
    assert!(select.receive().unwrap_err().is_exhausted());
    Ok(())
}

fn killed(mechanism: Mechanism) -> Outcome {
    let options = Options::new(mechanism).capacity(Capacity::Bounded(4));
    let (mut senders, receivers) = several::<u32>(&options, 3)?;
    let mut select = Select::new()?;
    receivers.iter().try_for_each(|rx| select.add(rx).map(drop))?;
    let own = own_thread();
    told_of_death(&mut select, 2, holder(senders.remove(2))?, move || until_asleep(own))
}

/// That one's sender is killed after `before`, and whoever waits is told soon.
fn told_of_death(
    select: &mut Select<'_, u32>,
    which: usize,
    mut child: Child,
    before: impl FnOnce() + Send + 'static,
) -> Outcome {
    let death = thread::spawn(move || {
        before();
        child.signal(9).unwrap();
        child.wait_status().unwrap();
        Instant::now()
    });
    assert_eq!(select.receive_with(&soon()).unwrap_err().disconnected(), Some(which));
    let told = Instant::now();
    assert!(told.saturating_duration_since(death.join().unwrap()) < Duration::from_millis(200));
    Ok(())
}

fn deadline_and_cancel(mechanism: Mechanism) -> Outcome {
    let options = Options::new(mechanism).capacity(Capacity::Bounded(4));
    let (_senders, receivers) = several::<u32>(&options, 3)?;
    let mut select = Select::new()?;
    receivers.iter().try_for_each(|rx| select.add(rx).map(drop))?;
    for patience in [0, 1, 20] {
        let patience = Duration::from_millis(patience);
        let start = Instant::now();
        assert!(select.receive_with(&Wait::timeout(patience)).unwrap_err().is_timeout());
        assert!(start.elapsed() >= patience);
    }
    let cancel = Cancel::new()?;
    let firing = cancel.clone();
    let own = own_thread();
    let canceller = thread::spawn(move || {
        until_asleep(own);
        firing.fire();
    });
    let ended = select.receive_with(&Wait::forever().cancelled_by(&cancel)).unwrap_err();
    assert!(ended.is_cancelled());
    canceller.join().unwrap();
    assert!(select.receive_with(&soon().cancelled_by(&cancel)).unwrap_err().is_cancelled());
    Ok(())
}

fn another_type(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u8>(mechanism, Capacity::Bounded(4))?;
    let child = postbox::Spawn::new(env!("CARGO_BIN_EXE_postbox-peer"))
        .args(["send", "3"])
        .pass("out", tx)?
        .spawn()?;
    child.wait()?;
    let mut select = Select::new()?;
    select.add(&rx)?;
    // 0, 1 and 2 as one-byte numbers are the same in both types.
    for i in 0..3 {
        assert_eq!(*select.receive_with(&soon())?.1, i);
    }
    let (tx, rx) = channel::<String>(mechanism, Capacity::Bounded(4))?;
    let child = postbox::Spawn::new(env!("CARGO_BIN_EXE_postbox-peer"))
        .args(["send", "3"])
        .pass("out", tx)?
        .spawn()?;
    child.wait()?;
    let mut select = Select::new()?;
    let index = select.add(&rx)?;
    assert_eq!(&**select.receive_with(&soon())?.1, "", "no letters, as 0 says");
    match select.receive_with(&soon()) {
        Err(postbox::SelectError::Receiver { index: which, .. }) => assert_eq!(which, index),
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}

fn all_together() -> Outcome {
    let kinds: Vec<_> = MECHANISMS
        .into_iter()
        .flat_map(|mechanism| {
            [Capacity::Zero, Capacity::Bounded(1), Capacity::Unbounded].map(|c| (mechanism, c))
        })
        .collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = kinds
        .iter()
        .map(|(mechanism, capacity)| channel::<(usize, u32)>(*mechanism, *capacity))
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    const EACH: u32 = 200;
    let mut group = postbox::Group::new();
    for (i, tx) in senders.into_iter().enumerate() {
        group.fork(tx, move |tx| {
            (0..EACH).try_for_each(|n| tx.send_with(&(i, n), &soon()).map_err(Into::into))
        })?;
    }
    let mut select = Select::new()?;
    receivers.iter().try_for_each(|rx| select.add(rx).map(drop))?;
    let mut next = vec![0; kinds.len()];
    let mut ended = 0;
    loop {
        match select.receive_with(&soon()) {
            Ok((index, message)) => {
                assert_eq!(*message, (index, next[index]));
                next[index] += 1;
            }
            Err(error) if error.disconnected().is_some() => ended += 1,
            Err(error) if error.is_exhausted() => break,
            Err(error) => return Err(error.into()),
        }
    }
    assert_eq!(ended, kinds.len());
    assert!(next.iter().all(|n| *n == EACH), "{next:?}");
    Ok(group.wait()?)
}

fn different_types() -> Outcome {
    let (numbers, from_numbers) = channel::<u32>(Mechanism::Pipe, Capacity::Bounded(2))?;
    let (names, from_names) = channel::<String>(Mechanism::SharedMemory, Capacity::Bounded(2))?;
    let mut ready = Readiness::new()?;
    assert_eq!((ready.add(&from_numbers)?, ready.add(&from_names)?), (0, 1));
    assert!(ready.ready(&Wait::timeout(Duration::ZERO)).unwrap_err().is_timeout());
    let child = fork((numbers, names), |(numbers, names)| {
        for i in 0..100 {
            numbers.send_with(&i, &soon())?;
            names.send_with(&i.to_string(), &soon())?;
        }
        Ok(())
    })?;
    let (mut number, mut name, mut ends) = (0, 0, 0);
    loop {
        let end = match ready.ready(&soon()) {
            Ok(0) => match from_numbers.try_receive() {
                Ok(taken) => {
                    if let Some(taken) = taken {
                        assert_eq!(*taken, number);
                        number += 1;
                    }
                    None
                }
                Err(error) => Some(error),
            },
            Ok(_) => match from_names.try_receive() {
                Ok(taken) => {
                    if let Some(taken) = taken {
                        assert_eq!(*taken, name.to_string());
                        name += 1;
                    }
                    None
                }
                Err(error) => Some(error),
            },
            Err(error) if error.is_exhausted() => break,
            Err(error) => return Err(error.into()),
        };
        if let Some(error) = end {
            assert!(error.is_disconnected(), "{error}");
            ends += 1;
        }
    }
    assert_eq!((number, name, ends), (100, 100, 2));
    Ok(child.wait()?)
}

fn nothing_at_all() -> Outcome {
    assert!(Select::<u32>::new()?.receive().unwrap_err().is_exhausted());
    assert!(Select::<u32>::new()?.try_receive().unwrap_err().is_exhausted());
    assert!(Readiness::new()?.ready(&Wait::forever()).unwrap_err().is_exhausted());
    Ok(())
}
