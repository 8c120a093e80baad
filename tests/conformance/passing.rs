//! How ends travel: by fork, through exec, to threads, and not at all.

use nix::sys::signal::Signal;
use postbox::{
    Bytes, Capacity, Fault, ForkError, Form, Mechanism, Options, ReceiveError, Receiver, SendError,
    Sender, Spawn, TrySendError, fork,
};
use postbox_tests::{
    CAPACITIES, Case, Gate, Naming, Outcome, across, across_capacities, bystander, channel,
    connect, default_action, destroy_mailboxes, over, pid_of_sender, soon,
};
use std::thread;

/// The program that the tests start.
pub const PEER: &str = env!("CARGO_BIN_EXE_postbox-peer");

pub fn cases() -> Vec<Case> {
    [
        across_capacities(
            "ends passed through exec work in both directions",
            &CAPACITIES,
            through_exec,
        ),
        across_capacities("ends moved to threads work", &CAPACITIES, threads),
        across_capacities("an end in transit keeps the channel connected", &CAPACITIES, in_transit),
        across_capacities(
            "an end captured by a plainly forked child is not passed and its drop does nothing",
            &CAPACITIES,
            not_passed_to_a_bystander,
        ),
        across("an end captured but not passed to a forked child is not passed", captured),
        across("an end cannot be passed on by whom it was not passed to", not_ones_own_to_give),
        over("a clone of a one to one end is refused and the end works on", one_to_one_clone),
        across("a message of another type is one error and the next is received", decode_errors),
        across("no call raises SIGPIPE", no_sigpipe),
        across("two thousand ends are told apart and one too many is refused", many_ends),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn through_exec(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (there, peer_in) = channel::<Bytes>(mechanism, capacity)?;
    let (peer_out, back) = channel::<Bytes>(mechanism, capacity)?;
    let child = Spawn::new(PEER).arg("echo").pass("in", peer_in)?.pass("out", peer_out)?.spawn()?;
    for len in [0usize, 1, 64, 4096, 8193, 200_000] {
        let message: Vec<u8> = (0..len).map(|i| i as u8).collect();
        there.send_with(&message, &soon())?;
        let echo = back.receive_with(&soon())?;
        assert!(echo[..] == message, "{len} bytes came back otherwise");
        assert_eq!(echo.sender().pid(), pid_of_sender(child.pid()));
    }
    drop(there);
    assert!(back.receive_with(&soon()).unwrap_err().is_disconnected());
    Ok(child.wait()?)
}

fn threads(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<(u32, u32)>(mechanism, capacity)?;
    let threads: Vec<_> = (0..3)
        .map(|sender| {
            let tx = tx.clone();
            thread::spawn(move || (0..300).try_for_each(|seq| tx.send(&(sender, seq))))
        })
        .collect();
    drop(tx);
    let receiver = thread::spawn(move || {
        let mut next = [0; 3];
        for delivery in &rx {
            let (sender, seq) = *delivery.unwrap();
            assert_eq!(seq, next[sender as usize]);
            next[sender as usize] += 1;
        }
        next
    });
    assert_eq!(receiver.join().unwrap(), [300; 3]);
    for thread in threads {
        thread.join().unwrap()?;
    }
    Ok(())
}

fn in_transit(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    const GENERATIONS: u32 = 20;
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let receiver = fork(rx, |rx| {
        let taken = rx.iter().map(|delivery| delivery.map(|delivery| *delivery));
        assert!(taken.collect::<Result<Vec<_>, _>>()?.into_iter().eq(0..GENERATIONS));
        Ok(())
    })?;
    // Each generation sends one number and passes the end on, so that there is never another.
    fn pass_on(tx: Sender<u32>, generation: u32) -> Outcome {
        if generation == GENERATIONS {
            return Ok(());
        }
        let child = fork(tx, move |tx| {
            tx.send(&generation)?;
            pass_on(tx, generation + 1)
        })?;
        Ok(child.wait()?)
    }
    pass_on(tx, 0)?;
    Ok(receiver.wait()?)
}

fn assert_not_passed(tx: &Sender<u32>, rx: &Receiver<u32>) {
    let sending = |error: &SendError| matches!(error, SendError::Fault(Fault::NotPassed));
    let receiving = |error: &ReceiveError| matches!(error, ReceiveError::Fault(Fault::NotPassed));
    assert!(sending(&tx.send(&1).unwrap_err()));
    assert!(sending(&tx.send_with(&1, &soon()).unwrap_err()));
    assert!(matches!(tx.try_send(&1).unwrap_err(), TrySendError::Send(error) if sending(&error)));
    assert!(sending(tx.deliver(&1).unwrap_err().reason()));
    assert!(sending(&tx.send_batch([&1]).unwrap_err().reason));
    assert!(receiving(&rx.receive().unwrap_err()));
    assert!(receiving(&rx.receive_with(&soon()).unwrap_err()));
    assert!(receiving(&rx.try_receive().unwrap_err()));
    assert!(matches!(rx.pollable().unwrap_err(), Fault::NotPassed));
    assert!(sending(&tx.clone().send(&1).unwrap_err()));
    assert!(receiving(&rx.clone().try_receive().unwrap_err()));
    assert!(rx.iter().next().is_some_and(|item| receiving(&item.unwrap_err())));
}

fn not_passed_to_a_bystander(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let (mut tx, mut rx) = (Some(tx), Some(rx));
    // What is taken out of the options in the child stays in them here.
    bystander(|| {
        let (tx, rx) = (tx.take().unwrap(), rx.take().unwrap());
        assert_not_passed(&tx, &rx);
        drop((tx, rx));
    })?
    .ended_well();
    let (tx, rx) = (tx.take().unwrap(), rx.take().unwrap());
    if capacity == Capacity::Zero {
        assert!(tx.try_send(&1).unwrap_err().is_full() && rx.try_receive()?.is_none());
    } else {
        tx.try_send(&1)?;
        assert_eq!(tx.len(), 1);
        assert_eq!(*rx.try_receive()?.unwrap(), 1);
    }
    drop(tx);
    assert!(rx.receive().unwrap_err().is_disconnected());
    Ok(())
}

fn captured(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, Capacity::Bounded(2))?;
    let (passed, passed_rx) = channel::<u32>(mechanism, Capacity::Bounded(2))?;
    fork(passed, |passed| {
        assert_not_passed(&tx, &rx);
        Ok(passed.send(&7)?)
    })?
    .wait()?;
    assert_eq!(*passed_rx.receive()?, 7);
    assert!(passed_rx.receive().unwrap_err().is_disconnected());
    tx.try_send(&1)?;
    assert_eq!(*rx.try_receive()?.unwrap(), 1);
    Ok(())
}

fn not_ones_own_to_give(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, Capacity::Bounded(2))?;
    let (mut tx, mut rx) = (Some(tx), Some(rx));
    fork((), |()| {
        let refused = fork(tx.take(), |_| Ok(())).map(|child| child.pid());
        assert!(matches!(refused, Err(ForkError::Fault(Fault::NotPassed))), "{refused:?}");
        let refused = Spawn::new(PEER).pass("in", rx.take().unwrap()).map(drop).unwrap_err();
        assert!(matches!(refused, postbox::SpawnError::Fault(Fault::NotPassed)), "{refused}");
        Ok(())
    })?
    .wait()?;
    tx.unwrap().try_send(&1)?;
    assert_eq!(*rx.unwrap().receive()?, 1);
    Ok(())
}

