//! Where one run takes place: a domain of its own, and what its processes write down.

use nix::time::{ClockId, clock_gettime};
use postbox::{Domain, DomainOptions, Mechanism};
use postbox_steps::Step;
use postbox_tests::{Bystander, Entry, Gate, Ledger, bystander};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::id;
use std::time::Duration;
use tempfile::TempDir;

/// What the processes of one run have in common. Made before they are forked.
pub struct Stage {
    place: TempDir,
    pub mechanism: Mechanism,
    /// What was sent, as its sender says.
    pub sent: Ledger,
    /// What was taken, as its taker says.
    pub taken: Ledger,
    times: Ledger,
    /// Opened by each survivor once it is there.
    pub ready: Gate,
    counts: File,
}

/// What is written down with the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Mark {
    /// It holds its name.
    Named,
    /// It is about to let go of it.
    Leaving,
    /// It is about to end what others wait on.
    Ending,
    /// It was told that this is over, after having waited for so long.
    Told,
    /// The same, of a right.
    Denied,
}

const MARKS: [Mark; 5] = [Mark::Named, Mark::Leaving, Mark::Ending, Mark::Told, Mark::Denied];

/// One mark.
#[derive(Debug, Clone, Copy)]
pub struct Moment {
    pub by: u32,
    pub mark: Mark,
    pub at: Duration,
    /// How long it had waited by then.
    pub waited: Duration,
}

/// The monotonic clock, which all processes share.
pub fn now() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).expect("there is a monotonic clock").into()
}

impl Stage {
    pub fn new(mechanism: Mechanism) -> io::Result<Self> {
        Ok(Stage {
            place: tempfile::tempdir()?,
            mechanism,
            sent: Ledger::new()?,
            taken: Ledger::new()?,
            times: Ledger::new()?,
            ready: Gate::new()?,
            counts: tempfile::tempfile()?,
        })
    }

    /// The directory of domains, which is made with the first of them.
    fn base(&self) -> PathBuf {
        self.place.path().join("base")
    }

    pub fn domain(&self) -> Result<Domain, postbox::DomainError> {
        self.domain_named("lab")
    }

    pub fn domain_named(&self, name: &str) -> Result<Domain, postbox::DomainError> {
        DomainOptions::new().directory(self.base()).open(name)
    }

    /// What is left in the directory of domains.
    pub fn leftovers(&self) -> io::Result<Vec<PathBuf>> {
        std::fs::read_dir(self.base())?.map(|entry| Ok(entry?.path())).collect()
    }

    pub fn mark(&self, mark: Mark, waited: Duration) -> io::Result<()> {
        let micros = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX).min(u64::from(MICROS));
        let seq = u64::try_from(now().as_nanos()).unwrap_or(u64::MAX);
        let sender = (mark as u32) << MICROS.count_ones() | micros as u32;
        self.times.note(Entry { by: id(), sender, seq })
    }

    /// All marks, in the order of their making.
    pub fn moments(&self) -> io::Result<Vec<Moment>> {
        let entries = self.times.entries()?.into_iter();
        Ok(entries
            .map(|entry| Moment {
                by: entry.by,
                mark: MARKS[(entry.sender >> MICROS.count_ones()) as usize],
                at: Duration::from_nanos(entry.seq),
                waited: Duration::from_micros(u64::from(entry.sender & MICROS)),
            })
            .collect())
    }

    /// Writes down how often this process has come to each step.
    pub fn count_steps(&self) -> io::Result<()> {
        let counts: Vec<u8> =
            Step::ALL.iter().flat_map(|step| postbox_steps::times(*step).to_le_bytes()).collect();
        self.counts.write_all_at(&counts, 0)
    }

    /// How often a process came to each step of the naming layer, of those that it came to.
    pub fn counted(&self) -> io::Result<Vec<(Step, u64)>> {
        let mut counts = vec![0; Step::ALL.len() * 8];
        self.counts.read_exact_at(&mut counts, 0)?;
        let count = |step: Step| {
            let from = step as usize * 8;
            u64::from_le_bytes(counts[from..from + 8].try_into().unwrap_or_default())
        };
        let counted = Step::naming().iter().map(|step| (*step, count(*step)));
        Ok(counted.filter(|(_, count)| *count > 0).collect())
    }
}

/// The low bits of a mark's word, for the time waited: up to two minutes.
const MICROS: u32 = (1 << 27) - 1;

/// A process that does nothing but sleep a millisecond at a time, and says how much longer that took:
/// what the machine owes to everybody.
pub struct Yardstick {
    lateness: File,
    _sleeper: Bystander,
}

impl Yardstick {
    pub fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let lateness = tempfile::tempfile()?;
        lateness.write_all_at(&[0; 8], 0)?;
        let nap = Duration::from_millis(1);
        let sleeper = bystander(|| {
            let mut late = Duration::ZERO;
            loop {
                let before = now();
                std::thread::sleep(nap);
                late += (now() - before).saturating_sub(nap);
                let nanos = late.as_nanos() as u64;
                let _ = lateness.write_all_at(&nanos.to_le_bytes(), 0);
            }
        })?;
        Ok(Yardstick { lateness, _sleeper: sleeper })
    }

    /// How late it has been altogether.
    pub fn late(&self) -> io::Result<Duration> {
        let mut nanos = [0; 8];
        self.lateness.read_exact_at(&mut nanos, 0)?;
        Ok(Duration::from_nanos(u64::from_le_bytes(nanos)))
    }
}
