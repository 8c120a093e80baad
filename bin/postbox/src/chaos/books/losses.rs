//! Losses, and the killed receivers that explain them.
//!
//! A receiver that is killed takes along what its last call had taken and it did not live to note:
//! at most as many messages as that call asked for. Between two processes that name each other it
//! takes along the link, too, with what waited there. So every loss is laid at the door of one killed
//! receiver that can have had it, each answers for no more than it can have had, and a loss for
//! which none is left is one too many: a matching of losses and receivers, found by augmenting
//! paths.

use super::receivers::Killed;
use super::{Rule, Seat, Victim, Violation, against};
use postbox::Capacity;
use std::fmt;

/// How long a death may go unnoticed, in nanoseconds.
pub const NOTICE: u64 = 200_000_000;

/// A message that was sent and did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// Its sender.
    pub from: Victim,
    /// Which of its messages; none for an empty one.
    pub seq: Option<u64>,
    /// The place that it was sent to, where one is named.
    pub to: Option<u8>,
    /// When the call that sent it began.
    pub begun: u64,
    /// When it had ended.
    pub ended: u64,
    /// By a call that never waits.
    pub tried: bool,
    /// The pid on its receipt.
    pub receipt: Option<u32>,
}

/// A loss that is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// What was lost.
    pub message: Missing,
    /// Who can have had it.
    pub by: Victim,
    /// Where it was.
    pub place: Place,
}

/// Where a message was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Taken by the receiver, and not noted yet.
    Hand,
    /// In the link, which ended with the receiver.
    Link,
}

/// What a killed receiver answers for.
struct Bearer<'k> {
    killed: &'k Killed<'k>,
    place: Place,
    /// Of one sender alone, in a link.
    sender: Option<u32>,
    room: usize,
    /// Whether a message can have waited in the channel before the receiver was there.
    waits: Waits,
    bears: Vec<usize>,
}

/// Which messages wait in a channel that outlives its receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waits {
    All,
    /// Where the two sides meet: one that was sent to a receiver that another message reached first, or a death.
    Tried,
    /// None: the channel is the receiver's own.
    None,
}

/// Lays every loss at a killed receiver's door.
///
/// # Errors
///
/// The first for which there is none.
pub fn explain(
    missing: &[Missing],
    killed: Vec<Killed<'_>>,
    capacity: Capacity,
    direct: bool,
) -> Result<Vec<Loss>, Violation> {
    let waits = match capacity {
        _ if direct => Waits::None,
        Capacity::Zero => Waits::Tried,
        _ => Waits::All,
    };
    let mut bearers: Vec<Bearer<'_>> = killed
        .iter()
        .map(|killed| Bearer {
            killed,
            place: Place::Hand,
            sender: None,
            room: killed.most.into(),
            waits,
            bears: Vec::new(),
        })
        .collect();
    if direct {
        let room = match capacity {
            Capacity::Zero => 0,
            Capacity::Bounded(n) => n as usize,
            Capacity::Unbounded => usize::MAX,
        };
        let mut senders: Vec<u32> = missing.iter().map(|missing| missing.from.number).collect();
        senders.dedup();
        for killed in &killed {
            bearers.extend(senders.iter().map(|&sender| Bearer {
                killed,
                place: Place::Link,
                sender: Some(sender),
                room,
                waits,
                bears: Vec::new(),
            }));
        }
    }
    for index in 0..missing.len() {
        let mut asked = vec![false; bearers.len()];
        if !place(index, missing, &mut bearers, &mut asked) {
            return against(Rule::Lost, account(missing, index, &killed));
        }
    }
    let mut losses: Vec<Loss> = bearers
        .iter()
        .flat_map(|bearer| {
            let (by, place) = (bearer.killed.victim, bearer.place);
            bearer.bears.iter().map(move |&index| Loss { message: missing[index], by, place })
        })
        .collect();
    losses.sort_by_key(|loss| (loss.message.from.number, loss.message.seq));
    Ok(losses)
}

/// Finds a bearer for that loss, moving others to where they can go instead.
fn place(
    index: usize,
    missing: &[Missing],
    bearers: &mut [Bearer<'_>],
    asked: &mut [bool],
) -> bool {
    for at in 0..bearers.len() {
        if asked[at] || !bearers[at].can_have_had(&missing[index]) {
            continue;
        }
        asked[at] = true;
        if bearers[at].bears.len() < bearers[at].room {
            bearers[at].bears.push(index);
            return true;
        }
        for nth in 0..bearers[at].bears.len() {
            let other = bearers[at].bears[nth];
            if place(other, missing, bearers, asked) {
                bearers[at].bears[nth] = index;
                return true;
            }
        }
    }
    false
}

impl Bearer<'_> {
    fn can_have_had(&self, message: &Missing) -> bool {
        let Killed { victim, died, last, .. } = self.killed;
        let here = Seat::Consumer(message.to.unwrap_or_default());
        let addressed = message.to.is_none() || victim.seat == here;
        // It had what it noted before; of one sender what it did not comes after.
        let later = match (message.seq, last.get(&message.from.number)) {
            (Some(seq), Some(last)) => seq > *last,
            _ => true,
        };
        let (until, had) = match self.place {
            Place::Hand => (*died, message.receipt.is_none_or(|pid| pid == victim.pid)),
            // A sender may learn of the death as late as that, and the link holds what it sends.
            Place::Link => (*died + NOTICE, message.receipt.is_none()),
        };
        let may_have_waited = match self.waits {
            Waits::All => true,
            Waits::Tried => message.tried,
            Waits::None => false,
        };
        let there = may_have_waited || message.ended >= victim.since;
        let lived = message.begun <= until && there;
        let sent_here = self.sender.is_none_or(|sender| sender == message.from.number);
        addressed && later && had && lived && sent_here && self.room > 0
    }
}

/// How many others are told.
const OTHERS: usize = 12;

fn account(missing: &[Missing], index: usize, killed: &[Killed<'_>]) -> String {
    let others: Vec<String> = (0..missing.len())
        .filter(|other| *other != index)
        .take(OTHERS)
        .map(|other| missing[other].to_string())
        .collect();
    let others = match others.is_empty() {
        true => "nothing else is missing".to_owned(),
        false => {
            format!("{} more are missing, among them {}", missing.len() - 1, others.join(", "))
        }
    };
    let bearers: Vec<String> = killed
        .iter()
        .map(|killed| {
            let Killed { victim, died, most, .. } = killed;
            format!("{victim} of {} to {died} may have had {most}", victim.since)
        })
        .collect();
    let bearers = match bearers.is_empty() {
        true => "no receiver was killed".to_owned(),
        false => bearers.join(", "),
    };
    format!(
        "{} was sent and never came, and no killed receiver is left that can have had it: \
         {bearers}; {others} (times in nanoseconds)",
        missing[index]
    )
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq {
            Some(seq) => write!(f, "message {seq} of {}", self.from)?,
            None => write!(f, "an empty message of {}", self.from)?,
        }
        if let Some(place) = self.to {
            write!(f, " to {}", Seat::Consumer(place))?;
        }
        if let Some(pid) = self.receipt {
            write!(f, ", whose receipt names process {pid}")?;
        }
        match self.ended {
            u64::MAX => Ok(()),
            ended => write!(f, " (sent from {} to {ended})", self.begun),
        }
    }
}
