//! One round: a channel from its making to its end.
//!
//! ```text
//!   start ── traffic, blows ── rest ── traffic, blows ── rest ── … ── traffic ── finale ── remains
//!                               │                                      │
//!             senders rest, receivers drain and are sent            all of one side, or the
//!             to rest one by one, the books are settled,            owner, die at once: the
//!             the room is counted                                   others are told
//! ```
//!
//! A pair has no rest: the ledger has no end of its own. It is killed apart, and another pair comes.

mod blows;
mod finale;
mod rest;

use crate::chaos::books::{Books, Loss, Rule, Seat, Totals, Victim, Violation};
use crate::chaos::canary::Canary;
use crate::chaos::crew::{self, Member};
use crate::chaos::naming::{Naming, Outcome, Way};
use crate::chaos::note::Note;
use crate::chaos::progress::Progress;
use crate::chaos::remains::{self, Held};
use crate::chaos::scene::Scene;
use crate::chaos::schedule::Schedule;
use crate::chaos::setting::Setting;
use crate::chaos::table::duration;
use crate::chaos::victims::Order;
use crate::chaos::waits::{Wait, Waits, is_told};
use postbox_program::stop::Stop;
use postbox_sys::clock;
use std::collections::HashMap;
use std::error::Error;
use std::ffi::OsString;
use std::time::Duration;

/// How long traffic goes on until the books are settled.
pub const EPISODE: Duration = Duration::from_secs(5);
/// How often the ledger looks at least.
const LOOK: Duration = Duration::from_millis(2);
/// How long the ledger waits for what has no bound of its own: processes that start, or a machine
/// that is busy with other things.
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a round did not come to a good end.
#[derive(Debug)]
pub enum Trouble {
    /// A signal came.
    Stopped,
    /// The contract was violated.
    Violation(Violation),
}

impl From<Violation> for Trouble {
    fn from(violation: Violation) -> Self {
        Trouble::Violation(violation)
    }
}

impl From<Box<dyn Error>> for Trouble {
    fn from(error: Box<dyn Error>) -> Self {
        Violation { rule: Rule::Failed, account: error.to_string() }.into()
    }
}

/// What a round came to.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    pub totals: Totals,
    pub kills: u64,
    pub stops: u64,
    pub clones: u64,
    pub repairs: u64,
    pub losses: Vec<Loss>,
    pub longest: Wait,
    /// For how long there was traffic.
    pub traffic: Duration,
}

/// Runs one, with so much traffic at most.
pub fn run(
    setting: &Setting,
    length: Duration,
    canary: &Canary,
    stop: &Stop,
    progress: &Progress,
) -> (Findings, Result<(), Trouble>) {
    let before = Held::now();
    let mut round = match Round::begin(setting, length, canary, stop, progress) {
        Ok(round) => round,
        Err(trouble) => return (Findings::default(), Err(trouble)),
    };
    let mut outcome = round.play();
    let (findings, directory) = round.end();
    if outcome.is_ok() {
        outcome = Held::now().compare(&before).map_err(Trouble::from);
    }
    if let (Ok(()), Some(directory)) = (&outcome, directory) {
        outcome = remains::is_clear(directory).map_err(Trouble::from);
    }
    (findings, outcome)
}

struct Round<'r> {
    setting: &'r Setting,
    schedule: Schedule,
    way: Way,
    scene: Scene,
    /// Before the scene in time of death: they use its directory.
    crew: Vec<Member>,
    owner: Option<Member>,
    books: Books,
    waits: Waits<'r>,
    findings: Findings,
    next_number: u32,
    /// When somebody was killed last.
    last_killed: u64,
    /// When somebody was first known to be cloning an end.
    cloning: Option<u64>,
    /// When the finale began.
    finale: Option<u64>,
    /// When each was told since that there is no use.
    told: HashMap<u32, u64>,
    stop: &'r Stop,
    progress: &'r Progress,
}

