//! Message passing between Unix processes, with one exact contract over four mechanisms: pipes,
//! Unix sockets, POSIX message queues and shared memory.
//!
//! A [`channel`](channel()) is a queue of whole messages. Its ends, [`Sender`] and [`Receiver`], are
//! passed to other processes by [`fork`] or [`Spawn`]; or processes find each other by
//! [name](#names-processes-that-share-nothing-but-the-machine), or meet at a
//! [mailbox](#mailboxes). From then on sender and receiver touch the kernel object, or the shared
//! memory, directly: nobody stands in between. What a call means does
//! not depend on the [`Mechanism`]; what it costs does.
//!
//! ```no_run
//! use postbox::{Capacity, Mechanism};
//!
//! let (tx, rx) = postbox::channel::<(u32, String)>(Mechanism::Pipe, Capacity::Bounded(64))?;
//! let child = postbox::fork(tx, |tx| {
//!     for n in 0..3 {
//!         tx.send(&(n, format!("line {n}")))?;
//!     }
//!     Ok(())
//! })?;
//! for message in &rx {
//!     let message = message?;
//!     println!("{}: {} from {}", message.0, message.1, message.sender());
//! }
//! child.wait()?; // an error unless the child ended with status 0
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Capacity
//!
//! [`Capacity`] says how many messages wait in the channel, and is kept to the message whatever the
//! kernel object holds by itself. With `Bounded(n)` and nobody receiving, exactly `n` messages go in;
//! each one that is received makes room for exactly one. What a POSIX queue of ten messages cannot
//! hold waits in shared memory beside it, in order, and [`Statistics::spilled`] counts it.
//!
//! ```
//! use postbox::{Bytes, Capacity, Mechanism};
//!
//! let (tx, rx) = postbox::channel::<Bytes>(Mechanism::MessageQueue, Capacity::Bounded(100))?;
//! for _ in 0..100 {
//!     tx.try_send(b"job")?;
//! }
//! assert!(tx.try_send(b"one too many").unwrap_err().is_full());
//! rx.receive()?;
//! tx.try_send(b"room for one")?;
//! assert_eq!((tx.len(), tx.capacity()), (100, Capacity::Bounded(100)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `Unbounded` never makes a sender wait. Memory has an end all the same: at the
//! [byte cap](Options::byte_cap) a send returns [`SendError::ByteCap`], and nothing is lost. The cap
//! also bounds what *large* messages may take in a bounded channel: where their bytes do not fit, it
//! is full before it holds `n` of them. A message counts as large when it does not fit an entry of
//! the mechanism; see [`Options::max_message`].
//!
//! # Synchrony
//!
//! Sending has three degrees, receiving two:
//!
//! | call | returns when |
//! | --- | --- |
//! | [`try_send`](Sender::try_send) | at once; [`Full`](TrySendError::Full): nothing was sent |
//! | [`send`](Sender::send) | the channel holds the message |
//! | [`deliver`](Sender::deliver) | a receiver has taken it; the [`Receipt`] says who |
//! | [`try_receive`](Receiver::try_receive) | at once, with a message or `None` |
//! | [`receive`](Receiver::receive) | there is a message |
//!
//! A `deliver` that fails is exact. One compare-and-swap decides whether a message was taken or
//! withdrawn, before the receiving application sees a byte of it: after a timeout no application has
//! seen it or ever will, so sending it again cannot double it. Its room comes back at once.
//!
//! With capacity `Zero` nothing waits and the two sides meet: `send` means `deliver`, `try_send`
//! succeeds only while a receiver is inside a waiting call, and `try_receive` takes the offer of a
//! sender that waits.
//!
//! ```
//! use postbox::{Capacity, Mechanism};
//!
//! let (tx, rx) = postbox::channel::<u32>(Mechanism::Socket, Capacity::Zero)?;
//! assert!(tx.try_send(&6).unwrap_err().is_full()); // nobody waits for it
//!
//! let receiver = std::thread::spawn(move || rx.receive().map(|n| *n));
//! let receipt = tx.deliver(&7)?;
//! assert_eq!(receipt.receiver().pid(), std::process::id());
//! assert_eq!(receiver.join().unwrap()?, 7);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Waiting
//!
//! `send`, `deliver` and `receive` wait for as long as it takes; their `_with` forms take a [`Wait`]:
//! a deadline on the monotonic clock, a [`Cancel`], or both. A deadline is never early, and a signal
//! alone never ends a wait. [`Cancel::fire`] is async-signal-safe; nothing here installs a signal
//! handler.
//!
//! ```
//! use postbox::{Bytes, Cancel, Capacity, Mechanism, Wait};
//! use std::time::Duration;
//!
//! let (_tx, rx) = postbox::channel::<Bytes>(Mechanism::Pipe, Capacity::Bounded(1))?;
//! let late = rx.receive_with(&Wait::timeout(Duration::from_millis(5)));
//! assert!(late.unwrap_err().is_timeout());
//!
//! let cancel = Cancel::new()?;
//! cancel.fire();
//! let cancelled = rx.receive_with(&Wait::forever().cancelled_by(&cancel));
//! assert!(cancelled.unwrap_err().is_cancelled());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What an end does before it sleeps is its channel's [`WaitStrategy`]: `Adaptive` (spin while that
//! has lately paid, let others have the processor while that pays, then sleep), `Block` (never spin,
//! let others have the processor once, then sleep) or `Spin` (never sleep). A sleeping end costs no processor time, and a message wakes one of
//! the sleeping receivers. For an event loop of your own, [`Receiver::pollable`] gives a descriptor
//! that is readable while a receive could return something.
//!
//! # Sharing
//!
//! Ends are `Send` and `Clone`, not `Sync`: each thread, and each process, has its own. A message is
//! taken by exactly one receiver, once; those that wait take turns. The messages of one
//! sender stay in order for any one receiver.
//!
//! ```
//! use postbox::{Capacity, Mechanism, ReceiveError};
//!
//! let (tx, rx) = postbox::channel::<u32>(Mechanism::SharedMemory, Capacity::Bounded(8))?;
//! let workers = [rx.clone(), rx].map(|rx| {
//!     std::thread::spawn(move || rx.iter().map(|n| n.map(|n| *n)).sum::<Result<u32, ReceiveError>>())
//! });
//! let more = tx.clone();
//! (1..=50).try_for_each(|n| tx.send(&n))?;
//! (51..=100).try_for_each(|n| more.send(&n))?;
//! drop((tx, more)); // the workers drain what is left and end
//! let mut total = 0;
//! for worker in workers {
//!     total += worker.join().unwrap()?;
//! }
//! assert_eq!(total, 5050);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Where there is one sender and one receiver, [`Form::OneToOne`] says so at creation: shared memory
//! then needs no read-modify-write instruction per message.
//!
//! # Ends, and deaths
//!
//! When the last sender is gone, receivers drain what is left and then get
//! [`Disconnected`](ReceiveError::Disconnected); when the last receiver is gone, senders get it. An
//! end goes when it is dropped, or with its process, SIGKILL included: members watch each other by
//! pidfd, so a call that waits learns of a death within milliseconds, and an end that only ever tries
//! looks round every 50 ms. A process that merely inherited descriptors by a plain `fork` is no member
//! and keeps nothing alive.
//!
//! A member may be killed between any two instructions. The others go on; nothing is doubled;
//! nothing is lost but what a dead receiver had taken; and the room that the dead held comes back, at
//! the latest once the older messages have been taken.
//!
//! ```
//! use postbox::{Bytes, Capacity, Mechanism};
//!
//! let (tx, rx) = postbox::channel::<Bytes>(Mechanism::Socket, Capacity::Bounded(4))?;
//! tx.send(b"last words")?;
//! drop(tx);
//! assert_eq!(&**rx.receive()?, b"last words");
//! assert!(rx.receive().unwrap_err().is_disconnected());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Processes
//!
//! [`fork`] runs a closure in a child with the ends that are moved into it. All other ends that the
//! child inherited answer [`Fault::NotPassed`] there, and dropping them does nothing. `fork` works
//! from a process without other threads (the `ctrlc` crate's apart); with threads, start a program
//! with [`Spawn`] and let it pick the ends up by name with [`inherited`]. A [`Child`] is never left
//! behind: wait for it, or it is ended and reaped when dropped; a [`Group`] does that for several.
//!
//! ```no_run
//! use postbox::{Capacity, Group, Mechanism, Receiver, Spawn};
//!
//! let (tx, rx) = postbox::channel::<u64>(Mechanism::MessageQueue, Capacity::Bounded(8))?;
//! let mut group = Group::new();
//! group.fork(tx, |tx| (1..=10).try_for_each(|n| tx.send(&n)).map_err(Into::into))?;
//! group.spawn(Spawn::new("./adder").pass("numbers", rx)?)?;
//! group.wait()?;
//!
//! // in ./adder
//! let numbers: Receiver<u64> = postbox::inherited("numbers")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Messages
//!
//! Any serde type is a [`Message`], in postcard's format; both sides must mean the same type, since
//! the bytes do not name it. `send` borrows, so after an error the caller still has the message. The
//! raw face is [`Bytes`]: `send(&[u8])` and [`receive_into`](Receiver::receive_into) a buffer of the
//! caller's, without an allocation per message. Lengths from 0 to
//! [`max_message`](Options::max_message) go over every mechanism; anything over it is refused before
//! a byte is sent.
//!
//! ```
//! use postbox::{Bytes, Mechanism, Options};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, PartialEq, Debug)]
//! enum Job {
//!     Resize { width: u32, height: u32 },
//!     Quit,
//! }
//!
//! let (tx, rx) = Options::new(Mechanism::Socket).max_message(1024).channel::<Job>()?;
//! tx.send(&Job::Resize { width: 640, height: 480 })?;
//! let job = rx.receive()?; // a Delivery: derefs to the message, and knows its sender
//! assert_eq!(*job, Job::Resize { width: 640, height: 480 });
//! assert_eq!(job.sender().pid(), std::process::id());
//!
//! let (tx, rx) = Options::default().max_message(16).channel::<Bytes>()?;
//! let mut buffer = Vec::with_capacity(16);
//! tx.send(b"raw")?;
//! rx.receive_into(&mut buffer)?;
//! assert_eq!(buffer, b"raw");
//! assert!(tx.send(&[0; 17]).is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # In place
//!
//! A long message need not be copied into the channel and out of it. A [`Loan`] is room that is written
//! where it will be read, and an [`InPlace`] a message that is read where it was written, on every
//! mechanism: what does not fit an entry lies in the channel's shared memory anyway. A short message lies in
//! its slot where one sender and one receiver share memory ([`Form::OneToOne`]); elsewhere it is copied, which
//! costs less than to keep its place. Nothing else of the contract changes: a loan counts
//! once it is sent, a message in place counts no more once it is received, and if their holder dies the
//! bytes come back.
//!
//! ```
//! use postbox::{Bytes, Capacity, Mechanism};
//! use std::io::Write;
//!
//! let (mut tx, mut rx) = postbox::channel::<Bytes>(Mechanism::SharedMemory, Capacity::Bounded(4))?;
//! let mut loan = tx.loan(1 << 20)?;
//! let mut rest = loan.bytes_mut();
//! write!(rest, "frame {}", 7)?; // as to a `&mut [u8]`: what is written is no longer in `rest`
//! let written = (1 << 20) - rest.len();
//! loan.truncate(written);
//! loan.send()?;
//!
//! let message = rx.receive_in_place()?;
//! assert_eq!(message.bytes().to_vec(), b"frame 7");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The bytes are a [`SharedSliceMut`] and a [`SharedSlice`], not a `&mut [u8]` and a `&[u8]`: those would
//! promise the compiler that nobody else writes there, which is the other members' to keep. Reading and
//! writing eight of them is one load or store all the same. Who trusts the members has the plain slices by
//! one line of `unsafe`.
//!
//! # Names: processes that share nothing but the machine
//!
//! A [`Domain`] is a namespace. A process joins it under a name and sends to others by theirs; the
//! link between two processes makes itself on first use, and there is exactly one per pair.
//! [`Process::receive`] takes from anyone and says who it was, as the kernel tells it;
//! [`Process::receive_from`] takes from one partner alone. A [`Monitor`] tells when a partner dies.
//!
//! ```no_run
//! use postbox::{Domain, Wait};
//! use std::time::Duration;
//!
//! let me = Domain::open("lab")?.join("sensor")?;
//! me.send("logger", &20.5)?;
//! let order = me.receive::<String>()?;
//! println!("{:?} says {}", order.sender().name(), *order);
//! let soon = Wait::timeout(Duration::from_secs(1));
//! let ack = me.receive_from_with::<bool>("logger", &soon)?;
//! # let _ = ack;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A name is held by a record lock, so it ends with its process: a restart after SIGKILL has it at
//! once, a live name cannot be taken, and a child of a plain `fork` holds nothing.
//!
//! # Mailboxes
//!
//! A [`Mailbox`] is a channel with a name, an owner, rights and a [`Policy`]. The owner's absence ends
//! it, nobody else's does: receivers wait for the next sender, senders fill the queue. Who may
//! receive is said at creation ([`Access`]); the owner grants, revokes, and passes the mailbox on, with
//! what waits in it. One that should outlive its users belongs to a [`Keeper`].
//!
//! ```no_run
//! use postbox::{Access, Domain, MailboxOptions, Mechanism, Policy};
//!
//! let me = Domain::open("lab")?.join("boss")?;
//! let options = MailboxOptions::new(Mechanism::MessageQueue)
//!     .policy(Policy::OneAtATime)
//!     .receivers(Access::Members);
//! let jobs = me.create_mailbox::<u64>("jobs", options)?;
//! jobs.send(&7)?;
//! let receipt = jobs.deliver(&8)?;
//! println!("{} took it", receipt.receiver());
//! jobs.transfer_to("deputy")?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Links and mailboxes hand out the same [`Sender`] and [`Receiver`] as [`channel`](channel()); all that
//! is said of those holds. [`Select`] waits on several receivers at once, of whatever origin.
//!
//! # The other model: shared memory
//!
//! [`SharedBuffer`] is the textbook's bounded buffer: a region that one process creates and others
//! attach, with `in`, `out` and busy waiting. It has no receipts, no ends and no sleep; what its two
//! processes do with it is their own affair.
//!
//! ```
//! let (mut producer, mut consumer) = postbox::SharedBuffer::<u64>::create(4)?.split()?;
//! for n in 0..3 {
//!     producer.produce(n)?; // BUFFER_SIZE - 1 items fit
//! }
//! assert!(producer.try_produce(3).unwrap_err().is_full());
//! assert_eq!(consumer.consume()?, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Trust
//!
//! Whoever is given an end can write to everything of its channel: the members of a channel trust
//! each other to keep its contract. They need not trust each other with more. Every word and byte
//! that comes out of shared memory or a kernel object is read once and checked before use; what makes
//! no sense is [`Fault::Corrupt`], or a [`DecodeError`], in the channel concerned. The sender's pid in
//! a [`Delivery`] and the taker's in a [`Receipt`] are what that member wrote; on a link the sender is
//! the partner, as the kernel told it. What a right to a mailbox is worth against whom is in
//! `docs/security.md`. This crate forbids
//! unsafe code; what needs it is in `postbox-ring` and `postbox-sys`, each use with its reason.
//!
//! # Errors
//!
//! Each operation has a small error type of its own, `'static`, `Send` and `Sync`. It says what
//! happened and, where a limit of the machine was met, which one and what to do about it; the errno
//! stays as its [source](std::error::Error::source). What is wrong with the process, the machine or
//! another member rather than with the call is a [`Fault`].
//!
//! ```
//! use postbox::{Capacity, CreateError, Mechanism};
//!
//! let refused = postbox::channel::<u8>(Mechanism::Pipe, Capacity::Bounded(u32::MAX)).unwrap_err();
//! assert!(matches!(refused, CreateError::Option { option: "capacity", .. }));
//! ```

