//! When whom is struck, and how: all of it from the seed.

use super::books::Seat;
use super::naming::Naming;
use super::setting::Setting;
use std::time::Duration;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How long a stopped victim stays so, at most, in microseconds.
const LONGEST_STOP: u64 = 60_000;
/// How long a pair lasts, at most.
const LONGEST_ENCOUNTER: Duration = Duration::from_secs(5);
/// After how many calls one of a pair clones its end, at most: some milliseconds.
const MOST_CALLS: u32 = 100;
/// How long after the beginning of a clone somebody is struck, at most, in microseconds: longer than it takes.
const LONGEST_CLONE: u64 = 300;

/// One blow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Strike {
    /// When, from the first traffic of the round on; rests do not count.
    pub at: Duration,
    /// Who: whichever victim sits there then.
    pub seat: Seat,
    /// How.
    pub blow: Blow,
    /// To wait a moment until the victim is in the middle of something: those that sleep leave
    /// nothing behind.
    pub busy: bool,
}

/// What is done to a victim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// SIGKILL.
    Kill,
    /// SIGSTOP, and SIGCONT that much later.
    Stop(Duration),
}

/// How a round ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finale {
    /// All senders are killed at once.
    Senders,
    /// All receivers are killed at once.
    Receivers,
    /// The owner of the mailbox is.
    Owner,
}

/// What happens to a pair, in the middle of which a third end may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encounter {
    /// After how many calls the sender clones its end.
    pub sender_clones: Option<u32>,
    /// After how many calls the receiver does.
    pub receiver_clones: Option<u32>,
    /// What is done so long after the first of them has begun to; the finale otherwise.
    pub interruption: Option<(Duration, Option<(Seat, Blow)>)>,
}

/// All that the seed decides about a round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The blows, in their order.
    pub strikes: Vec<Strike>,
    /// After so much traffic comes the end.
    pub length: Duration,
    /// The end.
    pub finale: Finale,
    /// What a pair goes through; others do not clone.
    pub encounter: Option<Encounter>,
    /// The doings of victims come from this and their number.
    pub doings: u64,
}

impl Schedule {
    /// That of a round of `length`. It does not depend on which other rounds there are, and that of a pair, which is cut
    /// off when the time is over, only by that on the length.
    pub fn of(setting: &Setting, length: Duration) -> Self {
        let pair = setting.naming == Naming::Pair;
        let most = length;
        let length = if pair { LONGEST_ENCOUNTER } else { length };
        let name = format!("{} {} {}", setting.mechanism, setting.naming.name(), setting.capacity);
        let mut rng = fastrand::Rng::with_seed(xxh3_64_with_seed(name.as_bytes(), setting.seed));
        let rate = setting.kills + setting.stops;
        let mut strikes = Vec::new();
        let mut at = 0.0;
        loop {
            // The pauses between events that know nothing of each other; endless if there are none.
            at += -(1.0 - rng.f64()).ln() / rate;
            if at.is_nan() || at >= length.as_secs_f64() {
                break;
            }
            let blow = match rng.f64() * rate < setting.kills {
                true => Blow::Kill,
                false => Blow::Stop(Duration::from_micros(rng.u64(..LONGEST_STOP))),
            };
            let seat = match rng.u8(..setting.producers + setting.consumers) {
                place if place < setting.producers => Seat::Producer(place),
                place => Seat::Consumer(place - setting.producers),
            };
            let busy = rng.u8(..4) > 0;
            strikes.push(Strike { at: Duration::from_secs_f64(at), seat, blow, busy });
        }
        let finale = match (setting.naming.has_owner(), rng.bool()) {
            (true, _) => Finale::Owner,
            (false, true) => Finale::Senders,
            (false, false) => Finale::Receivers,
        };
        let doings = rng.u64(..);
        let schedule = Schedule { strikes, length, finale, encounter: None, doings };
        if pair { schedule.of_a_pair(most, &mut rng) } else { schedule }
    }

    /// Of two the first that is killed is the last: nobody has an end for a successor.
    fn of_a_pair(mut self, most: Duration, rng: &mut fastrand::Rng) -> Self {
        if let Some(first) = self.strikes.iter().position(|strike| strike.blow == Blow::Kill) {
            let Strike { at, seat, .. } = self.strikes[first];
            self.length = self.length.min(at);
            self.finale = match seat {
                Seat::Producer(_) => Finale::Senders,
                Seat::Consumer(_) => Finale::Receivers,
            };
            self.strikes.truncate(first);
        }
        let mut clones = || rng.bool().then(|| rng.u32(1..=MOST_CALLS));
        let (sender_clones, receiver_clones) = (clones(), clones());
        let interruption = rng.bool().then(|| {
            let delay = Duration::from_micros(rng.u64(..LONGEST_CLONE));
            let stop = rng.bool().then(|| {
                let seat = if rng.bool() { Seat::Producer(0) } else { Seat::Consumer(0) };
                (seat, Blow::Stop(Duration::from_micros(rng.u64(..LONGEST_STOP))))
            });
            (delay, stop)
        });
        self.encounter = Some(Encounter { sender_clones, receiver_clones, interruption });
        self.length = self.length.min(most);
        self
    }

