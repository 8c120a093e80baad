//! One receiver with many links, of which one is busy. They lead to it alone: a way back would take
//! as many descriptors again, and be of no use here.
//!
//! ```text
//!  receiver ◄──── link ──── busy           sends for as long as it is told
//!           ◄──── link ──── idle-0 …       never send anything; some hundred names to a process
//! ```

use crate::bench::contender::{Terms, close, failed};
use crate::bench::crew::{Part, Trouble, run_within};
use crate::bench::ends::{Outcome, STOP};
use crate::bench::figures::{Figures, Measured, sum};
use crate::bench::meeting::{Meeting, Way};
use crate::bench::references::memory;
use crate::bench::stream::produce;
use crate::bench::subjects::{Ours, Subject};
use postbox::{Bytes, Capacity, Direction, Mechanism, Options, Receiver, Sender, WaitStrategy};
use postbox_ring::View;
use postbox_ring::sync::{AtomicU64, Ordering};
use postbox_sys::clock;
use std::hint::black_box;
use std::time::Duration;

/// How long the links may take to be made, and a run then.
const PATIENCE: Duration = Duration::from_secs(60);
/// Idle names of one process: each has a thread, and some descriptors for its link.
const SHARE: u32 = 100;
/// Descriptors that the receiver needs for each link, and for itself.
const DESCRIPTORS: (u64, u64) = (16, 256);
/// Between two looks at what others have done.
const TICK: Duration = Duration::from_millis(1);

/// Nanoseconds of a message to a receiver with that many links.
pub fn run(terms: &Terms<'_>, subject: &Subject, links: u32) -> Result<Measured, Trouble> {
    let (each, own) = DESCRIPTORS;
    let needed = u64::from(links) * each + own;
    super::descriptors(needed, &format!("{links} links")).map_err(Trouble::Failed)?;
    let (parts, _meeting) = parts(terms, subject, links).map_err(failed)?;
    let figures = run_within(PATIENCE, parts, terms.stop)?;
    let measured = sum(&figures).map(Measured::each);
    measured.ok_or_else(|| Trouble::Failed("a run measured nothing".into()))
}

/// How far everybody is.
#[derive(Clone)]
struct Stage {
    /// The busy link stands.
    begun: View<AtomicU64>,
    /// Idle processes whose links stand, as far as they can.
    made: View<AtomicU64>,
}

fn parts(
    terms: &Terms<'_>,
    subject: &Subject,
    links: u32,
) -> Outcome<(Vec<Part<'static>>, Meeting)> {
    let ((here, there), budget, payload) = (terms.placement.pair(), terms.budget, subject.payload);
    let meeting =
        Meeting::prepare(subject.naming, subject.options().max_message(subject.payload), &[])?;
    let words = memory(4096)?;
    let stage = Stage { begun: words.view(0)?, made: words.view(128)? };
    let idle = links - 1;
    let crowds = u64::from(idle.div_ceil(SHARE));
    // When the receiver is through, the idle ones learn of it by the end of this channel.
    let (over, until): (Sender<Bytes>, Receiver<Bytes>) = Options::new(Mechanism::Pipe)
        .capacity(Capacity::Bounded(1))
        .wait_strategy(WaitStrategy::Block)
        .channel()?;
    let mut parts = Vec::new();
    let (way, at) = (meeting.way(), stage.clone());
    parts.push(Part::with(here, over, move |over| {
        let figures = receive(&way, &at, crowds);
        drop(over);
        figures
    }));
    let (way, at, close) = (meeting.way(), stage.clone(), close()?);
    parts.push(Part::new(there, move || {
        let me = way.join("busy")?;
        me.link_with("receiver", way.links().direction(Direction::Outward))?;
        let tx = me.sender_to::<Bytes>("receiver")?;
        at.begun.store(1, Ordering::Release); // pairs with wait_for
        wait_for(&at.made, crowds);
        produce(&mut Ours(tx), payload, budget, &close)
    }));
    for first in (0..idle).step_by(SHARE as usize) {
        let (way, at, until) = (meeting.way(), stage.clone(), until.clone());
        let names = first..idle.min(first + SHARE);
        parts.push(Part::with(there, until, move |until| idly(&way, &at, names, &until)));
    }
    Ok((parts, meeting))
}

fn wait_for(word: &AtomicU64, value: u64) {
    // Pairs with the stores of the others.
    while word.load(Ordering::Acquire) < value {
        std::thread::sleep(TICK);
    }
}

/// Makes its links and keeps them. Where the system refuses one, it goes on with those that it has.
fn idly(
    way: &Way,
    stage: &Stage,
    names: std::ops::Range<u32>,
    until: &Receiver<Bytes>,
) -> Outcome<Figures> {
    wait_for(&stage.begun, 1);
    let mut kept = Vec::new();
    let mut short = Figures::Done;
    for index in names.clone() {
        let made = way.join(&format!("idle-{index}")).and_then(|me| {
            me.link_with("receiver", way.links().direction(Direction::Outward))?;
            Ok(me)
        });
        match made {
            Ok(link) => kept.push(link),
            Err(error) => {
                short = Figures::Short {
                    missing: u64::from(names.end - index),
                    what: "idle links".to_owned(),
                    reason: error.to_string(),
                };
                break;
            }
        }
    }
    stage.made.fetch_add(1, Ordering::AcqRel); // pairs with wait_for
    // The end of the channel is what is awaited.
    let _ = until.receive();
    Ok(short)
}

fn receive(way: &Way, stage: &Stage, crowds: u64) -> Outcome<Figures> {
    let me = way.join("receiver")?;
    wait_for(&stage.made, crowds);
    let (mut first, mut count) = (None, 0);
    loop {
        let message = me.receive::<Bytes>()?;
        if black_box(&message)[0] == STOP {
            break;
        }
        match first {
            None => first = Some(clock::now()),
            Some(_) => count += 1,
        }
    }
    let last = clock::now();
    Ok(Figures::Taken { first: first.unwrap_or(last), last, count })
}
