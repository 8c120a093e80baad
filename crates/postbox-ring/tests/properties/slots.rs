use std::collections::HashMap;

use postbox_ring::{
    ClaimCache, ClaimError, Region, SlotLayout, SlotRing, SpscReceiver, SpscSender, Take,
    slots::{Claim, MappedSlots, Position, Taken},
};
use proptest::prelude::*;

use super::{Step, config, pick};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Entry {
    Writing(u16),
    Full {
        withdrawn: bool,
    },
    Reading(u16),
    /// Released, abandoned or settled: the place of an abandoned one is room once the head is past.
    Over,
}

/// What the ring should be: every entry there ever was, the number of each being its value.
struct Model {
    entries: Vec<Entry>,
    slots: usize,
    window: usize,
}

impl Model {
    /// The first entry that a receiver has not been past.
    fn head(&self) -> usize {
        let waits = |entry: &Entry| matches!(entry, Entry::Writing(_) | Entry::Full { .. });
        self.entries.iter().position(waits).unwrap_or(self.entries.len())
    }

    fn live(&self) -> usize {
        let lives = |e: &&Entry| matches!(e, Entry::Writing(_) | Entry::Full { withdrawn: false });
        self.entries.iter().filter(lives).count()
    }

    fn has_room(&self) -> bool {
        let slot_is_free = match self.entries.len().checked_sub(self.slots) {
            Some(before) => self.entries[before] == Entry::Over && before < self.head(),
            None => true,
        };
        self.live() < self.window && slot_is_free
    }
}

/// The ring, the model, and the handles that are out.
struct Pair {
    region: Region,
    ring: SlotRing,
    model: Model,
    numbers: HashMap<u64, usize>,
    positions: Vec<Position>,
    claims: Vec<(u16, Claim)>,
    taken: Vec<(u16, Taken)>,
}

impl Pair {
    fn new(slots: u32, window: u32) -> Pair {
        let layout = SlotLayout { offset: 0, slots, window, stride: 128 };
        let region = Region::heap(layout.bytes_needed().unwrap());
        let ring = SlotRing::new(&region, layout).unwrap();
        let model = Model { entries: vec![], slots: slots as usize, window: window as usize };
        let (numbers, positions) = (HashMap::new(), vec![]);
        Pair { region, ring, model, numbers, positions, claims: vec![], taken: vec![] }
    }

    /// What a claim gave, compared; on success the entry is written with its number.
    fn claimed(&mut self, claim: Result<Claim, ClaimError>, as_entry: Entry) -> Option<Claim> {
        match claim {
            Ok(claim) => {
                assert!(self.model.has_room(), "a claim beyond the window or over an entry");
                let number = self.model.entries.len();
                self.region.write(claim.body_offset(), &number.to_le_bytes()).unwrap();
                assert_eq!(self.numbers.insert(claim.position().raw(), number), None);
                self.positions.push(claim.position());
                self.model.entries.push(as_entry);
                Some(claim)
            }
            Err(error) => {
                assert_eq!(error, ClaimError::Full);
                assert!(!self.model.has_room(), "refused although there was room");
                None
            }
        }
    }

    fn entry(&mut self, position: Position) -> &mut Entry {
        &mut self.model.entries[self.numbers[&position.raw()]]
    }

    fn value(&self, taken: &Taken) -> usize {
        self.value_at(taken.body_offset())
    }

    fn value_at(&self, body: usize) -> usize {
        let mut bytes = [0; 8];
        self.region.read(body, &mut bytes).unwrap();
        usize::from_le_bytes(bytes)
    }

    fn took(&mut self, taken: Taken, member: u16) {
        let head = self.model.head();
        assert!(matches!(self.model.entries[head], Entry::Full { .. }), "not published");
        assert_eq!((self.value(&taken), self.numbers[&taken.position().raw()]), (head, head));
        self.model.entries[head] = Entry::Reading(member);
        self.taken.push((member, taken));
    }

    fn withdraw(&mut self, choice: usize) {
        if self.positions.is_empty() {
            return;
        }
        // Of the latest mostly: the others are long over, and should not care.
        let back = choice % self.positions.len().min(3 * self.model.slots);
        let position = self.positions[self.positions.len() - 1 - back];
        self.ring.withdraw(position).unwrap();
        if let Entry::Full { withdrawn } = self.entry(position) {
            *withdrawn = true;
        }
    }

    fn release(&mut self, choice: usize) {
        if let Some((_, taken)) = pick(&mut self.taken, choice) {
            *self.entry(taken.position()) = Entry::Over;
            self.ring.release(taken);
        }
    }

