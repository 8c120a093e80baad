//! Messages that are written and read where they lie.

use nix::unistd::getppid;
use postbox::{
    Bytes, Capacity, Form, InPlace, Loan, Mechanism, Options, Receiver, SendError, Sender,
    TrySendError, Wait, fork,
};
use postbox_tests::{
    CAPACITIES, Case, Chance, Gate, Outcome, across, across_capacities, bystander, connect, holder,
    over, over_capacities, own_thread, soon, until_asleep, until_stopped,
};
use std::collections::VecDeque;
use std::io::Write;
use std::thread;
use std::time::Duration;

pub fn cases() -> Vec<Case> {
    [
        over_capacities(
            "every length is written in a loan and read in place whole",
            &SOME,
            every_length,
        ),
        over_capacities(
            "what is made shorter arrives as it was written, in entries of a page",
            &SOME,
            made_shorter,
        ),
        over("a message in place stays as it is while others pass", stays),
        across_capacities(
            "loans, in place and plain calls share one order and one capacity",
            &CAPACITIES,
            walk_agrees_with_a_queue,
        ),
        over_capacities(
            "exactly n messages go in beside loans and messages in place",
            &[Capacity::Bounded(1), Capacity::Bounded(7)],
            exactly_n,
        ),
        over("loans keep their order across what overflows", across_the_overflow),
        over_capacities("loans that were not sent leave nothing behind", &SOME, unsent),
        over_capacities("a loan is refused for what a message is refused for", &SOME, refused),
        over_capacities("a delivered loan is taken or given back", &SOME, delivered),
        across("a loan that waits for bytes has those of a message in place", waits_for_bytes),
        over("a loan whose receivers die is told", disconnected),
        over("a stopped lender and a stopped reader keep nobody waiting", stopped),
        over("a child that inherited a loan and a message gives neither back", inherited),
        over("a child that inherited a loan writes nothing", not_written),
        over("what was forgotten comes back when its end leaves", forgotten),
        over("statistics count what went and came in place", statistics),
    ]
    .into_iter()
    .flatten()
    .collect()
}

const SOME: [Capacity; 4] =
    [Capacity::Zero, Capacity::Bounded(1), Capacity::Bounded(7), Capacity::Unbounded];
const FORMS: [Form; 2] = [Form::ManyToMany, Form::OneToOne];

type Pair = (Sender<Bytes>, Receiver<Bytes>);

/// About the first lines of a slot, and about where a body begins at the second.
const LINES: [usize; 16] = [0, 4, 47, 48, 49, 55, 56, 63, 64, 65, 255, 256, 257, 4031, 4032, 4096];

fn made_shorter(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for form in FORMS {
        let options = Options::new(mechanism).capacity(capacity).form(form).max_message(4096);
        let (tx, mut rx) = options.channel::<Bytes>()?;
        let pairs = || LINES.iter().flat_map(|&lent| LINES.map(|sent| (lent, lent.min(sent))));
        let child = fork(tx, move |mut tx| {
            for (number, (lent, sent)) in (0..).zip(pairs()) {
                let mut loan = tx.loan_with(lent, &soon())?;
                fill(&mut loan, number)?;
                loan.truncate(sent);
                loan.send_with(&soon())?;
                tx.send_with(&filled(number, sent), &soon())?;
            }
            Ok(())
        })?;
        for (number, (_, sent)) in (0..).zip(pairs()) {
            let message = rx.receive_in_place_with(&soon())?;
            // What was written first was longer: no number is as long as what it is made from.
            assert!(is_filled(&message, number, sent), "{number}: {sent}");
            drop(message);
            let mut copied = Vec::new();
            rx.receive_into_with(&mut copied, &soon())?;
            assert_eq!(copied, filled(number, sent));
        }
        child.wait()?;
    }
    Ok(())
}

