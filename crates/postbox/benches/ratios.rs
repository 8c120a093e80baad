//! Ours against bare loops of the same system calls, side by side in one run.
//!
//! `cargo bench -p postbox` prints ratios of medians. Rounds of ours and bare alternate, both ends
//! are pinned to different cores, and a cache line bounced between two processes is measured before
//! and after: the cores of a virtual machine move, and only figures of one placement compare.
//! `cargo bench -p postbox -- latency` runs that part alone; the others are `kernel` and `stream`.

use postbox::{
    Bytes, Capacity, Child, Form, Mechanism, Options, Receiver, Sender, WaitStrategy, fork,
};
use postbox_ring::region::{Region, View};
use postbox_ring::sync::{AtomicU64, Ordering};
use postbox_sys::{clock, cpu, memfd, mqueue, pipe, socket};
use std::error::Error;
use std::hint::{black_box, spin_loop};
use std::os::fd::{AsFd, OwnedFd};

type Outcome<T> = Result<T, Box<dyn Error>>;

const LEN: usize = 64;
const STRATEGIES: [WaitStrategy; 2] = [WaitStrategy::Adaptive, WaitStrategy::Block];
// Many short ones: what else the machine does then spoils few of them.
const ROUNDS: usize = 41;
const STREAM: u64 = 40_000;
const TRIPS: u64 = 20_000;

fn main() -> Outcome<()> {
    // `cargo test` runs benches with --test: then there is nothing to measure.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let cpus = cpu::available()?;
    let (here, there) = (cpus[0], *cpus.last().unwrap_or(&cpus[0]));
    cpu::pin_to(here)?;
    println!("64-byte messages, cores {here} and {there}, medians of {ROUNDS} interleaved rounds");

    if wanted("kernel") {
        kernel_streams(there)?;
    }
    if wanted("latency") {
        ring_latency(there)?;
    }
    if wanted("stream") {
        ring_streams(there)?;
    }
    Ok(())
}

/// Whether that part was asked for: all are, unless some are named on the command line.
fn wanted(part: &str) -> bool {
    let mut named = std::env::args().skip(1).filter(|a| !a.starts_with('-')).peekable();
    named.peek().is_none() || named.any(|argument| argument == part)
}

fn kernel_streams(there: usize) -> Outcome<()> {
    println!("\nstream, one call per message              ours/s     bare/s    ours/bare");
    for mechanism in [Mechanism::Pipe, Mechanism::Socket, Mechanism::MessageQueue] {
        let depth = native_depth(mechanism)?;
        let contenders: Vec<Options> = [Form::OneToOne, Form::ManyToMany]
            .into_iter()
            .flat_map(|form| {
                STRATEGIES.map(|wait| kernel(mechanism, depth).form(form).wait_strategy(wait))
            })
            .collect();
        let mut ours = vec![Vec::new(); contenders.len()];
        let mut bare = Vec::new();
        for _ in 0..ROUNDS {
            bare.push(stream_bare(mechanism, depth, there)?);
            for (figures, options) in ours.iter_mut().zip(&contenders) {
                figures.push(stream_channel(options.clone(), there, STREAM)?);
            }
        }
        let named = [Form::OneToOne, Form::ManyToMany]
            .into_iter()
            .flat_map(|form| STRATEGIES.map(|wait| (form, wait)));
        for ((form, wait), ours) in named.zip(ours) {
            let ratio = median(ours.iter().zip(&bare).map(|(o, b)| o / b).collect());
            println!(
                "{:<8} n={depth:<4} {:<11} {:<9} {:>10.0} {:>10.0} {ratio:>10.3}",
                mechanism,
                format!("{form:?}"),
                format!("{wait:?}"),
                median(ours),
                median(bare.clone())
            );
        }
    }
    Ok(())
}

fn ring_latency(there: usize) -> Outcome<()> {
    println!("\nshared memory, both ends spinning  one way ns   line ns   ours/line");
    for form in [Form::OneToOne, Form::ManyToMany] {
        for len in [32, LEN] {
            let mut ours = Vec::new();
            let mut line = Vec::new();
            for _ in 0..ROUNDS {
                line.push(bounce(there)?);
                ours.push(ping_pong(form, len, there)?);
            }
            let ratio = median(ours.iter().zip(&line).map(|(o, b)| o / b).collect());
            println!(
                "{:<12} {len:>3} B {:>24.1} {:>9.1} {ratio:>10.2}",
                format!("{form:?}"),
                median(ours),
                median(line)
            );
        }
    }
    Ok(())
}

