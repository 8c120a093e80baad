//! The log under loom: every interleaving of a few operations, units modelled as cells that report
//! any race.
#![cfg(loom)]
#![allow(unsafe_code, reason = "loom's cells hand out raw pointers")]

mod explore;

use std::sync::{Arc, Mutex};

use explore::explore;
use loom::{cell::UnsafeCell, thread};
use postbox_ring::{
    ClaimError,
    log::{Head, LogMemory, Restart, Run, Runs},
    sync::AtomicU64,
};

/// A log's memory as loom sees it. A unit is one number.
#[derive(Clone)]
struct Modelled(Arc<Parts>);

struct Parts {
    tail: AtomicU64,
    free: AtomicU64,
    head: AtomicU64,
    words: Vec<AtomicU64>,
    data: Vec<UnsafeCell<u64>>,
    soft: u32,
    restart: Restart,
}

// SAFETY: loom reports every race on a unit, which is the point of the test.
unsafe impl Sync for Parts {}
// SAFETY: plain values.
unsafe impl Send for Parts {}

impl LogMemory for Modelled {
    fn units(&self) -> u32 {
        self.0.words.len() as u32
    }
    fn soft(&self) -> u32 {
        self.0.soft
    }
    fn restart(&self) -> Restart {
        self.0.restart
    }
    fn tail(&self) -> &AtomicU64 {
        &self.0.tail
    }
    fn free(&self) -> &AtomicU64 {
        &self.0.free
    }
    fn head(&self) -> &AtomicU64 {
        &self.0.head
    }
    fn word(&self, index: u32) -> &AtomicU64 {
        &self.0.words[index as usize]
    }
}

/// A log with its memory.
#[derive(Clone)]
struct Log {
    memory: Modelled,
    /// Those of one process.
    runs: Arc<Runs<Modelled>>,
}

impl Log {
    fn new(units: usize, soft: u32) -> Log {
        Log::restarting(units, soft, Restart::WhenEmpty)
    }

    fn restarting(units: usize, soft: u32, restart: Restart) -> Log {
        let memory = Modelled(Arc::new(Parts {
            tail: AtomicU64::new(0),
            free: AtomicU64::new(0),
            head: AtomicU64::new(0),
            words: (0..units).map(|_| AtomicU64::new(0)).collect(),
            data: (0..units).map(|_| UnsafeCell::new(0)).collect(),
            soft,
            restart,
        }));
        let runs = Runs::over(memory.clone()).expect("a power of two");
        Log { runs: Arc::new(runs), memory }
    }

    fn write(&self, range: std::ops::Range<u32>, value: u64) {
        for unit in range {
            // SAFETY: the owner of the run alone writes; loom checks.
            self.memory.0.data[unit as usize].with_mut(|data| unsafe { *data = value });
        }
    }

    /// Every unit of a run must hold the same value.
    fn read(&self, run: &Run) -> u64 {
        let mut values = self.runs.unit_range(run).map(|unit| {
            // SAFETY: the owner of the run alone reads; loom checks.
            self.memory.0.data[unit as usize].with(|data| unsafe { *data })
        });
        let value = values.next().expect("a run has a unit");
        assert!(values.all(|other| other == value));
        value
    }

    /// Publishes a run full of `value`; what is jumped over is written to, as a hook may.
    fn push(&self, units: u32, value: u64) -> Option<Run> {
        match self.runs.claim(units, value as u16, |rest| self.write(rest, u64::MAX)) {
            Ok(run) => {
                self.write(self.runs.unit_range(&run), value);
                Some(self.runs.publish(run, 0).expect("nobody settles a living member"))
            }
            Err(ClaimError::Full) => None,
            Err(ClaimError::Corrupt) => panic!("corrupt"),
        }
    }

    fn pop(&self, member: u16) -> Option<u64> {
        match self.runs.take(member).expect("honest memory") {
            Head::Entry(run) => {
                let value = self.read(&run);
                assert!(self.runs.release(run));
                Some(value)
            }
            Head::Empty | Head::Busy { .. } => None,
        }
    }