fn one_to_one_clone(mechanism: Mechanism) -> Outcome {
    let options = Options::new(mechanism).form(Form::OneToOne).capacity(Capacity::Bounded(2));
    let (tx, rx) = connect::<u32>(&options)?;
    let (tx_clone, rx_clone) = (tx.clone(), rx.clone());
    let error = tx_clone.try_send(&0).unwrap_err();
    assert!(
        matches!(error, TrySendError::Send(SendError::Fault(Fault::TooManyEnds { limit: 1, .. }))),
        "{error}"
    );
    let error = rx_clone.receive().unwrap_err();
    assert!(matches!(error, ReceiveError::Fault(Fault::TooManyEnds { limit: 1, .. })), "{error}");
    drop((tx_clone, rx_clone));
    tx.try_send(&1)?;
    assert_eq!(*rx.receive()?, 1);
    let child = fork(tx, |tx| Ok(tx.send(&2)?))?;
    assert_eq!(*rx.receive()?, 2);
    assert!(rx.receive().unwrap_err().is_disconnected());
    Ok(child.wait()?)
}

fn decode_errors(mechanism: Mechanism) -> Outcome {
    let (there, peer_in) = channel::<Bytes>(mechanism, Capacity::Bounded(8))?;
    let (peer_out, back) = channel::<String>(mechanism, Capacity::Bounded(8))?;
    let child =
        Spawn::new(PEER).arg("numbers").pass("in", peer_in)?.pass("out", peer_out)?.spawn()?;
    // Postcard: 5; nothing at all; a number that never ends; a number and more; 6.
    for bytes in [&[5][..], &[], &[0xff; 10], &[5, 1, 2], &[6]] {
        there.send(bytes)?;
    }
    drop(there);
    let answers = back.iter().map(|answer| answer.map(|answer| answer.into_inner()));
    let answers = answers.collect::<Result<Vec<String>, _>>()?;
    assert_eq!(answers.len(), 5, "{answers:?}");
    assert_eq!((answers[0].as_str(), answers[4].as_str()), ("5", "6"));
    for error in &answers[1..4] {
        assert!(error.contains("not of the expected type"), "{error}");
    }
    assert!(answers[3].contains("2 bytes are left over"), "{answers:?}");
    Ok(child.wait()?)
}