fn stays(mechanism: Mechanism) -> Outcome {
    const ROOM: u32 = 3;
    let capacity = Capacity::Bounded(ROOM);
    for form in FORMS {
        let options = Options::new(mechanism).capacity(capacity).form(form).max_message(64);
        let (tx, mut rx) = options.channel::<Bytes>()?;
        let (told, tell) = postbox::channel::<Bytes>(Mechanism::Pipe, Capacity::Bounded(1))?;
        let child = fork((tx, told), move |(tx, told)| {
            tx.send_with(&[0; 64], &soon())?;
            tx.send_with(&[1; 64], &soon())?;
            // As many as go in: withdrawn at once, and as many as there is room for.
            for _ in 0..200 {
                let offered = tx.try_deliver(&[2; 64]);
                assert!(offered.is_err_and(|error| error.is_timeout()));
            }
            (0..ROOM).try_for_each(|_| tx.send_with(&[3; 64], &soon()))?;
            assert!(tx.try_send(&[4; 64]).is_err_and(|error| error.is_full()));
            Ok(told.send(b"done")?)
        })?;
        assert_eq!(rx.receive_in_place_with(&soon())?.bytes().to_vec(), [0; 64]);
        let message = rx.receive_in_place_with(&soon())?;
        tell.receive_with(&soon())?;
        assert_eq!(message.bytes().to_vec(), [1; 64]);
        drop(message);
        for _ in 0..ROOM {
            assert_eq!(rx.receive_in_place_with(&soon())?.bytes().to_vec(), [3; 64]);
        }
        child.wait()?;
    }
    Ok(())
}

fn pair(
    mechanism: Mechanism,
    capacity: Capacity,
    form: Form,
) -> Result<Pair, postbox::CreateError> {
    Options::new(mechanism).capacity(capacity).form(form).channel()
}

/// Fills a loan: its number, then that number over and over.
fn fill(loan: &mut Loan<'_>, number: u32) -> std::io::Result<()> {
    let mut rest = loan.bytes_mut();
    rest.fill(number as u8);
    let len = rest.len().min(4);
    rest.write_all(&number.to_le_bytes()[..len])
}

fn filled(number: u32, len: usize) -> Vec<u8> {
    let mut message = vec![number as u8; len];
    let prefix = len.min(4);
    message[..prefix].copy_from_slice(&number.to_le_bytes()[..prefix]);
    message
}

fn is_filled(message: &InPlace<'_>, number: u32, len: usize) -> bool {
    message.len() == len
        && message.is_empty() == (len == 0)
        && message.bytes().to_vec() == filled(number, len)
}

/// At the edges of a slot, a line, a page, an entry of each mechanism, and of what is kept warm.
const LENGTHS: [usize; 32] = [
    0, 1, 3, 4, 56, 104, 111, 112, 113, 120, 384, 385, 424, 425, 433, 1024, 1025, 1064, 1065, 1073,
    4079, 4080, 4081, 4096, 8175, 8177, 8192, 65_536, 1_048_576, 3_000_001, 8_388_608, 16_777_216,
];

fn every_length(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for form in FORMS {
        let (tx, mut rx) = pair(mechanism, capacity, form)?;
        let child = fork(tx, |mut tx| {
            for (number, len) in (0..).zip(LENGTHS) {
                let mut loan = tx.loan_with(len, &soon())?;
                fill(&mut loan, number)?;
                loan.send_with(&soon())?;
            }
            Ok(())
        })?;
        for (number, len) in (0..).zip(LENGTHS) {
            let message = rx.receive_in_place_with(&soon())?;
            assert!(is_filled(&message, number, len), "{len} bytes came as {}", message.len());
            assert_eq!(message.sender().pid(), child.pid());
        }
        assert!(rx.receive_in_place_with(&soon()).unwrap_err().is_disconnected());
        assert!(rx.try_receive_in_place().unwrap_err().is_disconnected());
        child.wait()?;
    }
    Ok(())
}

