//! A ring of slots as loom sees it: bodies are cells that report any race.
#![allow(unsafe_code, reason = "loom's cells hand out raw pointers")]
#![allow(dead_code, reason = "each model uses some of it")]

use std::sync::Arc;

use loom::cell::UnsafeCell;
use postbox_ring::{
    ClaimCache, ClaimError, Take,
    slots::{PairMemory, SlotMemory, Slots, Taken},
    sync::AtomicU64,
};

/// A ring's memory as loom sees it. A body is one number.
#[derive(Clone)]
pub struct Modelled {
    parts: Arc<Parts>,
    /// Whether tail and head are those of the two.
    for_two: bool,
}

struct Parts {
    /// Tail, head: of many, and of the two.
    positions: [[AtomicU64; 2]; 2],
    phase: AtomicU64,
    announced: [AtomicU64; 2],
    withdrawals: AtomicU64,
    withdrawn: Vec<AtomicU64>,
    words: Vec<AtomicU64>,
    bodies: Vec<UnsafeCell<u64>>,
    window: u32,
}

// SAFETY: loom reports every race on a body, which is the point of the test.
unsafe impl Sync for Parts {}
// SAFETY: plain values.
unsafe impl Send for Parts {}

impl SlotMemory for Modelled {
    fn slots(&self) -> u32 {
        self.parts.words.len() as u32
    }
    fn window(&self) -> u32 {
        self.parts.window
    }
    fn tail(&self) -> &AtomicU64 {
        &self.parts.positions[usize::from(self.for_two)][0]
    }
    fn head(&self) -> &AtomicU64 {
        &self.parts.positions[usize::from(self.for_two)][1]
    }
    fn withdrawals(&self) -> &AtomicU64 {
        &self.parts.withdrawals
    }
    fn withdrawn(&self, index: u32) -> Option<&AtomicU64> {
        self.parts.withdrawn.get(index as usize)
    }
    fn word(&self, index: u32) -> Option<&AtomicU64> {
        self.parts.words.get(index as usize)
    }
    fn touch(&self, index: u32) {
        // SAFETY: the sender of a ring for two alone writes; loom checks.
        self.parts.bodies[index as usize].with_mut(|body| unsafe { *body = 0 });
    }
    fn body(&self, index: u32) -> usize {
        index as usize
    }
    fn body_len(&self) -> usize {
        8
    }
}

impl PairMemory for Modelled {
    fn phase(&self) -> &AtomicU64 {
        &self.parts.phase
    }
    fn sending(&self) -> &AtomicU64 {
        &self.parts.announced[0]
    }
    fn taking(&self) -> &AtomicU64 {
        &self.parts.announced[1]
    }
    fn for_two(&self) -> Self {
        Modelled { parts: self.parts.clone(), for_two: true }
    }
}

/// A ring with its memory.
#[derive(Clone)]
pub struct Ring {
    memory: Modelled,
    pub slots: Slots<Modelled>,
}

impl Ring {
    pub fn new(slots: usize, window: u32) -> Ring {
        let zeroes = || (0..slots).map(|_| AtomicU64::new(0)).collect();
        let zero = || AtomicU64::new(0);
        let parts = Parts {
            positions: [[zero(), zero()], [zero(), zero()]],
            phase: zero(),
            announced: [zero(), zero()],
            withdrawals: zero(),
            withdrawn: zeroes(),
            words: zeroes(),
            bodies: (0..slots).map(|_| UnsafeCell::new(0)).collect(),
            window,
        };
        let memory = Modelled { parts: Arc::new(parts), for_two: false };
        Ring { slots: Slots::over(memory.clone()), memory }
    }

    pub fn write(&self, index: usize, value: u64) {
        // SAFETY: the claimer alone writes; loom checks.
        self.memory.parts.bodies[index].with_mut(|body| unsafe { *body = value });
    }

    pub fn read(&self, taken: &Taken) -> u64 {
        self.read_at(taken.body_offset())
    }

    pub fn read_at(&self, body: usize) -> u64 {
        // SAFETY: the taker alone reads; loom checks.
        self.memory.parts.bodies[body].with(|body| unsafe { *body })
    }

    pub fn send(&self, member: u16, value: u64) -> bool {
        match self.slots.claim(member, &mut ClaimCache::new()) {
            Ok(claim) => {
                self.write(claim.body_offset(), value);
                self.slots.publish(claim);
                true
            }
            Err(ClaimError::Full) => false,
            Err(ClaimError::Corrupt) => panic!("corrupt"),
        }
    }

    pub fn receive(&self, member: u16) -> Option<u64> {
        match self.slots.take(member).expect("honest memory") {
            Take::Entry(taken) => {
                let value = self.read(&taken);
                self.slots.release(taken);
                Some(value)
            }
            Take::Empty | Take::Busy { .. } => None,
        }
    }

    pub fn drain(&self) -> Vec<u64> {
        std::iter::from_fn(|| self.receive(8)).collect()
    }
}
