//! The rendezvous of senders that may not wait, under loom: who is counted on stays for its message, and
//! nobody is left bound to an offer that is over.
#![cfg(loom)]

mod explore;

use explore::explore;
use loom::thread;
use postbox_ring::receipt::{Cell, CellRef, Standing, Taker};
use postbox_ring::sync::AtomicU64;
use postbox_ring::turn::{Claim, Meeting, Turn};
use std::sync::Arc;

const TAKER: Taker = Taker { index: 7, pid: 4711 };

/// Those of one cell.
struct Words {
    word: AtomicU64,
    owner: AtomicU64,
    asleep: AtomicU64,
    epoch: AtomicU64,
}

struct Place {
    cells: Vec<Words>,
    turns: [AtomicU64; 2],
}

impl Words {
    fn cell(&self) -> Cell<'_> {
        let Words { word, owner, asleep, epoch } = self;
        Cell { word, owner, asleep, epoch }
    }
}

impl Meeting for Place {
    fn cell(&self, offer: CellRef) -> Option<Cell<'_>> {
        Some(self.cells[usize::from(offer.index)].cell())
    }

    fn cells(&self) -> impl Iterator<Item = Cell<'_>> {
        self.cells.iter().map(Words::cell)
    }

    fn turns(&self) -> impl Iterator<Item = Turn<'_>> {
        self.turns.iter().map(Turn)
    }
}

impl Place {
    fn new() -> Arc<Place> {
        Place::of(2)
    }

    fn of(cells: usize) -> Arc<Place> {
        let zero = || AtomicU64::new(0);
        let words = |_| Words { word: zero(), owner: zero(), asleep: zero(), epoch: zero() };
        Arc::new(Place { cells: (0..cells).map(words).collect(), turns: [zero(), zero()] })
    }

    /// With two receivers that wait.
    fn with_both_waiting(cells: usize) -> Arc<Place> {
        let place = Place::of(cells);
        place.turns().for_each(Turn::begin);
        place
    }

    fn turn(&self, receiver: usize) -> Turn<'_> {
        Turn(&self.turns[receiver])
    }

    fn offer(&self, index: u16) -> CellRef {
        let cell = self.cell(CellRef { index, generation: 0 }).unwrap();
        let generation = cell.open(index).unwrap();
        cell.date(0);
        CellRef { index, generation }
    }

    /// As `Channel::engage` from where its offer is pushed; true if it returns with the promise that it is
    /// taken, or knows that it was.
    fn commit(&self, offer: CellRef, engaged: bool) -> bool {
        let cell = self.cell(offer).unwrap();
        if engaged && cell.commit(offer.generation) {
            return true;
        }
        if engaged {
            self.disengage(offer);
        }
        let met = !cell.withdraw(offer.generation)
            && matches!(cell.standing(offer.generation), Standing::Taken(_));
        cell.close();
        met
    }

    fn engage(&self, offer: CellRef) -> bool {
        let engaged = self.turns().any(|turn| turn.engage(offer));
        self.commit(offer, engaged)
    }

    /// As `Channel::claim_message`: whether the popper shows the message.
    fn open(&self, turn: Turn<'_>, waited: bool, offer: CellRef) -> bool {
        match self.claim(Some(turn), offer, TAKER) {
            Claim::Taken { .. } => {
                self.disengage(offer);
                true
            }
            Claim::SentBack { .. } => false,
            Claim::Corpse => {
                if waited {
                    turn.resume();
                }
                false
            }
        }
    }

    fn decline(&self, offer: CellRef) {
        self.cell(offer).unwrap().decline(offer.generation);
    }
}

#[test]
fn who_is_counted_on_stays_for_its_message() {
    explore(4, || {
        let place = Place::new();
        place.turn(0).begin();
        let offer = place.offer(0);
        let sender = {
            let place = place.clone();
            thread::spawn(move || place.engage(offer))
        };
        // Its time is over: as `obliged`, it looks until it may leave or has its message.
        let turn = place.turn(0);
        let mut took = false;
        let mut left = place.may_leave(turn, true, |offer| place.decline(offer));
        let sent = sender.join().unwrap();
        while !left && !took {
            took = place.open(turn, true, offer);
            left = !took && place.may_leave(turn, true, |offer| place.decline(offer));
        }
        assert_eq!(took, sent, "sent and not taken, or taken and not sent");
    });
}

#[test]
fn a_sender_that_engages_meets_one_of_two_receivers_that_pop() {
    explore(3, || {
        let place = Place::new();
        place.turn(0).begin();
        let offer = place.offer(0);
        let sender = {
            let place = place.clone();
            thread::spawn(move || place.engage(offer))
        };
        // This one only tries.
        let passer = {
            let place = place.clone();
            thread::spawn(move || place.open(place.turn(1), false, offer))
        };
        let tried = passer.join().unwrap();
        let sent = sender.join().unwrap();
        assert_eq!(tried, sent);
        assert!(place.turn(0).is_waiting(), "who did not get it waits on");
    });
}