fn walk_agrees_with_a_queue(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    const LENGTHS: [usize; 10] = [0, 4, 40, 64, 500, 4050, 4097, 8192, 9000, 20_000];
    let mut chance = Chance::new();
    let (mut tx, mut rx) = connect::<Bytes>(&Options::new(mechanism).capacity(capacity))?;
    let mut queue: VecDeque<(u32, usize)> = VecDeque::new();
    let mut sends_of_ten = 5;
    for step in 0u32..3000 {
        if chance.once_in(200) {
            sends_of_ten = chance.pick(&[1, 5, 9]);
        }
        let room = match capacity {
            Capacity::Zero => false,
            Capacity::Bounded(n) => queue.len() < n as usize,
            Capacity::Unbounded => true,
        };
        if chance.below(10) < sends_of_ten {
            let mut len = chance.pick(&LENGTHS);
            let went = if chance.once_in(3) {
                tx.try_send(&filled(step, len))
            } else {
                let mut loan = tx.try_loan(len)?;
                if chance.once_in(4) {
                    len /= 2;
                    loan.truncate(len);
                }
                fill(&mut loan, step)?;
                assert_eq!((loan.len(), loan.bytes().to_vec()), (len, filled(step, len)));
                loan.try_send()
            };
            match went {
                Ok(()) => {
                    assert!(room, "accepted with {} waiting", queue.len());
                    queue.push_back((step, len));
                }
                Err(error) => {
                    assert!(!room && error.is_full(), "{error} with {} waiting", queue.len());
                }
            }
        } else if chance.once_in(3) {
            let taken = rx.try_receive()?.map(|delivery| delivery.into_inner().into_vec());
            assert!(taken == queue.pop_front().map(|(number, len)| filled(number, len)));
        } else {
            let waiting = queue.len();
            let taken = rx.try_receive_in_place()?;
            match (&taken, queue.pop_front()) {
                (None, None) => {}
                (Some(message), Some((number, len))) => {
                    assert!(is_filled(message, number, len), "step {step}");
                    // Its place is free although it is still read.
                    assert_eq!(tx.len(), waiting - 1);
                }
                (taken, expected) => panic!("step {step}: {taken:?} for {expected:?}"),
            }
        }
        assert_eq!(rx.len(), queue.len());
    }
    Ok(())
}

fn exactly_n(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let Capacity::Bounded(n) = capacity else { return Ok(()) };
    for len in [10, 9000] {
        let options = Options::new(mechanism).capacity(capacity);
        let (tx, mut rx) = options.channel::<Bytes>()?;
        let (mut lenders, other): (Vec<_>, _) = ((0..3).map(|_| tx.clone()).collect(), tx);
        let mut loans = Vec::new();
        for (number, lender) in (0..).zip(&mut lenders) {
            let mut loan = lender.try_loan(len)?;
            fill(&mut loan, number)?;
            loans.push(loan);
        }
        assert!(other.is_empty() && rx.try_receive()?.is_none(), "a loan was seen");
        for number in 100..100 + n {
            other.try_send(&filled(number, len))?;
        }
        assert!(other.try_send(&filled(0, len)).unwrap_err().is_full());
        for (number, loan) in (100..).zip(loans) {
            let (loan, error) = loan.try_send_or_keep().unwrap_err();
            assert!(error.is_full(), "{error}");
            let message = rx.try_receive_in_place()?.ok_or("nothing waits")?;
            let oldest = if number < 100 + n { number } else { number - 100 - n };
            assert!(is_filled(&message, oldest, len));
            // One place came free by that, while the message is there.
            loan.try_send()?;
            assert!(other.try_send(&filled(0, len)).unwrap_err().is_full());
            assert_eq!(other.len(), n as usize);
            assert!(is_filled(&message, oldest, len), "it was overwritten");
        }
    }
    Ok(())
}

fn across_the_overflow(mechanism: Mechanism) -> Outcome {
    for form in FORMS {
        let (mut tx, mut rx) = pair(mechanism, Capacity::Unbounded, form)?;
        let (mut sent, mut received) = (0, 0);
        // More than any queue or ring holds in front, then room there while others wait behind it.
        for (sends, receives) in [(1500, 1000), (300, 400), (1000, 1400)] {
            for _ in 0..sends {
                let mut loan = tx.try_loan(9000)?;
                fill(&mut loan, sent)?;
                loan.try_send()?;
                sent += 1;
            }
            for _ in 0..receives {
                let message = rx.try_receive_in_place()?.ok_or("nothing waits")?;
                assert!(is_filled(&message, received, 9000), "number {received} did not come");
                received += 1;
            }
        }
        assert!(rx.is_empty() && rx.try_receive_in_place()?.is_none());
    }
    Ok(())
}