    /// The member dies; `by` settles it.
    fn settle(&mut self, dead: u16, by: u16) {
        self.claims.retain(|(member, _)| *member != dead);
        self.taken.retain(|(member, _)| *member != dead);
        let mut seen = vec![];
        self.ring.settle(dead, by, |taken| seen.push(self.value(taken))).unwrap();
        seen.sort_unstable();
        let mut read = vec![];
        for (number, entry) in self.model.entries.iter_mut().enumerate() {
            if *entry == Entry::Reading(dead) {
                read.push(number);
            }
            if [Entry::Reading(dead), Entry::Writing(dead)].contains(entry) {
                *entry = Entry::Over;
            }
        }
        assert_eq!(seen, read, "what the dead one had taken");
    }

    fn compare(&self) {
        assert_eq!(self.ring.len(), Ok(self.model.live()));
        assert_eq!(self.ring.is_empty(), self.model.head() == self.model.entries.len());
    }
}

fn many(slots: u32, window: u32, steps: Vec<Step>) {
    let mut pair = Pair::new(slots, window);
    let mut caches = [ClaimCache::new(); 3];
    for (kind, choice) in steps {
        let member = (choice % 3) as u16;
        match kind {
            0..5 => {
                let claim = pair.ring.claim(member, &mut caches[usize::from(member)]);
                if let Some(claim) = pair.claimed(claim, Entry::Writing(member)) {
                    pair.claims.push((member, claim));
                }
            }
            5..9 => {
                if let Some((_, claim)) = pick(&mut pair.claims, choice) {
                    *pair.entry(claim.position()) = Entry::Full { withdrawn: false };
                    pair.ring.publish(claim);
                }
            }
            9..13 => match pair.ring.take(10 + member).unwrap() {
                Take::Entry(taken) => pair.took(taken, 10 + member),
                Take::Empty => assert_eq!(pair.model.head(), pair.model.entries.len()),
                Take::Busy { member } => {
                    assert_eq!(pair.model.entries[pair.model.head()], Entry::Writing(member));
                }
            },
            13..17 => pair.release(choice),
            17..19 => pair.withdraw(choice),
            19 => {
                if let Some((_, claim)) = pick(&mut pair.claims, choice) {
                    *pair.entry(claim.position()) = Entry::Over;
                    pair.ring.abandon(claim);
                }
            }
            20 => pair.settle(member, 20),
            _ => pair.settle(10 + member, 20),
        }
        pair.compare();
    }
}

fn one_to_one(slots: u32, window: u32, steps: Vec<Step>) {
    let mut pair = Pair::new(slots, window);
    // The slot before the head is left alone where there are more than may wait.
    let spare = slots > window;
    pair.model.slots -= usize::from(spare);
    let mut released: Option<(usize, usize)> = None;
    let sender = |pair: &Pair| SpscSender::<MappedSlots>::attach(pair.ring.clone()).unwrap();
    let receiver = |pair: &Pair| SpscReceiver::<MappedSlots>::attach(pair.ring.clone()).unwrap();
    let (mut sending, mut receiving) = (sender(&pair), receiver(&pair));
    for (kind, choice) in steps {
        match kind {
            0..8 => {
                let claim = sending.claim();
                if let Some(claim) = pair.claimed(claim, Entry::Full { withdrawn: false }) {
                    sending.publish(claim);
                    // Whatever it writes is seen by nobody.
                    sending.touch_ahead();
                }
            }
            8..17 => match receiving.take().unwrap() {
                Some(taken) => {
                    let (position, head) = (taken.position(), pair.model.head());
                    assert_eq!((pair.value(&taken), pair.numbers[&position.raw()]), (head, head));
                    // Else it stays the next.
                    if kind < 15 {
                        *pair.entry(position) = Entry::Over;
                        released = spare.then_some((taken.body_offset(), head));
                        receiving.release(taken);
                    }
                }
                None => assert_eq!(pair.model.head(), pair.model.entries.len()),
            },
            17..19 => pair.withdraw(choice),
            // Given up without a trace.
            19 => drop(sending.claim()),
            _ => (sending, receiving) = (sender(&pair), receiver(&pair)),
        }
        if let Some((body, number)) = released {
            assert_eq!(pair.value_at(body), number, "what was released last was written over");
        }
        pair.compare();
    }
}

/// Slots and window, small so that laps turn and limits are met.
fn shapes() -> impl Strategy<Value = (u32, u32)> {
    (1..9u32).prop_flat_map(|slots| (Just(slots), 1..=slots))
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_slot_ring_behaves_like_a_list(
        (slots, window) in shapes(),
        steps in prop::collection::vec((0..22u8, any::<usize>()), 1..250),
    ) {
        many(slots, window, steps);
    }

    #[test]
    fn an_spsc_ring_behaves_like_a_list(
        (slots, window) in shapes(),
        steps in prop::collection::vec((0..22u8, any::<usize>()), 1..250),
    ) {
        one_to_one(slots, window, steps);
    }
}
