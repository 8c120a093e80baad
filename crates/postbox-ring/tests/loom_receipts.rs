//! Receipts under loom: whatever happens to one offer at the same time, one thing has happened.
#![cfg(loom)]

mod explore;

use explore::explore;
use loom::thread;
use postbox_ring::receipt::{Cell, Settled, Standing, Taker};
use postbox_ring::sync::AtomicU64;
use postbox_ring::sync::Ordering::{Acquire, Release, SeqCst};
use postbox_ring::sync::fence;
use std::sync::Arc;

const SENDER: u16 = 0;
const NEXT: u16 = 1;
const OTHER: u16 = 2;
const TAKER: Taker = Taker { index: 7, pid: 4711 };

struct Words {
    word: AtomicU64,
    owner: AtomicU64,
    asleep: AtomicU64,
    epoch: AtomicU64,
}

/// One cell; clones are the same.
#[derive(Clone)]
struct Shared(Arc<Words>);

impl Shared {
    fn new() -> Shared {
        let zero = || AtomicU64::new(0);
        Shared(Arc::new(Words { word: zero(), owner: zero(), asleep: zero(), epoch: zero() }))
    }

    fn cell(&self) -> Cell<'_> {
        let Words { word, owner, asleep, epoch } = &*self.0;
        Cell { word, owner, asleep, epoch }
    }

    /// In a thread of its own.
    fn apart<R: 'static>(
        &self,
        act: impl FnOnce(Cell<'_>) -> R + 'static,
    ) -> thread::JoinHandle<R> {
        let shared = self.clone();
        thread::spawn(move || act(shared.cell()))
    }

    /// An offer that was pushed with a ticket of epoch 0.
    fn offer(&self) -> u32 {
        let offer = self.cell().open(SENDER).unwrap();
        self.cell().date(0);
        offer
    }
}

fn taken(settled: Settled) -> bool {
    settled != Settled::Corpse
}

#[test]
fn an_offer_is_either_taken_or_withdrawn_or_lost() {
    explore(3, || {
        let shared = Shared::new();
        let offer = shared.offer();
        let taker = shared.apart(move |cell| taken(cell.take(offer, TAKER)));
        let repair = shared.apart(|cell| cell.lose(0));
        let withdrawn = shared.cell().withdraw(offer);
        let (taken, lost) = (taker.join().unwrap(), repair.join().unwrap());
        assert_eq!([taken, withdrawn, lost].into_iter().filter(|won| *won).count(), 1);
        let expected = match (taken, lost) {
            (true, _) => Standing::Taken(TAKER),
            (_, true) => Standing::Lost,
            _ => Standing::Void,
        };
        assert_eq!(shared.cell().standing(offer), expected);
        assert!(!taken_again(&shared, offer), "settled for good");
    });
}

fn taken_again(shared: &Shared, offer: u32) -> bool {
    taken(shared.cell().take(offer, TAKER)) || taken(shared.cell().decline(offer))
}

#[test]
fn an_offer_is_either_declined_or_committed_and_then_taken_by_one() {
    explore(3, || {
        let shared = Shared::new();
        let offer = shared.offer();
        let leaver = shared.apart(move |cell| taken(cell.decline(offer)));
        let taker = shared.apart(move |cell| taken(cell.take(offer, TAKER)));
        let committed = shared.cell().commit(offer);
        let declined = leaver.join().unwrap();
        let mut taken_by = usize::from(taker.join().unwrap());
        assert!(!(declined && committed));
        assert!(!(declined && taken_by == 1));
        if committed && taken_by == 0 {
            taken_by += usize::from(taken(shared.cell().take(offer, TAKER)));
        }
        assert_eq!(taken_by + usize::from(declined), 1, "taken by one, unless sent back");
    });
}

#[test]
fn a_deliver_that_timed_out_is_seen_by_nobody_and_what_is_seen_is_the_offers_own() {
    explore(3, || {
        let shared = Shared::new();
        let body = Arc::new(AtomicU64::new(0));
        let pushed = Arc::new(AtomicU64::new(0));
        let taker = {
            let (body, pushed) = (body.clone(), pushed.clone());
            shared.apart(move |cell| {
                // The entry names the cell's generation.
                let offer = pushed.load(Acquire) as u32;
                let mine = offer != 0 && taken(cell.take(offer, TAKER));
                mine.then(|| (offer, body.load(Acquire)))
            })
        };
        let mut seen_by_sender = vec![];
        for message in 1..=2 {
            let offer = shared.offer();
            body.store(message, Release);
            pushed.store(offer.into(), Release);
            if !shared.cell().withdraw(offer) {
                assert_eq!(shared.cell().standing(offer), Standing::Taken(TAKER));
                seen_by_sender.push(offer);
                // The body is the taker's until it has read it: no further message.
                break;
            }
            shared.cell().close();
        }
        let seen = taker.join().unwrap();
        assert_eq!(seen.map(|(offer, _)| offer).into_iter().collect::<Vec<_>>(), seen_by_sender);
        if let Some((offer, message)) = seen {
            assert_eq!(message, u64::from(offer), "the body of the offer that was taken");
        }
    });
}

