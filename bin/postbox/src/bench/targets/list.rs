//! All targets, by group.

use super::bound::Bound::{AtLeast, AtMost};
use super::recipe::{against, case, contest, plain, prepared, subject, target};
use super::work::idle::Crowd;
use super::work::{batch, footprint, idle, links, loan, memory, rendezvous, threads, typed};
use super::{Against, Contest, Extent, Kind, Target};
use crate::bench::arguments::{Metric, Naming, bytes};
use crate::bench::contender::{self, Terms, failed};
use crate::bench::course;
use crate::bench::crew::Trouble;
use crate::bench::placement::Cores::{Different, Same};
use crate::bench::plan::{self, Case, Reference};
use crate::bench::references::bare::Taking::{Blocking, Polled};
use crate::bench::row::Row;
use crate::bench::subjects::{Made, Subject};
use postbox::Mechanism::{self, MessageQueue, Pipe, SharedMemory, Socket};
use postbox::{Capacity, WaitStrategy};
use std::rc::Rc;
use std::time::Duration;

/// Bytes of a message unless said otherwise.
const USUAL: usize = 64;
/// The most that lies in one cache line with the word of its slot and its envelope.
const BESIDE_THE_WORD: usize = 48;
/// Rounds of what takes long to prepare.
const FEW: u32 = 3;

const KERNEL: [Mechanism; 3] = [Pipe, Socket, MessageQueue];
const SPINNING: [(&str, WaitStrategy); 2] =
    [("spin", WaitStrategy::Spin), ("adaptive", WaitStrategy::Adaptive)];

/// Every target, in the order in which they are measured.
pub fn all(extent: Extent) -> Vec<Target> {
    let groups = [
        latency(),
        streams(),
        named(),
        loans(),
        large(),
        asleep(),
        batches(),
        until_taken(),
        vec![typed_messages()],
        many_links(extent),
        many_senders(),
        memory_of_the_idle(),
        waiting(extent),
    ];
    groups.into_iter().flatten().collect()
}

/// A channel as it comes, to which others may join.
fn unfitted(mechanism: Mechanism, payload: usize) -> Subject {
    Subject { made: Made::AsItComes, ..subject(mechanism, payload) }
}

/// Shared memory, both sides busy: beside a cache line, and beside a ring that does nothing else.
fn latency() -> Vec<Target> {
    let mut targets = Vec::new();
    for (name, wait) in SPINNING {
        let subject = Subject { wait, ..subject(SharedMemory, USUAL) };
        let against = vec![
            (Reference::Line, Some(AtMost(2.0))),
            (Reference::TwoLines, None),
            (Reference::Slots, None),
            (Reference::Copying, Some(AtMost(1.0))),
        ];
        targets.push(case(format!("latency/{name}"), Metric::Latency, subject, against));
    }
    for (name, wait) in SPINNING {
        let subject = Subject { wait, ..subject(SharedMemory, BESIDE_THE_WORD) };
        let against = vec![
            (Reference::Line, Some(AtMost(1.5))),
            (Reference::TwoLines, None),
            (Reference::Slots, None),
        ];
        targets.push(case(format!("latency/small-{name}"), Metric::Latency, subject, against));
    }
    let against = vec![(Reference::Line, None), (Reference::Copying, None)];
    let default = unfitted(SharedMemory, USUAL);
    targets.push(case("latency/default".into(), Metric::Latency, default, against));
    targets
}

