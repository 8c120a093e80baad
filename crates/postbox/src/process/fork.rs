//! Forking a child that runs a closure with ends of channels.

use super::child::Child;
use super::ends::Ends;
use super::identity::Identity;
use super::quiet;
use crate::error::Fault;
use crate::remedy::remedy;
use postbox_steps::{Step, at};
use postbox_sys::fork::{self as sys, CTRL_C, Forked};
use postbox_sys::{Errno, eventfd};
use std::error::Error;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Why no child was forked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ForkError {
    /// The process has threads that Postbox knows nothing of.
    #[error(
        "this process has {count} other thread(s), which would not exist in a forked child while \
         their locks stay locked there: fork before starting them, or spawn a program instead"
    )]
    Threads {
        /// How many.
        count: usize,
    },
    /// An end is not this process's to give.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// `fork(2)` failed: `EAGAIN` where RLIMIT_NPROC or the control group's pids.max is reached,
    /// `EMFILE` where there is no descriptor left to wait for the child by.
    #[error("cannot fork: {0}{advice}", advice = remedy("fork", *.0))]
    System(#[source] Errno),
}

/// Forks a child that runs `body` with `ends`, which are its own from then on and no more this
/// process's.
///
/// The child ends by `_exit`: with status 0, 1 if `body` returned an error (which goes to standard
/// error), or 101 if it panicked. In it SIGINT and SIGTERM have their default action. Every other
/// end that it inherited answers [`Fault::NotPassed`].
///
/// ```no_run
/// use postbox::{Capacity, Mechanism};
///
/// let (tx, rx) = postbox::channel::<u32>(Mechanism::Socket, Capacity::Bounded(8))?;
/// let child = postbox::fork(tx, |tx| {
///     for n in 1..=3 {
///         tx.send(&n)?;
///     }
///     Ok(())
/// })?;
/// let sum = rx.iter().map(|n| n.map(|n| *n)).sum::<Result<u32, _>>()?;
/// assert_eq!(sum, 6);
/// child.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ForkError::Threads`] when other threads exist, apart from ctrlc's and those of joined
/// [domains](crate::Domain), which rest meanwhile and do not exist in the child: use
/// [`Spawn`](crate::Spawn) then. An end that was not passed to this process, or `fork(2)`'s own.
pub fn fork<E: Ends>(
    ends: E,
    body: impl FnOnce(E) -> Result<(), Box<dyn Error>>,
) -> Result<Child, ForkError> {
    let mut usable = Ok(());
    ends.visit(&mut |end| {
        if let Err(fault) = end.check() {
            usable = Err(fault);
        }
    });
    usable?;
    let giver = Identity::own();
    // What this process has buffered is not the child's to write.
    let _ = std::io::stdout().flush();
    let vouched_for = [CTRL_C, quiet::THREAD];
    // The child cannot be undone: what it takes to know it and to wait for it is kept free for that.
    let kept_free = eventfd::create().map_err(ForkError::System)?;
    let forked = sys::refuse_strangers(&vouched_for)
        .and_then(|()| quiet::quietly(|| sys::fork(&vouched_for)));
    drop(kept_free);
    match forked {
        Ok(Forked::Parent { pid }) => {
            at(Step::ChildForked);
            let taker = Identity::of(pid);
            ends.visit(&mut |end| end.leave_place_to(taker));
            ends.visit(&mut |end| {
                end.hand_over(taker);
            });
            Child::new(pid).map_err(ForkError::System)
        }
        Ok(Forked::Child) => {
            at(Step::ChildBegun);
            sys::exit_now(run(ends, giver, body))
        }
        Err(sys::ForkError::Threads { count }) => Err(ForkError::Threads { count }),
        Err(sys::ForkError::System(errno)) => Err(ForkError::System(errno)),
    }
}

/// The child's whole life; its exit status.
fn run<E: Ends>(
    ends: E,
    giver: Identity,
    body: impl FnOnce(E) -> Result<(), Box<dyn Error>>,
) -> i32 {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        Identity::establish()?;
        ends.visit(&mut |end| {
            end.take_over(giver);
        });
        body(ends)
    }));
    let code = match outcome {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            let _ = writeln!(std::io::stderr(), "process {}: {error}", std::process::id());
            1
        }
        Err(_) => 101,
    };
    let _ = std::io::stdout().flush();
    code
}
