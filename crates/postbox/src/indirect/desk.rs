//! The owner's side as plain rules: who is let in, who may change what, and what becomes of requests
//! while ownership changes hands. No descriptor and no clock in here; [`super::host`] acts on it.
//!
//! ```text
//!   Serving ── begin_move ──► Moving ── settle: given ──► Over
//!      ▲                        │                          ▲
//!      └──── settle: here ──────┘                          │
//!      └─────────────────── close ─────────────────────────┘
//! ```

use super::options::Ownership;
use super::rights::{Grant, MAX_NAMES, Unchanged};
use super::wire::{BothRights, Doing, May, Refusal, Terms};
use crate::denied::Right;
use crate::name::Name;

/// Who asks, as the kernel tells it, and the name that was proved by its lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) pid: u32,
    pub(super) uid: u32,
    pub(super) name: Option<&'a Name>,
}

/// The process that owns.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) pid: u32,
    pub(super) uid: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Its owner is just changing: this is the change of that number.
    Moving(u64),
    /// Destroyed, or another's.
    Over,
}

/// A change of owners that is under way.
#[derive(Debug)]
pub(super) struct Move(u64);

/// How a change of owners ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moved {
    /// The other process has it.
    Given,
    /// It has stayed, or arrived.
    Here,
}

/// What it means for the mailbox that its desk closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Closed {
    /// Nothing: it was closed before, or the mailbox is still another's.
    Before,
    /// Its end.
    Ends,
    /// Its end, unless the offer of that nonce has been accepted.
    Offered(u64),
}

/// The rules and state of one mailbox at its owner.
#[derive(Debug)]
pub(super) struct Desk {
    terms: Terms,
    rights: BothRights,
    owner: Owner,
    phase: Phase,
    /// Changes of owners so far.
    moves: u64,
    /// What the new owner has to know, once the mailbox has been offered.
    nonce: Option<u64>,
}

impl Desk {
    /// The desk of a new mailbox.
    pub(super) fn new(terms: Terms, rights: BothRights, owner: Owner) -> Self {
        Desk { terms, rights, owner, phase: Phase::Serving, moves: 0, nonce: None }
    }

    /// The desk of a mailbox that is about to become this process's, by the move that it returns.
    pub(super) fn arriving(terms: Terms, rights: BothRights, owner: Owner) -> (Self, Move) {
        let desk = Desk { phase: Phase::Moving(0), ..Desk::new(terms, rights, owner) };
        (desk, Move(0))
    }

    pub(super) fn terms(&self) -> &Terms {
        &self.terms
    }

    pub(super) fn rights(&self) -> &BothRights {
        &self.rights
    }

    pub(super) fn owner(&self) -> Owner {
        self.owner
    }

    /// Nothing, unless requests have to wait or are too late.
    pub(super) fn serving(&self) -> Result<(), Refusal> {
        match self.phase {
            Phase::Serving => Ok(()),
            // Over: whoever asks once more finds the next owner, or none.
            Phase::Moving(_) | Phase::Over => Err(Refusal::AskAgain),
        }
    }

    /// What the asker may do with it. At least one right is needed, or the one that it names.
    pub(super) fn open(
        &self,
        asker: Asker<'_>,
        needs: Option<Right>,
        schema: Option<&str>,
    ) -> Result<May, Refusal> {
        self.serving()?;
        if schema.is_some() && schema != self.terms.schema.as_deref() {
            return Err(Refusal::Schema { theirs: self.terms.schema.clone() });
        }
        // Without a name it is no member of the domain.
        let may = asker.name.map_or(May { send: false, receive: false }, |name| {
            self.rights.may(name, asker.uid, &self.terms.owner)
        });
        match needs {
            None if may.send || may.receive => Ok(may),
            Some(right) if may.has(right) => Ok(may),
            None => Err(self.denied(Doing::Open)),
            Some(right) => Err(self.denied(right.into())),
        }
    }

    /// What the owner itself may do with it.
    pub(super) fn owners_rights(&self) -> May {
        self.rights.may(&self.terms.owner, self.owner.uid, &self.terms.owner)
    }

    /// The refusal of something, with those who may do it.
    fn denied(&self, doing: Doing) -> Refusal {
        let who_may = match doing {
            Doing::Send => self.holders(Right::Send),
            Doing::Receive => self.holders(Right::Receive),
            Doing::Open => format!(
                "to send: {}; to receive: {}",
                self.holders(Right::Send),
                self.holders(Right::Receive)
            ),
            Doing::Administer => match self.terms.ownership {
                Ownership::Process => self.terms.owner.to_string(),
                Ownership::Keeper => format!("any process of user {}", self.owner.uid),
            },
        };
        Refusal::Denied { doing, who_may }
    }

