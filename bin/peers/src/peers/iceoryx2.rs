//! iceoryx2: publish and subscribe over shared memory, polled. `copied` copies into a loan and out of
//! a sample; `loaned` makes the message in the loan and reads it in the sample.

use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::*;
use iceoryx2::sample_mut::SampleMut;
use iceoryx2::sample_mut_uninit::SampleMutUninit;
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use nix::sys::statvfs::statvfs;
use postbox_peers::halves::{self, Ends, Invitation, Peer};
use postbox_peers::protocol::{Hello, Run};
use postbox_peers::serve::refuse_to_share_a_core;
use postbox_peers::work::{Receiving, Sending};
use postbox_peers::{Outcome, in_place};
use std::hint::spin_loop;
use std::mem::MaybeUninit;
use std::process::{self, ExitCode};

/// The subject that copies nothing.
const LOANED: &str = "loaned";
/// Where its memory is.
const MEMORY: &str = "/dev/shm";

struct Iceoryx2;

/// A publisher, and the node that it belongs to.
struct Tx {
    publisher: Publisher<ipc::Service, [u8], ()>,
    _node: Node<ipc::Service>,
    loans: bool,
}

/// A subscriber, and the node that it belongs to.
struct Rx {
    subscriber: Subscriber<ipc::Service, [u8], ()>,
    _node: Node<ipc::Service>,
    loans: bool,
}

impl Peer for Iceoryx2 {
    const HELLO: Hello = Hello { name: "iceoryx2", version: "0.10", subjects: &["copied", LOANED] };
    type Sender = Tx;
    type Receiver = Rx;
    type Prepared = Ends<Tx, Rx>;

    fn refuses(run: &Run) -> Option<String> {
        refuse_to_share_a_core(run).or_else(|| lacks_memory(run))
    }

    fn prepare(run: &Run) -> Outcome<(Self::Prepared, Invitation)> {
        set_log_level(LogLevel::Error);
        let words = format!("postbox-peer-{}", process::id());
        let rx = Some(receiver(run, &words, "back")?);
        let tx = run.there().then(|| sender(run, &words, "there")).transpose()?;
        Ok((Ends { tx, rx }, Invitation { words, ..Invitation::default() }))
    }

    fn near(ends: Self::Prepared, _run: &Run) -> Outcome<Ends<Tx, Rx>> {
        Ok(ends)
    }

    fn far(invitation: Invitation, run: &Run) -> Outcome<Ends<Tx, Rx>> {
        set_log_level(LogLevel::Error);
        let rx = run.there().then(|| receiver(run, &invitation.words, "there")).transpose()?;
        let tx = Some(sender(run, &invitation.words, "back")?);
        Ok(Ends { tx, rx })
    }
}

/// It would die of SIGBUS there.
fn lacks_memory(run: &Run) -> Option<String> {
    let free = statvfs(MEMORY).ok()?;
    let free = free.blocks_available() as u64 * free.fragment_size() as u64;
    let ways = if run.there() { 2 } else { 1 };
    // Those that wait, one that is written, one that is read, and some that it keeps for itself.
    let needed = (run.depth as u64 + 4) * run.payload as u64 * ways;
    let lacks = needed > free;
    lacks.then(|| format!("{MEMORY} has {} MiB free, of {} MiB", free >> 20, needed >> 20))
}

type Service = PortFactory<ipc::Service, [u8], ()>;
type Loan = SampleMutUninit<ipc::Service, [MaybeUninit<u8>], ()>;

fn service(run: &Run, words: &str, way: &str) -> Outcome<(Service, Node<ipc::Service>)> {
    let node = NodeBuilder::new().signal_handling_mode(SignalHandlingMode::Disabled).create()?;
    let service = node
        .service_builder(&format!("{words}/{way}").as_str().try_into()?)
        .publish_subscribe::<[u8]>()
        // Nothing is lost: whoever sends waits for room.
        .enable_safe_overflow(false)
        .subscriber_max_buffer_size(run.depth)
        .subscriber_max_borrowed_samples(1)
        .history_size(0)
        .max_publishers(1)
        .max_subscribers(1)
        .open_or_create()?;
    Ok((service, node))
}

fn sender(run: &Run, words: &str, way: &str) -> Outcome<Tx> {
    let (service, node) = service(run, words, way)?;
    let publisher = service
        .publisher_builder()
        .initial_max_slice_len(run.payload)
        .max_loaned_samples(1)
        .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
        .create()?;
    Ok(Tx { publisher, _node: node, loans: run.subject == LOANED })
}

fn receiver(run: &Run, words: &str, way: &str) -> Outcome<Rx> {
    let (service, node) = service(run, words, way)?;
    let subscriber = service.subscriber_builder().buffer_size(run.depth).create()?;
    Ok(Rx { subscriber, _node: node, loans: run.subject == LOANED })
}

impl Sending for Tx {
    #[inline]
    fn send(&mut self, message: &[u8]) -> Outcome<()> {
        loop {
            let loan = self.publisher.loan_slice_uninit(message.len())?;
            let sample =
                if self.loans { made(loan, message[0]) } else { loan.write_from_slice(message) };
            // Until the subscriber has noticed its publisher, what does not fit is dropped.
            match sample.send()? {
                0 => spin_loop(),
                _ => return Ok(()),
            }
        }
    }
}

/// The message, made in the loan.
#[inline]
#[allow(unsafe_code)]
fn made(mut loan: Loan, first: u8) -> SampleMut<ipc::Service, [u8], ()> {
    in_place::write(loan.payload_mut(), first);
    // SAFETY: all of its bytes have just been written.
    unsafe { loan.assume_init() }
}

impl Receiving for Rx {
    #[inline]
    fn receive(&mut self, buffer: &mut Vec<u8>) -> Outcome<()> {
        let sample = loop {
            match self.subscriber.receive()? {
                Some(sample) => break sample,
                None => spin_loop(),
            }
        };
        if self.loans {
            in_place::read(sample.payload(), buffer);
        } else {
            buffer.clear();
            buffer.extend_from_slice(sample.payload());
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    halves::main::<Iceoryx2>()
}