impl<'r> Round<'r> {
    fn begin(
        setting: &'r Setting,
        length: Duration,
        canary: &'r Canary,
        stop: &'r Stop,
        progress: &'r Progress,
    ) -> Result<Self, Trouble> {
        let Setting { mechanism, naming, capacity, policy, .. } = *setting;
        let mut way = Way { naming, mechanism, capacity, policy, directory: None };
        let scene = Scene::set(&mut way)?;
        let direct = naming == Naming::Direct;
        Ok(Round {
            setting,
            schedule: Schedule::of(setting, length),
            way,
            scene,
            crew: Vec::new(),
            owner: None,
            books: Books::new(capacity, direct),
            waits: Waits::new(canary, direct),
            findings: Findings::default(),
            next_number: 0,
            last_killed: 0,
            cloning: None,
            finale: None,
            told: HashMap::new(),
            stop,
            progress,
        })
    }

    fn play(&mut self) -> Result<(), Trouble> {
        self.start()?;
        let length = self.schedule.length;
        let mut strikes = std::mem::take(&mut self.schedule.strikes).into_iter().peekable();
        while self.findings.traffic < length {
            let until = (self.findings.traffic + EPISODE).min(length);
            self.traffic(until, &mut strikes)?;
            if self.setting.naming == Naming::Pair {
                break;
            }
            self.rest()?;
            self.settle()?;
            self.count_room()?;
            self.order_all(Order::Go);
        }
        self.finale()
    }

    /// Starts the owner, and everybody else.
    fn start(&mut self) -> Result<(), Trouble> {
        if self.setting.naming.has_owner() {
            let mut arguments: Vec<OsString> = vec!["owner".into()];
            arguments.extend(self.way.arguments());
            let given = crew::Given::Nothing;
            let owner = Member::start(Seat::Producer(u8::MAX), u32::MAX, arguments, given)?;
            self.owner = Some(owner);
            self.await_all("the owner to begin", |round| {
                round.owner.iter().all(|owner| owner.ready)
            })?;
            self.scene.open(&self.way)?;
        }
        for place in 0..self.setting.producers {
            self.enlist(Seat::Producer(place))?;
        }
        for place in 0..self.setting.consumers {
            self.enlist(Seat::Consumer(place))?;
        }
        self.await_all("everybody to begin", |round| round.crew.iter().all(|member| member.ready))
    }

    fn enlist(&mut self, seat: Seat) -> Result<(), Trouble> {
        self.next_number += 1;
        let number = self.next_number;
        let Setting { producers, consumers, naming, .. } = *self.setting;
        let (part, place, partners, given) = match seat {
            Seat::Producer(place) => {
                ("producer", place, consumers, self.scene.for_producer(naming))
            }
            Seat::Consumer(place) => {
                ("consumer", place, producers, self.scene.for_consumer(naming))
            }
        };
        let clones = self.schedule.clones_every(seat);
        let mut arguments: Vec<OsString> = vec![part.into()];
        arguments.extend(
            [
                format!("--number={number}"),
                format!("--place={place}"),
                format!("--partners={partners}"),
                format!("--seed={}", self.schedule.seed_of(number)),
            ]
            .map(OsString::from),
        );
        arguments.extend(clones.map(|calls| format!("--clones-every={calls}").into()));
        arguments.extend(self.way.arguments());
        let member = Member::start(seat, number, arguments, given)?;
        self.books.enlist(member.victim);
        self.crew.push(member);
        Ok(())
    }

    /// Reads all that a dead victim has left.
    fn hear_out(&mut self, member: &mut Member) -> Result<(), Trouble> {
        loop {
            let notes = member.read()?;
            if notes.is_empty() {
                return Ok(());
            }
            self.enter(member.victim, &notes)?;
        }
    }