    /// Those who have a right, the owner by name.
    fn holders(&self, right: Right) -> String {
        let rights = self.rights.of(right).to_string();
        match rights.strip_prefix("owner") {
            Some(others) => format!("{}{others}", self.terms.owner),
            None => rights,
        }
    }

    /// Nothing, if the asker may change it: the owner, or of a keeper's any process of its user.
    pub(super) fn administer(&self, asker: Asker<'_>) -> Result<(), Refusal> {
        let may = match self.terms.ownership {
            Ownership::Keeper => asker.uid == self.owner.uid,
            Ownership::Process => {
                asker.pid == self.owner.pid
                    && asker.name.is_none_or(|name| *name == self.terms.owner)
            }
        };
        if may { self.serving() } else { Err(self.denied(Doing::Administer)) }
    }

    /// Lets one in. Not while the owner changes: the next one has a copy of the table by then.
    pub(super) fn grant(&mut self, right: Right, to: Grant) -> Result<(), Refusal> {
        self.serving()?;
        let changed = self.rights.of_mut(right).grant(to);
        changed.map_err(|unchanged| self.unchanged(right, unchanged))
    }

    /// Shuts one out; not while the owner changes, either.
    pub(super) fn revoke(&mut self, right: Right, from: &Name) -> Result<(), Refusal> {
        self.serving()?;
        let changed = self.rights.of_mut(right).revoke(from, &self.terms.owner);
        changed.map_err(|unchanged| self.unchanged(right, unchanged))
    }

    fn unchanged(&self, right: Right, unchanged: Unchanged) -> Refusal {
        Refusal::Cannot(match unchanged {
            Unchanged::TooMany => format!(
                "the right to {right} names {MAX_NAMES} processes already, as many as it can: \
                 revoke some, or let all members in"
            ),
            Unchanged::TheOwners => format!(
                "{} has the right to {right} by being the owner: transfer the mailbox instead",
                self.terms.owner
            ),
        })
    }

    /// Begins to change owners.
    pub(super) fn begin_move(&mut self, to: &Name) -> Result<Move, Refusal> {
        self.serving()?;
        if *to == self.terms.owner {
            return Err(Refusal::Cannot(format!("{to} owns it already")));
        }
        self.moves += 1;
        self.phase = Phase::Moving(self.moves);
        self.nonce = None;
        Ok(Move(self.moves))
    }

    /// Whether that change of owners is still under way.
    pub(super) fn is_moving(&self, Move(number): &Move) -> bool {
        self.phase == Phase::Moving(*number)
    }

    /// The mailbox is offered under that nonce from now on.
    pub(super) fn offered(&mut self, nonce: u64) {
        self.nonce = Some(nonce);
    }

    /// Ends a change of owners.
    pub(super) fn settle(&mut self, moving: Move, moved: Moved) {
        if self.is_moving(&moving) {
            self.phase = match moved {
                Moved::Given => Phase::Over,
                Moved::Here => Phase::Serving,
            };
        }
    }

    /// Ends it here. A mailbox that was only arriving is still another's.
    pub(super) fn close(&mut self) -> Closed {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Serving => Closed::Ends,
            Phase::Moving(0) | Phase::Over => Closed::Before,
            Phase::Moving(_) => self.nonce.map_or(Closed::Ends, Closed::Offered),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rights::Rights;
    use super::super::wire::Strategy;
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn desk(ownership: Ownership, receivers: &str, senders: &str) -> Desk {
        let rights =
            |text: &str| Rights::new(&text.parse().unwrap(), |_| Ok::<_, ()>(1000)).unwrap();
        let terms = Terms {
            id: 1,
            schema: Some("job/1".into()),
            strategy: Strategy::Adaptive,
            owner: name("boss"),
            ownership,
        };
        let both = BothRights { send: rights(senders), receive: rights(receivers) };
        Desk::new(terms, both, Owner { pid: 10, uid: 1000 })
    }

    fn asker(name: &Name) -> Asker<'_> {
        Asker { pid: 20, uid: 1000, name: Some(name) }
    }

    #[test]
    fn whoever_has_any_right_may_open_and_is_told_which() {
        let desk = desk(Ownership::Process, "owner", "members");
        let (boss, other) = (name("boss"), name("other"));
        let may = desk.open(asker(&other), None, None).unwrap();
        assert_eq!((may.send, may.receive), (true, false));
        let may = desk.open(asker(&boss), Some(Right::Receive), Some("job/1")).unwrap();
        assert_eq!((may.send, may.receive), (true, true));
    }

    #[test]
    fn a_refused_right_names_those_who_have_it() {
        let mut desk = desk(Ownership::Process, "owner", "a, b");
        let other = name("other");
        desk.grant(Right::Receive, Grant { name: name("w"), uid: 1000 }).unwrap();
        let refused = desk.open(asker(&other), Some(Right::Receive), None).unwrap_err();
        assert_eq!(refused, Refusal::Denied { doing: Doing::Receive, who_may: "boss, w".into() });
        let refused = desk.open(asker(&other), None, None).unwrap_err();
        let who_may = "to send: a, b; to receive: boss, w".into();
        assert_eq!(refused, Refusal::Denied { doing: Doing::Open, who_may });
    }

