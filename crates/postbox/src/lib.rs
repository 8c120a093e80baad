//! Message passing between Unix processes.

#![forbid(unsafe_code)]

mod buffer;
mod channel;
mod error;
mod mechanism;
mod message;
mod peer;
mod process;
mod queue;
mod wait;

pub use buffer::{AttachError, Consumer, CorruptBuffer, Producer, SharedBuffer, TryProduceError};
pub use bytemuck;
pub use channel::{
    Delivery, Iter, Options, Pollable, Receipt, Receiver, Sender, Statistics, channel,
};
pub use error::{
    CreateError, DecodeError, DeliverError, EncodeError, Fault, ReceiveError, SendBatchError,
    SendError, TooLarge, TrySendError,
};
pub use mechanism::{
    Capacity, Form, InvalidCapacity, MAX_BOUNDED, Mechanism, UnknownMechanism, WaitStrategy,
};
pub use message::{Bytes, Message};
pub use peer::Peer;
pub use process::{
    Child, ChildError, Ends, ForkError, Group, GroupError, InheritError, Spawn, SpawnError, fork,
    inherited, inherited_fd,
};
pub use wait::{Cancel, Wait};
