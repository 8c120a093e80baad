//! One word at a time: every word in use, every value that might hurt, every kind of call after it.
//! And one page at a time, its words shuffled or all the same.

use crate::honest;
use crate::memory::Memory;
use crate::plan::{Plan, seconds};
use nix::unistd::pause;
use postbox::{Bytes, Capacity, Receiver, Sender, Wait, fork};
use postbox_tests::{Chance, Outcome};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

/// An attack, told so that it can be repeated.
#[derive(Clone, Copy)]
struct Attack {
    at: u64,
    value: u64,
    /// What state the channel is in before.
    scene: u64,
}

/// Shuffles one page at a time, and makes every kind of call, likewise.
pub fn one_page_at_a_time(plan: Plan) -> Outcome {
    let last = tempfile::tempfile()?;
    let mut chance = Chance::new();
    let branch = chance.branch();
    let mut victim = fork((), |()| shuffle_in_turn(plan, branch, &last))?;
    let status = victim.wait_status()?;
    let mut seed = [0; 8];
    last.read_exact_at(&mut seed, 0)?;
    assert!(status.success(), "{status} after shuffling by {}", u64::from_le_bytes(seed));
    Ok(())
}

fn shuffle_in_turn(plan: Plan, mut chance: Chance, last: &File) -> Outcome {
    let end = Instant::now() + seconds();
    honest::limit_memory()?;
    while Instant::now() < end {
        let seed = chance.below(1 << 60);
        last.write_all_at(&seed.to_le_bytes(), 0)?;
        let mut own = Chance::seeded(seed);
        let ((tx, rx, member), memory) = set(plan, own.below(SCENES))?;
        let pages = memory.pages()?;
        for _ in 0..=own.below(2) {
            memory.shuffle(own.pick(&pages), &mut own);
        }
        honest::all_kinds(&tx, &rx);
        if let Some(member) = member {
            member.end();
            honest::all_kinds(&tx, &rx);
        }
        honest::drop_in_time((tx, rx));
    }
    Ok(())
}

/// Attacks until the time is over, or none is left, in a process of its own that must survive.
pub fn one_at_a_time(plan: Plan) -> Outcome {
    let last = tempfile::tempfile()?;
    let mut chance = Chance::new();
    let branch = chance.branch();
    let mut victim = fork((), |()| attack_in_turn(plan, branch, &last))?;
    let status = victim.wait_status()?;
    let mut attack = [0; 24];
    last.read_exact_at(&mut attack, 0)?;
    let [at, value, scene] =
        [0, 8, 16].map(|i| u64::from_le_bytes(attack[i..i + 8].try_into().unwrap_or_default()));
    assert!(status.success(), "{status} after {value:#x} was written at {at:#x}, scene {scene}");
    Ok(())
}

fn attack_in_turn(plan: Plan, mut chance: Chance, last: &File) -> Outcome {
    let end = Instant::now() + seconds();
    let mut attacks = Vec::new();
    for scene in 0..SCENES {
        let (ends, memory) = set(plan, scene)?;
        for at in memory.words()? {
            attacks.extend(memory.values(at).into_iter().map(|value| Attack { at, value, scene }));
        }
        drop(ends);
    }
    honest::limit_memory()?;
    let mut done = 0;
    while Instant::now() < end && done < attacks.len() {
        let other = done + chance.below((attacks.len() - done) as u64) as usize;
        attacks.swap(done, other);
        let attack = attacks[done];
        for (i, word) in [attack.at, attack.value, attack.scene].into_iter().enumerate() {
            last.write_all_at(&word.to_le_bytes(), i as u64 * 8)?;
        }
        let ((tx, rx, member), memory) = set(plan, attack.scene)?;
        memory.write(attack.at, attack.value);
        honest::all_kinds(&tx, &rx);
        if let Some(member) = member {
            member.end();
            honest::all_kinds(&tx, &rx);
        }
        honest::drop_in_time((tx, rx));
        done += 1;
    }
    println!("{done} of {} attacks", attacks.len());
    Ok(())
}

type Ends = (Sender<Bytes>, Receiver<Bytes>, Option<postbox::Child>);

/// Scenes: fresh ends; with messages of both sizes in the channel; with a member about to die.
const SCENES: u64 = 3;
const FULL: u64 = 1;
const DEATH: u64 = 2;

fn set(plan: Plan, scene: u64) -> Result<(Ends, Memory), Box<dyn std::error::Error>> {
    let (tx, rx) = plan.options().channel::<Bytes>()?;
    let memory = Memory::find()?;
    if plan.capacity != Capacity::Zero {
        // The words have been gone over once.
        for length in [10, 9000, 10] {
            tx.try_send(&vec![3; length])?;
            rx.try_receive()?;
        }
    }
    let brief = Wait::timeout(Duration::from_micros(1));
    let _ = tx.deliver_with(b"withdrawn", &brief);
    let mut member = None;
    if scene == DEATH && !plan.single {
        let ends = (tx.clone(), rx.clone());
        member = Some(fork(ends, |_ends| {
            loop {
                pause();
            }
        })?);
    }
    if scene >= FULL {
        for length in [20, 9000] {
            let _ = tx.try_send(&vec![5; length]);
        }
    }
    Ok(((tx, rx, member), memory))
}
