//! Disconnection by SIGKILL: noticed within 200 ms, whoever else holds the descriptors.

use crate::passing::PEER;
use postbox::{Bytes, Capacity, Child, Mechanism, Receiver, Sender, Spawn};
use postbox_tests::{
    Bystander, CAPACITIES, Case, Naming, Outcome, PATIENCE, across_capacities, channel, holder,
    median, own_thread, soon, until_asleep, where_senders_are_told,
};
use std::thread;
use std::time::{Duration, Instant};

/// What the contract says; the median has to keep it, each single time a machine under load.
const CONTRACT: Duration = Duration::from_millis(200);
const AT_MOST: Duration = Duration::from_secs(1);
const TIMES: usize = 5;

pub fn cases() -> Vec<Case> {
    // What a waiting end sleeps on, and what a trying one looks at, does not depend on how large n is.
    let few = [Capacity::Zero, Capacity::Bounded(1), Capacity::Bounded(64), Capacity::Unbounded];
    [
        across_capacities(
            "a waiting receiver sees its killed sender",
            &CAPACITIES,
            waiting_receiver,
        ),
        where_senders_are_told(
            "a waiting sender sees its killed receiver",
            &CAPACITIES[..7],
            waiting_sender,
        ),
        where_senders_are_told(
            "a waiting deliver sees its killed receiver",
            &CAPACITIES,
            waiting_deliver,
        ),
        across_capacities(
            "a receiver that only tries sees its killed sender",
            &few,
            trying_receiver,
        ),
        where_senders_are_told(
            "a sender that only tries sees its killed receiver",
            &few,
            trying_sender,
        ),
        across_capacities(
            "waiting calls see a killed partner although bystanders live on with the descriptors",
            &few,
            bystanders_live,
        ),
        across_capacities(
            "triers see a killed partner although bystanders live on with the descriptors",
            &few,
            bystanders_live_for_triers,
        ),
        across_capacities(
            "who has tried for long sees a killed partner as soon as who begins",
            &few[2..3],
            trying_for_long,
        ),
        across_capacities("killed programs are seen by waiting calls and triers", &few, programs),
        across_capacities(
            "what a killed sender had sent is drained first",
            &CAPACITIES[1..],
            drained,
        ),
        across_capacities("all ends of a killed process are gone", &few, all_ends),
        across_capacities(
            "a child killed before it ran a line is gone",
            &few[2..],
            killed_at_birth,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

type Measured = Result<Duration, Box<dyn std::error::Error>>;

fn within_the_contract(mut measure: impl FnMut() -> Measured) -> Outcome {
    let times = (0..TIMES).map(|_| measure()).collect::<Result<Vec<_>, _>>()?;
    println!("{times:?}");
    assert!(times.iter().all(|time| *time < AT_MOST), "{times:?}");
    assert!(median(times.clone()) < CONTRACT, "{times:?}");
    Ok(())
}

/// Kills the partner; when that was.
fn kill(partner: &mut Child) -> Instant {
    let moment = Instant::now();
    partner.signal(9).unwrap();
    moment
}

/// How long after its partner's death a waiting call returns.
fn of_waiting(mut partner: Child, wait: impl FnOnce()) -> Duration {
    let own = own_thread();
    let death = thread::spawn(move || {
        until_asleep(own);
        (kill(&mut partner), partner)
    });
    wait();
    let returned = Instant::now();
    let (moment, mut partner) = death.join().unwrap();
    partner.wait_status().unwrap();
    returned.checked_duration_since(moment).expect("it returned before the death")
}

/// How long after its partner's death the tries say so.
fn of_trying(mut partner: Child, mut is_told: impl FnMut() -> bool) -> Duration {
    assert!(!is_told(), "told of a death that has not happened");
    let moment = kill(&mut partner);
    while !is_told() {
        assert!(moment.elapsed() < PATIENCE, "never told");
    }
    let told = moment.elapsed();
    partner.wait_status().unwrap();
    told
}

fn fill(tx: &Sender<Bytes>, capacity: Capacity) -> Outcome {
    if let Capacity::Bounded(n) = capacity {
        (0..n).try_for_each(|_| tx.try_send(b"filling"))?;
    }
    Ok(())
}

fn receive_the_end(rx: &Receiver<Bytes>) {
    let error = rx.receive_with(&soon()).unwrap_err();
    assert!(error.is_disconnected(), "{error}");
}

fn deliver_to_nobody(tx: &Sender<Bytes>) {
    let error = tx.deliver_with(b"more", &soon()).unwrap_err();
    assert!(error.is_disconnected(), "{error}");
}

fn receiver_is_told(rx: &Receiver<Bytes>) -> bool {
    match rx.try_receive() {
        Ok(_) => false,
        Err(error) => error.is_disconnected() || panic!("{error}"),
    }
}

/// With a pause, for an unbounded channel that takes every try.
fn sender_is_told(tx: &Sender<Bytes>) -> bool {
    for _ in 0..10_000 {
        std::hint::spin_loop();
    }
    match tx.try_send(b"try") {
        Ok(()) => false,
        Err(error) if error.is_full() => false,
        Err(error) => error.is_disconnected() || panic!("{error}"),
    }
}

fn waiting_receiver(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    within_the_contract(|| {
        let (tx, rx) = channel(mechanism, capacity)?;
        Ok(of_waiting(holder(tx)?, || receive_the_end(&rx)))
    })
}

fn waiting_sender(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    within_the_contract(|| {
        let (tx, rx) = channel(mechanism, capacity)?;
        fill(&tx, capacity)?;
        Ok(of_waiting(holder(rx)?, || {
            assert!(tx.send_with(b"more", &soon()).unwrap_err().is_disconnected());
        }))
    })
}

fn waiting_deliver(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    within_the_contract(|| {
        let (tx, rx) = channel(mechanism, capacity)?;
        Ok(of_waiting(holder(rx)?, || deliver_to_nobody(&tx)))
    })
}

fn trying_receiver(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    within_the_contract(|| {
        let (tx, rx) = channel(mechanism, capacity)?;
        Ok(of_trying(holder(tx)?, || receiver_is_told(&rx)))
    })
}

fn trying_sender(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    within_the_contract(|| {
        let (tx, rx) = channel(mechanism, capacity)?;
        Ok(of_trying(holder(rx)?, || sender_is_told(&tx)))
    })
}

/// Among what an end tells itself is when it last looked.
fn trying_for_long(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let for_long = |is_told: &mut dyn FnMut() -> bool| {
        let begin = Instant::now();
        while begin.elapsed() < CONTRACT / 2 {
            assert!(!is_told(), "told of a death that has not happened");
        }
    };
    within_the_contract(|| {
        let (tx, rx) = channel(mechanism, capacity)?;
        let child = holder(tx)?;
        for_long(&mut || receiver_is_told(&rx));
        Ok(of_trying(child, || receiver_is_told(&rx)))
    })?;
    if !Naming::chosen().senders_are_told() {
        return Ok(());
    }
    within_the_contract(|| {
        let (tx, rx) = channel(mechanism, capacity)?;
        let child = holder(rx)?;
        for_long(&mut || sender_is_told(&tx));
        Ok(of_trying(child, || sender_is_told(&tx)))
    })
}

fn bystanders_live(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    within_the_contract(|| {
        let (tx, rx) = channel(mechanism, capacity)?;
        let _before = Bystander::idle()?;
        let child = holder(tx)?;
        let _after = Bystander::idle()?;
        Ok(of_waiting(child, || receive_the_end(&rx)))
    })?;
    if !Naming::chosen().senders_are_told() {
        return Ok(());
    }
    within_the_contract(|| {
        let (tx, rx) = channel(mechanism, capacity)?;
        fill(&tx, capacity)?;
        let _before = Bystander::idle()?;
        let child = holder(rx)?;
        let _after = Bystander::idle()?;
        Ok(of_waiting(child, || deliver_to_nobody(&tx)))
    })
}

fn bystanders_live_for_triers(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    within_the_contract(|| {
        let (tx, rx) = channel(mechanism, capacity)?;
        let _before = Bystander::idle()?;
        let child = holder(tx)?;
        let _after = Bystander::idle()?;
        Ok(of_trying(child, || receiver_is_told(&rx)))
    })?;
    if !Naming::chosen().senders_are_told() {
        return Ok(());
    }
    within_the_contract(|| {
        let (tx, rx) = channel(mechanism, capacity)?;
        let _before = Bystander::idle()?;
        let child = holder(rx)?;
        let _after = Bystander::idle()?;
        Ok(of_trying(child, || sender_is_told(&tx)))
    })
}

/// A program that holds `end` under that name, once it has taken the end over.
fn program(
    mechanism: Mechanism,
    name: &str,
    spawn: Spawn,
) -> Result<Child, Box<dyn std::error::Error>> {
    let (ready_tx, ready) = channel::<Bytes>(mechanism, Capacity::Bounded(1))?;
    let child = spawn.args(["hold", name, "ready"]).pass("ready", ready_tx)?.spawn()?;
    ready.receive_with(&soon())?;
    Ok(child)
}

fn programs(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for waiting in [true, false] {
        within_the_contract(|| {
            let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
            let child = program(mechanism, "out", Spawn::new(PEER).pass("out", tx)?)?;
            if capacity != Capacity::Zero {
                rx.receive_with(&soon())?;
            }
            Ok(match waiting {
                true => of_waiting(child, || receive_the_end(&rx)),
                false => of_trying(child, || receiver_is_told(&rx)),
            })
        })?;
        if !Naming::chosen().senders_are_told() {
            continue;
        }
        within_the_contract(|| {
            let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
            let child = program(mechanism, "in", Spawn::new(PEER).pass("in", rx)?)?;
            Ok(match waiting {
                true => of_waiting(child, || deliver_to_nobody(&tx)),
                false => of_trying(child, || sender_is_told(&tx)),
            })
        })?;
    }
    Ok(())
}

fn drained(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, capacity)?;
    let (sent_tx, sent) = channel::<()>(mechanism, Capacity::Bounded(1))?;
    let count = match capacity {
        Capacity::Bounded(n) => n,
        _ => 5000,
    };
    let mut child = postbox::fork((tx, sent_tx), |(tx, sent)| {
        (0..count).try_for_each(|i| tx.try_send(&i))?;
        sent.send(&())?;
        loop {
            nix::unistd::pause();
        }
    })?;
    sent.receive()?;
    kill(&mut child);
    child.wait_status()?;
    for i in 0..count {
        assert_eq!(*rx.receive_with(&soon())?, i);
    }
    assert!(rx.receive_with(&soon()).unwrap_err().is_disconnected());
    Ok(())
}

fn all_ends(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    within_the_contract(|| {
        let (there, their_in) = channel::<Bytes>(mechanism, capacity)?;
        let (their_out, back) = channel::<Bytes>(mechanism, capacity)?;
        let more = [their_out.clone(), their_out.clone()];
        let child = holder((their_in, their_out, more))?;
        let time = of_waiting(child, || receive_the_end(&back));
        if Naming::chosen().senders_are_told() {
            deliver_to_nobody(&there);
        }
        Ok(time)
    })
}

fn killed_at_birth(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for round in 0..40u32 {
        let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
        let mut child = holder(tx)?;
        for _ in 0..round * 500 {
            std::hint::spin_loop();
        }
        kill(&mut child);
        receive_the_end(&rx);
        child.wait_status()?;
    }
    for round in 0..10u32 {
        let (tx, rx) = channel::<Bytes>(mechanism, capacity)?;
        let mut child = Spawn::new(PEER).args(["hold", "out"]).pass("out", tx)?.spawn()?;
        for _ in 0..round * 100_000 {
            std::hint::spin_loop();
        }
        kill(&mut child);
        while let Ok(greeting) = rx.receive_with(&soon()) {
            assert_eq!(&**greeting, b"here");
        }
        receive_the_end(&rx);
        child.wait_status()?;
    }
    Ok(())
}
