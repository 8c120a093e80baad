//! The words that every member of a channel shares.
//!
//! ```text
//!   offset   what                 written by
//!   0        Header               the creator, once; joiners check every field
//!   4096     Control              admission: senders · gone: takers and withdrawers ·
//!                                 repair: anyone at an idle point · sleepers: who sleeps and who rings
//!   …        Receipts             a cell is its sender's until the taker settles it by one CAS
//!   …        Members              a record is its end's, but for `status` and `owner` after a death
//!   …        SlotRing             shared memory only
//!   …        front Log            messages of packets that were opened for several receivers
//!   …        overflow Log         entries that the kernel object had no room for
//!   …        warm bodies Log      messages larger than an entry, where the cap leaves room for it
//!   …        bodies Log           such messages, when the warm log has no room
//! ```
//!
//! Nothing in here is trusted: words are read once and checked where they are used.

use postbox_ring::admission::{Admission, Lone, Words};
use postbox_ring::fences::Fences;
use postbox_ring::receipt;
use postbox_ring::sleepers::Sleepers;
use postbox_ring::sync::{AtomicU64, Ordering};
use postbox_ring::turn::Turn;
use postbox_steps::{Step, at};

postbox_ring::shared! {
    /// What the channel is. Written before anyone else can see the memory, never after.
    #[repr(C, align(128))]
    pub struct Header {
        pub magic: AtomicU64,
        pub mechanism: AtomicU64,
        /// 0 zero, 1 bounded, 2 unbounded.
        pub capacity_kind: AtomicU64,
        pub capacity: AtomicU64,
        pub max_message: AtomicU64,
        /// The one length allowed plus one, or 0.
        pub fixed_size: AtomicU64,
        pub byte_cap: AtomicU64,
        pub form: AtomicU64,
        /// Bytes of the largest entry that the kernel object or slot takes.
        pub entry_limit: AtomicU64,
        /// Offers outstanding at a time when the capacity is zero.
        pub zero_window: AtomicU64,
        /// Not 0 if messages may share packets.
        pub packs: AtomicU64,
        /// 0 ends when one side is gone, 1 owned.
        pub lifetime: AtomicU64,
        pub policy: AtomicU64,
        /// The mailbox's name; see [`super::names`].
        pub name: [AtomicU64; 8],
    }
}

postbox_ring::shared! {
    /// The counters of the channel.
    #[repr(C, align(128))]
    pub struct Control {
        /// Who is let in; some of what counts no more is counted in its lanes.
        pub admission: Words,
        /// One more than the last epoch in which a death may have left room behind; 0 for none.
        pub due: AtomicU64,
        /// Repairs that were completed. By whoever completed one.
        pub repairs: AtomicU64,
        /// Grows with every join, leave, transfer and death.
        pub roster: Lone,
        /// Member records ever used: none beyond is live.
        pub members_used: AtomicU64,
        /// Offers in the queue, withdrawn ones included; a throttle, put right when nothing waits.
        pub offers: Lone,
        /// Who has the barriers between publishing and sleeping; see [`postbox_ring::fences`].
        pub fences: AtomicU64,
        /// Whether messages may share a packet: 0 never again, 1 no more, 2 yes; see `carry::packet`.
        pub packing: AtomicU64,
        /// Pollable descriptors that exist.
        pub pollables: AtomicU64,
        /// Who sleeps, and to how many a ring is on its way: waiting for messages, room, space, receipts,
        /// the floor.
        pub sleepers: [Lone; 5],
        /// Statistics of ends that have left: messages, bytes, waits, spilled; senders, then receivers.
        pub retired: [AtomicU64; 8],
        /// Owned: 0 live, 1 destroyed.
        pub life: AtomicU64,
        /// Owned: start time (42 bits) · pid (22) of the owner.
        pub owner: AtomicU64,
        /// Owned: nonce (62 bits) · state (2) of the last offer of ownership; see `ownership`.
        pub offer: AtomicU64,
        /// Owned: whoever accepts an offer, by the parity of its nonce.
        pub heirs: [AtomicU64; 2],
        /// Grows before rights are taken back: see `revocation`.
        pub rights: AtomicU64,
        /// Sending ends that ever joined.
        pub senders_ever: AtomicU64,
        /// One to one: the seat of the sender, of the receiver, that is or was the only one; see `join_alone`.
        pub sole: [AtomicU64; 2],
        /// Pair: start time · pid of the processes that use the channel.
        pub pair: [AtomicU64; 2],
        /// OneAtATime: generation (32 bits) · index (16) plus one of the receiver that has the
        /// floor; see `floor`.
        pub floor: Lone,
        /// OneAtATime: places in the line given out so far.
        pub places: AtomicU64,
        /// OneAtATime: how often the floor became free.
        pub passes: AtomicU64,
    }
}