fn unsent(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for form in FORMS {
        // What a dozen of them leak is all there is.
        let options = Options::new(mechanism).capacity(capacity).form(form).byte_cap(1 << 19);
        let (mut tx, mut rx) = options.channel::<Bytes>()?;
        for number in 0..200 {
            for len in [0, 30, 40_000] {
                let mut loan = tx.try_loan(len)?;
                fill(&mut loan, number)?;
                drop(loan);
                let loan = tx.try_loan(len)?;
                let late = loan.deliver_with(&Wait::timeout(Duration::ZERO)).unwrap_err();
                assert!(late.is_timeout(), "{late}");
                // The corpse, if there is one.
                assert!(rx.try_receive_in_place()?.is_none());
            }
        }
        assert_eq!((tx.len(), tx.statistics().sent), (0, 0));
        let child = fork(rx, |mut rx| {
            let message = rx.receive_in_place_with(&soon())?;
            assert!(is_filled(&message, 7, 40_000));
            Ok(())
        })?;
        let mut loan = tx.try_loan(40_000)?;
        fill(&mut loan, 7)?;
        loan.send_with(&soon())?;
        child.wait()?;
    }
    Ok(())
}

fn refused(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    let too_large = |error: SendError, len: usize, max: usize| match error {
        SendError::TooLarge(found) => assert_eq!((found.len, found.max), (len, max)),
        other => panic!("{other}"),
    };
    let options = || Options::new(mechanism).capacity(capacity);
    let forms = |number: usize| FORMS.map(|form| (number, options().form(form)));
    for (limit, options) in [0, 100, 5000, 70_000].into_iter().flat_map(forms) {
        let (mut tx, rx) = options.max_message(limit).channel::<Bytes>()?;
        too_large(tx.loan(limit + 1).unwrap_err(), limit + 1, limit);
        match tx.try_loan(limit + 1).unwrap_err() {
            TrySendError::Send(error) => too_large(error, limit + 1, limit),
            error => panic!("{error}"),
        }
        tx.try_loan(limit)?.truncate(usize::MAX);
        drop(rx);
        assert!(matches!(tx.loan(limit), Err(SendError::Disconnected)));
    }
    for (size, options) in [10, 70_000].into_iter().flat_map(forms) {
        let (mut tx, mut rx) = options.fixed_size(size).channel::<Bytes>()?;
        if capacity != Capacity::Zero {
            // The fast path is taken from the second message on.
            tx.send(&vec![1; size])?;
            assert_eq!(rx.receive()?.len(), size);
        }
        too_large(tx.send(&vec![1; size - 1]).unwrap_err(), size - 1, size);
        too_large(tx.loan(size - 1).unwrap_err(), size - 1, size);
        let mut loan = tx.loan(size)?;
        loan.truncate(size - 1);
        too_large(loan.send().unwrap_err(), size - 1, size);
        assert!(rx.try_receive_in_place()?.is_none());
    }
    // The byte cap, rounded up to a power of two.
    let (tx, mut rx) = options().byte_cap(1 << 16).channel::<Bytes>()?;
    let (mut one, mut two) = (tx.clone(), tx);
    if capacity != Capacity::Zero {
        let loan = one.try_loan(50_000)?;
        let error = two.try_loan(50_000).unwrap_err();
        match capacity {
            Capacity::Unbounded => {
                let TrySendError::Send(SendError::ByteCap { cap }) = error else {
                    panic!("{error}")
                };
                assert_eq!(cap, 1 << 16);
            }
            _ => {
                assert!(error.is_full(), "{error}");
                let late = two.loan_with(50_000, &Wait::timeout(Duration::from_millis(1)));
                assert!(matches!(late, Err(SendError::TimedOut)), "{late:?}");
            }
        }
        loan.try_send()?;
        // Taken, it takes its bytes still.
        let message = rx.try_receive_in_place()?.ok_or("nothing waits")?;
        assert!(two.try_loan(50_000).is_err());
        drop(message);
        two.try_loan(50_000)?.try_send()?;
        match two.loan(100_000) {
            Err(SendError::TooLarge(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    Ok(())
}

fn delivered(mechanism: Mechanism, capacity: Capacity) -> Outcome {
    for form in FORMS {
        let (mut tx, rx) = pair(mechanism, capacity, form)?;
        let child = fork(rx, |mut rx| {
            for number in 0..40 {
                let message = rx.receive_in_place_with(&soon())?;
                assert!(is_filled(&message, number, [30, 30_000][number as usize % 2]));
            }
            Ok(())
        })?;
        for number in 0..40 {
            let mut loan = tx.loan([30, 30_000][number as usize % 2])?;
            fill(&mut loan, number)?;
            let receipt = loan.deliver_with(&soon())?;
            assert_eq!(receipt.receiver().pid(), child.pid());
        }
        child.wait()?;
    }
    Ok(())
}

fn waits_for_bytes(mechanism: Mechanism) -> Outcome {
    let options = Options::new(mechanism).capacity(Capacity::Bounded(4)).byte_cap(1 << 16);
    let (mut tx, rx) = connect::<Bytes>(&options)?;
    let (go, has) = (Gate::new()?, Gate::new()?);
    let child = fork(rx, |mut rx| {
        let first = rx.receive_in_place_with(&soon())?;
        has.open()?;
        go.pass()?;
        until_asleep(getppid().as_raw() as u32);
        assert!(is_filled(&first, 1, 50_000));
        drop(first);
        assert!(is_filled(&rx.receive_in_place_with(&soon())?, 2, 50_000));
        Ok(())
    })?;
    let mut loan = tx.loan_with(50_000, &soon())?;
    fill(&mut loan, 1)?;
    loan.send_with(&soon())?;
    has.pass()?;
    assert!(tx.try_loan(50_000).unwrap_err().is_full());
    go.open()?;
    let mut loan = tx.loan_with(50_000, &soon())?;
    fill(&mut loan, 2)?;
    loan.send_with(&soon())?;
    Ok(child.wait()?)
}

fn disconnected(mechanism: Mechanism) -> Outcome {
    let options = Options::new(mechanism).capacity(Capacity::Bounded(4)).byte_cap(1 << 16);
    let (tx, rx) = options.channel::<Bytes>()?;
    let mut child = holder(rx)?;
    let (mut one, mut two) = (tx.clone(), tx);
    let loan = one.loan(50_000)?;
    let own = own_thread();
    let death = thread::spawn(move || {
        until_asleep(own);
        child.signal(9).unwrap();
        child.wait_status().unwrap();
    });
    assert!(matches!(two.loan_with(50_000, &soon()), Err(SendError::Disconnected)));
    death.join().unwrap();
    assert!(loan.send().unwrap_err().is_disconnected());
    assert!(one.try_loan(10).unwrap_err().is_disconnected());
    Ok(())
}

fn stopped(mechanism: Mechanism) -> Outcome {
    for len in [20, 60_000] {
        let options = Options::new(mechanism).capacity(Capacity::Bounded(4));
        let (tx, rx) = options.channel::<Bytes>()?;
        tx.send(&filled(0, len))?;
        let ready = Gate::new()?;
        let hold = |mut tx: Sender<Bytes>, mut rx: Receiver<Bytes>| {
            let mut loan = tx.loan_with(len, &soon())?;
            fill(&mut loan, 1)?;
            let message = rx.receive_in_place_with(&soon())?;
            ready.open()?;
            nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP)?;
            assert!(is_filled(&message, 0, len), "it was overwritten");
            Ok(loan.send_with(&soon())?)
        };
        let child = fork((tx.clone(), rx.clone()), |(tx, rx)| hold(tx, rx))?;
        ready.pass()?;
        until_stopped(child.pid());
        // Ten times round the ring and the warm bodies.
        let other = fork(tx.clone(), |tx| {
            (0..3000).try_for_each(|number| tx.send_with(&filled(number, len), &soon()))?;
            Ok(())
        })?;
        for number in 0..3000 {
            assert!(rx.receive_with(&soon())?[..] == filled(number, len));
        }
        other.wait()?;
        child.signal(18)?;
        child.wait()?;
        assert!(rx.receive_with(&soon())?[..] == filled(1, len));
    }
    Ok(())
}

fn inherited(mechanism: Mechanism) -> Outcome {
    for len in [20, 60_000] {
        let options = Options::new(mechanism).capacity(Capacity::Bounded(4)).byte_cap(1 << 18);
        let (mut tx, mut rx) = options.channel::<Bytes>()?;
        let more = tx.clone();
        tx.send(&filled(0, len))?;
        let mut message = Some(rx.receive_in_place()?);
        let mut loan = Some(tx.loan(len)?);
        if let Some(loan) = &mut loan {
            fill(loan, 1)?;
        }
        bystander(|| {
            drop(message.take());
            if let Some(loan) = &mut loan {
                loan.bytes_mut().fill(0);
            }
            let error = loan.take().map(Loan::send);
            assert!(matches!(error, Some(Err(SendError::Fault(postbox::Fault::NotPassed)))));
        })?
        .ended_well();
        // Were their bytes free, these would have them.
        let others: Vec<u8> = filled(9, len);
        (0..2).try_for_each(|_| more.try_send(&others))?;
        let message = message.ok_or("it is the parent's")?;
        assert!(is_filled(&message, 0, len));
        drop(message);
        loan.ok_or("it is the parent's")?.send()?;
        for number in [9, 9, 1] {
            let message = rx.receive_in_place()?;
            assert_eq!(message.bytes().to_vec(), filled(number, len));
        }
    }
    Ok(())
}

/// In a slot of a ring for two as elsewhere, a child by `fork` writes nothing.
fn not_written(mechanism: Mechanism) -> Outcome {
    let options = Options::new(mechanism).capacity(Capacity::Bounded(4)).form(Form::OneToOne);
    let (mut tx, mut rx) = options.channel::<Bytes>()?;
    // Both ends are at home in the ring from here on.
    tx.send(&filled(0, 64))?;
    assert!(is_filled(&rx.receive_in_place()?, 0, 64));
    let mut loan = tx.loan(64)?;
    fill(&mut loan, 1)?;
    bystander(|| loan.bytes_mut().fill(0))?.ended_well();
    loan.send()?;
    assert!(is_filled(&rx.receive_in_place()?, 1, 64));
    Ok(())
}

fn forgotten(mechanism: Mechanism) -> Outcome {
    let options = Options::new(mechanism).capacity(Capacity::Bounded(4)).byte_cap(1 << 16);
    let (tx, rx) = options.channel::<Bytes>()?;
    // The next loan of the same end has the bytes that were forgotten.
    let mut again = tx.clone();
    std::mem::forget(again.try_loan(50_000)?);
    drop(again.try_loan(50_000)?);
    drop(again);
    for round in 0..20 {
        let mut lender = tx.clone();
        std::mem::forget(lender.try_loan(50_000)?);
        assert!(tx.try_send(&filled(0, 50_000)).unwrap_err().is_full());
        drop(lender);
        tx.try_send(&filled(round, 50_000))?;
        let mut reader = rx.clone();
        std::mem::forget(reader.receive_in_place_with(&soon())?);
        assert!(tx.try_send(&filled(0, 50_000)).unwrap_err().is_full());
        drop(reader);
    }
    tx.try_send(&filled(0, 50_000))?;
    assert!(rx.receive()?[..] == filled(0, 50_000));
    Ok(())
}

fn statistics(mechanism: Mechanism) -> Outcome {
    for form in FORMS {
        let (mut tx, mut rx) = pair(mechanism, Capacity::Bounded(4), form)?;
        let lens = [0, 10, 9000, 70_000];
        for len in lens {
            tx.loan(len)?.send()?;
            assert_eq!(rx.receive_in_place()?.len(), len);
            drop(tx.loan(len)?);
        }
        let found = tx.statistics();
        let bytes = lens.iter().sum::<usize>() as u64;
        assert_eq!((found.sent, found.sent_bytes), (4, bytes));
        assert_eq!((found.received, found.received_bytes), (4, bytes));
        // As with plain sends: what does not fit an entry, but over shared memory.
        let spilled = if mechanism == Mechanism::SharedMemory { 0 } else { 2 };
        assert_eq!(found.spilled, spilled);
    }
    Ok(())
}
