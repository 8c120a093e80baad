use std::collections::VecDeque;

use postbox_ring::{
    ClaimError, Log, LogLayout, Region, Restart,
    log::{Head, Run, RunState},
};
use proptest::prelude::*;

use super::{Step, config, pick};

const UNITS: u64 = 1024;

/// What the log should be: the runs from `free` to `tail`, freed ones and jumps included.
struct Model {
    runs: VecDeque<(u64, u64, RunState)>,
    free: u64,
    tail: u64,
    soft: u64,
    restart: Restart,
}

impl Model {
    /// Where a run of this length goes, if it has room.
    fn place(&self, units: u64) -> Option<u64> {
        let (index, start) = (self.tail % UNITS, (self.tail / UNITS + 1) * UNITS);
        let start_has_room = start + units - self.free <= UNITS;
        let may_restart = match self.restart {
            Restart::WhenEmpty => false,
            Restart::WhenStartIsFree { behind } => {
                start_has_room && index >= u64::from(behind) * units
            }
        };
        if index + units > UNITS {
            (start_has_room || self.runs.is_empty()).then_some(start)
        } else if index >= self.soft && index > 0 && (self.runs.is_empty() || may_restart) {
            Some(start)
        } else {
            (self.tail + units - self.free <= UNITS).then_some(self.tail)
        }
    }

    fn claim(&mut self, position: u64, units: u64, member: u16) {
        if position != self.tail {
            self.runs.push_back((self.tail, position - self.tail, RunState::Free));
        }
        self.runs.push_back((position, units, RunState::Writing(member)));
        self.tail = position + units;
        self.settle_down();
    }

    fn state(&mut self, position: u64) -> &mut RunState {
        let run = self.runs.iter_mut().find(|run| run.0 == position);
        &mut run.expect("a run is at that position").2
    }

    /// Moves `free` over what is freed.
    fn settle_down(&mut self) {
        while let Some((_, _, RunState::Free)) = self.runs.front() {
            self.runs.pop_front();
        }
        self.free = self.runs.front().map_or(self.tail, |run| run.0);
    }

    fn head(&self) -> Option<(u64, u64, RunState)> {
        let waits = |state| matches!(state, RunState::Full(_) | RunState::Writing(_));
        self.runs.iter().copied().find(|run| waits(run.2))
    }

    fn in_use(&self) -> Vec<(u64, u64, RunState)> {
        self.runs.iter().copied().filter(|run| run.2 != RunState::Free).collect()
    }
}

struct Pair {
    region: Region,
    log: Log,
    model: Model,
    /// Claimed, and perhaps captured since.
    claims: Vec<Run>,
    reading: Vec<Run>,
}

impl Pair {
    fn new(soft: u32, restart: Restart) -> Pair {
        let layout = LogLayout { offset: 0, units: UNITS as u32, unit: 64, soft, restart };
        let region = Region::heap(layout.bytes_needed().unwrap());
        let log = Log::new(&region, layout).unwrap();
        let model =
            Model { runs: VecDeque::new(), free: 0, tail: 0, soft: u64::from(soft), restart };
        Pair { region, log, model, claims: vec![], reading: vec![] }
    }

    fn claim(&mut self, units: u32, member: u16) {
        let (tail, place) = (self.model.tail, self.model.place(u64::from(units)));
        let mut jumped = None;
        let claim = self.log.claim(units, member, |range| assert!(jumped.replace(range).is_none()));
        match claim {
            Ok(run) => {
                assert_eq!((Some(run.position()), run.units()), (place, units));
                let jump = run.position() != tail;
                assert_eq!(jumped, jump.then_some((tail % UNITS) as u32..UNITS as u32));
                self.stamp(&run);
                self.model.claim(run.position(), u64::from(units), member);
                self.claims.push(run);
            }
            Err(error) => assert_eq!((error, place), (ClaimError::Full, None)),
        }
    }

    /// Fills a run with its position.
    fn stamp(&self, run: &Run) {
        let range = self.log.data_range(run);
        self.region
            .write(range.start, &run.position().to_le_bytes().repeat(range.len() / 8))
            .unwrap();
    }

    fn has_stamp(&self, run: &Run) {
        let range = self.log.data_range(run);
        let mut bytes = vec![0; range.len()];
        self.region.read(range.start, &mut bytes).unwrap();
        assert_eq!(bytes, run.position().to_le_bytes().repeat(range.len() / 8));
    }

    fn publish(&mut self, choice: usize) {
        let Some(run) = pick(&mut self.claims, choice) else { return };
        let label = (choice % 5) as u16;
        let state = self.model.state(run.position());
        let ours = *state == run.state();
        if ours {
            *state = RunState::Full(label);
        }
        assert_eq!(self.log.publish(run, label).is_some(), ours);
    }

