//! Where a play is performed: its victim, its survivors, the books, and what must be true afterwards.

use super::Play;
use super::member::Member;
use super::standing::{is_stopped, resume};
use postbox::{
    Capacity, Child, Ends, Inspection, Mechanism, Message, Options, Receiver, Sender, Spawn, Wait,
    WaitStrategy, fork,
};
use postbox_steps::{
    Fate, Step, arm_also, disarm, for_descendants, forget, keep_to_oneself, times,
};
use postbox_tests::{Books, Gate, Numbered, Outcome, Receivers, room_is_exact, soon};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fmt;
use std::fs::{File, read_to_string};
use std::io::{Read, Seek, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

/// What befalls the victim, where and at which time.
#[derive(Debug, Clone, Copy)]
pub struct Doom {
    pub step: Step,
    pub when: u64,
    pub fate: Fate,
}

/// Where a play is performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scene {
    pub mechanism: Mechanism,
    /// Whether its rings are left to the two that use them first.
    pub for_two: bool,
}

impl Scene {
    pub const fn of(mechanism: Mechanism) -> Scene {
        Scene { mechanism, for_two: false }
    }
}

impl fmt::Display for Scene {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = if self.for_two { " for two" } else { "" };
        write!(f, "{}{of}", self.mechanism)
    }
}

/// Deaths are noticed within this time.
const NOTICED: Duration = Duration::from_millis(200);
/// What the survivors have to do besides.
const WORK: Duration = Duration::from_millis(150);
const GLANCE: Duration = Duration::from_micros(500);

/// The numbers of those that take part.
pub const VICTIM: u32 = 1;
const JUDGE: u32 = 0;
/// What tells a receiver to stop.
pub const STOP: u32 = u32::MAX - 1;

pub type Failure = Box<dyn Error>;
type Pair<T> = (Sender<T>, Receiver<T>);

/// One performance of a play.
pub struct Stage {
    pub mechanism: Mechanism,
    /// Whether a ring is left to the two that use it first.
    for_two: bool,
    doom: Option<Doom>,
    pub books: Books,
    receivers: RefCell<Receivers>,
    times: File,
    met: Cell<bool>,
    numbers: Cell<u32>,
    /// What the victim may have taken without telling.
    in_hand: Cell<Option<(u32, usize)>>,
    /// Open once the victim has met its fate.
    over: Gate,
}

/// One that is to live.
pub struct Survivor {
    child: Child,
    number: u32,
}

/// How long the children of this process have been ready to run without a processor, in all
/// (`/proc/PID/schedstat`).
fn queued() -> Duration {
    let delay = |pid: &str| -> Option<u64> {
        read_to_string(format!("/proc/{pid}/schedstat"))
            .ok()?
            .split_whitespace()
            .nth(1)?
            .parse()
            .ok()
    };
    let pid = std::process::id();
    let children = read_to_string(format!("/proc/self/task/{pid}/children")).unwrap_or_default();
    Duration::from_nanos(children.split_whitespace().filter_map(delay).sum())
}

impl Survivor {
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }
}

impl Stage {
    pub fn new(scene: Scene, doom: Option<Doom>) -> Result<Self, Failure> {
        Ok(Stage {
            mechanism: scene.mechanism,
            for_two: scene.for_two,
            doom,
            books: Books::new()?,
            receivers: RefCell::new(Receivers {
                of_pid: HashMap::from([(std::process::id(), vec![JUDGE])]),
                ..Receivers::default()
            }),
            times: tempfile::tempfile()?,
            met: Cell::new(false),
            numbers: Cell::new(VICTIM),
            in_hand: Cell::new(None),
            over: Gate::new()?,
        })
    }

    /// Plays; whether the victim met its fate.
    pub fn perform(&self, play: Play) -> Result<bool, Failure> {
        disarm();
        nix::sys::prctl::set_child_subreaper(true)?;
        (play.act)(self)?;
        self.reap();
        self.books.judge(&self.receivers.borrow())?;
        Ok(self.met.get())
    }

    /// Options under which who waits sleeps.
    pub fn options(&self, capacity: Capacity) -> Options {
        Options::new(self.mechanism).capacity(capacity).wait_strategy(WaitStrategy::Block)
    }

    /// A channel of these. A ring is one for many from the beginning, unless it is to be left to two.
    pub fn channel<T: Message>(&self, capacity: Capacity) -> Result<Pair<T>, Failure> {
        let (tx, rx) = self.options(capacity).channel()?;
        if self.mechanism == Mechanism::SharedMemory && !self.for_two {
            for rx in [&rx, &rx.clone()] {
                assert!(rx.try_receive()?.is_none(), "nothing was sent");
            }
        }
        Ok((tx, rx))
    }

