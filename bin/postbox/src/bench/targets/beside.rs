//! Other libraries: ours beside each of those that are there, in every case that both can do.

use super::bound::Bound::{self, Above, AtLeast, AtMost, Below};
use super::recipe::{contest, prepared, subject, target};
use super::work::{batch, footprint, loan};
use super::{Against, Contest, Kind, Target};
use crate::bench::arguments::{Metric, bytes};
use crate::bench::contender::Terms;
use crate::bench::course;
use crate::bench::crew::Trouble;
use crate::bench::figures::Measured;
use crate::bench::peers::{Heard, Peers, Seat};
use crate::bench::placement::Cores::Different;
use crate::bench::plan::Case;
use crate::bench::subjects::Subject;
use postbox::Mechanism::{self, SharedMemory};
use postbox::{Capacity, WaitStrategy};
use std::cell::RefCell;
use std::rc::Rc;

/// The group's name.
pub const GROUP: &str = "peers";
/// Payloads of every case.
const PAYLOADS: [usize; 3] = [64, 4 << 10, 1 << 20];
/// As many rounds are enough where there are so many contenders.
const ROUNDS: u32 = 5;
/// The share of a run that a peer is tried for, to hear whether it takes part.
const TRIAL: u64 = 10;

/// What a library does, as far as it decides what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// Messages are copied in and out, between processes, a call for each.
    Copies,
    /// The same; what is sent soon after another message goes along with that.
    Gathers,
    /// They are written and read where they lie, between processes.
    InPlace,
    /// They do not leave the process.
    Threads,
}

/// One subject of a library.
#[derive(Debug, Clone)]
struct Rival {
    library: String,
    manner: Manner,
    name: String,
    seat: Seat,
}

/// What of ours is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Face {
    OneCall,
    Batch,
    Loan,
}

type Everybody = Rc<RefCell<Peers>>;

/// Every mechanism, payload and face.
pub fn all(peers: Peers) -> Vec<Target> {
    let rivals = rivals(&peers);
    let peers = Rc::new(RefCell::new(peers));
    let mut targets = Vec::new();
    for mechanism in Mechanism::ALL {
        for payload in PAYLOADS {
            let mut add = |what: &str, metric, face| {
                let name = format!("{GROUP}/{mechanism}-{what}-{}", bytes(payload));
                // Both sides of shared memory are busy.
                let spins = what == "latency" && mechanism == SharedMemory;
                let wait = if spins { WaitStrategy::Spin } else { WaitStrategy::Adaptive };
                let shape = Shape { mechanism, payload, metric, wait, face };
                let beside: Vec<(Rival, Option<Bound>)> =
                    rivals.iter().filter_map(|rival| shape.beside(rival)).collect();
                if !beside.is_empty() {
                    let peers = peers.clone();
                    targets.push(target(name, Different, move |terms| {
                        shape.contest(terms, &peers, &beside)
                    }));
                }
            };
            add("latency", Metric::Latency, Face::OneCall);
            if mechanism == SharedMemory {
                add("adaptive", Metric::Latency, Face::OneCall);
            }
            add("stream", Metric::Throughput, Face::OneCall);
            add("batch", Metric::Throughput, Face::Batch);
            add("loan", Metric::Throughput, Face::Loan);
        }
    }
    targets
}

fn rivals(peers: &Peers) -> Vec<Rival> {
    let rival = |(seat, library, subject, name): (Seat, &str, &str, String)| {
        let manner = match (library, subject) {
            (_, "threads") => Manner::Threads,
            (_, "loaned") => Manner::InPlace,
            ("zeromq", _) => Manner::Gathers,
            _ => Manner::Copies,
        };
        Rival { library: library.to_owned(), manner, name, seat }
    };
    peers.seats().into_iter().map(rival).collect()
}

/// One case of ours.
#[derive(Debug, Clone, Copy)]
struct Shape {
    mechanism: Mechanism,
    payload: usize,
    metric: Metric,
    wait: WaitStrategy,
    face: Face,
}

