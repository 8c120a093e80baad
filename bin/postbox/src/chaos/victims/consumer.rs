//! A victim that receives, in every form.

use super::ends::Inlet;
use super::{Cast, Desk, Order, choose, is_the_end};
use crate::chaos::naming::{Naming, Outcome};
use crate::chaos::note::{BATCH, BURST, Call, Got, Note, Received, Receiving, Refusal};
use postbox::Wait;
use postbox_sys::clock;
use std::thread;
use std::time::Duration;

/// The calls on an end, and how often each is chosen.
const CALLS: [(Call, u32); 5] = [
    (Call::Receive, 8),
    (Call::ReceiveWith, 4),
    (Call::TryReceive, 2),
    (Call::ReceiveBatch, 2),
    (Call::TryReceiveBatch, 1),
];
/// The calls by name.
const DIRECT_CALLS: [(Call, u32); 4] =
    [(Call::Receive, 8), (Call::ReceiveWith, 4), (Call::TryReceive, 2), (Call::ReceiveFrom, 3)];
/// Once in so many calls it is slow, so that the channel fills.
const SELDOM: u32 = 1000;

/// Receives until it is killed, or told that there is no use.
pub fn run(cast: &Cast, desk: &mut Desk) -> Outcome<()> {
    let mut inlet = Inlet::open(cast)?;
    let mut rng = fastrand::Rng::with_seed(cast.seed);
    desk.say(&Note::Ready)?;
    loop {
        let direct = cast.way.naming == Naming::Direct;
        let call = match cast.way.naming == Naming::Pair && rng.bool() {
            true => Call::ReceiveBurst,
            false => choose(&mut rng, if direct { &DIRECT_CALLS } else { &CALLS }),
        };
        let from = (call == Call::ReceiveFrom).then(|| rng.u8(..cast.partners));
        let most = match call {
            Call::ReceiveBatch | Call::TryReceiveBatch => rng.usize(2..=BATCH),
            Call::ReceiveBurst => rng.usize(2..=BURST),
            _ => 1,
        };
        let patience = Duration::from_micros(rng.u64(..5000));
        inlet.choose(&mut rng, desk)?;
        let (got, refusal) = receive(&inlet, desk, call, from, most, patience)?;
        if got.contains(&Got::Probe) && rest(&inlet, desk)? || is_the_end(refusal, cast.way.naming)
        {
            return desk.say(&Note::Resting);
        }
        let slow = rng.u32(..SELDOM) == 0;
        if slow || refusal == Some(Refusal::Absent) {
            desk.flush()?;
            thread::sleep(patience);
        }
    }
}

fn receive(
    inlet: &Inlet,
    desk: &mut Desk,
    call: Call,
    from: Option<u8>,
    most: usize,
    patience: Duration,
) -> Outcome<(Vec<Got>, Option<Refusal>)> {
    let asked = most as u8;
    desk.say(&Note::Receiving(Receiving { at: clock::now(), call, most: asked, from }))?;
    let (got, refusal) = inlet.receive(call, from, most, &Wait::timeout(patience))?;
    desk.note(&Note::Received(Received { at: clock::now(), got: got.clone(), refusal }))?;
    Ok((got, refusal))
}

/// Takes what is left and rests until it is to go on; true if the ledger is gone.
fn rest(inlet: &Inlet, desk: &mut Desk) -> Outcome<bool> {
    loop {
        let (got, _) = receive(inlet, desk, Call::TryReceive, None, 1, Duration::ZERO)?;
        if got.is_empty() {
            break;
        }
    }
    desk.say(&Note::Resting)?;
    loop {
        match desk.next_order()? {
            Some(Order::Go) => return Ok(false),
            Some(_) => {}
            None => return Ok(true),
        }
    }
}
