//! What is explored: who sends what, who may die, and what is broken on purpose.

/// One small world.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub capacity: u8,
    /// Entries that the kernel object holds; the rest overflows.
    pub native: u8,
    pub senders: u8,
    pub receivers: u8,
    /// Whether what waits may take up the byte cap, so that an entry with a ticket finds no place.
    pub byte_cap: bool,
    /// Sender and kind of each message, in the order in which a sender sends its own.
    pub messages: &'static [(u8, Kind)],
    pub deaths: u8,
    /// Members that may be killed; senders come first.
    pub mortals: &'static [u8],
    pub flip: Flip,
    pub passage: Passage,
    pub pumping: Pumping,
    pub grain: Grain,
    /// Members that work on the repair at the same time; the others wait for their turn.
    pub pumpers: u8,
    pub broken: Option<Broken>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Send,
    /// With the next one in a packet, if there is room for both.
    Pair,
    /// The next one.
    Second,
    /// Waits for its receipt for ever.
    Deliver,
    /// May give up at any moment, or withdraw and offer again once.
    DeliverTimed,
}

/// How the epoch is closed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flip {
    /// The debt for ticket t is written down, then one CAS (e, t) -> (e + 1, t); again if t has moved on.
    Candidate,
    /// A frozen bit stops admission between the two.
    Frozen,
}

/// How a pumper learns that every member has passed an idle point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passage {
    /// As soon as it is true: more than any scan can know, and fewer states.
    Oracle,
    /// Member by member, with snapshots of the operation's number.
    Scan,
}

/// When a member works on a repair.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pumping {
    /// At the end of its own operations and when it notices a death, until nothing moves. No one else helps.
    WhenWoken,
    /// Also at any other idle moment.
    AnyTime,
}

/// What counts as one step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Grain {
    /// Every access to a shared word.
    Fine,
    /// An announcement comes with the first access it announces, a count with the idle point after it: a
    /// member that is busy a little longer can only delay a passage.
    Coarse,
}

/// Each takes one safeguard away; the exploration must then find a violation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Broken {
    SkipSendersPass,
    SkipMark,
    SkipDrain,
    SkipMembersPass,
    /// The epoch is stepped without regard to tickets taken since the debt was written.
    TornFlip,
    /// Popped corpses are counted as gone.
    CountCorpses,
    /// The receiver looks at the cell and then stores `Taken`.
    StoreTaken,
    /// Offers whose entry vanished stay open: only their owner may withdraw them.
    LeaveOffersOpen,
    /// Offers are declared lost only after the members' passage.
    LoseOffersLate,
    /// The amount is given back, and then the phase is changed.
    GiveBackThenMove,
    /// The debt is stored, not compared and swapped.
    StoreDebt,
    /// `gone` is one counter for all epochs.
    OneCounter,
    /// A receiver takes from the overflow without a look at the kernel queue after the head.
    TakeHeadBlindly,
    /// It takes all that is claimed by the time it takes the head for cleared.
    ClearLate,
    /// A sender does not say that it is busy.
    SenderUnannounced,
    /// A receiver does not say that it is busy.
    ReceiverUnannounced,
    /// The offers of the dead stay open, and their cells in use.
    LeaveCellsOfTheDead,
    /// Room of an entry that found no place is not given back.
    KeepRefusedRoom,
    /// The sender looks at the cell and then stores `Withdrawn`.
    StoreWithdrawn,
    /// A cell is opened with the generation that it had.
    KeepGeneration,
    /// Only who recorded a death accounts for it.
    BuryAlone,
    /// A death during a repair is taken to be covered by it.
    ForgetLateDeaths,
    /// Room is given back although messages of the epoch are held.
    GiveBackHeld,
    /// What is held is taken back from the record before it is counted.
    SayLessFirst,
    /// A member that only holds something counts as one that leaves nothing behind.
    HolderIdle,
    /// A finished operation does not look at the repair.
    LeaveWithoutPumping,
}

impl Kind {
    pub fn is_offer(self) -> bool {
        matches!(self, Kind::Deliver | Kind::DeliverTimed)
    }
}

impl Plan {
    pub fn members(&self) -> u8 {
        self.senders + self.receivers
    }
    pub fn is_receiver(&self, member: u8) -> bool {
        member >= self.senders
    }
    pub fn is_broken(&self, how: Broken) -> bool {
        self.broken == Some(how)
    }
    /// The `nth` message of a sender.
    pub fn programme(&self, member: u8, nth: u8) -> Option<u8> {
        let mut own = (0_u8..).zip(self.messages).filter(|(_, (sender, _))| *sender == member);
        own.nth(usize::from(nth)).map(|(message, _)| message)
    }
    pub fn sender_of(&self, message: u8) -> usize {
        usize::from(self.messages[usize::from(message)].0)
    }
    pub fn kind_of(&self, message: u8) -> Kind {
        self.messages[usize::from(message)].1
    }
}