    fn enter(&mut self, victim: Victim, notes: &[Note]) -> Result<(), Trouble> {
        let now = clock::now();
        for note in notes {
            if let Some((at, refusal)) = is_told(note) {
                match self.finale {
                    Some(finale) if at >= finale => {
                        self.told.entry(victim.number).or_insert(at);
                    }
                    None if self.setting.naming != Naming::Direct => {
                        let account = format!("{victim} was told {refusal:?}, and nobody had gone");
                        return Err(Violation { rule: Rule::NotTold, account }.into());
                    }
                    // By name there is always somebody who has gone.
                    _ => {}
                }
            }
            if *note == Note::Cloning {
                self.findings.clones += 1;
                self.cloning.get_or_insert(now);
            }
            self.waits.enter(victim, note, now);
            self.books.enter(victim, note)?;
        }
        Ok(())
    }

    /// Hears what there is to hear, sleeps for a while if that is nothing, and looks.
    fn listen(&mut self, most: Duration) -> Result<(), Trouble> {
        if self.stop.code().is_some() {
            return Err(Trouble::Stopped);
        }
        let (began, mut quiet) = (clock::now(), true);
        for at in 0..self.crew.len() {
            let notes = self.crew[at].read()?;
            quiet &= notes.is_empty();
            let victim = self.crew[at].victim;
            self.enter(victim, &notes)?;
        }
        if let Some(owner) = &mut self.owner {
            for note in owner.read()? {
                if let Note::Failed(reason) = note {
                    return Err(Violation { rule: Rule::Failed, account: reason }.into());
                }
            }
        }
        let receipts = self.books.take_receipts();
        self.waits.receipts(&receipts)?;
        self.let_go_on()?;
        self.waits.count_starvation(self.crew.iter().map(|member| member.victim.pid), began);
        // Whatever had ended when this began has been read by now, unless there was too much.
        if self.crew.iter().all(|member| !member.lags) {
            self.waits.look(began)?;
        }
        if quiet {
            let living =
                self.crew.iter().filter(|member| !self.told.contains_key(&member.victim.number));
            crew::sleep(living.chain(&self.owner), most)?;
        }
        Ok(())
    }

    /// Those whose stop is over go on.
    fn let_go_on(&mut self) -> Outcome<()> {
        let now = clock::now();
        for member in &mut self.crew {
            if let Some((since, until)) = member.stopped {
                self.waits.stopped(since, now);
                if now >= until {
                    member.go_on()?;
                }
            }
        }
        Ok(())
    }

    /// Listens until that is so.
    fn await_all(
        &mut self,
        what: &str,
        mut is_so: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), Trouble> {
        let began = clock::now();
        while !is_so(self) {
            self.listen(LOOK)?;
            self.look_for_the_dead()?;
            if clock::now() - began > PATIENCE.as_nanos() as u64 {
                let account = format!(
                    "waited {} for {what}: {}",
                    duration(PATIENCE.as_nanos() as u64),
                    self.waits.describe()
                );
                return Err(Violation { rule: Rule::WaitedTooLong, account }.into());
            }
        }
        Ok(())
    }

    /// Nobody ends by itself but those who were told that there is no use.
    fn look_for_the_dead(&mut self) -> Result<(), Trouble> {
        for at in 0..self.crew.len() {
            let Some(status) = self.crew[at].ended()? else { continue };
            let victim = self.crew[at].victim;
            // Its last notes may have come after all was read.
            loop {
                let notes = self.crew[at].read()?;
                if notes.is_empty() {
                    break;
                }
                self.enter(victim, &notes)?;
            }
            if !self.told.contains_key(&victim.number) {
                return Err(ended_early(&self.crew[at], &status.to_string()).into());
            }
        }
        Ok(())
    }

    fn order_all(&mut self, order: Order) {
        self.crew.iter_mut().for_each(|member| member.order(order));
    }

    /// Ends what is left; what there was, and where they met.
    fn end(mut self) -> (Findings, Option<tempfile::TempDir>) {
        self.crew.clear();
        self.owner = None;
        let mut findings = self.findings;
        findings.totals = self.books.totals();
        findings.longest = self.waits.longest().clone();
        (findings, self.scene.leave())
    }
}

fn ended_early(member: &Member, status: &str) -> Violation {
    let account = format!("{} ended by itself: {status}", member.victim);
    Violation { rule: Rule::Failed, account }
}
