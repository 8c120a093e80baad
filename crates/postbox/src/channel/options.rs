//! What a channel is created with.

use super::layout::{Config, log_for};
use super::lifetime::Lifetime;
use super::{Channel, End, LEAST_BYTE_CAP, Receiver, Role, Sender};
use crate::error::CreateError;
use crate::mechanism::{Capacity, Form, Mechanism, WaitStrategy};
use crate::message::Message;
use crate::policy::Policy;
use postbox_sys::limits;
use std::sync::Arc;

/// Bytes of the largest message unless asked otherwise: 64 MiB.
const DEFAULT_MAX_MESSAGE: usize = 64 << 20;
/// Bytes that may wait in shared memory unless asked otherwise: 256 MiB.
const DEFAULT_BYTE_CAP: u64 = 256 << 20;
/// Offers outstanding at a time in a rendezvous; further senders wait before they offer.
const ZERO_WINDOW: u32 = 64;

/// What a channel is to be; everything but the mechanism has a default.
///
/// ```
/// use postbox::{Bytes, Capacity, Mechanism, Options};
///
/// let (tx, rx) = Options::new(Mechanism::MessageQueue)
///     .capacity(Capacity::Bounded(3))
///     .max_message(1024)
///     .channel::<Bytes>()?;
/// for _ in 0..3 {
///     tx.try_send(b"job")?;
/// }
/// assert!(tx.try_send(b"job").unwrap_err().is_full());
/// assert_eq!(&**rx.receive()?, b"job");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Options {
    mechanism: Mechanism,
    capacity: Capacity,
    /// None unless somebody asked.
    max_message: Option<usize>,
    fixed_size: Option<usize>,
    byte_cap: Option<u64>,
    form: Form,
    wait: WaitStrategy,
}

impl Default for Options {
    fn default() -> Self {
        Options::new(Mechanism::SharedMemory)
    }
}

impl Options {
    /// Over that mechanism: `Bounded(64)`, messages up to 64 MiB, `Adaptive` waiting.
    pub fn new(mechanism: Mechanism) -> Self {
        Options {
            mechanism,
            capacity: Capacity::Bounded(64),
            max_message: None,
            fixed_size: None,
            byte_cap: None,
            form: Form::default(),
            wait: WaitStrategy::default(),
        }
    }

    /// How many messages may wait.
    pub fn capacity(mut self, capacity: Capacity) -> Self {
        self.capacity = capacity;
        self
    }

    /// Bytes of the largest message, up to 1 GiB. The [byte cap](Self::byte_cap) is as large as one such message
    /// needs, unless it is set, too.
    ///
    /// Over shared memory a message that lies in its slot passes in fewer steps than one whose body lies
    /// beside the ring. With a limit of up to 4 KiB each does; with one of up to 16 KiB too, if all slots together take
    /// no more than 4 MiB and an eighth of the [byte cap](Self::byte_cap). Elsewhere messages of up to a KiB
    /// do, and fewer the more slots there are, down to those of 104 bytes. A ring that has been gone through once
    /// occupies what all its slots occupy.
    pub fn max_message(mut self, bytes: usize) -> Self {
        self.max_message = Some(bytes);
        self
    }

    /// Every message has exactly this many bytes. The [byte cap](Self::byte_cap) is as with
    /// [`max_message`](Self::max_message).
    pub fn fixed_size(mut self, bytes: usize) -> Self {
        self.fixed_size = Some(bytes);
        self.max_message = Some(bytes);
        self
    }

    /// Bytes that waiting messages may take in shared memory: bodies larger than an entry, and
    /// likewise the overflow. 256 MiB unless asked otherwise, or a quarter of what the process's
    /// memory control group allows if that is less; but where [`max_message`](Self::max_message) or
    /// [`fixed_size`](Self::fixed_size) was asked for, no less than one such message needs. Rounded up to a
    /// power of two. Memory is taken when it is used. A bounded channel is full, too, when its
    /// messages take up the cap.
    ///
    /// A cap that is set here stays as it is: messages that never fit it are
    /// [`TooLarge`](crate::SendError::TooLarge).
    pub fn byte_cap(mut self, bytes: u64) -> Self {
        self.byte_cap = Some(bytes);
        self
    }

    /// How many ends the channel is built for.
    pub fn form(mut self, form: Form) -> Self {
        self.form = form;
        self
    }

    /// What the two ends do before they sleep.
    pub fn wait_strategy(mut self, wait: WaitStrategy) -> Self {
        self.wait = wait;
        self
    }

    pub(crate) fn config(&self) -> Config {
        self.config_within(limits::cgroup_memory_max())
    }