#[test]
fn nobody_stays_bound_to_an_offer_that_is_over() {
    explore(3, || {
        // Each engaged by one; the second offer is committed.
        let place = Place::with_both_waiting(2);
        let (first, second) = (place.offer(0), place.offer(1));
        assert!(place.turn(0).engage(first));
        assert!(place.engage(second), "the other receiver");
        let sender = {
            let place = place.clone();
            thread::spawn(move || place.commit(first, true))
        };
        // The first is popped by one that only tries, and has no turn.
        let passer = {
            let place = place.clone();
            thread::spawn(move || {
                let none = AtomicU64::new(0);
                place.open(Turn(&none), false, first)
            })
        };
        // The second is popped by the receiver that the first one has engaged.
        let took = place.open(place.turn(0), true, second);
        let (met, tried) = (sender.join().unwrap(), passer.join().unwrap());
        assert!(took, "committed: whoever pops it takes it");
        assert_eq!(met, tried);
        assert!(!place.turn(0).is_begun(), "it has its message");
        assert!(place.turn(1).is_waiting(), "the other lost its offer and waits on");
    });
}

#[test]
fn who_would_send_an_offer_back_takes_it_if_its_sender_has_left_meanwhile() {
    explore(3, || {
        let place = Place::with_both_waiting(2);
        let (first, second) = (place.offer(0), place.offer(1));
        assert!(place.turn(0).engage(first));
        let sender = {
            let place = place.clone();
            thread::spawn(move || place.engage(second))
        };
        // The first receiver pops what the other one is being engaged for.
        let took = place.open(place.turn(0), true, second);
        let sent = sender.join().unwrap();
        assert_eq!(took, sent, "sent and not taken, or taken and not sent");
        assert_eq!(place.turn(0).is_begun(), !took);
        assert_eq!(place.turn(1).is_waiting(), !took, "the first one's sender counts on the other");
    });
}

#[test]
fn who_was_engaged_by_the_dead_waits_on() {
    explore(3, || {
        let place = Place::with_both_waiting(2);
        // The sender of the first died before it committed that.
        let (first, second) = (place.offer(0), place.offer(1));
        assert!(place.turn(0).engage(first));
        assert!(place.engage(second), "the other receiver");
        let undertaker = {
            let place = place.clone();
            thread::spawn(move || {
                place.cell(first).unwrap().bury(0);
                place.disengage_all();
            })
        };
        assert!(place.open(place.turn(0), true, second), "committed: whoever pops it takes it");
        undertaker.join().unwrap();
        assert!(
            place.turn(1).is_waiting(),
            "bound to an offer of the dead, and nobody will say so"
        );
    });
}

#[test]
fn who_is_counted_on_just_now_takes_nothing_else() {
    explore(4, || {
        let place = Place::new();
        place.turn(0).begin();
        let (first, second) = (place.offer(0), place.offer(1));
        assert!(place.turn(0).engage(first));
        let sender = {
            let place = place.clone();
            thread::spawn(move || place.commit(first, true))
        };
        // The second is of a sender that waits.
        let took = place.open(place.turn(0), true, second);
        assert!(sender.join().unwrap() && !took, "it is bound to the first, committed or not");
        assert!(!place.may_leave(place.turn(0), true, |offer| place.decline(offer)));
    });
}

#[test]
fn somebody_stays_for_each_message_that_is_counted_as_met() {
    explore(3, || {
        let place = Place::with_both_waiting(3);
        let (first, second, third) = (place.offer(0), place.offer(1), place.offer(2));
        assert!(place.engage(first), "the first receiver");
        assert!(place.engage(second), "the other one");
        // The first is popped by one that only tries.
        let passer = {
            let place = place.clone();
            thread::spawn(move || {
                let none = AtomicU64::new(0);
                place.open(Turn(&none), false, first)
            })
        };
        let sender = {
            let place = place.clone();
            thread::spawn(move || place.engage(third))
        };
        assert!(place.open(place.turn(0), true, second), "committed: whoever pops it takes it");
        assert!(passer.join().unwrap());
        let sent = sender.join().unwrap();
        let leaves = place.may_leave(place.turn(1), false, |offer| place.decline(offer));
        assert_eq!(leaves, !sent, "told that it is taken, and nobody stays for it");
    });
}

#[test]
fn who_is_about_to_leave_stays_for_a_message_whose_receiver_has_died() {
    loom::model(|| {
        let place = Place::new();
        place.turn(0).begin();
        let offer = place.offer(0);
        assert!(place.engage(offer));
        // It died, and was buried.
        place.turn(0).end();
        let turn = place.turn(1);
        turn.begin();
        let leave = |offered| place.may_leave(turn, offered, |offer| place.decline(offer));
        assert!(!leave(true) && turn.is_waiting(), "there is what nobody else stays for");
        assert!(place.open(turn, true, offer));
        assert!(leave(true));
    });
}
