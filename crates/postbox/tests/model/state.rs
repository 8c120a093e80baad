//! What the processes share, what each keeps to itself, and what only the judge can see.
//!
//! ```text
//! word      | fields                     | changed by
//! admit     | (epoch, ticket)[, frozen]  | senders: ticket + 1; repair: epoch + 1
//! gone[2]   | by parity of the epoch     | who counted or withdrew a message, + 1 each
//! repair    | (phase, epoch, returned)   | CAS by whoever pumps
//! debt      | (epoch, amount)            | CAS by whoever pumps: what epochs <= epoch owe in all
//! mark      | (epoch, ticket)            | CAS by whoever pumps
//! due       | epoch                      | fetch_max by whoever buries: close all epochs up to this one
//! cell      | (turn, state, epoch)       | owner: open, withdraw, close; receiver: taken; repair: lost;
//!           |                            | whoever buries its owner: withdrawn, free
//! record    | life, operation, last, says| its member; life by whoever buries it
//! ```

use std::fmt;

pub const MEMBERS: usize = 4;
pub const MESSAGES: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct State {
    pub admit: Admit,
    pub gone: [u8; 2],
    pub repair: Repair,
    pub debt: Tagged,
    pub mark: Tagged,
    pub due: u8,
    pub kernel: Fifo<Entry, 4>,
    pub overflow: Fifo<Slot, 4>,
    pub members: [Member; MEMBERS],
    /// Seen by the judge only.
    pub messages: [Message; MESSAGES],
    /// Members that may still be killed.
    pub deaths_left: u8,
    /// What an application or a sender was made to see that it never should have.
    pub outrage: Option<Outrage>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Admit {
    pub epoch: u8,
    pub ticket: u8,
    pub frozen: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Repair {
    pub phase: Phase,
    pub epoch: u8,
    pub returned: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Phase {
    #[default]
    Idle,
    Flip,
    SendersPass,
    Mark,
    Drain,
    MembersPass,
    Apply,
}

/// A value that belongs to one epoch: one word, changed by CAS.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Tagged {
    pub epoch: u8,
    pub value: u8,
}

/// One entry of the kernel queue or of the overflow.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Entry {
    pub message: u8,
    pub ticket: u8,
    pub epoch: u8,
    /// The cell is the sender's; 0: a plain send, no cell.
    pub turn: u8,
    /// A packet: the next message of its sender with the next ticket is in it, too.
    pub more: bool,
}

impl Entry {
    /// The two messages of a packet.
    pub fn opened(self) -> (Entry, Entry) {
        let first = Entry { more: false, ..self };
        (first, Entry { message: self.message + 1, ticket: self.ticket + 1, ..first })
    }

    pub fn count(self) -> u8 {
        1 + u8::from(self.more)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Slot {
    #[default]
    Free,
    Claimed(u8),
    Published(Entry),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Cell {
    /// The generation.
    pub turn: u8,
    pub state: CellState,
    pub epoch: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum CellState {
    #[default]
    Free,
    Open,
    Taken,
    Withdrawn,
    Lost,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Member {
    pub life: Life,
    pub operation: Operation,
    pub pass: Pass,
    /// Ticket of the last entry popped; kept at 0 where nothing can depend on it.
    pub last: u8,
    pub cell: Cell,
    pub at: At,
    /// Next message of its programme.
    pub next: u8,
    pub again: u8,
    pub hand: Option<Entry>,
    /// A receiver: the rest of a packet that it has opened.
    pub held: Option<Entry>,
    /// How many messages of a packet its record says that it holds, and of which epoch.
    pub says: Tagged,
    /// A receiver: the head of the overflow that it saw published is still the head.
    pub saw_head: bool,
    /// A receiver: claims of the overflow, from its head on, when it last looked at that head, and when it
    /// had done so before it last saw the kernel queue empty.
    pub claimed: u8,
    pub cleared: u8,
    pub pump: Pump,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Life {
    /// No such member.
    #[default]
    Absent,
    Live,
    /// Killed, and nobody has noticed.
    Killed,
    /// Its record says so.
    Dead,
    /// Its death is accounted in `due`.
    Reported,
    /// Its offer is withdrawn, its cell and its record are free.
    Buried,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Operation {
    #[default]
    Idle,
    Offering,
    Busy,
}

/// What the passage of the present phase knows of a member.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Pass {
    #[default]
    Unknown,
    /// The snapshot shows the operation it is still in.
    Noted,
    /// It has passed an idle point since the phase began.
    Passed,
}

/// The next step of a member's own work.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum At {
    #[default]
    Rest,
    Admit,
    Place,
    Push,
    Claim,
    Publish,
    Finish,
    Wait,
    Withdraw,
    StoreWithdrawn,
    GiveBack,
    Refused,
    Close,
    Look,
    Pop,
    TakeHead,
    Hold,
    Settle,
    StoreTaken,
    Count,
    Hand,
    Unsay,
}

/// The next step of a member's work on the repair, with what it has read so far.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Pump {
    #[default]
    Off,
    Loop,
    /// Only where the burial is broken.
    Bury,
    Debt {
        seen: Tagged,
        new: Tagged,
        ticket: u8,
    },
    Turn {
        epoch: u8,
        ticket: u8,
    },
    Scan {
        phase: Phase,
        epoch: u8,
        member: u8,
    },
    Mark {
        seen: Tagged,
        new: Tagged,
    },
    SeeOverflow {
        epoch: u8,
    },
    Lose {
        epoch: u8,
    },
    SeeHeld {
        epoch: u8,
    },
    Move {
        epoch: u8,
        returned: u8,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Message {
    /// 1 + the receiver whose application saw it.
    pub seen_by: u8,
    pub fate: Fate,
    /// Popped by a receiver that died before its application saw it.
    pub lost: bool,
}

/// What its sender was told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Fate {
    #[default]
    Pending,
    Completed,
    TimedOut,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outrage {
    SeenTwice,
    SeenAfterTimeout,
    OutOfOrder,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Fifo<T, const N: usize> {
    items: [T; N],
    len: u8,
}

impl<T: Copy + Default, const N: usize> Default for Fifo<T, N> {
    fn default() -> Self {
        Self { items: [T::default(); N], len: 0 }
    }
}

impl<T: Copy + Default, const N: usize> Fifo<T, N> {
    pub fn items(&self) -> &[T] {
        &self.items[..usize::from(self.len)]
    }
    pub fn items_mut(&mut self) -> &mut [T] {
        &mut self.items[..usize::from(self.len)]
    }
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
    pub fn push(&mut self, item: T) {
        self.items[usize::from(self.len)] = item;
        self.len += 1;
    }
    pub fn pop(&mut self) -> Option<T> {
        let first = *self.items().first()?;
        self.items.copy_within(1.., 0);
        self.len -= 1;
        self.items[usize::from(self.len)] = T::default();
        Some(first)
    }
}

impl State {
    /// Tickets that may be taken: what `n + gone + returned` leaves.
    pub fn room(&self, capacity: u8) -> i8 {
        let limit = capacity
            .wrapping_add(self.gone[0])
            .wrapping_add(self.gone[1])
            .wrapping_add(self.repair.returned);
        limit.wrapping_sub(self.admit.ticket) as i8
    }

    /// Some repair is due or under way.
    pub fn repair_is_active(&self) -> bool {
        self.repair.phase != Phase::Idle || self.due >= self.repair.epoch
    }

    pub fn is_gone(&self, member: u8) -> bool {
        let life = self.members[usize::from(member)].life;
        matches!(life, Life::Dead | Life::Reported | Life::Buried)
    }

    /// Whether some record says that messages of `epoch` or of one before are held.
    pub fn is_held(&self, epoch: u8) -> bool {
        self.members.iter().any(|member| {
            let stands = matches!(member.life, Life::Live | Life::Killed);
            stands && member.says.value > 0 && member.says.epoch <= epoch
        })
    }

    /// The overflow as a look at it finds it: positions of members known to be dead count as skipped.
    pub fn settle_overflow(&mut self) {
        while let Some(Slot::Claimed(owner)) = self.overflow.items().first().copied() {
            if !self.is_gone(owner) {
                break;
            }
            self.drop_head();
        }
    }

    pub fn drop_head(&mut self) -> Option<Slot> {
        for member in &mut self.members {
            member.saw_head = false;
            member.claimed = member.claimed.saturating_sub(1);
            member.cleared = member.cleared.saturating_sub(1);
        }
        self.overflow.pop()
    }
}

/// The shared words in one line.
impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { admit, gone, repair, .. } = self;
        let frozen = if admit.frozen { " frozen" } else { "" };
        write!(f, "{:?} e{} returned {}", repair.phase, repair.epoch, repair.returned)?;
        write!(f, ", admit (e{} t{}{frozen}), gone {gone:?}", admit.epoch, admit.ticket)?;
        write!(f, ", debt {}, mark {}, due e{}", self.debt, self.mark, self.due)?;
        write!(
            f,
            ", kernel {:?}",
            self.kernel.items().iter().map(|entry| entry.message).collect::<Vec<_>>()
        )?;
        write!(
            f,
            ", overflow {:?}",
            self.overflow.items().iter().map(Slot::message).collect::<Vec<_>>()
        )
    }
}

impl fmt::Display for Tagged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "(e{} {})", self.epoch, self.value)
    }
}

impl Slot {
    fn message(&self) -> Option<u8> {
        if let Self::Published(entry) = self { Some(entry.message) } else { None }
    }
}
