//! Which entries count: a withdrawn or skipped one stays in its slot but gives its room back.
//!
//! The hint is a position: nothing at or behind it is withdrawn. Once the head has come to it, it
//! says nothing any more, so it never needs to be reset, and nobody can be killed while it is down.

use super::{Position, Seen, SlotMemory, SlotState, SlotWord, Slots};
use crate::{
    corrupt::{Corrupt, ROUNDS},
    sync::Ordering,
};
use postbox_steps::{Step, at};

/// What `withdrawn[i]` holds for an entry of `lap`; zero, as in fresh memory, is none.
const fn marker(lap: u64) -> u64 {
    lap << 1 | 1
}

impl<M: SlotMemory> Slots<M> {
    /// Stops counting the entry at `position`, if it still waits. It stays in its slot: whoever
    /// takes it must find out by other means that it was withdrawn.
    ///
    /// May be repeated, by any process.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense, or the position names no slot.
    pub fn withdraw(&self, position: Position) -> Result<(), Corrupt> {
        let mark = self.memory().withdrawn(position.index()).ok_or(Corrupt)?;
        for _ in 0..ROUNDS {
            // Acquire: pairs with the Release of another withdrawer below, whose lap's word is
            // then seen by the next load.
            let before = mark.load(Ordering::Acquire);
            // Acquire: pairs with the Release in `publish`.
            let word = SlotWord::from_raw(self.word(position)?.load(Ordering::Acquire));
            if word.seen_from(position) != Seen::Now(SlotState::Full) {
                return Ok(());
            }
            let after = marker(position.lap());
            // Release: pairs with the Acquire in `is_gone`. A compare-and-swap, lest a withdrawer
            // that stood still for a lap overwrites a later one's mark.
            if mark.compare_exchange(before, after, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                at(Step::SlotWithdrawn);
                return self.raise_hint(self.after(position));
            }
        }
        Err(Corrupt)
    }

    /// How many live entries wait, those being written included: a snapshot.
    ///
    /// # Errors
    /// [`Corrupt`] where memory makes no sense.
    pub fn len(&self) -> Result<usize, Corrupt> {
        // Acquire, thrice: pairs with the Release in `advance`, and with that of the words.
        let head = Position::from_raw(self.memory().head().load(Ordering::Acquire));
        let mut tail = Position::from_raw(self.memory().tail().load(Ordering::Acquire));
        let word = SlotWord::from_raw(self.word(tail)?.load(Ordering::Acquire));
        // The tail may lag behind by one; seen "done", it was at some time before.
        if matches!(word.seen_from(tail), Seen::Now(state) if state != SlotState::Free) {
            tail = self.after(tail);
        }
        let waiting = self.distance(head, tail).clamp(0, i64::from(self.slots()));
        let lagging = waiting > 0 && self.is_gone(head)?;
        let live = self.live_from(head, waiting)?;
        // Where nothing is withdrawn `live_from` did not look: the head may lag behind by one.
        Ok(if live == waiting { live - i64::from(lagging) } else { live } as usize)
    }

    /// How many slots hold an entry, withdrawn ones included, or are being written or read: a
    /// snapshot by a walk over all of them.
    pub fn held(&self) -> usize {
        let words = (0..self.slots()).filter_map(|index| self.memory().word(index));
        // Acquire: pairs with the Release stores of words.
        words
            .filter(|word| {
                let state = SlotWord::from_raw(word.load(Ordering::Acquire)).state();
                state != Some(SlotState::Free)
            })
            .count()
    }

    /// How many of the `waiting` entries from `head` on are live.
    pub(crate) fn live_from(&self, head: Position, waiting: i64) -> Result<i64, Corrupt> {
        // Acquire: pairs with the Release in `raise_hint`, so that the marks are there.
        let hint = Position::from_raw(self.memory().withdrawals().load(Ordering::Acquire));
        let doubtful = self.distance(head, hint);
        if doubtful <= 0 || doubtful > i64::from(self.slots()) {
            return Ok(waiting);
        }
        let (mut at, mut gone) = (head, 0);
        for _ in 0..doubtful.min(waiting) {
            gone += i64::from(self.is_gone(at)?);
            at = self.after(at);
        }
        Ok(waiting - gone)
    }

    /// Whether the entry at `position`, known to have been claimed, no longer counts. For good.
    fn is_gone(&self, position: Position) -> Result<bool, Corrupt> {
        // Acquire: pairs with the Release stores of words.
        let word = SlotWord::from_raw(self.word(position)?.load(Ordering::Acquire));
        Ok(match word.seen_from(position) {
            Seen::Now(SlotState::Full) => {
                let mark = self.memory().withdrawn(position.index()).ok_or(Corrupt)?;
                // Acquire: pairs with the Release in `withdraw`.
                mark.load(Ordering::Acquire) == marker(position.lap())
            }
            Seen::Now(SlotState::Skip | SlotState::Reading) | Seen::Done => true,
            Seen::Now(SlotState::Writing | SlotState::Free) | Seen::Occupied | Seen::Foreign => {
                false
            }
        })
    }

    /// Lets claimers know that something before `to` no longer counts.
    pub(crate) fn raise_hint(&self, to: Position) -> Result<(), Corrupt> {
        let hint = self.memory().withdrawals();
        for _ in 0..ROUNDS {
            // Acquire: the head is read after it, so a hint ahead of `to` lies less than a ring
            // ahead; pairs with the Release below.
            let before = Position::from_raw(hint.load(Ordering::Acquire));
            // Acquire: pairs with the Release in `advance`.
            let head = Position::from_raw(self.memory().head().load(Ordering::Acquire));
            let higher = (0..=i64::from(self.slots())).contains(&self.distance(to, before));
            if higher || self.distance(head, to) <= 0 {
                return Ok(());
            }
            let raised = hint.compare_exchange(
                before.raw(),
                to.raw(),
                // Release: pairs with the Acquire in `live_from`; the mark is made before.
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            if raised.is_ok() {
                at(Step::WithdrawalHinted);
                return Ok(());
            }
        }
        Err(Corrupt)
    }
}