/// One message per call, as fast as it goes; and with two on either side.
fn streams() -> Vec<Target> {
    let copying = vec![(Reference::Copying, Some(AtLeast(0.95))), (Reference::Slots, None)];
    let alone = subject(SharedMemory, USUAL);
    let mut targets = vec![case("stream/shm".into(), Metric::Throughput, alone, copying)];
    // A kilobyte fits a slot as it comes, and the body of what is longer lies beside the ring.
    let defaults =
        [("", USUAL), ("-256", 256), ("-1K", 1 << 10), ("-4K", 4 << 10), ("-16K", 16 << 10)];
    for (name, payload) in defaults {
        let (name, copying) = (format!("stream/default{name}"), vec![(Reference::Copying, None)]);
        let default = unfitted(SharedMemory, payload);
        targets.push(case(name, Metric::Throughput, default, copying));
    }
    for mechanism in KERNEL {
        let bare = vec![(Reference::Bare(Blocking), Some(AtLeast(0.95)))];
        let name = format!("stream/{mechanism}");
        targets.push(case(name, Metric::Throughput, subject(mechanism, USUAL), bare));
    }
    let two = Subject { producers: 2, consumers: 2, ..subject(SharedMemory, threads::PAYLOAD) };
    targets.push(target("many/shm".into(), Different, move |_| {
        let (sides, slots) = (two.producers, plan::roomy(two.payload));
        let against = plain(
            "crossbeam's bounded channel between threads".into(),
            AtLeast(1.0),
            move |terms| threads::run(terms, sides, slots),
        );
        let case = prepared(Metric::Throughput, &two, None)?;
        Ok(contest(course::row(&case), move |terms| terms.subject(&case), vec![against]))
    }));
    let shared = Subject {
        producers: 2,
        consumers: 2,
        naming: Naming::Mailbox,
        ..subject(MessageQueue, USUAL)
    };
    let bare = vec![(Reference::Bare(Blocking), Some(AtLeast(0.95)))];
    targets.push(case("many/mqueue-mailbox".into(), Metric::Throughput, shared, bare));
    targets
}

/// One to one over a link and through a mailbox, beside a channel whose ends were passed on.
fn named() -> Vec<Target> {
    let cases = [
        ("latency", Metric::Latency, SharedMemory, AtMost(1.2)),
        ("stream", Metric::Throughput, SharedMemory, AtLeast(0.8)),
        ("pipe", Metric::Throughput, Pipe, AtLeast(0.8)),
    ];
    let of = |(name, metric, mechanism, bound), (what, naming)| {
        let channel = unfitted(mechanism, USUAL);
        let subject = Subject { naming, ..channel.clone() };
        target(format!("named/{name}-{what}"), Different, move |_| {
            let channel = prepared(metric, &channel, None)?;
            let case = prepared(metric, &subject, None)?;
            let passed_on =
                plain("the same, passed on".into(), bound, move |terms| terms.subject(&channel));
            Ok(contest(course::row(&case), move |terms| terms.subject(&case), vec![passed_on]))
        })
    };
    let namings = [("link", Naming::Direct), ("mailbox", Naming::Mailbox)];
    cases.into_iter().flat_map(|case| namings.map(|naming| of(case, naming))).collect()
}

/// Written and read in place: beside a ring that does the same, with the footprint that suits it best.
fn loans() -> Vec<Target> {
    type Sizes = &'static [u32];
    const SHAPES: [(usize, Sizes, Sizes); 2] = [
        (USUAL, &[64, 256, 1024], &[16, 64, 256, 1024, 4096]),
        (1 << 20, &[2, 4, 8, 16], &[1, 2, 4, 8, 16]),
    ];
    let of = |(payload, capacities, slots): (usize, Sizes, Sizes)| {
        target(format!("loan/{}", bytes(payload)), Different, move |terms| {
            let of = |slots: u32| -> Result<Case, Trouble> {
                let asked = Some(Capacity::Bounded(slots));
                prepared(Metric::Throughput, &subject(SharedMemory, payload), asked)
            };
            let lend = |terms: &Terms<'_>, case: &Case| loan::run(terms, &case.subject);
            let ours = of(footprint::best(capacities, |n| lend(terms, &of(n)?))?)?;
            let ring = footprint::best(slots, |n| terms.reference(&of(n)?, Reference::InPlace))?;
            let mut rings =
                vec![against(&Rc::new(of(ring)?), Reference::InPlace, Some(AtLeast(0.7)))?];
            if payload == USUAL {
                // A slot's word and 64 bytes take two lines: what those cost where they are merely written and read.
                let twice = subject(SharedMemory, 2 * payload);
                let twice = prepared(Metric::Throughput, &twice, Some(Capacity::Bounded(ring)))?;
                let name = "the same with two lines to a message".into();
                rings.push(Against { name, ..against(&Rc::new(twice), Reference::InPlace, None)? });
            }
            let mut row = course::row(&ours);
            row.subject = format!("{}, by loan", row.subject);
            Ok(contest(row, move |terms| lend(terms, &ours), rings))
        })
    };
    SHAPES.into_iter().map(of).collect()
}