postbox_ring::shared! {
    /// One synchronous send under way; see [`postbox_ring::receipt`].
    #[repr(C, align(128))]
    pub struct Cell {
        word: AtomicU64,
        owner: AtomicU64,
        asleep: AtomicU64,
        epoch: AtomicU64,
    }
}

postbox_ring::shared! {
    /// One end: who it is, and what it is in the middle of.
    #[repr(C, align(256))]
    pub struct Member {
        /// start time (42 bits) · pid (22); 0 while free. Claims the record.
        pub owner: AtomicU64,
        /// generation (32 bits) · role (4) · life (4).
        pub status: AtomicU64,
        /// sequence (62 bits) · state (2): idle, offering, busy.
        pub op: AtomicU64,
        /// repair's phase and epoch (19 bits) · the low bits of `op`'s sequence seen then (45).
        pub snapshot: AtomicU64,
        /// Receivers: one more than the ticket of the entry popped last; 0 for none.
        pub last_ticket: AtomicU64,
        /// Receivers: epoch (8 bits) · how many messages of that epoch it holds, of a packet that it has
        /// opened (32); see `carry::held`. 0 for none.
        pub held: AtomicU64,
        /// Receivers with capacity zero: 0, waiting, or engaged; see [`postbox_ring::turn`].
        turn: AtomicU64,
        /// The end that is clearing this dead record, plus one.
        pub reaper: AtomicU64,
        /// One more than the generation of the end that the right was taken back from. By the
        /// mailbox's owner.
        pub barred: AtomicU64,
        /// messages, bytes, waits, spilled. Written by the end alone.
        pub statistics: [AtomicU64; 4],
        /// OneAtATime: the place in the line of the call that waits for the floor; 0 for none.
        pub place: AtomicU64,
        /// generation (32 bits) · pid (22) of the end that `user` and `name` are of, which may have
        /// left since; 0 while they are being written.
        pub card: AtomicU64,
        /// One more than the user's number; 0 for unknown.
        pub user: AtomicU64,
        /// The name that the process joined its domain under; see [`super::names`].
        pub name: [AtomicU64; 8],
    }
}

/// Names and versions the layout: "postbox" and a number that grows.
pub(crate) const MAGIC: u64 = u64::from_be_bytes(*b"postbox\x0c");

/// What a sleeper waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Awaited {
    Message = 0,
    /// A ticket or a slot: any sender can use the one that comes free.
    Room = 1,
    /// Bytes, a receipt cell, fewer offers: whether what comes free suffices, each must see.
    Space = 2,
    Receipt = 3,
    /// To be the one receiver that executes a receive.
    Floor = 4,
}

impl Awaited {
    pub(crate) const COUNT: usize = 5;
}

impl Member {
    pub(crate) fn turn(&self) -> Turn<'_> {
        Turn(&self.turn)
    }
}

impl Cell {
    #[inline(always)]
    pub(crate) fn words(&self) -> receipt::Cell<'_> {
        let Cell { word, owner, asleep, epoch } = self;
        receipt::Cell { word, owner, asleep, epoch }
    }
}

impl Control {
    #[inline(always)]
    pub(crate) fn admission(&self) -> Admission<'_> {
        Admission(&self.admission)
    }

    #[inline(always)]
    pub(crate) fn sleepers(&self, awaited: Awaited) -> Sleepers<'_> {
        Sleepers(&self.sleepers[awaited as usize].word)
    }

    #[inline(always)]
    pub(crate) fn fences(&self) -> Fences<'_> {
        Fences(&self.fences)
    }

    /// No ring for one sleeper is on its way: somebody has died who may have been to hear or to send it.
    pub(crate) fn recall_rings(&self) {
        for sleepers in &self.sleepers {
            Sleepers(&sleepers.word).recall();
        }
        at(Step::RingsRecalled);
    }

    /// Whoever changed the set of members says so.
    pub(crate) fn roster_changed(&self) {
        // Pairs with the load in `roster`.
        self.roster.word.fetch_add(1, Ordering::AcqRel);
        at(Step::RosterChanged);
    }

    pub(crate) fn roster(&self) -> u64 {
        // Pairs with the increment in `roster_changed`.
        self.roster.word.load(Ordering::Acquire)
    }
}
