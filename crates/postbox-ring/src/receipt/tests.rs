use super::*;
use std::sync::mpsc;
use std::thread;

const OFFERS: usize = if cfg!(miri) { 60 } else { 20_000 };
const TAKER: Taker = Taker { index: 0xfff, pid: (1 << 22) - 1 };

#[derive(Default)]
struct Words {
    word: AtomicU64,
    owner: AtomicU64,
    asleep: AtomicU64,
    epoch: AtomicU64,
}

impl Words {
    fn cell(&self) -> Cell<'_> {
        let Words { word, owner, asleep, epoch } = self;
        Cell { word, owner, asleep, epoch }
    }
}

#[test]
fn state_generation_and_taker_share_a_word_to_their_last_bits() {
    use State::{Committed, Declined, Free, Lost, Open, Taken, Withdrawn};
    for state in [Free, Open, Taken, Withdrawn, Declined, Committed, Lost] {
        let word = Word::new(state, GENERATION_MASK, TAKER);
        assert_eq!(
            (word.state(), word.generation(), word.taker()),
            (state, GENERATION_MASK, TAKER)
        );
    }
}

#[test]
fn generations_go_round_and_members_are_told_apart() {
    let words = Words::default();
    let last = Word::new(State::Free, GENERATION_MASK, Taker::default());
    words.word.store(last.0, Relaxed);
    assert_eq!(words.cell().open(7), Some(0));
    assert_eq!(words.cell().open(8), None, "in use");
    words.cell().bury(8);
    assert_eq!(words.cell().standing(0), Standing::Open, "of another member");
    words.cell().bury(7);
    assert_eq!(words.cell().open(8), Some(1));
}

#[test]
fn at_full_speed_sender_and_taker_agree_on_each_offer() {
    let words = Words::default();
    let (push, pop) = mpsc::channel();
    thread::scope(|scope| {
        let taker = scope.spawn(|| {
            let take = |offer: u32| words.cell().take(offer, TAKER) != Settled::Corpse;
            pop.into_iter().filter(|offer| take(*offer)).collect::<Vec<u32>>()
        });
        let mut delivered = vec![];
        for n in 0..OFFERS {
            let offer = words.cell().open(3).expect("closed before");
            words.cell().date(0);
            push.send(offer).unwrap();
            for _ in 0..n % 5 {
                thread::yield_now();
            }
            if !words.cell().withdraw(offer) {
                assert_eq!(words.cell().standing(offer), Standing::Taken(TAKER));
                delivered.push(offer);
            }
            words.cell().close();
        }
        drop(push);
        assert_eq!(taker.join().unwrap(), delivered);
    });
}
