//! No descriptors left in this process.

use crate::partner::{Call, Callers, Partner, call, small};
use crate::scarce::{MOST, all_but, keeps_the_contract, limited, lower, says};
use nix::errno::Errno;
use nix::sys::resource::Resource;
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use postbox::{
    Bytes, Cancel, Capacity, Domain, Mechanism, Process, Receiver, Select, Sender, Spawn, Wait,
    channel, fork,
};
use postbox_tests::bench::Bench;
use postbox_tests::{Outcome, descriptors, holder, soon};
use std::error::Error;
use std::time::Duration;

pub fn few_descriptors(mechanism: Mechanism) -> Outcome {
    for limit in 3..36 {
        limited(|| {
            let before = descriptors();
            lower(Resource::RLIMIT_NOFILE, limit)?;
            let created = channel::<Bytes>(mechanism, Capacity::Bounded(4));
            let (tx, rx) = match created {
                Ok(ends) => ends,
                Err(error) => {
                    says(&error, &format!("RLIMIT_NOFILE is {limit} descriptors"));
                    lower(Resource::RLIMIT_NOFILE, 256)?;
                    assert_eq!(descriptors(), before, "it left descriptors behind");
                    channel::<Bytes>(mechanism, Capacity::Bounded(4))?
                }
            };
            match keeps_the_contract(&tx, &rx) {
                Ok(()) => {}
                Err(error) => {
                    says(&error, &format!("RLIMIT_NOFILE is {limit} descriptors"));
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

pub fn out_of_descriptors(mechanism: Mechanism) -> Outcome {
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

pub fn joining() -> Outcome {
    const ENOUGH: usize = 40;
    let bench = Bench::new()?;
    let domain = bench.open();
    let me = domain.join("me")?;
    let mut failed = 0;
    for left in 0..ENOUGH {
        let before = descriptors();
        let taken = all_but(left)?;
        let _ = bench.options().open("lab");
        let _ = bench.options().open("another");
        let joined = domain.join("other");
        if let Err(error) = &joined {
            says(error, &format!("RLIMIT_NOFILE is {MOST} descriptors"));
            failed += 1;
        }
        assert!(left + 1 < ENOUGH || joined.is_ok(), "{joined:?}");
        // Leaving needs none.
        drop(joined);
        drop(taken);
        assert_eq!(descriptors(), before, "{left}");
        // What is held stays held, whatever has failed: only another process can tell.
        fork((), |()| {
            let held = bench.open().processes()?;
            assert_eq!(held.len(), 1, "{left}: {held:?}");
            Ok(())
        })?
        .wait()?;
        // A domain that was made and could not be opened is empty, and goes with its next user.
        drop(bench.options().open("another")?);
        assert_eq!(bench.leftovers().len(), 5, "{left}: {:?}", bench.leftovers());
    }
    assert!(failed > 3, "{failed}");
    let taken = all_but(0)?;
    drop((me, domain));
    drop(taken);
    assert_eq!(bench.leftovers(), [""; 0]);
    Ok(())
}

pub fn forking() -> Outcome {
    let bench = Bench::new()?;
    let taken = all_but(0)?;
    let sign = bench.path().join("the child was here");
    let forked = fork((), |()| Ok(std::fs::create_dir(&sign)?));
    drop(taken);
    let error = forked.err().ok_or("a child without a descriptor to wait for it by")?;
    says(&error, &format!("RLIMIT_NOFILE is {MOST} descriptors"));
    assert_eq!(waitpid(Pid::from_raw(-1), None), Err(Errno::ECHILD));
    assert!(!sign.exists(), "said not to be, and yet it ran");
    Ok(fork((), |()| Ok(()))?.wait()?)
}

/// What a process does by itself, each again and again: all of it takes descriptors.
fn own_calls<'c>(
    bench: &'c Bench,
    domain: &'c Domain,
    me: &'c Process,
    (tx, rx): (&'c Sender<Bytes>, &'c Receiver<Bytes>),
    round: u8,
) -> Vec<Call<'c>> {
    const NOW: Duration = Duration::from_millis(1);
    let mechanism = tx.mechanism();
    let name = format!("new-{round}");
    let same = name.clone();
    vec![
        call("a channel", move || channel::<u32>(mechanism, Capacity::Bounded(4))),
        call("a pollable", || rx.pollable()),
        call("a selection", || {
            let mut select = Select::new()?;
            select.add(rx)?;
            assert!(select.try_receive()?.is_none());
            Ok::<_, Box<dyn Error>>(())
        }),
        call("a cancel", Cancel::new),
        call("a wait for a receiver", || match tx.deliver_with(b"1", &Wait::timeout(NOW)) {
            Err(error) if error.is_timeout() => Ok(()),
            outcome => outcome.map(drop),
        }),
        call("a wait for a message", || match rx.receive_with(&Wait::timeout(NOW)) {
            Err(error) if error.is_timeout() => Ok(()),
            outcome => outcome.map(drop),
        }),
        call("a child", || fork((), |()| Ok(()))?.wait().map_err(Box::<dyn Error>::from)),
        call("a program", || Spawn::new("true").spawn()?.wait().map_err(Box::<dyn Error>::from)),
        call("a program with an end", || {
            let child = Spawn::new("true").pass("in", rx.clone())?.spawn()?;
            child.wait().map_err(Box::<dyn Error>::from)
        }),
        call("opening a domain", || bench.options().open("another")),
        call("listing", || domain.processes()),
        call("joining", || domain.join("another")),
        call("a mailbox", move || me.create_mailbox::<u32>(&name, small(mechanism))),
        call("destroying it", move || domain.mailbox(&same)?.destroy()),
    ]
}

pub fn every_call(mechanism: Mechanism) -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    let partner = Partner::start(&domain, mechanism)?;
    let me = domain.join("me")?;
    let (tx, rx) = channel::<Bytes>(mechanism, Capacity::Bounded(4))?;
    let mut failed = 0;
    for left in 0..30 {
        let (tx, rx) = (tx.clone(), rx.clone());
        let callers = Callers::join(&domain, mechanism, left)?;
        let own = own_calls(&bench, &domain, &me, (&tx, &rx), left);
        for (name, call) in own.into_iter().chain(callers.calls()) {
            let taken = all_but(left.into())?;
            let outcome = call();
            drop(taken);
            if let Err(error) = outcome {
                says(&error, &format!("RLIMIT_NOFILE is {MOST} descriptors"));
                failed += 1;
                call().map_err(|error| format!("{name} with {left} left, again: {error}"))?;
            }
        }
    }
    assert!(failed > 60, "only {failed} failed");
    partner.end()
}