fn no_sigpipe(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<Bytes>(mechanism, Capacity::Bounded(3))?;
    default_action(Signal::SIGPIPE)?;
    drop(rx);
    if !Naming::chosen().senders_are_told() {
        destroy_mailboxes()?;
        assert!(tx.send(b"1").unwrap_err().is_destroyed());
        assert!(tx.try_send(b"1").unwrap_err().is_destroyed());
        assert!(tx.deliver(b"1").unwrap_err().is_destroyed());
        return Ok(());
    }
    assert!(tx.send(b"1").unwrap_err().is_disconnected());
    assert!(tx.try_send(b"1").unwrap_err().is_disconnected());
    assert!(tx.deliver(b"1").unwrap_err().is_disconnected());

    let (tx, rx) = channel::<Bytes>(mechanism, Capacity::Bounded(3))?;
    let mut child = fork(rx, |rx| {
        rx.receive()?;
        std::process::exit(0)
    })?;
    while tx.send(b"1").is_ok() {}
    assert!(child.wait_status()?.success());
    for _ in 0..10 {
        assert!(tx.try_send(b"1").unwrap_err().is_disconnected());
    }
    Ok(())
}

fn many_ends(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, Capacity::Bounded(4))?;
    // The two have their places among the 2048.
    let mut clones: Vec<_> = (0..2046).map(|_| tx.clone()).collect();
    for (i, clone) in (0..).zip(&clones) {
        clone.try_send(&i)?;
        assert_eq!(*rx.receive()?, i);
    }
    let error = tx.clone().try_send(&0).unwrap_err();
    assert!(error.to_string().contains("2048"), "{error}");
    assert!(matches!(
        error,
        TrySendError::Send(SendError::Fault(Fault::TooManyEnds { limit: 2048, .. }))
    ));
    clones.truncate(5);
    tx.clone().try_send(&1)?;
    assert_eq!(*rx.receive()?, 1);
    // Those of a killed process leave their places too.
    let sent = Gate::new()?;
    let mut child = fork(clones, |clones| {
        clones[0].send(&2)?;
        sent.open()?;
        loop {
            nix::unistd::pause();
        }
    })?;
    sent.pass()?;
    child.signal(9)?;
    child.wait_status()?;
    drop(tx);
    assert_eq!(*rx.receive()?, 2);
    assert!(rx.receive_with(&soon()).unwrap_err().is_disconnected());
    Ok(())
}