    #[test]
    fn without_a_name_nobody_takes_part() {
        let desk = desk(Ownership::Process, "members", "members");
        let nobody = Asker { pid: 20, uid: 1000, name: None };
        assert!(matches!(desk.open(nobody, None, None), Err(Refusal::Denied { .. })));
    }

    #[test]
    fn another_schema_is_refused_and_none_is_taken_as_any() {
        let desk = desk(Ownership::Process, "members", "members");
        let other = name("other");
        assert_eq!(
            desk.open(asker(&other), None, Some("job/2")),
            Err(Refusal::Schema { theirs: Some("job/1".into()) })
        );
        assert!(desk.open(asker(&other), None, None).is_ok());
    }

    #[test]
    fn the_owner_alone_changes_its_mailbox_and_its_user_a_keepers() {
        let desk_of = |ownership| desk(ownership, "owner", "members");
        let (boss, other) = (name("boss"), name("other"));
        let own = Asker { pid: 10, uid: 1000, name: Some(&boss) };
        let same_process = Asker { pid: 10, uid: 1000, name: Some(&other) };
        let stranger = Asker { pid: 20, uid: 1000, name: None };
        let process = desk_of(Ownership::Process);
        assert!(process.administer(own).is_ok());
        assert!(process.administer(Asker { name: None, ..own }).is_ok());
        for refused in [same_process, stranger, asker(&boss)] {
            let refused = process.administer(refused).unwrap_err();
            let who_may = "boss".into();
            assert_eq!(refused, Refusal::Denied { doing: Doing::Administer, who_may });
        }
        let kept = desk_of(Ownership::Keeper);
        assert!(kept.administer(stranger).is_ok());
        assert!(kept.administer(Asker { uid: 1001, ..stranger }).is_err());
    }

    #[test]
    fn requests_wait_while_the_owner_changes_and_are_too_late_afterwards() {
        let mut desk = desk(Ownership::Keeper, "members", "members");
        let other = name("other");
        assert!(matches!(desk.begin_move(&name("boss")), Err(Refusal::Cannot(_))));
        let first = desk.begin_move(&other).unwrap();
        assert_eq!(desk.open(asker(&other), None, None), Err(Refusal::AskAgain));
        assert_eq!(desk.administer(asker(&other)), Err(Refusal::AskAgain));
        // Whoever gets it has been sent the tables already.
        let grant = Grant { name: other.clone(), uid: 1000 };
        assert_eq!(desk.grant(Right::Send, grant), Err(Refusal::AskAgain));
        assert_eq!(desk.revoke(Right::Send, &other), Err(Refusal::AskAgain));
        assert_eq!(desk.begin_move(&name("third")).unwrap_err(), Refusal::AskAgain);
        desk.settle(first, Moved::Here);
        assert!(desk.open(asker(&other), None, None).is_ok());
        let second = desk.begin_move(&other).unwrap();
        desk.settle(Move(1), Moved::Given);
        assert_eq!(desk.open(asker(&other), None, None), Err(Refusal::AskAgain));
        desk.settle(second, Moved::Given);
        assert_eq!(desk.open(asker(&other), None, None), Err(Refusal::AskAgain));
        assert_eq!(desk.close(), Closed::Before);
    }

    #[test]
    fn a_mailbox_that_does_not_arrive_is_not_ended() {
        let Desk { terms, rights, owner, .. } = desk(Ownership::Process, "owner", "members");
        let (mut arriving, _) = Desk::arriving(terms, rights, owner);
        assert_eq!(arriving.open(asker(&name("boss")), None, None), Err(Refusal::AskAgain));
        assert_eq!(arriving.close(), Closed::Before);
    }

    #[test]
    fn a_mailbox_that_was_ended_while_moving_stays_ended() {
        let mut desk = desk(Ownership::Process, "owner", "members");
        let moving = desk.begin_move(&name("other")).unwrap();
        assert_eq!(desk.close(), Closed::Ends);
        desk.settle(moving, Moved::Here);
        assert!(desk.serving().is_err());
        assert_eq!(desk.close(), Closed::Before);
    }

    #[test]
    fn an_offer_decides_whether_closing_ends_a_mailbox() {
        let mut desk = desk(Ownership::Process, "owner", "members");
        let first = desk.begin_move(&name("other")).unwrap();
        desk.offered(7);
        desk.settle(first, Moved::Here);
        let second = desk.begin_move(&name("other")).unwrap();
        assert!(desk.is_moving(&second));
        desk.offered(8);
        assert_eq!(desk.close(), Closed::Offered(8));
        assert!(!desk.is_moving(&second));
    }
}
