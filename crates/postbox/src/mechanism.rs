//! What carries a channel's messages, and how many of them may wait.

use std::fmt;
use std::str::FromStr;

/// The kernel object that carries messages.
///
/// The contract is the same on all four; what differs is what each costs and which limits of the
/// machine it meets. The README has a measured table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Mechanism {
    /// A pipe in packet mode (`pipe2(O_DIRECT)`): one packet is one message.
    Pipe,
    /// A connected pair of `SOCK_SEQPACKET` Unix sockets.
    Socket,
    /// A POSIX message queue (`mq_open`), unlinked as soon as it exists.
    MessageQueue,
    /// A ring of slots in a sealed memfd that every member maps.
    SharedMemory,
}

impl Mechanism {
    /// All four, in the order in which the documentation treats them.
    pub const ALL: [Mechanism; 4] =
        [Mechanism::Pipe, Mechanism::Socket, Mechanism::MessageQueue, Mechanism::SharedMemory];

    /// The short name that programs use: `pipe`, `socket`, `mqueue` or `shm`.
    pub const fn name(self) -> &'static str {
        match self {
            Mechanism::Pipe => "pipe",
            Mechanism::Socket => "socket",
            Mechanism::MessageQueue => "mqueue",
            Mechanism::SharedMemory => "shm",
        }
    }

    pub(crate) const fn code(self) -> u64 {
        match self {
            Mechanism::Pipe => 1,
            Mechanism::Socket => 2,
            Mechanism::MessageQueue => 3,
            Mechanism::SharedMemory => 4,
        }
    }

    pub(crate) fn from_code(code: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|m| m.code() == code)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that is not one of `pipe`, `socket`, `mqueue`, `shm`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unknown mechanism '{0}': choose pipe, socket, mqueue or shm")]
pub struct UnknownMechanism(String);

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|m| m.name() == name)
            .ok_or_else(|| UnknownMechanism(name.to_owned()))
    }
}

/// How many messages may wait in a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capacity {
    /// Nothing waits: sender and receiver meet (rendezvous).
    Zero,
    /// Exactly this many messages wait, from 1 up.
    Bounded(u32),
    /// The sender never waits; the byte cap turns exhaustion into an error.
    Unbounded,
}

impl fmt::Display for Capacity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Capacity::Zero => f.pad("0"),
            Capacity::Bounded(n) => f.pad(&n.to_string()),
            Capacity::Unbounded => f.pad("unbounded"),
        }
    }
}

/// Text that is neither a number of messages nor `unbounded`.
#[derive(Debug, Clone, thiserror::Error)]
#[error("'{0}' is no capacity: give 0, a number of messages up to {max}, or unbounded", max = MAX_BOUNDED)]
pub struct InvalidCapacity(String);

/// The largest capacity that can be asked for: 2²⁰ messages.
pub const MAX_BOUNDED: u32 = 1 << 20;

impl FromStr for Capacity {
    type Err = InvalidCapacity;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "unbounded" => Ok(Capacity::Unbounded),
            _ => match text.parse::<u32>() {
                Ok(0) => Ok(Capacity::Zero),
                Ok(n) if n <= MAX_BOUNDED => Ok(Capacity::Bounded(n)),
                _ => Err(InvalidCapacity(text.to_owned())),
            },
        }
    }
}

/// What a waiting end does before it sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum WaitStrategy {
    /// Never sleeps: the shortest latency, at the price of a core.
    Spin,
    /// Spins while spinning has lately paid, lets others have the processor some times, then sleeps. It keeps
    /// the processor where others have only used it for themselves, or the wait ends within 8 ms.
    #[default]
    Adaptive,
    /// Never spins: lets others have the processor once, unless that has lately been in vain, then sleeps. It keeps
    /// the processor where the wait ends within 50 ms. Until it has found out that others compute there, a message or a
    /// cancel may have to wait for a turn of theirs, two or three times.
    Block,
}

/// How many ends a channel is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Form {
    /// Any number of senders and receivers. Over shared memory one that sends and one that receives nevertheless
    /// have the shorter way, until another does so while they are there.
    #[default]
    ManyToMany,
    /// One sender and one receiver at a time: shared memory then needs no read-modify-write
    /// instruction per message, nor a look for others. A clone of an end is refused.
    OneToOne,
}
