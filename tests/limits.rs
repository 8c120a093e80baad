//! A machine that grants little: everything works in a smaller way, or says in one clear error
//! which limit was hit and what to do about it. Nothing is ever killed by it.

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use postbox::{
    Bytes, Capacity, ForkError, Mechanism, Options, Receiver, SendError, Sender, TrySendError,
    Wait, channel, fork,
};
use postbox_tests::{
    CAPACITIES, Case, Outcome, descriptors, holder, over, over_capacities, run, soon,
    unprivileged_as,
};
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    let single =
        vec![Case::new("a fork beyond RLIMIT_NPROC is refused with the reason", no_more_processes)];
    let parts = [
        over_capacities("an unprivileged user has the whole contract", &CAPACITIES, unprivileged),
        over("with few descriptors a channel works or says so and works later", few_descriptors),
        over("a receive that runs out of descriptors says so and works later", out_of_descriptors),
        over("without a queue quota the limit is named and the others work", no_queue_quota),
        over(
            "with a small queue quota channels are narrower until the limit is named",
            small_quota,
        ),
        over(
            "with a low file size limit a channel works or names it and SIGXFSZ never kills",
            files,
        ),
        over("a file size limit that falls later never kills", files_later),
        over("with little address space a channel works or says so", address_space),
        over("with all pipe pages used up the contract still holds", pipe_pages),
        over("the byte cap is an error of an unbounded channel and draining mends it", byte_cap),
        over("the byte cap holds large messages of an unbounded channel back", byte_cap_of_bodies),
        over("a message beyond the byte cap is an error and no wait", beyond_the_cap),
        over("a bounded channel at its byte cap waits for room", bounded_at_the_cap),
    ];
    run(single.into_iter().chain(parts.into_iter().flatten()).collect())
}

/// Runs it in a child, which may lower its limits for good.
fn limited(body: impl FnOnce() -> Outcome) -> Outcome {
    Ok(fork((), |()| body())?.wait()?)
}

/// Lowers a limit of this process so that it could be raised again.
fn lower(resource: Resource, soft: u64) -> nix::Result<()> {
    let (_, hard) = getrlimit(resource)?;
    setrlimit(resource, soft.min(hard), hard)
}

/// The contract in short: exactly n, order, content, receipts.
fn keeps_the_contract(tx: &Sender<Bytes>, rx: &Receiver<Bytes>) -> Outcome {
    let n = match tx.capacity() {
        Capacity::Zero => return meets(tx, rx),
        Capacity::Bounded(n) => n,
        Capacity::Unbounded => 300,
    };
    for round in 0..2u8 {
        for i in 0..n {
            let len = if i % 10 == 3 { 5000 } else { i as usize % 100 };
            tx.try_send(&vec![i as u8 ^ round; len.min(tx.max_message())])
                .map_err(|error| format!("after {i} of {n}: {error}"))?;
        }
        if tx.capacity() != Capacity::Unbounded {
            assert!(tx.try_send(b"more").is_err_and(|error| error.is_full()));
        }
        for i in 0..n {
            let len = if i % 10 == 3 { 5000 } else { i as usize % 100 };
            let delivery = rx.try_receive()?.ok_or("fewer came than went")?;
            assert_eq!(delivery.len(), len.min(tx.max_message()));
            assert!(delivery.iter().all(|byte| *byte == i as u8 ^ round));
        }
        assert!(rx.try_receive()?.is_none());
        assert!(tx.try_deliver(b"none").unwrap_err().is_timeout());
    }
    Ok(())
}

fn meets(tx: &Sender<Bytes>, rx: &Receiver<Bytes>) -> Outcome {
    assert!(tx.try_send(b"none").is_err_and(|error| error.is_full()));
    assert!(rx.try_receive()?.is_none());
    let child = fork(rx.clone(), |rx| {
        for i in 0..100u8 {
            assert_eq!(&**rx.receive_with(&soon())?, [i; 70]);
        }
        Ok(())
    })?;
    (0..100).try_for_each(|i| tx.send_with(&[i; 70], &soon()))?;
    Ok(child.wait()?)
}

