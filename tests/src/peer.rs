//! A program to be started by the tests with ends of channels: the first argument says what it
//! does with them, and the status tells how that went.

use nix::unistd::getppid;
use postbox::{
    Bytes, Capacity, InheritError, Mechanism, Options, Receiver, Sender, WaitStrategy, fork,
    inherited,
};
use postbox_tests::Outcome;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments[..] {
        ["hold", ..] => hold(&arguments[1..]),
        ["echo"] => echo(),
        ["send", count] => send(count),
        ["numbered"] => numbered(),
        ["drain"] => drain(),
        ["wait for the end"] => wait_for_the_end(),
        ["numbers"] => numbers(),
        ["mistakes"] => mistakes(),
        ["payloads", mechanism, count, len] => payloads(mechanism, count, len),
        ["batches", mechanism, count] => batches(mechanism, count),
        ["traffic", count, warm_up] => traffic(count, warm_up),
        _ => Err(format!("no task {arguments:?}").into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("postbox-peer {arguments:?}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Keeps its ends until it is killed; says so by a message where it can.
fn hold(names: &[&str]) -> Outcome {
    let mut senders = Vec::new();
    let mut receivers = Vec::new();
    for name in names {
        match inherited::<Sender<Bytes>>(name) {
            Ok(sender) => senders.push(sender),
            Err(InheritError::Direction(_)) => receivers.push(inherited::<Receiver<Bytes>>(name)?),
            Err(error) => return Err(error.into()),
        }
    }
    for sender in &senders {
        let _ = sender.try_send(b"here");
    }
    loop {
        nix::unistd::pause();
    }
}

/// Sends and receives so many batches, for somebody who counts its system calls.
fn batches(mechanism: &str, count: &str) -> Outcome {
    let (tx, rx) = postbox::channel::<Bytes>(mechanism.parse()?, Capacity::Bounded(128))?;
    let messages = [[7; 64]; 64];
    let mut batch = postbox::Batch::new();
    eprintln!("the batches begin");
    for _ in 0..count.parse()? {
        assert_eq!(tx.send_batch(messages.iter().map(|message| &message[..]))?, messages.len());
        assert_eq!(rx.receive_batch_into(&mut batch, messages.len())?, messages.len());
        assert!(batch.iter().eq(messages.iter().map(|message| &message[..])));
    }
    // Without what follows: descriptors are closed, and nobody is told.
    std::process::exit(0)
}

/// Sends on to `out` what comes from `in`.
fn echo() -> Outcome {
    let (rx, tx) = (inherited::<Receiver<Bytes>>("in")?, inherited::<Sender<Bytes>>("out")?);
    for delivery in &rx.until_drained() {
        tx.send(&delivery?)?;
    }
    Ok(())
}

/// Sends that many numbers to `out` and ends without ado.
fn send(count: &str) -> Outcome {
    let tx = inherited::<Sender<u64>>("out")?;
    for i in 0..count.parse()? {
        tx.send(&i)?;
    }
    std::process::exit(0)
}

/// Sends two messages to `out`, as one that takes part in a walk over all steps.
fn numbered() -> Outcome {
    #[cfg(feature = "armed-steps")]
    if let Ok(doom) = std::env::var("POSTBOX_DOOM") {
        let [step, when, fate] = doom.split(':').collect::<Vec<_>>()[..] else {
            return Err("a doom is STEP:WHEN:FATE".into());
        };
        let fate = match fate {
            "Stops" => postbox_steps::Fate::Stops,
            _ => postbox_steps::Fate::Dies,
        };
        postbox_steps::arm(step.parse()?, when.parse()?, fate);
    }
    let tx = inherited::<Sender<postbox_tests::Numbered>>("out")?;
    for seq in 0..2 {
        tx.send(&(SPAWNED, seq, vec![seq as u8; 10]))?;
    }
    drop(tx);
    #[cfg(feature = "armed-steps")]
    if let Ok(times) = postbox::inherited_fd("times") {
        let all = postbox_steps::Step::ALL.iter();
        let bytes: Vec<u8> =
            all.flat_map(|step| postbox_steps::times(*step).to_le_bytes()).collect();
        std::io::Write::write_all(&mut std::fs::File::from(times), &bytes)?;
    }
    Ok(())
}

/// The number under which a program that was started takes part.
const SPAWNED: u32 = 200;

/// Takes what comes from `in` until all senders are gone.
fn drain() -> Outcome {
    let rx = inherited::<Receiver<Bytes>>("in")?;
    for delivery in &rx {
        delivery?;
    }
    Ok(())
}

/// Waits in a receive at `in` until it says that the senders are gone.
fn wait_for_the_end() -> Outcome {
    match inherited::<Receiver<Bytes>>("in")?.until_drained().receive() {
        Err(error) if error.is_disconnected() => Ok(()),
        other => Err(format!("not disconnected but {other:?}").into()),
    }
}

/// Takes numbers from `in`, where other things come too: each of those is an error of its own.
fn numbers() -> Outcome {
    let rx = inherited::<Receiver<u32>>("in")?;
    let tx = inherited::<Sender<String>>("out")?;
    for number in &rx.until_drained() {
        tx.send(&match number {
            Ok(number) => number.to_string(),
            Err(error) => error.to_string(),
        })?;
    }
    Ok(())
}

/// Picks up its end `in` wrongly in every way, then rightly, then once more.
fn mistakes() -> Outcome {
    let missing = inherited::<Receiver<Bytes>>("nowhere").unwrap_err();
    assert!(matches!(&missing, InheritError::Missing(name) if name == "nowhere"), "{missing:?}");
    let direction = inherited::<Sender<Bytes>>("in").unwrap_err();
    assert!(matches!(&direction, InheritError::Direction(name) if name == "in"), "{direction:?}");
    let rx = inherited::<Receiver<Bytes>>("in")?;
    let again = inherited::<Receiver<Bytes>>("in").unwrap_err();
    assert!(matches!(again, InheritError::Missing(_) | InheritError::Lost(_)), "{again:?}");
    assert_eq!(&**rx.receive()?, b"once");
    drop(rx);
    assert!(inherited::<Receiver<Bytes>>("in").is_err());
    Ok(())
}

/// Sends that many messages to a child, each with its number and a mark to search for.
fn payloads(mechanism: &str, count: &str, len: &str) -> Outcome {
    let (count, len) = (count.parse::<usize>()?, len.parse()?);
    let options = Options::new(mechanism.parse()?).capacity(Capacity::Bounded(8)).max_message(len);
    let (tx, rx) = options.channel::<Bytes>()?;
    let child = fork(rx, |rx| {
        assert_eq!(rx.iter().filter(Result::is_ok).count(), count);
        Ok(())
    })?;
    for i in 0..count {
        let mut message = format!("payload-{i:06}-").into_bytes();
        message.resize(len, b'~');
        tx.send(&message)?;
    }
    drop(tx);
    Ok(child.wait()?)
}

/// Sends messages over shared memory to a child, both ends spinning. Each says by a call to
/// `getppid` where the messages that count begin and end.
fn traffic(count: &str, warm_up: &str) -> Outcome {
    let (count, warm_up) = (count.parse::<usize>()?, warm_up.parse::<usize>()?);
    let options = Options::new(Mechanism::SharedMemory).wait_strategy(WaitStrategy::Spin);
    let (tx, rx) = options.channel::<Bytes>()?;
    let child = fork(rx, |rx| {
        let mut buffer = Vec::new();
        for i in 0..warm_up + count {
            if i == warm_up {
                getppid();
            }
            rx.receive_into(&mut buffer)?;
        }
        getppid();
        Ok(())
    })?;
    for i in 0..warm_up + count {
        if i == warm_up {
            getppid();
        }
        tx.send(&[1; 64])?;
    }
    getppid();
    Ok(child.wait()?)
}
