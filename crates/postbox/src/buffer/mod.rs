//! The textbook's other model: shared memory as such, a bounded buffer with `in`, `out` and busy
//! waiting.
//!
//! ```text
//!   bytes           what                        written by
//!   0    .. 128     magic, sizes                the creator, once; checked by whoever attaches
//!   128  .. 256     in:  free slot to fill next the producer only, Release; read with Acquire
//!   256  .. 384     out: first full slot        the consumer only, Release; read with Acquire
//!   384  ..         buffer[BUFFER_SIZE]         the producer, from `in` up to the slot before `out`
//!
//!        out            in                      empty:  in == out
//!         ▼              ▼                      full:   (in + 1) % BUFFER_SIZE == out
//!   ┌───┬───┬───┬───┬───┬───┬───┐               so BUFFER_SIZE − 1 items at most: with one more,
//!   │   │ A │ B │ C │ D │   │   │               full would look like empty
//!   └───┴───┴───┴───┴───┴───┴───┘
//! ```
//!
//! The source is the bounded buffer of the producer-consumer problem in Silberschatz, Galvin and
//! Gagne, *Operating System Concepts*, "IPC in shared-memory systems". Added to it: the memory
//! ordering that the textbook leaves to the machine; a remembered copy of the other side's index,
//! which is read again only when it says full or empty, so that the cache line does not travel for
//! every item; and checks, because the other process may write anything. As each index is read anew
//! only when full or empty, every slot of the buffer is then a possible answer: being a slot is all
//! that there is to check.
//!
//! Reading order: [`layout`], [`producer`], [`consumer`], [`busy_wait`].

mod busy_wait;
mod consumer;
mod error;
mod layout;
mod producer;

pub use consumer::Consumer;
pub use error::{AttachError, CorruptBuffer, TryProduceError};
pub use producer::Producer;

use crate::error::{CreateError, Fault};
use bytemuck::Pod;
use layout::Memory;
use postbox_sys::{Errno, limits, memfd};
use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A bounded buffer in shared memory: one process creates it, others attach it, and what they do
/// with it is their own affair.
///
/// One producer and one consumer; items are copied as they lie in memory, so they are plain data,
/// [`Pod`](bytemuck::Pod): numbers, arrays of them, and structures without padding in which every
/// bit pattern is valid. With `BUFFER_SIZE` slots it holds `BUFFER_SIZE` − 1 items.
///
/// ```
/// use postbox::SharedBuffer;
/// use postbox::bytemuck::{Pod, Zeroable};
///
/// #[derive(Clone, Copy, Pod, Zeroable)]
/// #[bytemuck(crate = "postbox::bytemuck")]
/// #[repr(C)]
/// struct Reading {
///     sensor: u32,
///     value: f32,
/// }
///
/// let (mut producer, mut consumer) = SharedBuffer::<Reading>::create(3)?.split()?;
/// producer.produce(Reading { sensor: 1, value: 20.5 })?;
/// producer.produce(Reading { sensor: 2, value: 19.0 })?;
/// assert!(producer.try_produce(Reading { sensor: 3, value: 0.0 }).unwrap_err().is_full());
/// assert_eq!(consumer.consume()?.value, 20.5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Between processes
///
/// A child gets a side through [`fork`](crate::fork):
///
/// ```no_run
/// let (producer, mut consumer) = postbox::SharedBuffer::<u64>::create(1024)?.split()?;
/// let child = postbox::fork(producer, |mut producer| {
///     for n in 1..=10 {
///         producer.produce(n)?;
///     }
///     Ok(())
/// })?;
/// for n in 1..=10 {
///     assert_eq!(consumer.consume()?, n);
/// }
/// child.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A program gets the descriptor, and attaches it:
///
/// ```no_run
/// use postbox::{SharedBuffer, Spawn};
/// use std::os::fd::AsFd;
///
/// let buffer = SharedBuffer::<u64>::create(1024)?;
/// let same = buffer.as_fd().try_clone_to_owned()?;
/// let producer = Spawn::new("producer").pass_fd("numbers", same)?.spawn()?;
/// let consumer = Spawn::new("consumer").pass_fd("numbers", buffer)?.spawn()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// ```no_run
/// use postbox::{SharedBuffer, inherited_fd};
///
/// let numbers = SharedBuffer::<u64>::attach(inherited_fd("numbers")?)?;
/// let mut producer = numbers.into_producer()?;
/// producer.produce(7)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # What it does not give
///
/// The kernel sets the region up and knows nothing more of it, so neither side learns anything of
/// the other:
///
/// - **No end.** A consumer whose producer has finished or was killed waits for ever, and a producer
///   whose consumer has. Agree on a last item, use [`try_consume`](Consumer::try_consume) and
///   [`try_produce`](Producer::try_produce) and watch the process by other means, or use a
///   [`channel`](crate::channel()), which sees deaths.
/// - **No sleep.** Waiting is busy: it looks at the other side's index over and over, and keeps a
///   core at work for as long as it lasts. After some thousands of looks it calls
///   [`yield_now`](std::thread::yield_now) between two, so that on a machine with fewer free cores
///   than waiting processes the partner comes to run; that is busy waiting still.
/// - **No exclusion.** Nothing keeps two processes from producing at once; they would overwrite each
///   other's items. Nor is there a receipt, a sender's name, or a limit in time.
/// - **No trust needed.** A process that scribbles over the region can spoil the items and make
///   calls wait or return [`CorruptBuffer`], but no more than that.
pub struct SharedBuffer<T> {
    memory: Memory<T>,
    fd: OwnedFd,
}

