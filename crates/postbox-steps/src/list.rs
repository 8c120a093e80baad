//! All the steps there are.

macro_rules! steps {
    ($($(#[$doc:meta])* $step:ident,)*) => {
        /// A moment at which a death must harm nobody.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(usize)]
        pub enum Step { $($(#[$doc])* $step,)* }

        impl Step {
            /// Every one.
            pub const ALL: &[Step] = &[$(Step::$step),*];

            /// As it is written in the source.
            pub const fn name(self) -> &'static str {
                match self { $(Step::$step => stringify!($step),)* }
            }
        }
    };
}

steps! {
    // Admission, and the kernel object.
    /// A ticket counts as admitted, and no entry has it yet.
    TicketTaken,
    /// The tickets of a whole packet count as admitted, and no entry has them yet.
    TicketsTaken,
    /// The cell of an offer knows the epoch of its ticket, and no entry has either yet.
    CellDated,
    /// An entry is in the kernel object; its sender still counts as busy.
    EntryPushed,
    /// An entry is out of the kernel object, and only its popper has it.
    EntryPopped,
    /// The same, while the head of the overflow is in sight.
    EntryPoppedBeforeOverflow,
    /// The popper has noted the entry's ticket, and not looked whose the message is.
    TicketNoted,
    /// A message is copied out, and still counts as in the channel.
    MessageCopied,
    // Packets.
    /// A packet is in the kernel object; its sender still counts as busy.
    PacketPushed,
    /// The messages of a packet are held by its popper, and its record says so.
    PacketOpened,
    /// Messages that were held are copied out, and still count as in the channel.
    HeldCopied,
    /// They count no more, and the record of whoever held them does not say so yet.
    HeldCounted,
    /// No more packets are to be sent; some may be on their way.
    PackingStopped,
    /// None is on its way any more; some are in the kernel object.
    PackersPassed,
    /// An entry lies in front of the kernel object, and others of its packet are still held.
    EntryPutInFront,
    /// All that was in the kernel object lies in front of it, message by message.
    PacketsOpened,
    /// A receiver is about to take what lies in front of the kernel object, and says so.
    FrontBegun,
    /// It has taken an entry from there.
    FrontTaken,
    /// The entry is opened and its place free, and the record does not say so yet.
    FrontFreed,
    /// A ticketed message counts no more, and nobody is woken for its room.
    MessageGone,
    // What a member is in the middle of.
    /// A member counts as busy.
    OperationBegun,
    /// It counts as idle, or as waiting for a receipt.
    OperationEnded,
    // Slots.
    /// A slot is claimed, and the tail lags behind it.
    SlotClaimed,
    /// The tail is past it, and nothing is written in it.
    SlotTailMoved,
    /// A slot is written and not published.
    SlotWritten,
    /// A slot may be taken, and nobody is woken for it.
    SlotPublished,
    /// A slot is its taker's, and the head lags behind it.
    SlotTaken,
    /// The head is past it, and nothing is read of it.
    SlotHeadMoved,
    /// What was taken is settled and copied out, and its slot not given back.
    SlotRead,
    /// A slot is free for the next lap, and nobody is woken for it.
    SlotFreed,
    /// A slot to be passed over is free, and the head lags behind it.
    SlotSkipped,
    /// An entry counts no more, and the claimers have no hint of it.
    SlotWithdrawn,
    /// They have.
    WithdrawalHinted,
    /// A slot of a dead member is to be skipped, or the undertaker's to read.
    SlotSettled,
    /// What the dead had taken is dealt with, and its slot not given back.
    SlotHandedOn,
    /// The undertaker has moved the tail over what the dead had claimed.
    SlotTailMended,
    /// One to one: the tail tells of a published slot.
    SpscTailMoved,
    /// One to one: the head tells of a slot that was read.
    SpscHeadMoved,
    // A ring for many, used by two.
    /// An end is one of the two.
    PairEntered,
    /// It is no more: its place is free.
    PairLeft,
    /// One of the two has announced what it will write or read.
    PairAnnounced,
    /// Nobody of the two begins anything any more.
    WideningBegun,
    /// Tail and head of many are what was announced.
    WideningSet,
    /// A slot has the word that it would have among many.
    SlotHandedOver,
    /// The ring is one for many.
    Widened,
    // Logs: bodies of large messages, and the overflow.
    /// Units of a log are claimed, and the tail lags behind them.
    RunClaimed,
    /// The tail is past them.
    RunTailMoved,
    /// Somebody has moved the tail over what another had claimed.
    RunTailMended,
    /// The rest of a circle is claimed, to go back to its start.
    RestOfCircleClaimed,
    /// A chunk is backed by memory, and its flag does not say so.
    ChunkAllocated,
    /// It does.
    ChunkMarked,
    /// A chunk's flag says that it is not backed, and it is.
    ChunkUnmarked,
    /// Its memory is given back.
    ChunkPunched,
    /// A run is nobody's until somebody takes it.
    RunPublished,
    /// A run is its reader's, or was somebody else's by then.
    RunCaptured,
    /// The head of a queue is past an entry that was taken.
    RunHeadMoved,
    /// A run is free, and its room does not count.
    RunFreed,
    /// It does.
    RoomOfRunsMoved,
    /// What a dead member was reading is the undertaker's to free.
    RunSettled,
    /// A large body is written, and no entry refers to it.
    BodyWritten,
    /// An entry refers to it, and it is still its sender's.
    BodySent,
    /// It is copied out and not freed.
    BodyCopied,
    /// Room for a body is lent to the application, and nothing written in it.
    BodyLent,
    /// An entry refers to a body that was lent, and it is still its lender's.
    LentBodySent,
    /// A body is its receiver's to read where it lies, and its entry not settled.
    BodyKept,
    /// A body that was lent or kept is free again, and nobody is woken for it.
    BodyGivenBack,
    /// The sender of a withdrawn offer has freed its body.
    BodyTakenBack,
    /// So has whoever popped it.
    BodyDropped,
    /// An entry lies in the overflow, unpublished.
    OverflowWritten,
    /// It is published, and nobody is woken for it.
    EntrySpilled,
    /// An entry is its reader's, out of the overflow.
    OverflowTaken,
    /// It is read and its place free, and nobody is woken for it.
    OverflowFreed,
    // Receipts.
    /// A cell is some sender's, and says nothing yet.
    CellClaimed,
    /// It says that there is an offer, which is nowhere yet.
    CellOpened,
    /// An offer is counted, and on its way into the queue.
    OfferCounted,
    /// The cell says that its sender sleeps, or does so no more.
    ReceiptAwaited,
    /// An offer is over, and no longer counted.
    OfferUncounted,
    /// An offer is settled: it is the popper's.
    OfferTaken,
    /// It is to be offered again, its popper being bound to another.
    OfferDeclined,
    /// Its sender has withdrawn it, or come too late to.
    OfferWithdrawn,
    /// It stays although its sender leaves, or somebody settled it first.
    OfferCommitted,
    /// Such a one is the popper's, and its cell is in use.
    CommittedOfferTaken,
    /// And its cell is free.
    CommittedCellFreed,
    /// A cell says nothing any more, and is still its sender's.
    CellClosed,
    /// It is free for the next, and nobody is woken for it.
    CellFreed,
    /// The count of offers is put right where nothing waits.
    OffersRighted,
    // Rendezvous.
    /// A receiver says that it waits.
    TurnBegun,
    /// A try_send counts on a receiver, and has not said so in its cell.
    TurnEngaged,
    /// A receiver waits no more: it is about to take an offer.
    TurnUsed,
    /// The offer was none: it waits on.
    TurnResumed,
    /// Whoever an offer had engaged waits on.
    TurnDisengaged,
    /// Of two engaged receivers each has the other's offer.
    TurnSwapped,
    /// A receiver is no longer in a waiting call.
    TurnOver,
    // Sleeping and waking.
    /// A sleeper is counted.
    SleepAnnounced,
    /// Publishers are asked for their barriers, and it is not sure that all know.
    FencesAsked,
    /// They pass no more of them.
    FencesSpared,
    /// It has taken itself off the count.
    SleepPlaceGivenUp,
    /// A ring is promised to one sleeper, and not sent.
    SleeperChosen,
    /// A ring is promised to all that lack space, and not sent.
    SleepersChosen,
    /// A bell is rung.
    BellRung,
    /// A sleeper is up, by whatever it was, and has not looked.
    Woken,
    /// Room that the one woken cannot use is passed on.
    RoomPassedOn,
    /// One that was woken for room waits no more, and has told nobody what it leaves.
    RoomLeft,
    /// Rings that the dead may have been to hear or to send count as not sent.
    RingsRecalled,
    // Pollables.
    /// A pollable counts, and is not readable.
    PollableCounted,
    /// It counts no more.
    PollableUncounted,
    /// Pollables are readable.
    LevelRaised,
    /// They are, for a message just published.
    LevelRaisedForMessage,
    /// They are not, and what came in between is not looked for.
    LevelLowered,
    // The floor.
    /// A place in the line is given out, and nobody stands there.
    PlaceDrawn,
    /// A call stands in the line.
    PlaceTaken,
    /// It stands there no more.
    PlaceGivenUp,
    /// A receiver has the floor.
    FloorTaken,
    /// It has given it up, and nobody is woken.
    FloorGivenUp,
    /// The floor of an end that is gone is free.
    FloorOfTheGoneFreed,
    /// The pass is counted, and nobody is woken.
    FloorPassed,
    /// The floor's bell is rung.
    FloorRung,
    // Members.
    /// A record is claimed, and holds what the last end left.
    SeatClaimed,
    /// It is cleared, with its card written.
    SeatCleared,
    /// It is within what others look at.
    SeatInSight,
    /// It is a live end.
    SeatLive,
    /// A sending end is counted among those that ever were.
    SenderCounted,
    /// A card is about to be rewritten.
    CardBegun,
    /// It is.
    CardWritten,
    /// Members that look will look anew.
    RosterChanged,
    /// An end leaves, or is cleared: what it counted is kept.
    StatisticsKept,
    /// Its record is that of no end.
    SeatVacant,
    /// And of no undertaker.
    ReaperGone,
    /// It is free for the next.
    SeatFree,
    /// A record is another process's, under the giver's card.
    SeatTransferred,
    // Passing on.
    /// The giver has a child, and the ends are its own still.
    ChildForked,
    /// The child runs, and the ends are perhaps the giver's still.
    ChildBegun,
    /// The giver has made an end over, and told nobody.
    EndHandedOver,
    /// The taker has it, and has told nobody.
    EndTakenOver,
    /// A program is started, and the ends are the giver's still.
    ProgramStarted,
    /// It has found an end that was passed to it, and not taken it over.
    EndFound,
    /// A process has one of two places.
    PairPlaceTaken,
    /// It has left it to an heir.
    PairPlaceLeft,
    /// It has given it up.
    PairPlaceGivenUp,
    // Burial.
    /// A record that the dead had only claimed is free.
    ClaimOfTheDeadFreed,
    /// A record of a dead process is found, and not marked.
    DeadRecordFound,
    /// A record is marked as that of a dead process.
    MarkedDead,
    /// The mark is taken back: the end had been passed on.
    MarkTakenBack,
    /// One undertaker has a record for itself.
    ReaperEntered,
    /// The death is due for repair.
    DeathReported,
    /// The dead one's slots are settled.
    SlotsBuried,
    /// So is its part of the overflow.
    OverflowBuried,
    /// And its bodies.
    BodiesBuried,
    /// An offer of the dead is withdrawn, and its cell in use.
    DeadOfferWithdrawn,
    /// And its cell free.
    DeadCellFreed,
    /// All of them are.
    OffersBuried,
    // Repair of room.
    /// A repair is under way.
    RepairBegun,
    /// What the epoch owes is noted.
    DebtNoted,
    /// The next epoch has begun, or a ticket came first.
    EpochEnded,
    /// Senders are to pass an idle point.
    EpochClosed,
    /// A busy member's operation is noted.
    SnapshotTaken,
    /// They have passed: what is older is to drain.
    SendersPassed,
    /// The mark is set past which all is younger.
    MarkSet,
    /// Offers that vanished are declared lost.
    OffersLost,
    /// Members are to pass an idle point again.
    Drained,
    /// What the vanished entries held is free.
    VanishedReleased,
    /// The cell of a vanished offer that had engaged a receiver says nothing.
    LostCellClosed,
    /// It is free.
    LostCellFreed,
    /// Room is exact again, and nobody is woken.
    RoomGivenBack,

    // From here on: the naming layer. See `Step::naming`.
    //
    // A domain on disk.
    /// The directory of domains is there, with the mode that the umask left it.
    BaseMade,
    /// A domain's directory is there under a temporary name, empty.
    DomainBegun,
    /// All that belongs in it is there, still under the temporary name.
    DomainFilled,
    /// The domain has its name.
    DomainNamed,
    /// The whole file of claims is locked: nobody can take a name.
    DomainLocked,
    /// The domain's directory has lost its name and is still full.
    DomainAside,
    /// It is empty.
    DomainEmptied,
    /// It is gone, and the file of claims is still locked.
    DomainGone,
    /// The socket of a dead process has lost its name.
    StaleSocketAside,
    /// It is gone.
    StaleSocketGone,
    /// A socket that never came to its name is gone.
    RubbishGone,
    // Names.
    /// Both halves of a name are locked, and nothing else says so.
    NameLocked,
    /// One half of a name is locked.
    HalfLocked,
    /// One half of a name is let go of, for a successor.
    HalfYielded,
    /// Of a claim that ends, one half is let go of.
    FirstHalfReleased,
    /// A name is free.
    NameReleased,
    // Sockets.
    /// A socket listens under a temporary name.
    SocketBound,
    /// Another socket of this process was given a second name before it loses its first.
    SocketDoubled,
    /// A socket has its name.
    SocketNamed,
    /// The name is the other socket's again.
    SocketGivenBack,
    /// A socket has lost its name, and is still open.
    SocketRemoved,
    /// It takes no connections any more.
    SocketShut,
    // Registrars.
    /// A caller is connected.
    CallerAccepted,
    /// Its request, and the descriptors with it, are received.
    RequestHeard,
    /// It is answered.
    AnswerSent,
    /// Connected to the registrar of another process.
    RegistrarReached,
    /// The request is sent, the descriptors with it.
    RequestSent,
    /// The answer is received, the descriptors with it.
    AnswerHeard,
    // Joining and leaving.
    /// A process has its name, its registrar and its socket.
    Joined,
    /// It leaves: its mailboxes are ended.
    MailboxesLeft,
    /// It leaves: its links are left.
    LinksLeft,
    // Links.
    /// A channel of a new link exists, with nobody in it.
    LinkChannelMade,
    /// The maker's own end stands in it.
    OwnEndStands,
    /// So does the partner's, in the maker's name.
    PartnersEndStands,
    /// The partner's end is the partner's.
    PartnersEndMadeOver,
    /// The maker's table has the link; the partner knows nothing of it.
    LinkEntered,
    /// The partner's end is taken over by the partner.
    LinkEndTakenOver,
    /// The partner's table has the link.
    LinkTaken,
    /// The partner has said that it has the link.
    LinkArrived,
    /// The standing ends are let go of.
    StandingEndsLeft,
    /// A handle has a sending end of its own.
    OutletMade,
    /// A handle has a receiving end of its own.
    InletMade,
    /// A receive from anyone listens to one link more.
    LinkListenedTo,
    // Mailboxes: creating, opening, destroying.
    /// A mailbox's channel has its owner.
    OwnerEntered,
    /// Its name is answered for.
    MailboxServed,
    /// It is among those of its owner.
    MailboxOwned,
    /// The channel of a mailbox has come, and is open here.
    MailboxOpened,
    /// This process takes part in it.
    MailboxAttached,
    /// It has an end in it, whose right may have gone meanwhile.
    MailboxEndMade,
    /// The owner admits nobody any more.
    DeskClosed,
    /// A mailbox is destroyed, and nobody is told yet.
    LifeEnded,
    /// Everybody is told.
    EndTold,
    /// The owner has given up name and socket.
    MailboxResigned,
    // Rights.
    /// The table has one name more.
    RightGranted,
    /// The table has one name less; its ends work still.
    RightRevoked,
    /// Whoever was let in before has to ask again.
    RightsEpochMoved,
    /// Ends are barred, and nobody is told yet.
    EndsBarred,
    /// They are told.
    BarredTold,
    // Transfers.
    /// The owner lets everybody wait.
    MoveBegun,
    /// The mailbox is on offer.
    OwnershipOffered,
    /// The heir has entered itself.
    HeirEntered,
    /// The offer is accepted; the owner word is the giver's still.
    OfferAccepted,
    /// The offer is taken back.
    OfferCancelled,
    /// The owner word is the heir's, and nobody is told yet.
    OwnerPassed,
    /// Everybody is told whom to watch.
    OwnerTold,
    /// The owner's death is noticed, and decides an offer that stood.
    OrphanJudged,
    /// The heir answers for the mailbox.
    HeirServes,
    /// The giver has let go of what it had of the name.
    NamePassedOn,
    /// A mailbox stays, as its giver says.
    MoveSettled,
    // Keepers, and answers that come later.
    /// The keeper has its name and its socket.
    KeeperServes,
    /// The keeper takes in no more.
    KeeperClosed,
    /// An answer is promised.
    AnswerPromised,
    /// It is sent.
    PromiseKept,
    // Waiting on several.
    /// One more receiver is listened to.
    RotaAdded,
    /// A receiver's ring is looked into, and its pollable tells of messages no more.
    RotaSetAside,
    /// One is left out from now on.
    RotaRemoved,
}

impl Step {
    /// Those of channels, between processes that have their ends already.
    pub fn channels() -> &'static [Step] {
        &Step::ALL[..=Step::RoomGivenBack as usize]
    }

    /// Those of the naming layer.
    pub fn naming() -> &'static [Step] {
        &Step::ALL[Step::BaseMade as usize..]
    }
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Step {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = Step::ALL.iter().find(|step| step.name() == name);
        named.copied().ok_or_else(|| format!("there is no step {name}"))
    }
}
