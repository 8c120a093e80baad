//! What an idle link or mailbox takes of memory, in the two processes that have it open.

use crate::bench::arguments::Naming;
use crate::bench::contender::{Terms, failed};
use crate::bench::crew::{Part, Trouble};
use crate::bench::ends::Outcome;
use crate::bench::figures::{Figures, Measured};
use crate::bench::meeting::{Meeting, Way};
use crate::bench::references::memory;
use crate::bench::subjects::Subject;
use postbox::{Access, Bytes, Mailbox, MailboxOptions, Process, Receiver, Sender};
use postbox_ring::View;
use postbox_ring::sync::{AtomicU64, Ordering};
use std::fs;
use std::time::Duration;

/// So many are opened; what one takes is the mean.
const COUNT: usize = 12;
/// Between two looks at what the other has done.
const TICK: Duration = Duration::from_millis(1);

/// KiB that are resident for one in both processes. It has carried a message each way, or a
/// mailbox one, and is idle then.
pub fn run(terms: &Terms<'_>, subject: &Subject) -> Result<Measured, Trouble> {
    let (parts, _meeting) = parts(terms, subject).map_err(failed)?;
    terms.figures(parts)
}

fn parts(terms: &Terms<'_>, subject: &Subject) -> Outcome<(Vec<Part<'static>>, Meeting)> {
    let (here, there) = terms.placement.pair();
    // No more than is sent: all queues of a user share a quota.
    let options = subject.options().max_message(subject.payload);
    let meeting = Meeting::prepare(subject.naming, options.clone(), &[])?;
    let words = memory(4096)?;
    let both = Both { met: words.view(0)?, created: words.view(128)? };
    let mut parts = Vec::new();
    for (cpu, side) in [(here, Side::Owner), (there, Side::Other)] {
        let (way, both, naming) = (meeting.way(), both.clone(), subject.naming);
        let options = MailboxOptions::from(options.clone()).receivers(Access::Members);
        let message = vec![7; subject.payload];
        parts.push(Part::new(cpu, move || {
            if naming == Naming::Direct {
                links(&way, side, &both, &message)
            } else {
                mailboxes(&way, side, options, &both, &message)
            }
        }));
    }
    Ok((parts, meeting))
}

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Speaks first, and owns the mailboxes.
    Owner,
    /// Answers, and opens them.
    Other,
}

/// Where both wait for each other.
#[derive(Clone)]
struct Both {
    /// How often somebody came to a place where they meet.
    met: View<AtomicU64>,
    /// Mailboxes that there are.
    created: View<AtomicU64>,
}

impl Both {
    /// Returns once both are at the `nth` such place.
    fn meet(&self, nth: u64) {
        self.met.fetch_add(1, Ordering::AcqRel);
        while self.met.load(Ordering::Acquire) < 2 * nth {
            std::thread::sleep(TICK);
        }
    }
}

fn links(way: &Way, side: Side, both: &Both, message: &[u8]) -> Outcome<Figures> {
    let (own, other) = match side {
        Side::Owner => ("a", "b"),
        Side::Other => ("b", "a"),
    };
    // Each link needs a pair of names. What a name takes is not the link's.
    let names = (0..=COUNT).map(|index| way.join(&format!("{own}-{index}")));
    let names = names.collect::<Outcome<Vec<Process>>>()?;
    both.meet(1);
    // Nor is what its registrar takes when it first has to do with a link: the first name of either
    // side has links with all of the other side beforehand.
    for index in 0..=COUNT {
        names[0].link_with(&format!("{other}-{index}"), way.links())?;
    }
    let open = |index: usize| -> Outcome<(Sender<Bytes>, Receiver<Bytes>)> {
        let partner = format!("{other}-{index}");
        let ends = (names[index].sender_to(&partner)?, names[index].receiver_from(&partner)?);
        if side == Side::Owner {
            ends.0.send(message)?;
            ends.1.receive()?;
        } else {
            ends.1.receive()?;
            ends.0.send(message)?;
        }
        Ok(ends)
    };
    grown(both, open)
}

fn mailboxes(
    way: &Way,
    side: Side,
    options: MailboxOptions,
    both: &Both,
    message: &[u8],
) -> Outcome<Figures> {
    let name = |index: usize| format!("mailbox-{index}");
    if side == Side::Owner {
        let me = way.join("creator")?;
        both.meet(1);
        return grown(both, |index| -> Outcome<(Mailbox<Bytes>, Sender<Bytes>)> {
            let mailbox = me.create_mailbox::<Bytes>(&name(index), options.clone())?;
            let tx = mailbox.sender()?;
            tx.send(message)?;
            both.created.fetch_add(1, Ordering::AcqRel); // pairs with the load below
            Ok((mailbox, tx))
        });
    }
    let me = way.join("other")?;
    both.meet(1);
    grown(both, |index| -> Outcome<(Mailbox<Bytes>, Receiver<Bytes>)> {
        while both.created.load(Ordering::Acquire) <= index as u64 {
            std::thread::sleep(TICK);
        }
        let mailbox = me.open_mailbox::<Bytes>(&name(index))?;
        let rx = mailbox.receiver()?;
        rx.receive()?;
        Ok((mailbox, rx))
    })
}

/// Opens one that does not count, since the first of its kind pays for what all share, and then
/// those that do.
fn grown<E>(both: &Both, open: impl Fn(usize) -> Outcome<E>) -> Outcome<Figures> {
    let first = open(0)?;
    both.meet(2);
    let before = resident()?;
    let kept = (1..=COUNT).map(open).collect::<Outcome<Vec<E>>>()?;
    both.meet(3);
    let after = resident()?;
    // Neither lets go of anything while the other still looks.
    both.meet(4);
    drop((first, kept));
    Ok(Figures::Amount((after - before) / COUNT as f64))
}

/// KiB of this process that are resident; what is shared with another counts by halves. The program
/// itself does not count: it becomes less whenever somebody else starts it.
fn resident() -> Outcome<f64> {
    const KINDS: [&str; 2] = ["Pss_Anon:", "Pss_Shmem:"];
    let rollup = fs::read_to_string("/proc/self/smaps_rollup")?;
    let mut sum = 0.0;
    for kind in KINDS {
        let line = rollup.lines().find_map(|line| line.strip_prefix(kind));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kibibytes = kibibytes.ok_or("the kernel does not tell what is resident")?;
        sum += kibibytes.trim().parse::<f64>()?;
    }
    Ok(sum)
}