fn unprivileged(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    limited(|| {
        unprivileged_as(65_534)?;
        let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
        keeps_the_contract(&tx, &rx)?;
        let sender = fork(tx.clone(), |tx| {
            for i in 0..1000u32 {
                tx.send_with(&i.to_le_bytes(), &soon())?;
            }
            Ok(())
        })?;
        for i in 0..1000u32 {
            assert_eq!(&**rx.receive_with(&soon())?, i.to_le_bytes());
        }
        sender.wait()?;
        let receiver = fork(rx.clone(), |rx| {
            rx.receive_with(&soon())?;
            Ok(())
        })?;
        assert_eq!(tx.deliver_with(b"1", &soon())?.receiver().pid(), receiver.pid());
        receiver.wait()?;
        let mut killed = holder(tx)?;
        killed.signal(9)?;
        assert!(rx.receive_with(&soon()).unwrap_err().is_disconnected());
        killed.wait_status()?;
        Ok(())
    })
}

fn no_more_processes() -> Outcome {
    limited(|| {
        unprivileged_as(64_001)?;
        lower(Resource::RLIMIT_NPROC, 1)?;
        match fork((), |()| Ok(())).map(drop) {
            Err(error @ ForkError::System(nix::errno::Errno::EAGAIN)) => {
                let text = error.to_string();
                assert!(text.contains("fork"), "{text}");
                Ok(())
            }
            other => Err(format!("{other:?}").into()),
        }
    })
}

fn few_descriptors(mechanism: Mechanism) -> Outcome {
    for limit in 3..36 {
        limited(|| {
            let before = descriptors();
            lower(Resource::RLIMIT_NOFILE, limit)?;
            let created = channel::<Bytes>(mechanism, Capacity::Bounded(4));
            let (tx, rx) = match created {
                Ok(ends) => ends,
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("RLIMIT_NOFILE"), "with {limit}: {text}");
                    lower(Resource::RLIMIT_NOFILE, 256)?;
                    assert_eq!(descriptors(), before, "it left descriptors behind");
                    channel::<Bytes>(mechanism, Capacity::Bounded(4))?
                }
            };
            match keeps_the_contract(&tx, &rx) {
                Ok(()) => {}
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("RLIMIT_NOFILE"), "with {limit}: {text}");
                }
            }
            lower(Resource::RLIMIT_NOFILE, 256)?;
            while rx.try_receive()?.is_some() {}
            keeps_the_contract(&tx, &rx)
        })
        .map_err(|error| format!("with {limit}: {error}"))?;
    }
    Ok(())
}

fn out_of_descriptors(mechanism: Mechanism) -> Outcome {
    for spare in 0..4 {
        limited(|| {
            let (tx, rx) = channel::<Bytes>(mechanism, Capacity::Bounded(4))?;
            let mut partner = holder(tx.clone())?;
            let patience = Wait::timeout(Duration::from_millis(5));
            lower(Resource::RLIMIT_NOFILE, descriptors().len() as u64 + 1 + spare)?;
            let error = rx.receive_with(&patience).unwrap_err();
            let text = error.to_string();
            assert!(error.is_timeout() || text.contains("RLIMIT_NOFILE"), "{text}");
            lower(Resource::RLIMIT_NOFILE, 256)?;
            tx.try_send(b"1")?;
            assert_eq!(&**rx.receive_with(&soon())?, b"1");
            drop(tx);
            partner.signal(9)?;
            assert!(rx.receive_with(&soon()).unwrap_err().is_disconnected());
            partner.wait_status()?;
            Ok(())
        })?;
    }
    Ok(())
}

fn no_queue_quota(mechanism: Mechanism) -> Outcome {
    limited(|| {
        lower(Resource::RLIMIT_MSGQUEUE, 0)?;
        let before = descriptors();
        match channel::<Bytes>(mechanism, Capacity::Bounded(4)) {
            Ok((tx, rx)) => {
                assert!(mechanism != Mechanism::MessageQueue, "a queue without a quota");
                keeps_the_contract(&tx, &rx)
            }
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains("RLIMIT_MSGQUEUE") && text.contains("mq_open"), "{text}");
                assert_eq!(descriptors(), before, "it left descriptors behind");
                Ok(())
            }
        }
    })
}