    fn drain(&self) -> Vec<u64> {
        std::iter::from_fn(|| self.pop(8)).collect()
    }
}

fn sorted(mut values: Vec<u64>) -> Vec<u64> {
    values.sort_unstable();
    values
}

#[test]
fn two_producers_claim_take_and_jump_without_sharing_a_unit() {
    explore(1, || {
        let log = Log::new(4, 4);
        // Stands at 3: a run of two does not fit before the end.
        assert!(log.push(3, 7).is_some());
        assert_eq!(log.pop(8), Some(7));
        let other = {
            let log = log.clone();
            thread::spawn(move || log.push(2, 1).is_some())
        };
        let ours = log.push(1, 2).is_some();
        let early = log.pop(9);
        let mut sent = if ours { vec![2] } else { vec![] };
        if other.join().unwrap() {
            sent.push(1);
        }
        let mut got: Vec<u64> = early.into_iter().collect();
        got.extend(log.drain());
        assert!(!sent.is_empty());
        assert_eq!(sorted(got), sorted(sent));
        assert!(log.runs.is_empty_queue());
    });
}

#[test]
fn a_log_restarts_when_empty_while_a_consumer_takes() {
    restarts_while_a_consumer_takes(Restart::WhenEmpty);
}

#[test]
fn a_log_restarts_when_its_start_is_free_while_a_consumer_takes() {
    restarts_while_a_consumer_takes(Restart::WhenStartIsFree { behind: 1 });
}

fn restarts_while_a_consumer_takes(restart: Restart) {
    explore(2, move || {
        let log = Log::restarting(4, 2, restart);
        assert!(log.push(2, 1).is_some());
        let consumer = {
            let log = log.clone();
            thread::spawn(move || (0..2).filter_map(|_| log.pop(9)).collect::<Vec<_>>())
        };
        let mut sent = vec![1];
        sent.extend([2, 3].into_iter().filter(|&value| log.push(1, value).is_some()));
        let mut got = consumer.join().unwrap();
        got.extend(log.drain());
        assert_eq!(got, sent);
    });
}

/// The claimer goes by where it saw room, and the consumer moves room over what it has read, as long as that is in turn:
/// several laps of it.
#[test]
fn a_claimer_and_a_consumer_in_turn_share_no_unit() {
    explore(2, || {
        let log = Log::new(2, 2);
        let consumer = {
            let log = log.clone();
            thread::spawn(move || (0..2).filter_map(|_| log.pop(9)).collect::<Vec<_>>())
        };
        let sent: Vec<u64> = (1..=4).filter(|&value| log.push(1, value).is_some()).collect();
        let mut got = consumer.join().unwrap();
        got.extend(log.drain());
        assert_eq!(got, sent);
        assert_eq!(log.runs.units_in_use(), 0);
    });
}

/// One of a process sees where room begins, and another goes by that: what was read there has been read for it, too.
#[test]
fn who_goes_by_room_that_another_thread_saw_writes_over_nothing_that_is_read() {
    explore(1, || {
        let log = Log::new(4, 4);
        assert!([1, 1].into_iter().all(|units| log.push(units, 1).is_some()));
        let full = log.push(2, 1).is_some();
        let consumer = {
            let log = log.clone();
            thread::spawn(move || [log.pop(9), log.pop(9)])
        };
        let other = {
            let log = log.clone();
            thread::spawn(move || log.push(1, 2).is_some())
        };
        let ours = log.push(2, 3).is_some();
        let early = consumer.join().unwrap();
        let theirs = other.join().unwrap();
        assert_eq!((full, early), (true, [Some(1); 2]));
        let sent = 1 + usize::from(ours) + usize::from(theirs);
        assert_eq!(log.drain().len(), sent);
    });
}