    /// How often the victim came to each step.
    pub fn times(&self) -> Result<BTreeMap<Step, u64>, Failure> {
        let mut bytes = Vec::new();
        let mut file = &self.times;
        file.rewind()?;
        file.read_to_end(&mut bytes)?;
        let mut sums = BTreeMap::new();
        for (place, times) in bytes.chunks_exact(8).enumerate() {
            let times = u64::from_le_bytes(times.try_into()?);
            *sums.entry(Step::ALL[place % Step::ALL.len()]).or_default() += times;
        }
        Ok(sums)
    }

    /// Says how often this process came to each step.
    pub fn report(&self) -> Outcome {
        let bytes: Vec<u8> = Step::ALL.iter().flat_map(|step| times(*step).to_le_bytes()).collect();
        Ok((&self.times).write_all(&bytes)?)
    }

    /// Forks the one that is to meet its fate, which is armed from its first instruction on.
    pub fn victim<E: Ends>(
        &self,
        ends: E,
        body: impl FnOnce(E) -> Outcome,
    ) -> Result<Child, Failure> {
        self.victim_that(|| (), ends, body)
    }

    /// The same, for whom `more` arms something besides.
    pub fn victim_that<E: Ends>(
        &self,
        more: impl FnOnce(),
        ends: E,
        body: impl FnOnce(E) -> Outcome,
    ) -> Result<Child, Failure> {
        forget();
        for_descendants(|| {
            if let Some(Doom { step, when, fate }) = self.doom {
                arm_also(step, when, fate);
            }
            more();
        });
        let child = fork(ends, |ends| {
            keep_to_oneself();
            body(ends)?;
            self.report()
        });
        disarm();
        Ok(child?)
    }

    /// The victim receives, and may have taken so many without telling when it dies.
    pub fn may_hold(&self, victim: &Child, number: u32, most: usize) {
        self.receivers.borrow_mut().of_pid.entry(victim.pid()).or_default().push(number);
        self.in_hand.set(Some((number, most)));
    }

    /// So has another that dies.
    pub fn holds(&self, dead: &Child, number: u32, most: usize) {
        let mut receivers = self.receivers.borrow_mut();
        receivers.of_pid.entry(dead.pid()).or_default().push(number);
        receivers.killed.insert(number, most);
    }

    /// Forks one that is not the victim and dies all the same.
    pub fn doomed<E: Ends>(
        &self,
        doom: Doom,
        ends: E,
        body: impl FnOnce(E) -> Outcome,
    ) -> Result<Child, Failure> {
        self.doomed_with(|| arm_also(doom.step, doom.when, doom.fate), ends, body)
    }

    /// Forks one for whom, and for whose children, `arms` arms what is to happen.
    pub fn doomed_with<E: Ends>(
        &self,
        arms: impl FnOnce(),
        ends: E,
        body: impl FnOnce(E) -> Outcome,
    ) -> Result<Child, Failure> {
        forget();
        for_descendants(arms);
        let child = fork(ends, body);
        disarm();
        Ok(child?)
    }

    /// Waits until it stands still.
    pub fn until_stopped(&self, child: &Child) {
        postbox_tests::eventually("standing still", || is_stopped(child.pid()).then_some(()));
    }

    /// The children of this process that stand still, those whose parents died included.
    pub fn standing(&self) -> Vec<u32> {
        let pid = std::process::id();
        let children = read_to_string(format!("/proc/self/task/{pid}/children"));
        let children = children.unwrap_or_default();
        children
            .split_whitespace()
            .filter_map(|child| child.parse().ok())
            .filter(|child| is_stopped(*child))
            .collect()
    }

    /// Waits for its death.
    pub fn see_die(&self, mut dead: Child) -> Outcome {
        match dead.wait_status()?.signal() {
            Some(9) => Ok(()),
            _ => Err("it did not die where it was to".into()),
        }
    }