fn ring_streams(there: usize) -> Outcome<()> {
    println!("\nshared memory stream, copied in and out");
    for form in [Form::OneToOne, Form::ManyToMany] {
        let rates = (0..ROUNDS)
            .map(|_| stream_channel(shared(form, 256), there, STREAM * 10))
            .collect::<Outcome<Vec<_>>>()?;
        println!("{:<12} {:>10.0} messages/s", format!("{form:?}"), median(rates));
    }
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn shared(form: Form, n: u32) -> Options {
    Options::new(Mechanism::SharedMemory)
        .capacity(Capacity::Bounded(n))
        .fixed_size(LEN)
        .form(form)
        .wait_strategy(WaitStrategy::Spin)
}

/// How many 64-byte messages the bare object holds.
fn native_depth(mechanism: Mechanism) -> Outcome<u32> {
    let queue = Bare::create(mechanism, 64)?;
    let mut held = 0;
    while held < 64 && queue.send_nowait(&[0; LEN]).is_ok() {
        held += 1;
    }
    Ok(held)
}

fn kernel(mechanism: Mechanism, n: u32) -> Options {
    Options::new(mechanism).capacity(Capacity::Bounded(n)).max_message(1024)
}

fn stream_channel(options: Options, there: usize, messages: u64) -> Outcome<f64> {
    let (tx, rx): (Sender<Bytes>, Receiver<Bytes>) = options.channel()?;
    let child = fork(tx, move |tx| {
        cpu::pin_to(there)?;
        let message = [7; LEN];
        for _ in 0..=messages {
            tx.send(&message)?;
        }
        Ok(())
    })?;
    let mut buffer = Vec::with_capacity(LEN);
    rx.receive_into(&mut buffer)?;
    let start = clock::now();
    for _ in 0..messages {
        rx.receive_into(&mut buffer)?;
        black_box(&buffer);
    }
    rate(start, messages, child)
}

fn rate(start: u64, messages: u64, child: Child) -> Outcome<f64> {
    let nanoseconds = clock::now() - start;
    child.wait()?;
    Ok(messages as f64 * 1e9 / nanoseconds as f64)
}

/// The kernel object with nothing around it; its calls block.
enum Bare {
    Pipe(OwnedFd, OwnedFd),
    Socket(OwnedFd, OwnedFd),
    Queue(OwnedFd),
}

impl Bare {
    fn create(mechanism: Mechanism, depth: u32) -> Outcome<Self> {
        Ok(match mechanism {
            Mechanism::Pipe => {
                let (read, write) = pipe::packet_pipe()?;
                pipe::set_packets(&write, depth as usize)?;
                Bare::Pipe(read, write)
            }
            Mechanism::Socket => {
                let (write, read) = socket::seqpacket_pair()?;
                Bare::Socket(read, write)
            }
            _ => Bare::Queue(mqueue::create("postbox-bare", 10, 1024)?),
        })
    }

    fn send_nowait(&self, message: &[u8]) -> nix::Result<()> {
        match self {
            Bare::Pipe(_, write) => pipe::write_nowait(write, message).map(drop),
            Bare::Socket(_, write) => socket::send(write, message),
            Bare::Queue(queue) => mqueue::send_nowait(queue, message),
        }
    }

    /// Takes O_NONBLOCK away, so that the loops below block in the kernel as bare loops do.
    fn block(&self) -> Outcome<()> {
        use nix::fcntl::{FcntlArg, OFlag, fcntl};
        let blocking = |fd: &OwnedFd| -> Outcome<()> {
            let flags = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
            fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags & !OFlag::O_NONBLOCK))?;
            Ok(())
        };
        match self {
            Bare::Pipe(read, write) | Bare::Socket(read, write) => {
                blocking(read)?;
                blocking(write)
            }
            Bare::Queue(queue) => blocking(queue),
        }
    }

    fn send(&self, message: &[u8]) -> nix::Result<()> {
        match self {
            Bare::Pipe(_, write) => nix::unistd::write(write, message).map(drop),
            Bare::Socket(_, write) => {
                use nix::sys::socket::{MsgFlags, send};
                use std::os::fd::AsRawFd;
                send(write.as_raw_fd(), message, MsgFlags::MSG_NOSIGNAL).map(drop)
            }
            Bare::Queue(queue) => mqueue::send(queue, message),
        }
    }

    fn receive(&self, buffer: &mut [u8]) -> nix::Result<()> {
        match self {
            Bare::Pipe(read, _) => nix::unistd::read(read, buffer).map(drop),
            Bare::Socket(read, _) => {
                use nix::sys::socket::{MsgFlags, recv};
                use std::os::fd::AsRawFd;
                recv(read.as_raw_fd(), buffer, MsgFlags::empty()).map(drop)
            }
            Bare::Queue(queue) => mqueue::receive(queue, buffer).map(drop),
        }
    }
}

