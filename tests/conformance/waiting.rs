//! What ends a wait: what was waited for, the deadline, the cancel; never a signal.

use nix::sys::signal::{SaFlags, Signal};
use postbox::{Cancel, Capacity, Mechanism, Options, Receiver, Sender, Wait, WaitStrategy, fork};
use postbox_tests::{
    CAPACITIES, Case, Gate, Outcome, STRATEGIES, Storm, across, across_capacities, channel,
    connect, median, on_signal, own_thread, soon, until_asleep,
};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Case> {
    let few = [Capacity::Zero, Capacity::Bounded(3), Capacity::Unbounded];
    [
        across_capacities("deadlines are kept and never early", &CAPACITIES, deadlines),
        across_capacities(
            "deadlines are kept in a storm of signals that restart calls",
            &few,
            |mechanism, capacity| deadlines_in_storm(mechanism, capacity, SaFlags::SA_RESTART),
        ),
        across_capacities(
            "deadlines are kept in a storm of signals that interrupt calls",
            &few,
            |mechanism, capacity| deadlines_in_storm(mechanism, capacity, SaFlags::empty()),
        ),
        across_capacities("a signal alone never ends a wait", &CAPACITIES, signals_end_nothing),
        across_capacities("a storm of signals loses and doubles nothing", &few, traffic_in_storm),
        across_capacities("cancel from another thread wakes every wait", &CAPACITIES, cancel_wakes),
        across_capacities(
            "a cancel that has fired ends every later wait at once",
            &few,
            cancel_stays,
        ),
        across("cancel ends a spinning wait", cancel_spinning),
        across("cancel from a signal handler ends the wait", cancel_from_handler),
        across("no time at all is time enough for what is there", no_time),
        across("waiting for ever and beyond the clock waits", beyond_the_clock),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A channel in which neither side gets anywhere, by its send and by its receive.
struct Stuck {
    full: (Sender<u32>, Receiver<u32>),
    empty: (Sender<u32>, Receiver<u32>),
}

/// A call that waits in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    Send,
    Receive,
    Deliver,
}

const CALLS: [Call; 3] = [Call::Send, Call::Receive, Call::Deliver];

#[derive(Debug, PartialEq, Eq)]
enum Ending {
    TimedOut,
    Cancelled,
}

impl Stuck {
    fn new(options: Options, capacity: Capacity) -> Result<Self, Box<dyn std::error::Error>> {
        let options = options.capacity(capacity);
        let (full, empty) = (connect::<u32>(&options)?, connect::<u32>(&options)?);
        if let Capacity::Bounded(n) = capacity {
            (0..n).try_for_each(|i| full.0.try_send(&i))?;
        }
        Ok(Stuck { full, empty })
    }

    fn calls(&self) -> impl Iterator<Item = Call> {
        let unbounded = self.full.0.capacity() == Capacity::Unbounded;
        CALLS.into_iter().filter(move |call| !unbounded || *call != Call::Send)
    }

    fn wait(&self, call: Call, wait: &Wait) -> Ending {
        let (timed_out, cancelled) = match call {
            Call::Send => {
                let error = self.full.0.send_with(&0, wait).unwrap_err();
                (error.is_timeout(), error.is_cancelled())
            }
            Call::Receive => {
                let error = self.empty.1.receive_with(wait).unwrap_err();
                (error.is_timeout(), error.is_cancelled())
            }
            Call::Deliver => {
                let error = self.empty.0.deliver_with(&0, wait).unwrap_err();
                (error.is_timeout(), error.is_cancelled())
            }
        };
        match (timed_out, cancelled) {
            (true, false) => Ending::TimedOut,
            (false, true) => Ending::Cancelled,
            other => panic!("{call:?}: {other:?}"),
        }
    }
}

const DURATIONS: [u64; 5] = [0, 100, 1000, 5000, 20_000];

fn keep_deadlines(stuck: &Stuck) -> Outcome {
    for call in stuck.calls() {
        let mut late = Vec::new();
        for micros in DURATIONS.into_iter().cycle().take(3 * DURATIONS.len()) {
            let patience = Duration::from_micros(micros);
            let start = Instant::now();
            let wait = if micros % 2 == 0 {
                Wait::timeout(patience)
            } else {
                Wait::until(start + patience)
            };
            assert_eq!(stuck.wait(call, &wait), Ending::TimedOut);
            let took = start.elapsed();
            assert!(took >= patience, "{call:?} was early: {took:?} of {patience:?}");
            late.push(took - patience);
        }
        println!("{call:?} late by {late:?}");
        assert!(median(late.clone()) < Duration::from_millis(5), "{call:?} late by {late:?}");
        // On a machine under load a process may not get its turn for a while.
        assert!(late.iter().all(|late| *late < Duration::from_millis(500)), "{call:?}: {late:?}");
    }
    Ok(())
}

fn deadlines(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    STRATEGIES.into_iter().try_for_each(|strategy| {
        keep_deadlines(&Stuck::new(Options::new(mechanism).wait_strategy(strategy), capacity)?)
    })
}

fn deadlines_in_storm(mechanism: Mechanism, capacity: Capacity, flags: SaFlags) -> Outcome {
    let stuck = Stuck::new(Options::new(mechanism), capacity)?;
    let storm = Storm::begin(flags)?;
    keep_deadlines(&stuck)?;
    assert!(storm.strikes() > 20, "there was no storm");
    Ok(())
}

/// So often one side is struck; the other, which has a storm of its own, a fifth of it at least.
const STRIKES: u64 = 100;

fn signals_end_nothing(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for flags in [SaFlags::empty(), SaFlags::SA_RESTART] {
        let (tx, rx) = channel::<u32>(mechanism, capacity)?;
        let (go, waiting) = (Gate::new()?, Gate::new()?);
        let child = fork(rx, |rx| {
            let storm = Storm::begin(flags)?;
            waiting.open()?;
            assert_eq!(*rx.receive()?, 1);
            assert!(storm.strikes() >= STRIKES / 5, "only {} strikes", storm.strikes());
            drop(storm);
            go.pass()?;
            assert_eq!(*rx.receive()?, 2);
            Ok(())
        })?;
        waiting.pass()?;
        // It is struck in its receive for as long as this takes.
        let storm = Storm::begin(flags)?;
        storm.outlast(STRIKES);
        tx.send(&1)?;
        // Now this one waits, until its child has seen it struck.
        let own = std::process::id();
        let opener = fork((), |()| {
            let storm = Storm::begin(flags)?;
            storm.outlast(STRIKES);
            until_asleep(own);
            drop(storm);
            Ok(go.open()?)
        })?;
        let before = storm.strikes();
        assert_eq!(tx.deliver(&2)?.receiver().pid(), child.pid());
        assert!(
            storm.strikes() >= before + STRIKES / 5,
            "only {} strikes",
            storm.strikes() - before
        );
        drop(storm);
        opener.wait()?;
        child.wait()?;
    }
    Ok(())
}

fn traffic_in_storm(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let (tx, rx) = channel::<(u32, Vec<u8>)>(mechanism, capacity)?;
    let child = fork(tx, |tx| {
        let _storm = Storm::begin(SaFlags::empty())?;
        for i in 0..3000 {
            let filling = vec![i as u8; if i % 50 == 0 { 70_000 } else { 10 }];
            match i % 3 {
                0 => drop(tx.deliver(&(i, filling))?),
                _ => tx.send(&(i, filling))?,
            }
        }
        Ok(())
    })?;
    let storm = Storm::begin(SaFlags::empty())?;
    for expected in 0..3000 {
        let (i, filling) = rx.receive()?.into_inner();
        assert_eq!(i, expected);
        assert!(filling.iter().all(|byte| *byte == i as u8));
    }
    assert!(rx.receive().unwrap_err().is_disconnected());
    drop(storm);
    Ok(child.wait()?)
}

fn cancel_wakes(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let stuck = Stuck::new(Options::new(mechanism), capacity)?;
    let own = own_thread();
    for call in stuck.calls() {
        for _ in 0..5 {
            let cancel = Cancel::new()?;
            let firing = cancel.clone();
            let canceller = thread::spawn(move || {
                until_asleep(own);
                let moment = Instant::now();
                firing.fire();
                moment
            });
            let ending = stuck.wait(call, &Wait::forever().cancelled_by(&cancel));
            let returned = Instant::now();
            assert_eq!(ending, Ending::Cancelled);
            let fired = canceller.join().unwrap();
            assert!(returned >= fired, "{call:?} ended before it was cancelled");
            assert!(
                returned - fired < Duration::from_secs(1),
                "{call:?} took {:?}",
                returned - fired
            );
        }
    }
    if let Capacity::Bounded(n) = capacity {
        assert_eq!((stuck.full.0.len(), stuck.empty.0.len()), (n as usize, 0));
    }
    Ok(())
}

fn cancel_stays(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let stuck = Stuck::new(Options::new(mechanism), capacity)?;
    let cancel = Cancel::new()?;
    cancel.fire();
    for _ in 0..100 {
        for call in stuck.calls() {
            for wait in [Wait::forever(), soon(), Wait::timeout(Duration::ZERO)] {
                assert_eq!(stuck.wait(call, &wait.cancelled_by(&cancel)), Ending::Cancelled);
            }
        }
    }
    // Other waits on the same ends are not affected.
    for call in stuck.calls() {
        assert_eq!(stuck.wait(call, &Wait::timeout(Duration::from_millis(1))), Ending::TimedOut);
    }
    Ok(())
}

fn cancel_spinning(mechanism: Mechanism) -> Outcome {
    for capacity in [Capacity::Zero, Capacity::Bounded(2)] {
        let options = Options::new(mechanism).wait_strategy(WaitStrategy::Spin);
        let stuck = Stuck::new(options, capacity)?;
        for call in stuck.calls() {
            let cancel = Cancel::new()?;
            let firing = cancel.clone();
            static BEGUN: AtomicBool = AtomicBool::new(false);
            let canceller = thread::spawn(move || {
                while !BEGUN.swap(false, Ordering::Relaxed) {
                    thread::yield_now();
                }
                firing.fire();
            });
            BEGUN.store(true, Ordering::Relaxed);
            let ending = stuck.wait(call, &Wait::forever().cancelled_by(&cancel));
            assert_eq!(ending, Ending::Cancelled);
            canceller.join().unwrap();
        }
    }
    Ok(())
}

static INTERRUPTED: OnceLock<Cancel> = OnceLock::new();

extern "C" fn fire(_: i32) {
    if let Some(cancel) = INTERRUPTED.get() {
        cancel.fire();
    }
}

fn cancel_from_handler(mechanism: Mechanism) -> Outcome {
    for capacity in [Capacity::Zero, Capacity::Bounded(2)] {
        for call in CALLS {
            let child = fork((), |()| {
                let cancel = INTERRUPTED.get_or_init(|| Cancel::new().expect("an eventfd"));
                on_signal(Signal::SIGUSR1, fire, SaFlags::SA_RESTART)?;
                let stuck = Stuck::new(Options::new(mechanism), capacity)?;
                let ending = stuck.wait(call, &Wait::forever().cancelled_by(cancel));
                assert_eq!(ending, Ending::Cancelled);
                Ok(())
            })?;
            until_asleep(child.pid());
            child.signal(Signal::SIGUSR1 as i32)?;
            child.wait()?;
        }
    }
    Ok(())
}

fn no_time(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, Capacity::Bounded(1))?;
    let past = Instant::now();
    for i in 0..100 {
        for wait in [Wait::timeout(Duration::ZERO), Wait::until(past)] {
            tx.send_with(&i, &wait)?;
            assert!(tx.send_with(&i, &wait).unwrap_err().is_timeout());
            assert_eq!(*rx.receive_with(&wait)?, i);
            assert!(rx.receive_with(&wait).unwrap_err().is_timeout());
        }
    }
    assert!(tx.try_deliver(&1).unwrap_err().is_timeout());
    Ok(())
}

fn beyond_the_clock(mechanism: Mechanism) -> Outcome {
    let (tx, rx) = channel::<u32>(mechanism, Capacity::Bounded(1))?;
    let child = fork(rx, |rx| {
        assert_eq!(*rx.receive_with(&Wait::timeout(Duration::MAX))?, 1);
        assert_eq!(*rx.receive_with(&Wait::timeout(Duration::from_secs(u64::MAX / 4)))?, 2);
        assert_eq!(*rx.receive_with(&Wait::forever())?, 3);
        Ok(())
    })?;
    for i in 1..=3 {
        until_asleep(child.pid());
        assert_eq!(tx.deliver(&i)?.receiver().pid(), child.pid());
    }
    Ok(child.wait()?)
}