    /// Starts a program that is the victim, and is given that end.
    pub fn spawned(&self, tx: Sender<Numbered>) -> Result<Child, Failure> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postbox-peer"));
        command.arg("numbered");
        if let Some(Doom { step, when, fate }) = self.doom {
            command.env("POSTBOX_DOOM", format!("{step}:{when}:{fate:?}"));
        }
        let times = self.times.try_clone()?;
        Ok(Spawn::from(command).pass("out", tx)?.pass_fd("times", times)?.spawn()?)
    }

    /// Waits until the victim has met its fate, or has come to its end. One that stops goes on after
    /// `meanwhile`.
    pub fn see_out(&self, mut victim: Child, mut meanwhile: impl FnMut() -> Outcome) -> Outcome {
        let deadline = Instant::now() + postbox_tests::PATIENCE;
        let status = loop {
            if let Some(status) = victim.try_wait()? {
                break status;
            }
            if is_stopped(victim.pid()) {
                meanwhile()?;
                self.met.set(true);
                victim.signal(18)?;
            }
            if Instant::now() > deadline {
                return Err("the victim comes to no end".into());
            }
            std::thread::sleep(GLANCE);
        };
        self.over.open()?;
        match (self.doom, status.signal()) {
            (Some(Doom { fate: Fate::Dies, .. }), Some(9)) => {
                self.met.set(true);
                self.receivers.borrow_mut().killed.extend(self.in_hand.get());
                Ok(())
            }
            _ if status.success() => Ok(()),
            _ => Err(format!("the victim ended with {status}").into()),
        }
    }

    /// Waits until what is in the channel has been taken.
    pub fn until_empty(&self, tx: &Sender<Numbered>) -> Outcome {
        self.within_limits("the channel is not emptied", || Ok(tx.is_empty()))
    }

    /// Waits until so many messages have been received in all.
    pub fn until_received(&self, count: usize) -> Outcome {
        self.within_limits("somebody sleeps beside a message", || {
            Ok(self.books.received.entries()?.len() >= count)
        })
    }

    /// Receives until the survivors have done what they had to.
    pub fn until_delivered(
        &self,
        rx: &Receiver<Numbered>,
        mut survivors: Vec<Survivor>,
    ) -> Outcome {
        let judge = self.judge();
        self.within_limits("survivors still wait", || {
            judge.try_receive_all(rx)?;
            all_ended_well(&mut survivors)
        })
    }

    /// Repeats that until it is so, for no longer than a death may hold others up. On a machine that
    /// keeps this process or its children waiting for a processor everybody has more time.
    fn within_limits(
        &self,
        otherwise: &str,
        mut is_so: impl FnMut() -> Result<bool, Failure>,
    ) -> Outcome {
        let begin = Instant::now();
        let queued_before = queued();
        let mut starved = Duration::ZERO;
        while !is_so()? {
            let before = Instant::now();
            std::thread::sleep(GLANCE);
            starved += before.elapsed().saturating_sub(2 * GLANCE);
            if begin.elapsed() > NOTICED + WORK + 4 * starved
                && begin.elapsed() > NOTICED + WORK + queued().saturating_sub(queued_before)
            {
                let waited = begin.elapsed();
                return Err(
                    format!("{otherwise} after {waited:?}, {starved:?} too long asleep").into()
                );
            }
        }
        Ok(())
    }

    /// Waits for those whose parents died: they are this process's, which asked for them.
    pub fn reap(&self) {
        while nix::sys::wait::wait().is_ok() {}
    }

    fn number(&self) -> u32 {
        self.numbers.set(self.numbers.get() + 1);
        self.numbers.get()
    }

    /// Forks one that is to live; it begins at once.
    pub fn survivor<E: Ends>(
        &self,
        ends: E,
        body: impl FnOnce(E, &Member<'_>) -> Outcome,
    ) -> Result<Survivor, Failure> {
        let number = self.number();
        let ready = Gate::new()?;
        let child = fork(ends, |ends| {
            ready.open()?;
            body(ends, &Member { stage: self, number })
        })?;
        self.receivers.borrow_mut().of_pid.entry(child.pid()).or_default().push(number);
        ready.pass()?;
        Ok(Survivor { child, number })
    }

    /// One that receives until it is told to stop.
    pub fn receiver(&self, rx: &Receiver<Numbered>) -> Result<Survivor, Failure> {
        self.survivor(rx.clone(), |rx, member| member.receive_on(&rx))
    }

    /// One that sends so many.
    pub fn sender(&self, tx: &Sender<Numbered>, count: u64) -> Result<Survivor, Failure> {
        self.survivor(tx.clone(), move |tx, member| {
            (0..count).try_for_each(|seq| member.send(&tx, seq, 10))
        })
    }

    /// One that sends until the victim has met its fate.
    pub fn sender_until_over(&self, tx: &Sender<Numbered>) -> Result<Survivor, Failure> {
        self.survivor(tx.clone(), |tx, member| {
            let mut seq = 0;
            while !self.over.is_open()? {
                member.send(&tx, seq, 10)?;
                seq += 1;
            }
            Ok(())
        })
    }

    /// One that delivers so many.
    pub fn deliverer(&self, tx: &Sender<Numbered>, count: u64) -> Result<Survivor, Failure> {
        self.survivor(tx.clone(), move |tx, member| {
            (0..count).try_for_each(|seq| member.deliver(&tx, seq, 10, &soon()))
        })
    }

    /// This process, which judges and receives what is left.
    pub fn judge(&self) -> Member<'_> {
        Member { stage: self, number: JUDGE }
    }

    /// One that takes part under that number.
    pub fn other(&self, number: u32) -> Member<'_> {
        Member { stage: self, number }
    }

    /// The victim itself.
    pub fn itself(&self) -> Member<'_> {
        Member { stage: self, number: VICTIM }
    }

    /// Waits until the survivors have done what they had to, which a death must not hold up.
    pub fn go_on(&self, mut survivors: Vec<Survivor>) -> Outcome {
        self.within_limits("survivors still wait", || all_ended_well(&mut survivors))
    }

    /// The same, where one that stands still between being woken and passing that on holds them up: a
    /// victim that has stopped there is let go on.
    pub fn go_on_past(&self, victim: &Child, mut survivors: Vec<Survivor>) -> Outcome {
        self.within_limits("survivors still wait", || {
            if is_stopped(victim.pid()) {
                self.met.set(true);
                resume(victim.pid())?;
            }
            all_ended_well(&mut survivors)
        })
    }

    /// Tells receivers to stop, and waits for them.
    pub fn stop(&self, tx: &Sender<Numbered>, receivers: Vec<Survivor>) -> Outcome {
        for _ in &receivers {
            tx.send_with(&(STOP, 0, Vec::new()), &soon())?;
        }
        self.go_on(receivers)
    }

    /// Nobody is left but this process, with these two ends: it takes the rest, and then all is as if
    /// nobody had ever died.
    pub fn settle(
        &self,
        tx: &Sender<Numbered>,
        rx: &Receiver<Numbered>,
        capacity: Capacity,
    ) -> Outcome {
        self.clear(rx, 2)?;
        room_is_exact(tx, rx, capacity, Duration::from_millis(1))?;
        self.clear(rx, 2)
    }

    /// Takes the rest until nothing is in use but `members` records.
    pub fn clear(&self, rx: &Receiver<Numbered>, members: usize) -> Outcome {
        self.clear_of(rx, members, |message| self.judge().note(message))
    }

    /// The same of any messages, each of which is noted.
    pub fn clear_of<T: Message>(
        &self,
        rx: &Receiver<T>,
        members: usize,
        note: impl Fn(&T) -> Outcome,
    ) -> Outcome {
        let mut begin = Instant::now();
        let mut starved = Duration::ZERO;
        let mut free = Inspection { members, ..Inspection::default() };
        loop {
            let before = Instant::now();
            match rx.receive_with(&Wait::timeout(GLANCE)) {
                Ok(delivery) => {
                    note(&delivery)?;
                    // Who always finds something notices no death, and a megabyte takes its time.
                    begin = Instant::now();
                    continue;
                }
                Err(error) if error.is_timeout() => {}
                Err(error) if error.is_disconnected() => {
                    // Whoever learnt that it is over need not look for what the dead only claimed.
                    free.members = rx.inspection().members;
                    std::thread::sleep(GLANCE);
                }
                Err(error) => return Err(error.into()),
            }
            if rx.inspection() == free {
                return Ok(());
            }
            if begin.elapsed() > NOTICED + WORK + 4 * starved {
                return Err(format!("still in use: {:?}", rx.inspection()).into());
            }
            starved += before.elapsed().saturating_sub(2 * GLANCE);
        }
    }
}

fn all_ended_well(survivors: &mut [Survivor]) -> Result<bool, Failure> {
    let mut over = true;
    for Survivor { child, number } in survivors {
        match child.try_wait()? {
            None => over = false,
            Some(status) if status.success() => {}
            Some(status) => return Err(format!("survivor {number} ended with {status}").into()),
        }
    }
    Ok(over)
}

/// Adds to the summary of the whole walk, where one is asked for.
pub fn tally(play: &str, walked: usize, steps: usize, missed: &BTreeSet<String>) -> Outcome {
    let line = format!("{play}: {walked} fates at {steps} steps; not come by again: {missed:?}\n");
    print!("{line}");
    if let Some(path) = std::env::var_os("POSTBOX_WALK_TALLY") {
        File::options().append(true).create(true).open(path)?.write_all(line.as_bytes())?;
    }
    Ok(())
}