/// Pages and mebibytes: beside the ring with the footprint that suits it best, and beside a pipe.
fn large() -> Vec<Target> {
    let rings: [(usize, &[u32], &[u32]); 2] = [
        (4 << 10, &[64, 256, 1024], &[16, 64, 256, 1024, 4096]),
        (1 << 20, &[2, 4, 8, 16], &[1, 2, 4, 8, 16]),
    ];
    let mut targets = Vec::new();
    for (payload, capacities, slots) in rings {
        let name = format!("large/shm-{}", bytes(payload));
        targets.push(target(name, Different, move |terms| {
            let of = |slots: u32| -> Result<Case, Trouble> {
                let asked = Some(Capacity::Bounded(slots));
                prepared(Metric::Throughput, &subject(SharedMemory, payload), asked)
            };
            let ours = footprint::best(capacities, |n| terms.subject(&of(n)?))?;
            let ours = of(ours)?;
            let ring = footprint::best(slots, |n| terms.reference(&of(n)?, Reference::Copying))?;
            let ring = of(ring)?;
            let against = Against {
                name: contender::name(&ring, Reference::Copying).map_err(failed)?,
                bound: Some(AtLeast(0.8)),
                kind: Kind::Ring,
                run: Box::new(move |terms| terms.reference(&ring, Reference::Copying)),
            };
            Ok(contest(course::row(&ours), move |terms| terms.subject(&ours), vec![against]))
        }));
    }
    for mechanism in [Pipe, MessageQueue] {
        let bare = vec![(Reference::Bare(Blocking), Some(AtLeast(2.0)))];
        let name = format!("large/{mechanism}-1M");
        targets.push(case(name, Metric::Throughput, subject(mechanism, 1 << 20), bare));
    }
    targets
}

/// Ping-pong over kernel objects: both sides asleep in between, or not.
fn asleep() -> Vec<Target> {
    let mut targets = Vec::new();
    for (group, cores) in [("block-same", Same), ("block-apart", Different)] {
        for mechanism in KERNEL {
            let subject = Subject { wait: WaitStrategy::Block, ..subject(mechanism, USUAL) };
            let bare = vec![
                (Reference::Bare(Polled), Some(AtMost(1.1))),
                (Reference::Bare(Blocking), None),
            ];
            let name = format!("{group}/{mechanism}");
            targets.push(Target { cores, ..case(name, Metric::Latency, subject, bare) });
        }
    }
    for mechanism in KERNEL {
        let bare = vec![(Reference::Bare(Blocking), Some(AtMost(0.2)))];
        let name = format!("adaptive/{mechanism}");
        targets.push(case(name, Metric::Latency, subject(mechanism, USUAL), bare));
    }
    for mechanism in KERNEL {
        let bare = vec![(Reference::Bare(Polled), None)];
        let name = format!("adaptive-same/{mechanism}");
        let target = case(name, Metric::Latency, subject(mechanism, USUAL), bare);
        targets.push(Target { cores: Same, ..target });
    }
    targets
}

/// Batches, beside the bare loop that makes a call for each message.
fn batches() -> Vec<Target> {
    /// Twice 128, so that both sides can be in the middle of a batch.
    const CAPACITY: Capacity = Capacity::Bounded(256);
    let of = |mechanism: Mechanism| {
        target(format!("batch/{mechanism}"), Different, move |_| {
            let subject = subject(mechanism, USUAL);
            let case = Rc::new(prepared(Metric::Throughput, &subject, Some(CAPACITY))?);
            let bare = against(&case, Reference::Bare(Blocking), Some(AtLeast(5.0)))?;
            let mut row = course::row(&case);
            row.subject = format!("{}, {} to a call", row.subject, batch::BATCH);
            Ok(contest(row, move |terms| batch::run(terms, &case.subject), vec![bare]))
        })
    };
    KERNEL.into_iter().map(of).collect()
}

