//! The threads of this process, as the kernel lists them.

use crate::proc_file::{Stat, errno};
use crate::{Errno, Result};

/// The kernel's flag of a task that has begun to end and runs no more of the program's code.
const PF_EXITING: u32 = 0x4;

/// How often the threads are listed anew that come and go meanwhile.
const ATTEMPTS: u32 = 10_000;

/// A thread of this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its name, cut to 15 bytes by the kernel.
    pub name: String,
    /// Whether the process began with it.
    pub is_main: bool,
}

/// How many threads this process has.
///
/// A thread that has ended counts no more from the moment it could be joined, although the kernel
/// lists it a little longer.
///
/// # Errors
///
/// `ENOENT`: `/proc` is not mounted. `EMFILE`, `ENFILE`: no descriptor left. `EAGAIN`: threads come
/// and go all the time.
pub fn count() -> Result<usize> {
    Ok(others()?.len() + 1)
}

/// All threads of this process but the calling one.
///
/// # Errors
///
/// Those of [`count`].
pub fn others() -> Result<Vec<Thread>> {
    // The kernel's listing passes over a thread if one before it ends meanwhile: it is whole if there
    // were as many threads before and after as it lists.
    for _ in 0..ATTEMPTS {
        let Stat { id: main, threads: before, .. } = Stat::read("/proc/self/stat")?;
        let (listed, others) = list(main)?;
        if listed == before && Stat::read("/proc/self/stat")?.threads == before {
            return Ok(others);
        }
        std::thread::yield_now();
    }
    Err(Errno::EAGAIN)
}

/// How many threads the kernel lists, those that are ending included; and which run beside this one. By the
/// numbers that they have in `/proc`, which may be those of an outer pid namespace.
fn list(main: u32) -> Result<(usize, Vec<Thread>)> {
    let own = Stat::read("/proc/thread-self/stat")?.id;
    let mut found = Vec::new();
    let mut listed = 0;
    for entry in std::fs::read_dir("/proc/self/task").map_err(|error| errno(&error))? {
        let path = entry.map_err(|error| errno(&error))?.path().join("stat");
        listed += 1;
        match Stat::read(path) {
            Ok(stat) if stat.id == own || stat.flags & PF_EXITING != 0 => (),
            Ok(stat) => found.push(Thread {
                name: String::from_utf8_lossy(&stat.name).into_owned(),
                is_main: stat.id == main,
            }),
            Err(Errno::ESRCH) => (),
            Err(errno) => return Err(errno),
        }
    }
    Ok((listed, found))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn a_thread_is_listed_by_name_while_it_runs_and_not_once_it_is_joined() {
        for round in 0..200 {
            let (started, wait_started) = channel();
            let (end, wait_end) = channel::<()>();
            let name = format!("listed ) {round}");
            let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
                started.send(()).unwrap();
                wait_end.recv().unwrap_err();
            });
            wait_started.recv().unwrap();
            assert!(others().unwrap().iter().any(|thread| thread.name == name));
            drop(end);
            thread.unwrap().join().unwrap();
            assert!(!others().unwrap().iter().any(|thread| thread.name == name));
        }
    }

    #[test]
    fn the_calling_thread_is_counted_but_not_among_the_others() {
        const OWN: &str = "calling thread";
        let thread = std::thread::Builder::new().name(OWN.into()).spawn(|| {
            assert!(others().unwrap().iter().all(|thread| thread.name != OWN));
            assert_eq!(others().unwrap().iter().filter(|thread| thread.is_main).count(), 1);
            assert!(count().unwrap() >= 2);
        });
        thread.unwrap().join().unwrap();
    }
}