    /// After how many calls whoever sits there clones its end.
    pub fn clones_every(&self, seat: Seat) -> Option<u32> {
        self.encounter.and_then(|encounter| match seat {
            Seat::Producer(_) => encounter.sender_clones,
            Seat::Consumer(_) => encounter.receiver_clones,
        })
    }

    /// What the doings of that victim come from.
    pub fn seed_of(&self, number: u32) -> u64 {
        xxh3_64_with_seed(&number.to_le_bytes(), self.doings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postbox::{Capacity, Mechanism, Policy};

    fn setting(seed: u64) -> Setting {
        Setting {
            mechanism: Mechanism::Pipe,
            naming: Naming::Channel,
            capacity: Capacity::Bounded(8),
            policy: Policy::Any,
            producers: 3,
            consumers: 2,
            kills: 20.0,
            stops: 10.0,
            seed,
        }
    }

    #[test]
    fn the_same_seed_makes_the_same_schedule_and_another_one_does_not() {
        let minute = Duration::from_secs(60);
        let schedule = Schedule::of(&setting(7), minute);
        assert_eq!(schedule, Schedule::of(&setting(7), minute));
        let other = Schedule::of(&setting(8), minute);
        assert_ne!(schedule.strikes, other.strikes);
        assert_ne!(schedule.seed_of(3), other.seed_of(3));
        assert_ne!(schedule.seed_of(3), schedule.seed_of(4));
        // A shorter run begins like a longer one.
        let short = Schedule::of(&setting(7), minute / 2);
        assert_eq!(short.strikes[..], schedule.strikes[..short.strikes.len()]);
    }

    #[test]
    fn the_blows_are_as_many_as_asked_for_and_meet_everybody() {
        let strikes = Schedule::of(&setting(1), Duration::from_secs(600)).strikes;
        let kills = strikes.iter().filter(|strike| strike.blow == Blow::Kill).count();
        assert!((11_000..13_000).contains(&kills), "{kills} in 600 s at 20 a second");
        let stops = strikes.len() - kills;
        assert!((5400..6600).contains(&stops), "{stops} in 600 s at 10 a second");
        assert!(strikes.is_sorted_by_key(|strike| strike.at));
        let seats = [Seat::Producer(0), Seat::Producer(1), Seat::Producer(2)];
        for seat in seats.into_iter().chain([Seat::Consumer(0), Seat::Consumer(1)]) {
            let share = strikes.iter().filter(|strike| strike.seat == seat).count();
            assert!(share * 6 > strikes.len(), "{share} of {} for {seat}", strikes.len());
        }
    }

    #[test]
    fn of_a_pair_one_is_killed_at_the_end_and_some_clone_before() {
        let pair = Setting { naming: Naming::Pair, producers: 1, consumers: 1, ..setting(3) };
        let encounters: Vec<Schedule> = (0..1000)
            .map(|nth| Schedule::of(&pair.in_encounter(nth), Duration::from_secs(60)))
            .collect();
        let share = |what: &dyn Fn(&Schedule) -> bool| {
            let n = encounters.iter().filter(|schedule| what(schedule)).count();
            assert!((100..900).contains(&n), "{n} of 1000");
        };
        share(&|schedule| schedule.finale == Finale::Senders);
        share(&|schedule| schedule.clones_every(Seat::Producer(0)).is_some());
        share(&|schedule| schedule.clones_every(Seat::Consumer(0)).is_some());
        share(&|schedule| schedule.encounter.unwrap().interruption.is_some());
        share(&|schedule| !schedule.strikes.is_empty());
        for schedule in &encounters {
            assert!(schedule.length <= LONGEST_ENCOUNTER);
            let stops = |strike: &Strike| matches!(strike.blow, Blow::Stop(_));
            assert!(schedule.strikes.iter().all(stops), "{schedule:?}");
        }
        // Whatever time there is left.
        let short = Schedule::of(&pair, Duration::from_millis(1));
        assert_eq!(Schedule { length: encounters[0].length, ..short }, encounters[0]);
        // At 20 a second.
        let all: Duration = encounters.iter().map(|schedule| schedule.length).sum();
        assert!((40..60).contains(&all.as_secs()), "{all:?}");
    }

    #[test]
    fn without_kills_and_stops_there_is_peace() {
        let peace = Setting { kills: 0.0, stops: 0.0, ..setting(1) };
        assert!(Schedule::of(&peace, Duration::from_secs(60)).strikes.is_empty());
    }
}
