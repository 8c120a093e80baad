//! Exhaustive breadth-first exploration of a small state machine.
//!
//! States are remembered by a 64-bit fingerprint; the shortest way to a violation is found again by walking
//! the fingerprints from the start. Besides what must hold everywhere and at the ends, it is checked that an
//! end stays within reach: nobody runs in circles for ever.

use std::collections::HashMap;
use std::fmt::{self, Display};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// What can be explored.
pub trait Machine {
    type State: Copy + Eq + Hash + Display;
    type Step: Copy + Display;

    fn start(&self) -> Self::State;
    /// Every step possible in `state`, with where it leads.
    fn steps(&self, state: &Self::State, into: &mut Vec<(Self::Step, Self::State)>);
    /// True for what the environment does to the processes: it is never what a wait may hope for.
    fn is_misfortune(&self, step: &Self::Step) -> bool;
    /// Must hold in every state.
    fn check(&self, state: &Self::State) -> Result<(), String>;
    /// Must hold where nothing moves any more.
    fn check_end(&self, state: &Self::State) -> Result<(), String>;
}

/// What an exploration found.
pub struct Found {
    pub states: usize,
    pub steps: usize,
    pub ends: usize,
    pub violation: Option<Violation>,
}

/// A broken invariant and the shortest way to it.
pub struct Violation {
    pub what: String,
    pub trace: Vec<String>,
}

impl Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, line) in self.trace.iter().enumerate() {
            writeln!(f, "{number:3}  {line}")?;
        }
        write!(f, "     violated: {}", self.what)
    }
}

/// Explores every state reachable from the start, up to the first violation.
pub fn explore<M: Machine>(machine: &M) -> Found {
    let mut map = Map::default();
    let (mut steps, mut ends) = (0, Vec::new());
    let start = machine.start();
    map.insert(fingerprint(&start), 0);
    let mut layer = vec![(0_u32, start)];
    let mut next_layer = Vec::new();
    let mut out = Vec::new();
    while !layer.is_empty() {
        for (id, state) in layer.drain(..) {
            out.clear();
            machine.steps(&state, &mut out);
            let verdict = machine.check(&state).and_then(|()| {
                if out.iter().all(|(step, _)| machine.is_misfortune(step)) {
                    ends.push(id);
                    return machine.check_end(&state);
                }
                Ok(())
            });
            if let Err(what) = verdict {
                let trace = map.trace(machine, id);
                return Found {
                    states: map.len(),
                    steps,
                    ends: ends.len(),
                    violation: Some(Violation { what, trace }),
                };
            }
            for (step, after) in &out {
                steps += 1;
                let (to, new) = map.insert(fingerprint(after), id);
                if new {
                    next_layer.push((to, *after));
                }
                if !machine.is_misfortune(step) {
                    map.edges.push((id, to));
                }
            }
        }
        std::mem::swap(&mut layer, &mut next_layer);
    }
    let violation = map.without_a_way_out(&ends).map(|id| Violation {
        what: "from here no end can be reached any more".into(),
        trace: map.trace(machine, id),
    });
    Found { states: map.len(), steps, ends: ends.len(), violation }
}

/// The states met so far: fingerprint to number, and by number who led there.
#[derive(Default)]
struct Map {
    numbers: HashMap<u64, u32, BuildHasherDefault<Already>>,
    parents: Vec<(u64, u32)>,
    edges: Vec<(u32, u32)>,
}

impl Map {
    fn len(&self) -> usize {
        self.parents.len()
    }

    /// The number of the state, and whether it was met for the first time.
    fn insert(&mut self, print: u64, parent: u32) -> (u32, bool) {
        let fresh = u32::try_from(self.parents.len()).expect("fewer than 2^32 states");
        let number = *self.numbers.entry(print).or_insert(fresh);
        if number == fresh {
            self.parents.push((print, parent));
        }
        (number, number == fresh)
    }

    fn trace<M: Machine>(&self, machine: &M, end: u32) -> Vec<String> {
        let mut way = Vec::new();
        let mut at = end;
        while at != 0 {
            let (print, parent) = self.parents[at as usize];
            way.push(print);
            at = parent;
        }
        let mut state = machine.start();
        let mut lines = Vec::new();
        let mut out = Vec::new();
        for print in way.into_iter().rev() {
            out.clear();
            machine.steps(&state, &mut out);
            let (step, after) =
                out.iter().find(|(_, after)| fingerprint(after) == print).expect("the way exists");
            lines.push(format!("{:<50} | {after}", step.to_string()));
            state = *after;
        }
        lines
    }

    /// A state from which, without further misfortune, no end is reachable: processes that run in circles.
    fn without_a_way_out(&self, ends: &[u32]) -> Option<u32> {
        let mut first = vec![0_u32; self.len() + 1];
        for &(_, to) in &self.edges {
            first[to as usize + 1] += 1;
        }
        for at in 1..first.len() {
            first[at] += first[at - 1];
        }
        let mut sources = vec![0_u32; self.edges.len()];
        let mut fill = first.clone();
        for &(from, to) in &self.edges {
            sources[fill[to as usize] as usize] = from;
            fill[to as usize] += 1;
        }
        let mut reaches = vec![false; self.len()];
        let mut work = ends.to_vec();
        while let Some(at) = work.pop() {
            if !std::mem::replace(&mut reaches[at as usize], true) {
                work.extend(&sources[first[at as usize] as usize..first[at as usize + 1] as usize]);
            }
        }
        reaches.iter().position(|reached| !reached).map(|at| at as u32)
    }
}

fn fingerprint(state: &impl Hash) -> u64 {
    let mut mix = Mix(0x9e37_79b9_7f4a_7c15);
    state.hash(&mut mix);
    mix.finish()
}

/// A quick 64-bit hash, good enough to tell tens of millions of states apart.
struct Mix(u64);

impl Mix {
    fn add(&mut self, word: u64) {
        let product =
            u128::from(self.0 ^ word).wrapping_mul(0x9fb2_1c65_1e98_df25_da94_2042_e4dd_58b5);
        self.0 = (product as u64) ^ ((product >> 64) as u64) ^ self.0.rotate_left(23);
    }
}

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.add(u64::from_le_bytes(word));
        }
    }
    fn write_u64(&mut self, word: u64) {
        self.add(word);
    }
    fn finish(&self) -> u64 {
        let word = self.0 ^ (self.0 >> 32);
        let word = word.wrapping_mul(0xd6e8_feb8_6659_fd93);
        word ^ (word >> 32)
    }
}

/// Fingerprints are hashes already.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are looked up")
    }
    fn write_u64(&mut self, print: u64) {
        self.0 = print;
    }
    fn finish(&self) -> u64 {
        self.0
    }
}