/// Synchronous sends: over shared memory beside a cache line that goes there and back, over kernel objects beside the bare
/// loop that sleeps.
fn until_taken() -> Vec<Target> {
    let line = || plain("cache line, there and back".into(), AtMost(4.0), rendezvous::round_trip);
    let busy = |wait| Subject { wait, ..subject(SharedMemory, USUAL) };
    let mut targets = Vec::new();
    for (name, wait) in SPINNING {
        let subject = busy(wait);
        targets.push(target(format!("deliver/{name}"), Different, move |_| {
            let case = prepared(Metric::Latency, &subject, None)?;
            let mut row = course::row(&case);
            row.subject = format!("{}, deliver", row.subject);
            let ours = move |terms: &Terms<'_>| rendezvous::deliver(terms, &case.subject);
            Ok(contest(row, ours, vec![line()]))
        }));
    }
    for (name, wait) in SPINNING {
        let subject = busy(wait);
        targets.push(target(format!("rendezvous/{name}"), Different, move |_| {
            let zero = Some(Capacity::Zero);
            let row = course::row(&prepared(Metric::Latency, &subject, zero)?);
            let case = prepared(Metric::Throughput, &subject, zero)?;
            let ours = move |terms: &Terms<'_>| Ok(terms.subject(&case)?.each());
            Ok(contest(row, ours, vec![line()]))
        }));
    }
    // Over kernel objects ping-pong, in which both sides wait for a message and for a receipt by turns.
    let met = |mechanism: Mechanism| {
        target(format!("rendezvous/{mechanism}"), Different, move |_| {
            let subject = subject(mechanism, USUAL);
            let case = Rc::new(prepared(Metric::Latency, &subject, Some(Capacity::Zero))?);
            let bare = against(&case, Reference::Bare(Blocking), Some(AtMost(0.2)))?;
            Ok(contest(course::row(&case), move |terms| terms.subject(&case), vec![bare]))
        })
    };
    targets.extend(KERNEL.into_iter().map(met));
    targets
}

/// A type of eight fields, beside the bytes that it encodes to.
fn typed_messages() -> Target {
    target("typed/shm".into(), Different, |_| {
        let subject = subject(SharedMemory, typed::encoded().map_err(failed)?);
        let case = Rc::new(prepared(Metric::Throughput, &subject, None)?);
        let mut row = course::row(&case);
        row.subject = format!("{}, eight fields", row.subject);
        let theirs = case.clone();
        let name = "bytes of the same length".into();
        let against = vec![plain(name, AtLeast(0.7), move |terms| terms.subject(&theirs))];
        Ok(contest(row, move |terms| typed::run(terms, &case.subject), against))
    })
}

/// A receiver with many links of which one is busy, beside a receiver with that one.
fn many_links(extent: Extent) -> Vec<Target> {
    let counts: &[u32] = if extent == Extent::Quick { &[10] } else { &[10, 100, 1000] };
    let mut targets = Vec::new();
    for mechanism in Mechanism::ALL {
        for &count in counts {
            let subject = Subject {
                naming: Naming::Direct,
                capacity: Capacity::Bounded(8),
                ..subject(mechanism, USUAL)
            };
            targets.push(target(format!("links/{mechanism}-{count}"), Different, move |_| {
                let (ours, theirs) = (subject.clone(), subject.clone());
                let case = prepared(Metric::Latency, &subject, Some(subject.capacity))?;
                let mut row = course::row(&case);
                row.metric = "time per message";
                row.subject = format!("{}, {count} links, one busy", row.subject);
                let one = plain("one link".into(), AtMost(1.3), move |terms| {
                    links::run(terms, &theirs, 1)
                });
                let ours = move |terms: &Terms<'_>| links::run(terms, &ours, count);
                Ok(Contest { rounds: FEW, ..contest(row, ours, vec![one]) })
            }));
        }
    }
    targets
}