impl Shape {
    /// Whether that library has its place beside it, and what is to be reached.
    fn beside(&self, rival: &Rival) -> Option<(Rival, Option<Bound>)> {
        let shared = self.mechanism == SharedMemory;
        let gathered = self.metric == Metric::Throughput && self.payload < 1 << 20;
        let ours = match (self.face, rival.manner) {
            (Face::Batch, Manner::Gathers) => gathered,
            (Face::Loan, Manner::InPlace) => shared && self.payload == 1 << 20,
            (Face::OneCall, Manner::Copies) => true,
            (Face::OneCall, Manner::Gathers) => !gathered || shared,
            (Face::OneCall, Manner::Threads) => shared,
            _ => false,
        };
        // Whoever cannot live without shared memory stands beside shared memory.
        let theirs = shared || ["ipc-channel", "zeromq"].contains(&rival.library.as_str());
        (ours && theirs).then(|| (rival.clone(), self.bound(rival)))
    }

    fn bound(&self, rival: &Rival) -> Option<Bound> {
        if rival.manner == Manner::Threads {
            return None;
        }
        let small = self.payload == 64 && self.mechanism == SharedMemory;
        Some(match (self.metric, rival.library.as_str(), rival.manner) {
            (Metric::Latency, "iceoryx2", Manner::Copies) if small => AtMost(0.25),
            // To be level with a ring that is nothing else.
            (Metric::Latency, "shmem-ipc", _) => AtMost(1.0),
            (Metric::Latency, ..) => Below(1.0),
            (Metric::Throughput, "iceoryx2", Manner::Copies) if small => AtLeast(5.0),
            (Metric::Throughput, "shmem-ipc", _) => AtLeast(0.95),
            (Metric::Throughput, _, Manner::InPlace) => AtLeast(1.0),
            (Metric::Throughput, ..) => Above(1.0),
        })
    }

    fn contest(
        self,
        terms: &Terms<'_>,
        peers: &Everybody,
        beside: &[(Rival, Option<Bound>)],
    ) -> Result<Contest, Trouble> {
        let case = Rc::new(self.case(terms)?);
        let mut row = course::row(&case);
        match self.face {
            Face::OneCall => {}
            Face::Batch => row.subject = format!("{}, {} to a call", row.subject, batch::BATCH),
            Face::Loan => row.subject = format!("{}, by loan", row.subject),
        }
        let trial =
            Terms { placement: terms.placement.clone(), budget: terms.budget / TRIAL, ..*terms };
        let (mut against, mut absent) = (Vec::new(), Vec::new());
        for (rival, bound) in beside {
            match measure(peers, rival, &case, &trial)? {
                Ok(_) => {
                    let (peers, theirs, rival) = (peers.clone(), case.clone(), rival.clone());
                    against.push(Against {
                        name: rival.name.clone(),
                        bound: *bound,
                        kind: Kind::Plain,
                        run: Box::new(move |terms| {
                            measure(&peers, &rival, &theirs, terms)?.map_err(Trouble::Failed)
                        }),
                    });
                }
                Err(reason) => absent.push((rival.name.clone(), reason)),
            }
        }
        let ours = move |terms: &Terms<'_>| match self.face {
            Face::OneCall => terms.subject(&case),
            Face::Batch => batch::run(terms, &case.subject),
            Face::Loan => loan::run(terms, &case.subject),
        };
        Ok(Contest { rounds: ROUNDS, absent, ..contest(row, ours, against) })
    }

    /// At 1 MiB shared memory has the number of slots that suits ours best.
    fn case(self, terms: &Terms<'_>) -> Result<Case, Trouble> {
        const SLOTS: [u32; 4] = [2, 4, 8, 16];
        let ours = Subject { wait: self.wait, ..subject(self.mechanism, self.payload) };
        let with = |slots: u32| prepared(self.metric, &ours, Some(Capacity::Bounded(slots)));
        match (self.face, self.mechanism, self.payload) {
            (Face::Batch, ..) => with(256),
            (Face::Loan, ..) => {
                with(footprint::best(&SLOTS, |slots| loan::run(terms, &with(slots)?.subject))?)
            }
            (_, SharedMemory, 0x10_0000) if self.metric == Metric::Throughput => {
                with(footprint::best(&SLOTS, |slots| terms.subject(&with(slots)?))?)
            }
            _ => prepared(self.metric, &ours, None),
        }
    }
}

/// What a library reached, or why it did not.
fn measure(
    peers: &Everybody,
    rival: &Rival,
    case: &Case,
    terms: &Terms<'_>,
) -> Result<Result<Measured, String>, Trouble> {
    Ok(match peers.borrow_mut().measure(rival.seat, case, terms)? {
        Heard::Figures(measured) => Ok(measured),
        Heard::Refused(reason) | Heard::Failed(reason) => Err(reason),
    })
}