#[test]
fn two_consumers_take_each_entry_once() {
    explore(2, || {
        let log = Log::new(4, 4);
        assert!(log.push(1, 1).is_some() && log.push(2, 2).is_some());
        let consumers = [8, 9].map(|member| {
            let log = log.clone();
            thread::spawn(move || log.pop(member))
        });
        let more = log.push(2, 3).map(|_| 3);
        let mut got: Vec<u64> = consumers.into_iter().filter_map(|c| c.join().unwrap()).collect();
        got.extend(log.drain());
        assert_eq!(sorted(got), [1, 2].into_iter().chain(more).collect::<Vec<_>>());
    });
}

#[test]
fn a_heap_gives_each_body_to_one_of_two_who_release_it() {
    explore(3, || {
        let log = Log::new(2, 2);
        let run = log.push(1, 5).expect("room");
        let at = run.position();
        let other = {
            let log = log.clone();
            thread::spawn(move || {
                let run = log.runs.run(at).and_then(|run| log.runs.capture(run, 9));
                run.is_some_and(|run| log.read(&run) == 5 && log.runs.release(run))
            })
        };
        let ours = log.runs.release(run);
        let reused = log.push(1, 6);
        assert!(ours ^ other.join().unwrap(), "exactly one");
        assert!(reused.is_some());
    });
}

#[test]
fn a_producer_that_dies_is_settled_while_others_go_on() {
    explore(1, || {
        let log = Log::new(4, 4);
        let claim = log.runs.claim(2, 9, |_| {}).expect("room");
        log.write(log.runs.unit_range(&claim), 99);
        let producer = {
            let log = log.clone();
            thread::spawn(move || log.push(1, 1).is_some())
        };
        let settler = {
            let log = log.clone();
            thread::spawn(move || log.runs.settle(9, 1, |_| panic!("read nothing")).unwrap())
        };
        log.runs.settle(9, 2, |_| panic!("read nothing")).unwrap();
        let mut got: Vec<u64> = log.pop(2).into_iter().collect();
        settler.join().unwrap();
        assert!(producer.join().unwrap());
        got.extend(log.drain());
        assert_eq!(got, [1]);
        assert!(log.push(3, 3).is_some(), "all room is back");
    });
}

#[test]
fn what_a_dead_reader_had_captured_is_handed_to_one_settler_and_is_room_again() {
    explore(2, || {
        let log = Log::new(2, 2);
        let run = log.push(1, 5).expect("room");
        log.runs.capture(run, 9).expect("published");
        let handed = Arc::new(Mutex::new(vec![]));
        let settle = |by| {
            let (log, handed) = (log.clone(), handed.clone());
            move || {
                log.runs.settle(9, by, |run| handed.lock().unwrap().push(log.read(run))).unwrap();
            }
        };
        let settler = thread::spawn(settle(1));
        settle(2)();
        let reused = log.push(1, 6).is_some();
        settler.join().unwrap();
        assert!(reused);
        assert!(log.push(1, 7).is_some(), "the dead one's run is room again");
        assert_eq!(*handed.lock().unwrap(), [5]);
    });
}

#[test]
fn a_run_whose_writer_died_is_captured_or_settled() {
    explore(2, || {
        let log = Log::new(2, 2);
        let claim = log.runs.claim(1, 9, |_| {}).expect("room");
        let other = {
            let log = log.clone();
            thread::spawn(move || {
                let run = log.runs.run(claim.position());
                let captured = run.and_then(|run| log.runs.capture(run, 3));
                if let Some(run) = captured {
                    // What the dead one wrote is nobody's: it may be written over.
                    log.write(log.runs.unit_range(&run), 3);
                    assert!(log.runs.release(run), "settling the writer spares the captor");
                }
            })
        };
        log.runs.settle(9, 2, |_| panic!("read nothing")).unwrap();
        let sent = [6, 7, 8].map(|value| log.push(1, value).is_some());
        other.join().unwrap();
        assert!(sent[0]);
        let more = log.push(1, 9).is_some();
        assert_eq!(sent.into_iter().filter(|&sent| sent).count() + usize::from(more), 2);
    });
}