impl<T: Pod> SharedBuffer<T> {
    /// Creates a region for an empty buffer of `buffer_size` slots, which holds one item less.
    ///
    /// All of its memory is taken at once, so that no item can find it short later.
    ///
    /// # Errors
    ///
    /// [`CreateError::Option`] for fewer than 2 slots, or more than `RLIMIT_FSIZE` or an address
    /// space allows; otherwise [`Fault::System`]: `EMFILE`, `ENFILE`, `ENOMEM`, `ENOSPC`.
    pub fn create(buffer_size: u32) -> Result<Self, CreateError> {
        let out_of_range = CreateError::Option {
            option: "the buffer size",
            value: buffer_size.into(),
            range: "2 to what memory and RLIMIT_FSIZE (ulimit -f) have room for",
        };
        let Some(length) = Memory::<T>::length(buffer_size) else { return Err(out_of_range) };
        let room = [limits::memory_available(), limits::cgroup_memory_max()];
        if room.into_iter().flatten().any(|room| length > room) {
            let errno = Errno::ENOMEM;
            return Err(Fault::System { call: "the buffer's memory", errno }.into());
        }
        let created = memfd::create_sealed("postbox-buffer", length).and_then(|fd| {
            memfd::allocate(&fd, 0..length)?;
            let region = memfd::map(&fd)?;
            Ok((fd, region))
        });
        let (fd, region) = match created {
            Ok(created) => created,
            Err(Errno::EFBIG) => return Err(out_of_range),
            Err(errno) => return Err(Fault::System { call: "the buffer's memory", errno }.into()),
        };
        let memory = Memory::format(region, buffer_size)
            .map_err(|_| Fault::Corrupt("somebody else wrote to memory that was just created"))?;
        Ok(SharedBuffer { memory, fd })
    }

    /// Attaches a buffer that another process created, by its descriptor.
    ///
    /// # Errors
    ///
    /// [`AttachError`] where it is no buffer, or one of items of another size.
    pub fn attach(fd: OwnedFd) -> Result<Self, AttachError> {
        let region = memfd::map(&fd).map_err(|errno| match errno {
            // Not a memory file, or one whose size is not fixed.
            Errno::EINVAL | Errno::EPERM => AttachError::Foreign,
            errno => AttachError::System(errno),
        })?;
        Ok(SharedBuffer { memory: Memory::open(region)?, fd })
    }

    /// How many slots it has: one more than it holds items.
    pub fn buffer_size(&self) -> u32 {
        self.memory.buffer_size()
    }

    /// Both sides, to be handed to two processes, or to one and oneself.
    ///
    /// # Errors
    ///
    /// [`CorruptBuffer`].
    pub fn split(self) -> Result<(Producer<T>, Consumer<T>), CorruptBuffer> {
        Ok((Producer::new(self.memory.clone())?, Consumer::new(self.memory)?))
    }

    /// The producer's side. It goes on where the producer before it stopped.
    ///
    /// # Errors
    ///
    /// [`CorruptBuffer`].
    pub fn into_producer(self) -> Result<Producer<T>, CorruptBuffer> {
        Producer::new(self.memory)
    }

    /// The consumer's side. It goes on where the consumer before it stopped.
    ///
    /// # Errors
    ///
    /// [`CorruptBuffer`].
    pub fn into_consumer(self) -> Result<Consumer<T>, CorruptBuffer> {
        Consumer::new(self.memory)
    }
}

impl<T> AsFd for SharedBuffer<T> {
    /// The region's descriptor, by which others attach.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl<T> From<SharedBuffer<T>> for OwnedFd {
    fn from(buffer: SharedBuffer<T>) -> OwnedFd {
        buffer.fd
    }
}

impl<T> fmt::Debug for SharedBuffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBuffer").field("fd", &self.fd).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