fn small_quota(mechanism: Mechanism) -> Outcome {
    if mechanism != Mechanism::MessageQueue {
        return Ok(());
    }
    for quota in [300, 1000, 5000, 20_000, 100_000] {
        limited(|| {
            unprivileged_as(64_002)?;
            lower(Resource::RLIMIT_MSGQUEUE, quota)?;
            let mut channels = Vec::new();
            let error = loop {
                match channel::<Bytes>(mechanism, Capacity::Bounded(10)) {
                    Ok(ends) => channels.push(ends),
                    Err(error) => break error.to_string(),
                }
                assert!(channels.len() < 1000, "a quota without an end");
            };
            assert!(error.contains("RLIMIT_MSGQUEUE"), "{error}");
            println!("{quota} bytes are good for {} channels", channels.len());
            assert!(quota < 1000 || !channels.is_empty());
            for (tx, rx) in &channels {
                keeps_the_contract(tx, rx)?;
            }
            // What one gives back, the next can have.
            if channels.pop().is_some() {
                let (tx, rx) = channel::<Bytes>(mechanism, Capacity::Bounded(10))?;
                keeps_the_contract(&tx, &rx)?;
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn files(mechanism: Mechanism) -> Outcome {
    for limit in [0, 4096, 1 << 16, 1 << 20, 4 << 20, 64 << 20, 300 << 20] {
        limited(|| {
            lower(Resource::RLIMIT_FSIZE, limit)?;
            let before = descriptors();
            match channel::<Bytes>(mechanism, Capacity::Bounded(7)) {
                Ok((tx, rx)) => {
                    keeps_the_contract(&tx, &rx)?;
                    large_one(&tx, &rx)
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(text.contains("RLIMIT_FSIZE"), "with {limit}: {text}");
                    assert_eq!(descriptors(), before, "it left descriptors behind");
                    assert!(limit < 64 << 20, "{limit} bytes do not suffice: {text}");
                    Ok(())
                }
            }
        })
        .map_err(|error| format!("with {limit}: {error}"))?;
    }
    Ok(())
}

/// A large message arrives, or is refused with a reason.
fn large_one(tx: &Sender<Bytes>, rx: &Receiver<Bytes>) -> Outcome {
    match tx.try_send(&vec![3; 8 << 20]) {
        Ok(()) => assert_eq!(rx.receive()?.len(), 8 << 20),
        Err(TrySendError::Send(SendError::TooLarge(refused))) => assert!(refused.max < 64 << 20),
        Err(TrySendError::Send(SendError::Fault(fault))) => println!("{fault}"),
        Err(error) => return Err(error.into()),
    }
    tx.try_send(b"small")?;
    assert_eq!(&**rx.receive()?, b"small");
    Ok(())
}

fn files_later(mechanism: Mechanism) -> Outcome {
    for capacity in [Capacity::Bounded(7), Capacity::Unbounded] {
        let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
        let child = fork((tx.clone(), rx.clone()), |(tx, rx)| {
            lower(Resource::RLIMIT_FSIZE, 4096)?;
            large_one(&tx, &rx)?;
            keeps_the_contract(&tx, &rx)
        })?;
        child.wait()?;
        keeps_the_contract(&tx, &rx)?;
    }
    Ok(())
}

fn address_space(mechanism: Mechanism) -> Outcome {
    const MIB: u64 = 1 << 20;
    for spare in [1, 4, 16, 64, 256, 700] {
        limited(|| {
            let statm = std::fs::read_to_string("/proc/self/statm")?;
            let pages: u64 = statm.split(' ').next().ok_or("no size")?.parse()?;
            let before = descriptors();
            lower(Resource::RLIMIT_AS, pages * 4096 + spare * MIB)?;
            let created = channel::<Bytes>(mechanism, Capacity::Bounded(7));
            match created {
                Ok((tx, rx)) => keeps_the_contract(&tx, &rx),
                Err(error) => {
                    lower(Resource::RLIMIT_AS, u64::MAX)?;
                    let text = error.to_string();
                    assert!(text.contains("memory") || text.contains("RLIMIT_AS"), "{text}");
                    assert_eq!(descriptors(), before, "it left descriptors behind");
                    assert!(spare < 16, "{spare} MiB do not suffice: {text}");
                    Ok(())
                }
            }
        })
        .map_err(|error| format!("with {spare} MiB: {error}"))?;
    }
    Ok(())
}

fn pipe_pages(mechanism: Mechanism) -> Outcome {
    limited(|| {
        unprivileged_as(64_003)?;
        let mut pipes = Vec::new();
        loop {
            let pipe = std::io::pipe()?;
            let grown = fcntl(&pipe.1, FcntlArg::F_SETPIPE_SZ(1 << 20));
            pipes.push(pipe);
            if grown.is_err() {
                break;
            }
            if pipes.len() > 2000 {
                println!("this user's pipes have no limit");
                break;
            }
        }
        // What is left by single pages.
        for _ in 0..40 {
            pipes.push(std::io::pipe()?);
        }
        for capacity in [Capacity::Zero, Capacity::Bounded(1), Capacity::Bounded(1000)] {
            let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
            keeps_the_contract(&tx, &rx)?;
            let child = fork(tx, |tx| {
                (0..500u32).try_for_each(|i| tx.send_with(&i.to_le_bytes(), &soon()))?;
                Ok(())
            })?;
            for i in 0..500u32 {
                assert_eq!(&**rx.receive_with(&soon())?, i.to_le_bytes());
            }
            child.wait()?;
        }
        Ok(())
    })
}

const CAP: u64 = 1 << 20;

fn capped(mechanism: Mechanism, capacity: Capacity) -> Options {
    Options::new(mechanism).capacity(capacity).byte_cap(CAP)
}

fn byte_cap(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = capped(mechanism, Capacity::Unbounded).channel::<Bytes>()?;
    let mut last = 0;
    for round in 0..4 {
        let mut went = 0u32;
        loop {
            let mut message = [0; 1000];
            message[..4].copy_from_slice(&went.to_le_bytes());
            match tx.try_send(&message) {
                Ok(()) => went += 1,
                Err(TrySendError::Send(SendError::ByteCap { cap })) => {
                    assert_eq!(cap, CAP);
                    break;
                }
                Err(error) => return Err(error.into()),
            }
            assert!(went < 10_000, "there is no cap");
        }
        assert!(matches!(tx.send(&[0; 1000]), Err(SendError::ByteCap { .. })), "send may not wait");
        println!("{went} messages of 1000 bytes in round {round}");
        assert!(went > 500, "only {went} in {CAP} bytes in round {round}");
        assert_eq!(tx.len(), went as usize);
        // Some room comes back with some of the messages.
        for i in 0..went {
            assert_eq!(rx.try_receive()?.ok_or("one was lost")?[..4], i.to_le_bytes());
        }
        assert!(rx.try_receive()?.is_none());
        assert!(round == 0 || went.abs_diff(last) < went / 10, "{last}, then {went}");
        last = went;
    }
    keeps_the_contract(&tx, &rx)
}

fn byte_cap_of_bodies(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = capped(mechanism, Capacity::Unbounded).channel::<Bytes>()?;
    for round in 0..20 {
        let mut went = 0;
        while tx.try_send(&vec![went as u8; 50_000]).is_ok() {
            went += 1;
            assert!(went < 100, "there is no cap");
        }
        assert!((15..=21).contains(&went), "{went} of 50 kB in {CAP} bytes in round {round}");
        for i in 0..went {
            assert!(rx.try_receive()?.ok_or("one was lost")?.iter().all(|byte| *byte == i as u8));
        }
        assert!(rx.try_receive()?.is_none());
    }
    keeps_the_contract(&tx, &rx)
}

fn beyond_the_cap(mechanism: Mechanism) -> Outcome {
    for capacity in [Capacity::Zero, Capacity::Bounded(3), Capacity::Unbounded] {
        let (tx, rx) = capped(mechanism, capacity).channel::<Bytes>()?;
        let huge = vec![1; 2 * CAP as usize];
        assert!(
            matches!(tx.send(&huge), Err(SendError::TooLarge(refused)) if refused.max < CAP as usize)
        );
        assert!(matches!(tx.deliver(&huge).unwrap_err().reason(), SendError::TooLarge(_)));
        if capacity != Capacity::Zero {
            let error = tx.try_send(&huge).unwrap_err();
            assert!(matches!(error, TrySendError::Send(SendError::TooLarge(_))), "{error}");
        }
        assert!(rx.try_receive()?.is_none());
        keeps_the_contract(&tx, &rx)?;
    }
    Ok(())
}

fn bounded_at_the_cap(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = capped(mechanism, Capacity::Bounded(1000)).channel::<Bytes>()?;
    let child = fork(tx, |tx| {
        for i in 0..300u32 {
            tx.send_with(&vec![i as u8; 100_000], &soon())?;
        }
        Ok(())
    })?;
    for i in 0..300u32 {
        let delivery = rx.receive_with(&soon())?;
        assert!(delivery.len() == 100_000 && delivery.iter().all(|byte| *byte == i as u8));
    }
    assert!(rx.receive_with(&soon()).unwrap_err().is_disconnected());
    Ok(child.wait()?)
}
