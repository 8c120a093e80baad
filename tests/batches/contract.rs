//! What a batch promises: no more and no less than its messages one by one.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use postbox::{
    Batch, Bytes, Cancel, Capacity, Form, Mechanism, Options, Receiver, Select, SendError, Sender,
    Wait, fork,
};
use postbox_tests::{Case, Chance, Outcome, over, over_capacities, soon};
use std::os::fd::AsFd;
use std::time::Duration;

const WAITING: [Capacity; 3] = [Capacity::Bounded(1), Capacity::Bounded(100), Capacity::Unbounded];

pub fn cases() -> Vec<Case> {
    [
        over("n go in by batches, and one more for each that is received", room),
        over_capacities(
            "mixed with others, the messages of a batch stay in order",
            &WAITING,
            order,
        ),
        over("a batch says exactly how far it went", exact_errors),
        over("a batch goes on as room comes, until its time is over", out_of_time),
        over("what is held of a batch keeps pollables readable", polled),
        over("the end comes after what is held of a batch", the_end),
        over("a batch is received again into the same memory", same_memory),
        over("one to one, batches are what they are elsewhere", one_to_one),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn options(mechanism: Mechanism, n: u32) -> Options {
    Options::new(mechanism).capacity(Capacity::Bounded(n))
}

fn texts(count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|i| format!("message {i}").into_bytes()).collect()
}

fn slices(texts: &[Vec<u8>]) -> impl Iterator<Item = &[u8]> {
    texts.iter().map(Vec::as_slice)
}

fn room(mechanism: Mechanism) -> Outcome {
    const N: u32 = 100;
    let (tx, rx) = options(mechanism, N).channel::<Bytes>()?;
    let texts = texts(300);
    assert_eq!(tx.try_send_batch(slices(&texts))?, N as usize);
    for (i, text) in texts.iter().take(150).enumerate() {
        let next = N as usize + i;
        assert_eq!((tx.len(), rx.len()), (N as usize, N as usize));
        assert!(tx.try_send(b"too much").unwrap_err().is_full());
        assert_eq!(tx.try_send_batch(slices(&texts[next..]))?, 0);
        assert_eq!(&**rx.try_receive()?.expect("it is full"), &text[..]);
        assert_eq!(rx.len(), N as usize - 1);
        // Room for one, whichever way it comes.
        match i % 2 {
            0 => assert_eq!(tx.try_send_batch(slices(&texts[next..]))?, 1),
            _ => tx.try_send(&texts[next])?,
        }
    }
    let rest = rx.try_receive_batch(usize::MAX)?;
    assert_eq!(rest.len(), N as usize);
    assert!(rest.iter().zip(&texts[150..]).all(|(delivery, text)| ***delivery == text[..]));
    assert!(rx.is_empty() && rx.try_receive()?.is_none());
    let totals = tx.statistics();
    assert_eq!((totals.sent, totals.received), (250, 250));
    assert_eq!(totals.sent_bytes, totals.received_bytes);
    Ok(())
}

/// Sends `count` numbers, each in one of the ways there are, and of one of many lengths.
fn send_mixed(tx: &Sender<(u64, Vec<u8>)>, count: u64, chance: &mut Chance) -> Outcome {
    let lens = [0, 1, 20, 60, 300, 3000, 5000, 9000];
    let mut number = 0;
    while number < count {
        let many = (chance.below(90) as usize).min((count - number) as usize);
        let messages: Vec<_> = (number..number + many as u64)
            .map(|number| {
                (number, vec![number as u8; lens[chance.below(lens.len() as u64) as usize]])
            })
            .collect();
        number += match chance.below(4) {
            0 => tx.try_send_batch(&messages)? as u64,
            1 => tx.send_batch_with(&messages, &soon())? as u64,
            2 if many > 0 => tx.send_with(&messages[0], &soon()).map(|()| 1)?,
            3 if many > 0 => tx.deliver_with(&messages[0], &soon()).map(|_| 1)?,
            _ => 0,
        };
    }
    Ok(())
}

fn order(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    const COUNT: u64 = 3000;
    let mut chance = Chance::new();
    let (tx, rx) = Options::new(mechanism).capacity(capacity).channel::<(u64, Vec<u8>)>()?;
    let child = fork(tx, |tx| send_mixed(&tx, COUNT, &mut Chance::new()))?;
    let mut next = 0;
    let mut see = |(number, filling): (u64, Vec<u8>)| {
        assert_eq!(number, next);
        assert!(filling.iter().all(|byte| *byte == number as u8));
        next += 1;
    };
    let ended = loop {
        let most = 1 + chance.below(80) as usize;
        let taken = match chance.below(4) {
            0 => rx.receive_with(&soon()).map(|delivery| vec![delivery]),
            1 => rx.receive_batch_with(most, &soon()),
            2 => rx.try_receive().map(|delivery| delivery.into_iter().collect()),
            _ => rx.try_receive_batch(most),
        };
        match taken {
            Ok(taken) => taken.into_iter().for_each(|delivery| see(delivery.into_inner())),
            Err(error) => break error,
        }
    };
    assert!(ended.is_disconnected(), "{ended}");
    assert_eq!(next, COUNT);
    Ok(child.wait()?)
}

fn exact_errors(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = options(mechanism, 8).max_message(100).channel::<Bytes>()?;
    let mut texts = texts(20);
    texts[5] = vec![0; 101];
    for _ in 0..3 {
        let error = tx.send_batch(slices(&texts)).unwrap_err();
        assert_eq!(error.sent, 5);
        assert!(matches!(error.reason, SendError::TooLarge(_)), "{error}");
        assert_eq!(rx.len(), 5);
        let error = tx.try_send_batch(slices(&texts[5..])).unwrap_err();
        assert_eq!((error.sent, rx.len()), (0, 5));
        // Full comes before what is wrong with a later one.
        assert_eq!(tx.try_send_batch(slices(&texts[..5]))?, 3);
        let taken = rx.receive_batch(50)?;
        let expected = texts[..5].iter().chain(&texts[..3]);
        assert!(taken.iter().map(|delivery| &***delivery).eq(expected.map(|text| &text[..])));
    }
    drop(rx);
    let error = tx.send_batch(slices(&texts[..5])).unwrap_err();
    assert!(error.sent == 0 && error.reason.is_disconnected(), "{error}");
    Ok(())
}

fn out_of_time(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = options(mechanism, 10).channel::<u64>()?;
    let numbers: Vec<u64> = (0..1000).collect();
    let error = tx.send_batch_with(&numbers, &Wait::timeout(Duration::from_millis(5))).unwrap_err();
    assert!(error.sent == 10 && error.reason.is_timeout(), "{error}");
    let cancel = Cancel::new()?;
    cancel.fire();
    let error = tx.send_batch_with(&numbers, &Wait::forever().cancelled_by(&cancel)).unwrap_err();
    assert!(error.sent == 0 && error.reason.is_cancelled(), "{error}");
    assert_eq!(rx.len(), 10);
    // Waiting, it sends what there comes to be room for.
    let child = fork(tx, |tx| {
        let numbers: Vec<u64> = (10..1000).collect();
        assert_eq!(tx.send_batch_with(&numbers, &soon())?, numbers.len());
        Ok(())
    })?;
    for expected in 0..1000 {
        assert_eq!(*rx.receive_with(&soon())?, expected);
        assert!(rx.len() <= 10);
    }
    Ok(child.wait()?)
}

fn readable(fd: &impl AsFd) -> Result<bool, nix::errno::Errno> {
    let mut fds = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
    Ok(poll(&mut fds, PollTimeout::ZERO)? == 1)
}

fn polled(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = options(mechanism, 64).channel::<u64>()?;
    let numbers: Vec<u64> = (0..40).collect();
    // A pollable that was there before, and one that comes when the packet is opened already.
    for early in [true, false] {
        assert_eq!(tx.send_batch(&numbers)?, 40);
        let before = early.then(|| rx.pollable()).transpose()?;
        assert_eq!(*rx.receive()?, 0);
        let pollable = rx.pollable()?;
        for number in &numbers[1..] {
            assert!(readable(&pollable)?, "{number} waits");
            assert_eq!(rx.try_receive()?.map(|delivery| *delivery), Some(*number));
        }
        assert!(rx.try_receive()?.is_none());
        assert!(!readable(&pollable)?, "nothing waits");
        drop(before);
    }
    // Among several, and longer than one may be served in a row.
    let (quiet, other) = options(mechanism, 4).channel::<u64>()?;
    let mut select = Select::new()?;
    let (busy, calm) = (select.add(&rx)?, select.add(&other)?);
    tx.send_batch(&numbers)?;
    quiet.send(&99)?;
    let mut seen = Vec::new();
    while seen.len() < numbers.len() + 1 {
        let (which, number) = select.receive_with(&soon())?;
        assert_eq!(which, if *number == 99 { calm } else { busy });
        seen.push(*number);
    }
    seen.retain(|number| *number != 99);
    assert_eq!(seen, numbers);
    assert!(select.try_receive()?.is_none());
    Ok(())
}

fn the_end(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = options(mechanism, 64).channel::<u64>()?;
    let child = fork(tx, |tx| Ok(tx.send_batch(&[0, 1, 2, 3]).map(drop)?))?;
    child.wait()?;
    let pollable = rx.pollable()?;
    for number in 0..4 {
        assert_eq!(*rx.receive_with(&soon())?, number);
        assert_eq!(rx.len(), 3 - number as usize);
        assert!(readable(&pollable)?, "a message, or the end");
    }
    assert!(rx.receive_with(&soon()).unwrap_err().is_disconnected());
    // And the other way round: what its receiver held keeps nobody waiting.
    let (tx, rx) = options(mechanism, 4).channel::<u64>()?;
    assert_eq!(tx.try_send_batch(&[0, 1, 2, 3])?, 4);
    assert_eq!(*rx.receive()?, 0);
    drop(rx);
    assert!(tx.send_with(&4, &soon()).unwrap_err().is_disconnected());
    Ok(())
}

fn same_memory(mechanism: Mechanism) -> Outcome {
    let (tx, rx): (Sender<Bytes>, Receiver<Bytes>) = options(mechanism, 200).channel()?;
    let texts = texts(150);
    let mut batch = Batch::new();
    assert_eq!(rx.try_receive_batch_into(&mut batch, 9)?, 0);
    for most in [1, 7, 64, 1000] {
        assert_eq!(tx.send_batch(slices(&texts))?, texts.len());
        let mut seen = 0;
        while seen < texts.len() {
            let count = rx.receive_batch_into_with(&mut batch, most, &soon())?;
            assert_eq!((count, batch.is_empty()), (batch.len(), false));
            assert_eq!(rx.len(), texts.len() - seen - count);
            assert!(count <= most && batch.iter().eq(slices(&texts[seen..seen + count])));
            assert_eq!(batch.get(count - 1), texts.get(seen + count - 1).map(Vec::as_slice));
            let sender = batch.sender(count - 1).map(postbox::Peer::pid);
            assert_eq!((sender, batch.get(count)), (Some(std::process::id()), None));
            seen += count;
        }
    }
    let by_timeout = rx.receive_batch_into_with(&mut batch, 9, &Wait::timeout(Duration::ZERO));
    assert!(by_timeout.unwrap_err().is_timeout() && batch.is_empty() && batch.sender(0).is_none());
    // Two senders, one after the other.
    let child = fork(tx.clone(), |tx| Ok(tx.send_batch([&b"a"[..], b"b"]).map(drop)?))?;
    let pid = child.pid();
    child.wait()?;
    tx.send_batch([&b"c"[..], b"", b"e"])?;
    assert_eq!(rx.receive_batch_into(&mut batch, 9)?, 5);
    let own = std::process::id();
    let senders: Vec<_> = (0..6).map(|i| batch.sender(i).map(postbox::Peer::pid)).collect();
    assert_eq!(senders, [Some(pid), Some(pid), Some(own), Some(own), Some(own), None]);
    Ok(())
}

fn one_to_one(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = options(mechanism, 128).form(Form::OneToOne).channel::<u64>()?;
    let child = fork(tx, |tx| {
        let numbers: Vec<u64> = (0..10_000).collect();
        for some in numbers.chunks(64) {
            assert_eq!(tx.send_batch_with(some, &soon())?, some.len());
        }
        Ok(())
    })?;
    let mut next = 0;
    while let Ok(batch) = rx.receive_batch_with(64, &soon()) {
        for number in batch {
            assert_eq!(*number, next);
            next += 1;
        }
    }
    assert_eq!(next, 10_000);
    // There is no second one, so what this one holds stays its own.
    assert!(rx.clone().try_receive().is_err());
    Ok(child.wait()?)
}