fn stream_bare(mechanism: Mechanism, depth: u32, there: usize) -> Outcome<f64> {
    let queue = Bare::create(mechanism, depth)?;
    queue.block()?;
    let sending = &queue;
    let child = fork((), move |()| {
        cpu::pin_to(there)?;
        let message = [7; LEN];
        for _ in 0..=STREAM {
            sending.send(&message)?;
        }
        Ok(())
    })?;
    let mut buffer = [0; 4096];
    queue.receive(&mut buffer)?;
    let start = clock::now();
    for _ in 0..STREAM {
        queue.receive(&mut buffer)?;
        black_box(&buffer);
    }
    rate(start, STREAM, child)
}

/// A shared page, and a word at either side of it.
fn page() -> Outcome<Region> {
    Ok(memfd::map(memfd::create_sealed("postbox-bounce", 4096)?)?)
}

/// One way of a cache line between two processes that spin with PAUSE, in nanoseconds.
fn bounce(there: usize) -> Outcome<f64> {
    let region = page()?;
    let word: View<AtomicU64> = region.view(0)?;
    let theirs = word.clone();
    let child = fork((), move |()| {
        cpu::pin_to(there)?;
        for trip in 0..TRIPS {
            while theirs.load(Ordering::Acquire) != 2 * trip + 1 {
                spin_loop();
            }
            theirs.store(2 * trip + 2, Ordering::Release);
        }
        Ok(())
    })?;
    let mut start = 0;
    for trip in 0..TRIPS {
        // The first trips wait for the child to be there.
        if trip == TRIPS / 10 {
            start = clock::now();
        }
        word.store(2 * trip + 1, Ordering::Release);
        while word.load(Ordering::Acquire) != 2 * trip + 2 {
            spin_loop();
        }
    }
    let nanoseconds = clock::now() - start;
    child.wait()?;
    Ok(nanoseconds as f64 / (TRIPS - TRIPS / 10) as f64 / 2.0)
}

/// One way of a message, in nanoseconds.
fn ping_pong(form: Form, len: usize, there: usize) -> Outcome<f64> {
    let options = shared(form, 8).fixed_size(len);
    let (ping_tx, ping_rx) = options.channel::<Bytes>()?;
    let (pong_tx, pong_rx) = options.channel::<Bytes>()?;
    let child = fork((ping_rx, pong_tx), move |(rx, tx)| {
        cpu::pin_to(there)?;
        let mut buffer = Vec::with_capacity(LEN);
        for _ in 0..TRIPS {
            rx.receive_into(&mut buffer)?;
            tx.send(&buffer)?;
        }
        Ok(())
    })?;
    let message = vec![7; len];
    let mut buffer = Vec::with_capacity(LEN);
    let mut start = 0;
    for trip in 0..TRIPS {
        if trip == TRIPS / 10 {
            start = clock::now();
        }
        ping_tx.send(&message)?;
        pong_rx.receive_into(&mut buffer)?;
    }
    let nanoseconds = clock::now() - start;
    child.wait()?;
    Ok(nanoseconds as f64 / (TRIPS - TRIPS / 10) as f64 / 2.0)
}
