//! What only mailboxes have, in real processes: this test program started again as a partner; and what a channel's
//! two ends share.

mod hostile;
mod lifetimes;
mod meetings;
mod narrow;
mod offers;
mod pairs;
mod partner;
mod policies;

use super::{Channel, End, Lifetime, Options, Receiver, Role, Sender};
use crate::mechanism::{Capacity, Mechanism, WaitStrategy};
use crate::name::Name;
use crate::policy::Policy;
use crate::process::Identity;
use crate::wait::Wait;
use partner::Partner;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// For what must happen, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

fn soon() -> Wait<'static> {
    Wait::timeout(PATIENCE)
}

/// A mailbox named `box` that this process owns.
fn mailbox(mechanism: Mechanism, capacity: Capacity, policy: Policy) -> Arc<Channel> {
    let options = Options::new(mechanism).capacity(capacity).byte_cap(1 << 16);
    let mut config = options.config();
    config.lifetime = Lifetime::Owned;
    config.policy = policy;
    config.name = Some(name("box"));
    let channel = Channel::create(config).unwrap();
    channel.set_owner(Identity::own());
    Arc::new(channel)
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn join(channel: &Arc<Channel>, role: Role, text: &str) -> End {
    End::join_as(channel.clone(), role, WaitStrategy::Block, Some(&name(text))).unwrap()
}

fn sender(channel: &Arc<Channel>, text: &str) -> Sender<u64> {
    Sender::new(join(channel, Role::Sender, text))
}

fn receiver(channel: &Arc<Channel>, text: &str) -> Receiver<u64> {
    Receiver::new(join(channel, Role::Receiver, text))
}

/// Repeats a look until it shows what must come.
fn until(what: &str, mut look: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !look() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::yield_now();
    }
}

/// Waits until ends of the channel have gone to sleep that often in all.
fn until_asleep(channel: &Channel, times: u64) {
    until("a sleep", || channel.statistics().waits >= times);
}

const CAPACITIES: [Capacity; 3] = [Capacity::Zero, Capacity::Bounded(2), Capacity::Unbounded];

fn over_all(test: impl Fn(Mechanism, Capacity)) {
    for mechanism in Mechanism::ALL {
        for capacity in CAPACITIES {
            test(mechanism, capacity);
        }
    }
}