    fn take(&mut self, member: u16) {
        match (self.log.take(member).unwrap(), self.model.head()) {
            (Head::Entry(run), Some((at, units, RunState::Full(_)))) => {
                assert_eq!((run.position(), u64::from(run.units())), (at, units));
                self.has_stamp(&run);
                *self.model.state(at) = RunState::Reading(member);
                self.reading.push(run);
            }
            (Head::Busy { member }, Some((_, _, RunState::Writing(writer)))) => {
                assert_eq!(member, writer);
            }
            (Head::Empty, None) => {}
            (head, expected) => panic!("{head:?}, not {expected:?}"),
        }
    }

    /// Takes any published run, or one that is being written, by its position: a heap's way.
    fn capture(&mut self, choice: usize, member: u16) {
        let used = self.model.in_use();
        if used.is_empty() {
            return;
        }
        let (at, _, state) = used[choice % used.len()];
        let run = self.log.run(at).expect("in use");
        assert_eq!(run.state(), state);
        let captured = self.log.capture(run, member);
        assert_eq!(captured.is_some(), matches!(state, RunState::Full(_) | RunState::Writing(_)));
        if let Some(run) = captured {
            *self.model.state(at) = RunState::Reading(member);
            // Of a captured claim the publication must fail; what comes after has forgotten it.
            if let Some(index) = self.claims.iter().position(|claim| claim.position() == at) {
                assert_eq!(self.log.publish(self.claims.swap_remove(index), 0), None);
            }
            self.reading.push(run);
        }
    }

    fn release(&mut self, choice: usize) {
        let Some(run) = pick(&mut self.reading, choice) else { return };
        self.has_stamp(&run);
        assert!(self.log.release(run));
        assert!(!self.log.release(run), "a second time");
        self.freed(|at, _| at == run.position());
    }

    fn freed(&mut self, which: impl Fn(u64, RunState) -> bool) {
        for (at, _, state) in &mut self.model.runs {
            if which(*at, *state) {
                *state = RunState::Free;
            }
        }
        self.model.settle_down();
    }

    fn settle(&mut self, dead: u16) {
        self.claims.retain(|run| run.state() != RunState::Writing(dead));
        self.reading.retain(|run| run.state() != RunState::Reading(dead));
        let mut seen = vec![];
        self.log.settle(dead, 20, |run| seen.push(run.position())).unwrap();
        let read = self.model.runs.iter().filter(|run| run.2 == RunState::Reading(dead));
        assert_eq!(seen, read.map(|run| run.0).collect::<Vec<_>>());
        let of_dead = [RunState::Reading(dead), RunState::Writing(dead)];
        self.freed(|_, state| of_dead.contains(&state));
    }

    fn compare(&self) {
        // What was given back out of turn may count for longer; where it matters to a claim it does not.
        let in_use = self.model.tail - self.model.free;
        assert!((in_use..=UNITS).contains(&self.log.units_in_use()));
        assert_eq!(self.log.is_empty_queue(), self.model.head().is_none());
        let mut seen = vec![];
        self.log
            .visit(|run| seen.push((run.position(), u64::from(run.units()), run.state())))
            .unwrap();
        assert_eq!(seen, self.model.in_use());
    }
}

fn random(soft: u32, restart: Restart, longest: u32, steps: Vec<Step>) {
    let mut pair = Pair::new(soft, restart);
    for (kind, choice) in steps {
        let (member, units) = ((choice % 3) as u16, 1 + (choice / 3) as u32 % longest);
        match kind {
            0..6 => pair.claim(units, member),
            6..11 => pair.publish(choice),
            11..14 => pair.take(10 + member),
            14..16 => pair.capture(choice, 10 + member),
            16..20 => pair.release(choice),
            20 => {
                pair.log.reclaim_labelled(4).unwrap();
                pair.freed(|_, state| state == RunState::Full(4));
            }
            21 => pair.settle(member),
            _ => pair.settle(10 + member),
        }
        pair.compare();
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_log_behaves_like_a_list_as_a_queue_and_as_a_heap(
        soft in prop::sample::select(vec![1u32, 300, 1024, u32::MAX]),
        restart in prop::sample::select(vec![
            Restart::WhenEmpty,
            Restart::WhenStartIsFree { behind: 0 },
            Restart::WhenStartIsFree { behind: 8 },
        ]),
        longest in prop::sample::select(vec![40u32, 300, 1023]),
        steps in prop::collection::vec((0..23u8, any::<usize>()), 1..250),
    ) {
        random(soft, restart, longest, steps);
    }
}