    /// In a control group of so much memory, if there is one.
    fn config_within(&self, group: Option<u64>) -> Config {
        let group = group.map_or(u64::MAX, |bytes| bytes / 4);
        let usual = DEFAULT_BYTE_CAP.min(group).max(LEAST_BYTE_CAP);
        // What nobody has asked for gives way to the control group.
        let needed = self.fixed_size.or(self.max_message).map_or(0, log_for);
        Config {
            mechanism: self.mechanism,
            capacity: self.capacity,
            max_message: self.max_message.unwrap_or(DEFAULT_MAX_MESSAGE),
            fixed_size: self.fixed_size,
            byte_cap: self.byte_cap.unwrap_or(usual.max(needed)),
            form: self.form,
            entry_limit: 4096,
            zero_window: ZERO_WINDOW,
            packs: false,
            lifetime: Lifetime::Ends,
            policy: Policy::Any,
            name: None,
        }
    }

    /// What ends of the channel do before they sleep.
    #[allow(dead_code, reason = "for mailboxes and links")]
    pub(crate) fn strategy(&self) -> WaitStrategy {
        self.wait
    }

    /// Creates the channel, between this process and those that the ends are passed to.
    ///
    /// # Errors
    ///
    /// An option outside its range, or what the machine refuses: descriptors (`EMFILE`), queue
    /// quota (`mq_open`: `EMFILE`), file size (`EFBIG`), memory (`ENOMEM`). Where a smaller kernel
    /// object or spool still keeps the contract, it is used instead.
    pub fn channel<T: Message>(&self) -> Result<(Sender<T>, Receiver<T>), CreateError> {
        let channel = Arc::new(Channel::create(Config { packs: true, ..self.config() })?);
        let sender = End::join(channel.clone(), Role::Sender, self.wait)?;
        let receiver = End::join(channel, Role::Receiver, self.wait)?;
        Ok((Sender::new(sender), Receiver::new(receiver)))
    }
}

/// A channel over `mechanism` with that capacity; [`Options`] sets the rest.
///
/// ```
/// use postbox::{Capacity, Mechanism};
///
/// let (tx, rx) = postbox::channel::<(u32, String)>(Mechanism::Pipe, Capacity::Bounded(64))?;
/// tx.send(&(1, "first".into()))?;
/// assert_eq!(*rx.receive()?, (1, "first".to_string()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// As [`Options::channel`].
pub fn channel<T: Message>(
    mechanism: Mechanism,
    capacity: Capacity,
) -> Result<(Sender<T>, Receiver<T>), CreateError> {
    Options::new(mechanism).capacity(capacity).channel()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SendError;
    use crate::message::Bytes;

    const MIB: usize = 1 << 20;
    const CAP: u64 = DEFAULT_BYTE_CAP;

    fn options() -> Options {
        Options::new(Mechanism::SharedMemory)
    }

    #[test]
    fn the_byte_cap_lets_the_largest_message_through_that_was_asked_for() {
        let cap = |options: Options| options.config_within(None).byte_cap;
        assert_eq!(cap(options()), CAP);
        assert_eq!(cap(options().max_message(100 * MIB)), CAP);
        // One unit of a log is never used.
        assert_eq!(cap(options().max_message(256 * MIB - 64)), CAP);
        for bytes in [256 * MIB - 63, 300 * MIB] {
            assert_eq!(cap(options().max_message(bytes)), 2 * CAP);
            assert_eq!(cap(options().fixed_size(bytes)), 2 * CAP);
            assert_eq!(cap(options().fixed_size(bytes).max_message(1)), 2 * CAP);
            assert_eq!(cap(options().max_message(bytes).byte_cap(CAP)), CAP);
            assert_eq!(cap(options().byte_cap(CAP).max_message(bytes)), CAP);
        }
        // The largest of all is allowed; what is beyond it is refused as what it is.
        options().max_message(1 << 30).config_within(None).check().unwrap();
        let beyond = options().max_message(usize::MAX).config_within(None).check().unwrap_err();
        assert!(beyond.to_string().contains("max_message"), "{beyond}");
    }

    #[test]
    fn in_a_small_control_group_only_what_was_asked_for_raises_the_byte_cap() {
        let cap = |options: Options| options.config_within(Some(64 << 20)).byte_cap;
        assert_eq!(cap(options()), 16 << 20);
        assert_eq!(cap(options().max_message(MIB)), 16 << 20);
        assert_eq!(cap(options().max_message(20 * MIB)), 32 << 20);
        assert_eq!(cap(options().max_message(20 * MIB).byte_cap(16 << 20)), 16 << 20);
        assert_eq!(options().config_within(Some(1 << 10)).byte_cap, 1 << 16);
    }

    #[test]
    fn a_message_as_large_as_was_asked_for_passes() {
        const BYTES: usize = 300 * MIB;
        // Written and read nowhere: it takes room, and hardly any memory.
        let (mut tx, mut rx) = options().max_message(BYTES).channel::<Bytes>().unwrap();
        tx.try_loan(BYTES).unwrap().try_send().unwrap();
        assert_eq!(rx.try_receive_in_place().unwrap().unwrap().len(), BYTES);
        let least = options().max_message(BYTES).byte_cap(CAP);
        let (mut tx, _rx) = least.channel::<Bytes>().unwrap();
        let never = tx.loan(BYTES).unwrap_err();
        assert!(matches!(never, SendError::TooLarge(_)), "{never}");
    }
}