#![forbid(unsafe_code)]

mod bounded;
mod buffer;
mod channel;
mod denied;
mod direct;
mod domain;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod indirect;
mod joining;
mod mechanism;
mod message;
mod name;
mod peer;
mod policy;
mod process;
mod queue;
mod remedy;
mod select;
mod wait;
mod words;

pub use buffer::{AttachError, Consumer, CorruptBuffer, Producer, SharedBuffer, TryProduceError};
pub use bytemuck;
#[cfg(feature = "armed-steps")]
#[doc(hidden)]
pub use channel::Inspection;
pub use channel::{
    Batch, Delivery, InPlace, Iter, Loan, Options, Pollable, Receipt, Receiver, Sender, Statistics,
    channel,
};
pub use denied::{Denied, Right};
pub use direct::{
    Absence, Departed, DirectError, Direction, JoinError, JoinOptions, LinkError, LinkInfo,
    LinkOptions, Monitor, Process,
};
/// For `postbox doctor`, which tells what is left of processes that were killed.
#[doc(hidden)]
pub use domain::temporary_user;
pub use domain::{Domain, DomainError, DomainOptions, GroupName, MailboxEntry, ProcessEntry};
pub use error::{
    CreateError, DecodeError, DeliverError, EncodeError, Fault, ReceiveError, SendBatchError,
    SendError, TooLarge, TrySendError,
};
pub use indirect::{
    Access, Existing, Grant, InvalidAccess, Keeper, KeeperError, Mailbox, MailboxAdmin,
    MailboxError, MailboxOptions, MailboxOwner, MailboxStatus, Opening, Ownership, Rights,
    WhenIdle,
};
pub use mechanism::{
    Capacity, Form, InvalidCapacity, MAX_BOUNDED, Mechanism, UnknownMechanism, WaitStrategy,
};
pub use message::{Bytes, Message};
pub use name::{InvalidName, Name};
pub use peer::Peer;
pub use policy::{Policy, UnknownPolicy};
pub use postbox_ring::{OutOfBounds, SharedSlice, SharedSliceMut};
pub use process::{
    Child, ChildError, Ends, ForkError, Group, GroupError, InheritError, Spawn, SpawnError, fork,
    inherited, inherited_fd,
};
pub use select::{Readiness, Select, SelectError};
pub use wait::{Cancel, Wait};

/// The README's examples are compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