/// A crowd of senders on one mailbox, beside one.
fn many_senders() -> Vec<Target> {
    const CROWD: u32 = 64;
    let of = |mechanism: Mechanism| {
        let alone = Subject { naming: Naming::Mailbox, ..subject(mechanism, USUAL) };
        target(format!("senders/{mechanism}"), Different, move |_| {
            let crowd = Subject { producers: CROWD, ..alone.clone() };
            let crowd = prepared(Metric::Throughput, &crowd, None)?;
            // By the same way: alone it would have the ring for itself.
            let one = Subject { made: Made::Shared, ..alone.clone() };
            let one = prepared(Metric::Throughput, &one, None)?;
            let against =
                plain("one sender".into(), AtLeast(0.5), move |terms| terms.subject(&one));
            let row = course::row(&crowd);
            let ours = move |terms: &Terms<'_>| terms.subject(&crowd);
            Ok(Contest { rounds: FEW, ..contest(row, ours, vec![against]) })
        })
    };
    Mechanism::ALL.into_iter().map(of).collect()
}

/// Receivers that wait and wait.
fn waiting(extent: Extent) -> Vec<Target> {
    let crowd = match extent {
        Extent::Full => Crowd { receivers: 1000, watched: Duration::from_secs(10) },
        Extent::Quick => Crowd { receivers: 50, watched: Duration::from_secs(1) },
    };
    // A tenth of a second for a thousand in ten seconds.
    let share = f64::from(crowd.receivers) / 1000.0 * crowd.watched.as_secs_f64() / 10.0;
    let of = |mechanism: Mechanism| {
        target(format!("idle/{mechanism}"), Different, move |_| {
            let subject = Subject { naming: Naming::Mailbox, ..subject(mechanism, USUAL) };
            let case = prepared(Metric::Latency, &subject, None)?;
            let row = Row {
                subject: format!(
                    "postbox {mechanism}, receivers of a mailbox that wait {:?}",
                    crowd.watched
                ),
                metric: "processor time",
                unit: "s",
                consumers: crowd.receivers,
                producers: 0,
                ..course::row(&case)
            };
            let bound = Some(AtMost(0.1 * share));
            let ours = move |terms: &Terms<'_>| idle::run(terms, &case.subject, crowd);
            Ok(Contest { rounds: 1, bound, ..contest(row, ours, Vec::new()) })
        })
    };
    Mechanism::ALL.into_iter().map(of).collect()
}

/// What one of them takes of memory while nothing happens.
fn memory_of_the_idle() -> Vec<Target> {
    let mut targets = Vec::new();
    for (what, naming) in [("link", Naming::Direct), ("mailbox", Naming::Mailbox)] {
        for mechanism in Mechanism::ALL {
            targets.push(target(format!("memory/{what}-{mechanism}"), Different, move |_| {
                let subject = Subject { naming, ..subject(mechanism, USUAL) };
                let case = prepared(Metric::Latency, &subject, None)?;
                let row = Row {
                    subject: format!("postbox {mechanism}, an idle {what}, both sides"),
                    metric: "memory",
                    unit: "KiB",
                    ..course::row(&case)
                };
                let ours = move |terms: &Terms<'_>| memory::run(terms, &case.subject);
                let bound = Some(AtMost(64.0));
                Ok(Contest { rounds: FEW, bound, ..contest(row, ours, Vec::new()) })
            }));
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_name_is_there_once_and_has_a_group() {
        let targets = all(Extent::Full);
        let names: BTreeSet<&str> = targets.iter().map(|target| &*target.name).collect();
        assert_eq!(names.len(), targets.len());
        assert!(names.iter().all(|name| name.matches('/').count() == 1), "{names:?}");
        let mut groups: Vec<&str> = targets.iter().map(Target::group).collect();
        groups.dedup();
        let each: BTreeSet<&&str> = groups.iter().collect();
        assert_eq!(each.len(), groups.len(), "a group is together: {groups:?}");
    }

    #[test]
    fn groups_and_rows_are_chosen_by_name() {
        let chosen = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
            super::super::chosen(&only, Extent::Quick, None).map(|targets| targets.len())
        };
        assert_eq!(chosen(&[]).unwrap(), all(Extent::Quick).len());
        assert_eq!(chosen(&["batch", "typed/shm"]).unwrap(), 4);
        let refused = chosen(&["batch", "speed"]).unwrap_err();
        let said = refused.reason().unwrap();
        assert!(said.contains("'speed'") && said.contains("latency, stream"), "{said}");
    }
}
