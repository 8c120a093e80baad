//! When no thread of ours works: then the process may fork.
//!
//! ```text
//!  registrar thread   wait for events ─► begin_work ── answers ──► let go ─► wait for events
//!  forking thread                          no strangers? ─► quietly( fork )
//! ```

use std::sync::{PoisonError, RwLock, RwLockReadGuard};

/// Read by every thread of ours while it works, which is whenever it does not wait for events;
/// written while the process forks. Readers do not exclude each other: one thread of ours may wait
/// for a lock while another one answers the holder of that lock.
static WORK: RwLock<()> = RwLock::new(());

/// The name of the threads that keep to this.
pub(crate) const THREAD: &str = "postbox-reg";

/// A thread of ours works for as long as it holds this.
pub(crate) fn begin_work() -> RwLockReadGuard<'static, ()> {
    WORK.read().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `fork` while each of those threads sits in a system call and holds nothing: it waits for
/// events, or to begin its work. In the child the lock is free, as in the parent.
///
/// The caller is the only thread besides those, or one might hold what their work waits for.
pub(super) fn quietly<R>(fork: impl FnOnce() -> R) -> R {
    let _quiet = WORK.write().unwrap_or_else(PoisonError::into_inner);
    fork()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::channel;
    use std::thread;

    #[test]
    fn nobody_forks_while_one_works_and_works_together_with_others() {
        let over = AtomicBool::new(false);
        let (about, wait) = channel();
        thread::scope(|scope| {
            let work = begin_work();
            scope.spawn(|| drop(begin_work())).join().unwrap();
            scope.spawn(|| {
                about.send(()).unwrap();
                quietly(|| assert!(over.load(Ordering::SeqCst)));
            });
            wait.recv().unwrap();
            // The chance of the other one to be wrong.
            (0..1000).for_each(|_| thread::yield_now());
            over.store(true, Ordering::SeqCst);
            drop(work);
        });
        drop(begin_work());
    }
}
