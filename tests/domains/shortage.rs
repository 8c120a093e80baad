use crate::bench::Bench;
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use postbox::fork;
use postbox_tests::{Outcome, descriptors};
use std::fs::File;

/// How many descriptors a process may have here.
const MOST: u64 = 96;

/// Lets this process have few descriptors, and takes all but so many of them.
fn all_but(left: usize) -> Result<Vec<File>, Box<dyn std::error::Error>> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, MOST, most)?;
    let mut taken: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    taken.truncate(taken.len().checked_sub(left).ok_or("too many are open")?);
    Ok(taken)
}

pub fn joining() -> Outcome {
    const ENOUGH: usize = 40;
    let bench = Bench::new()?;
    let domain = bench.open();
    let me = domain.join("me")?;
    let mut failed = 0;
    for left in 0..ENOUGH {
        let before = descriptors();
        let taken = all_but(left)?;
        let _ = bench.options().open("lab");
        let _ = bench.options().open("another");
        let joined = domain.join("other");
        if let Err(error) = &joined {
            assert!(error.to_string().contains("EMFILE"), "{left}: {error}");
            failed += 1;
        }
        assert!(left + 1 < ENOUGH || joined.is_ok(), "{joined:?}");
        // Leaving needs none.
        drop(joined);
        drop(taken);
        assert_eq!(descriptors(), before, "{left}");
        // What is held stays held, whatever has failed: only another process can tell.
        fork((), |()| {
            let held = bench.open().processes()?;
            assert_eq!(held.len(), 1, "{left}: {held:?}");
            Ok(())
        })?
        .wait()?;
        // A domain that was made and could not be opened is empty, and goes with its next user.
        drop(bench.options().open("another")?);
        assert_eq!(bench.leftovers().len(), 5, "{left}: {:?}", bench.leftovers());
    }
    assert!(failed > 3, "{failed}");
    let taken = all_but(0)?;
    drop((me, domain));
    drop(taken);
    assert_eq!(bench.leftovers(), [""; 0]);
    Ok(())
}

pub fn forking() -> Outcome {
    let bench = Bench::new()?;
    let taken = all_but(0)?;
    let sign = bench.path().join("the child was here");
    let forked = fork((), |()| Ok(std::fs::create_dir(&sign)?));
    drop(taken);
    assert!(forked.is_err(), "a child without a descriptor to wait for it by");
    assert_eq!(waitpid(Pid::from_raw(-1), None), Err(Errno::ECHILD));
    assert!(!sign.exists(), "said not to be, and yet it ran");
    Ok(())
}