#[test]
fn an_old_reference_settles_nothing_of_the_next_offer() {
    explore(3, || {
        let shared = Shared::new();
        let old = shared.offer();
        let taker = shared.apart(move |cell| taken(cell.take(old, TAKER)));
        let leaver = shared.apart(move |cell| taken(cell.decline(old)));
        let withdrawn = shared.cell().withdraw(old);
        shared.cell().close();
        let new = shared.cell().open(NEXT).unwrap();
        assert_ne!(old, new);
        let (taken, declined) = (taker.join().unwrap(), leaver.join().unwrap());
        assert_eq!([taken, declined, withdrawn].into_iter().filter(|won| *won).count(), 1);
        assert_eq!(shared.cell().standing(new), Standing::Open);
        assert!(shared.cell().withdraw(new));
    });
}

#[test]
fn a_repair_loses_no_offer_of_a_later_epoch() {
    explore(2, || {
        let shared = Shared::new();
        let old = shared.offer();
        let repairs = [(); 2].map(|()| shared.apart(|cell| cell.lose(0)));
        let withdrawn = shared.cell().withdraw(old);
        shared.cell().close();
        let new = shared.cell().open(SENDER).unwrap();
        shared.cell().date(1);
        let lost = repairs.map(|repair| usize::from(repair.join().unwrap())).iter().sum::<usize>();
        assert_eq!(lost + usize::from(withdrawn), 1);
        assert_eq!(shared.cell().standing(new), Standing::Open);
    });
}

#[test]
fn a_dead_senders_offer_is_taken_or_withdrawn_and_its_cell_comes_back_to_one() {
    explore(3, || {
        let shared = Shared::new();
        let offer = shared.offer();
        let taker = shared.apart(move |cell| taken(cell.take(offer, TAKER)));
        let reaper = shared.apart(|cell| {
            cell.bury(SENDER);
            cell.open(NEXT)
        });
        let ours = shared.cell().open(OTHER);
        let theirs = reaper.join().unwrap();
        taker.join().unwrap();
        assert!(ours.is_some() ^ theirs.is_some(), "the next offer is in it once");
        let next = ours.or(theirs).unwrap();
        assert_eq!(shared.cell().standing(next), Standing::Open);
    });
}

#[test]
fn a_committed_cell_is_freed_by_its_taker_and_never_again_under_the_next_offer() {
    explore(3, || {
        let shared = Shared::new();
        let offer = shared.offer();
        assert!(shared.cell().commit(offer));
        // Its sender dies; its reaper, its taker and the next sender come at the same time.
        let taker = shared.apart(move |cell| taken(cell.take(offer, TAKER)));
        let reaper = shared.apart(|cell| {
            cell.bury(SENDER);
            // The record is free: another end is this member now.
            cell.open(SENDER)
        });
        let ours = shared.cell().open(NEXT);
        let theirs = reaper.join().unwrap();
        assert!(taker.join().unwrap(), "a committed offer is taken");
        assert!(ours.is_none() || theirs.is_none(), "one at a time");
        if let Some(next) = ours.or(theirs) {
            assert_eq!(shared.cell().standing(next), Standing::Open);
            assert_eq!(shared.cell().open(NEXT), None, "it is in use");
            shared.cell().close();
        }
        assert!(shared.cell().open(NEXT).is_some(), "it is free");
    });
}

#[test]
fn a_cell_that_its_last_user_died_over_is_had_by_one_of_those_who_need_it() {
    explore(3, || {
        let shared = Shared::new();
        let offer = shared.offer();
        let owner = shared.0.owner.load(Acquire);
        shared.cell().close();
        // As if it had died before it let go of the owner.
        shared.0.owner.store(owner, Release);
        let theirs = shared.apart(|cell| cell.open(NEXT));
        let ours = shared.cell().open(OTHER);
        let theirs = theirs.join().unwrap();
        assert!(ours.is_some() ^ theirs.is_some(), "one of them");
        let next = ours.or(theirs).unwrap();
        assert_ne!(next, offer);
        assert_eq!(shared.cell().standing(next), Standing::Open);
    });
}

#[test]
fn a_committed_cell_whose_entry_is_gone_is_freed_once_by_several_repairs() {
    explore(3, || {
        let shared = Shared::new();
        let offer = shared.offer();
        assert!(shared.cell().commit(offer));
        let repairs = [(); 2].map(|()| shared.apart(|cell| cell.free_lost(0)));
        let next = shared.cell().open(NEXT);
        for repair in repairs {
            repair.join().unwrap();
        }
        if let Some(next) = next {
            assert_eq!(shared.cell().standing(next), Standing::Open);
            assert_eq!(shared.cell().open(NEXT), None, "it is in use");
        } else {
            assert!(shared.cell().open(NEXT).is_some(), "it is free");
        }
    });
}

#[test]
fn a_sender_that_goes_to_sleep_is_woken_by_whoever_settles_its_offer() {
    explore(3, || {
        let shared = Shared::new();
        let offer = shared.offer();
        let taker = shared.apart(move |cell| cell.take(offer, TAKER));
        shared.cell().sleep();
        // What a channel over a kernel object does before the last look; see `Sleepers::announce`.
        fence(SeqCst);
        let last_look = shared.cell().standing(offer);
        let Settled::Taken { wake } = taker.join().unwrap() else { panic!("nobody else wants it") };
        assert!(last_look != Standing::Open || wake, "it sleeps, and nobody wakes it");
    });
}
