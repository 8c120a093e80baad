//! The directory of a domain: full, read-only, not ours to write, removed, or very deep. Each case
//! has a file system of its own where it needs one, which only root can mount.

use crate::scarce::limited;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::getuid;
use postbox::{Bytes, DomainOptions, Mechanism, Process, fork};
use postbox_tests::bench::Bench;
use postbox_tests::{Gate, Outcome, soon, unprivileged_as};
use std::error::Error;
use std::fmt::Display;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// What a process can say of a directory must name it, what is wrong with it and what to do.
#[track_caller]
fn says(error: &dyn Display, path: &Path, what: &str) {
    let text = error.to_string();
    let named = text.contains(&*path.to_string_lossy()) || text.contains("the domain");
    assert!(named && text.contains(what) && !text.contains('\n'), "not '{what}': {text}");
    assert!(text.contains("POSTBOX_DIR"), "no remedy: {text}");
}

/// Runs it with a small file system of its own at the bench; not where this process may not mount.
fn with_small_disk(options: &str, body: impl FnOnce(&Path) -> Outcome) -> Outcome {
    if !getuid().is_root() {
        println!("not shown: only root can mount");
        return Ok(());
    }
    let bench = Bench::for_all()?;
    limited(|| {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        let options = format!("{options},mode=755");
        mount(Some("none"), bench.path(), Some("tmpfs"), MsFlags::empty(), Some(&*options))?;
        let outcome = body(bench.path());
        umount2(bench.path(), MntFlags::MNT_DETACH)?;
        outcome
    })
}

/// Joins under that name.
fn join(path: &Path, name: &str) -> Result<Process, Box<dyn Error>> {
    Ok(DomainOptions::new().directory(path).open("lab")?.join(name)?)
}

/// Two processes of one machine come together there.
fn meet(path: &Path) -> Outcome {
    let [one, other] = [join(path, "one")?, join(path, "other")?];
    talk(&one, &other)
}

fn talk(one: &Process, other: &Process) -> Outcome {
    one.send_bytes_with("other", b"hello", &soon())?;
    let hello = other.receive_from_with::<Bytes>("one", &soon())?;
    assert_eq!(&**hello, b"hello");
    Ok(())
}

/// Fills the file system with empty files; how to free one inode after another.
fn fill(path: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut filling = Vec::new();
    loop {
        let file = path.join(format!("filling-{}", filling.len()));
        match fs::write(&file, "") {
            Ok(()) => filling.push(file),
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull => return Ok(filling),
            Err(error) => return Err(error.into()),
        }
    }
}

pub fn full() -> Outcome {
    with_small_disk("nr_inodes=40", |path| {
        meet(path)?;
        let filling = fill(path)?;
        assert!(filling.len() > 20);
        let mut failed = 0;
        for file in filling {
            // However little there is, nothing is left of an attempt.
            let before = fs::read_dir(path)?.count();
            match meet(path) {
                Ok(()) => assert!(failed > 0, "it was full"),
                Err(error) => {
                    says(&error, path, "is full");
                    failed += 1;
                }
            }
            assert_eq!(fs::read_dir(path)?.count(), before, "something was left behind");
            fs::remove_file(file)?;
        }
        assert!(failed >= 5, "{failed}");
        meet(path)
    })
}

pub fn full_while_joined() -> Outcome {
    with_small_disk("nr_inodes=40", |path| {
        let [one, other] = [join(path, "one")?, join(path, "other")?];
        let filling = fill(path)?;
        // Channels take nothing of the disk, and names that are held stay held.
        talk(&one, &other)?;
        says(&join(path, "third").unwrap_err(), path, "is full");
        let mailbox = one.create_mailbox::<u32>("jobs", postbox::MailboxOptions::default());
        says(&mailbox.unwrap_err(), path, "is full");
        filling.into_iter().try_for_each(fs::remove_file)?;
        let mailbox = one.create_mailbox::<u32>("jobs", postbox::MailboxOptions::default())?;
        mailbox.try_send(&1)?;
        let _third = join(path, "third")?;
        talk(&one, &other)
    })
}

pub fn read_only() -> Outcome {
    with_small_disk("nr_inodes=100", |path| {
        let remount = |flags| {
            let none = None::<&str>;
            mount(none, path, none, MsFlags::MS_REMOUNT | flags, none)
        };
        remount(MsFlags::MS_RDONLY)?;
        says(&meet(path).unwrap_err(), path, "EROFS");
        remount(MsFlags::empty())?;
        let [one, other] = [join(path, "one")?, join(path, "other")?];
        // While somebody is joined, the file of claims is open, and the kernel lets nobody do it.
        assert_eq!(remount(MsFlags::MS_RDONLY), Err(Errno::EBUSY));
        talk(&one, &other)
    })
}

pub fn no_permission() -> Outcome {
    if !getuid().is_root() {
        // Its own directory a process would simply open for itself again.
        println!("not shown: only root can become another user");
        return Ok(());
    }
    let bench = Bench::for_all()?;
    limited(|| {
        unprivileged_as(64_010)?;
        says(&meet(bench.path()).unwrap_err(), bench.path(), "EACCES");
        Ok(())
    })?;
    // Until its owner lets it in.
    fs::set_permissions(bench.path(), fs::Permissions::from_mode(0o1777))?;
    limited(|| {
        unprivileged_as(64_010)?;
        meet(bench.path())
    })
}

pub fn removed() -> Outcome {
    let bench = Bench::new()?;
    let domain = bench.open();
    let [one, other] = [domain.join("one")?, domain.join("other")?];
    talk(&one, &other)?;
    let (gone, seen) = (Gate::new()?, Gate::new()?);
    let later = fork((), |()| {
        gone.pass()?;
        // It is another domain of that name, in which nobody is yet.
        let domain = bench.open();
        assert!(domain.processes()?.is_empty());
        let me = domain.join("one")?;
        assert!(me.try_send("other", &1_u32).unwrap_err().is_absent());
        seen.open()?;
        Ok(())
    })?;
    fs::remove_dir_all(domain.path())?;
    gone.open()?;
    // Who has come together stays so.
    talk(&one, &other)?;
    seen.pass()?;
    later.wait()?;
    // Who has not does not: the names are no more, and that is said.
    let third = domain.join("third")?;
    assert!(third.try_send("one", &1_u32).unwrap_err().is_absent());
    drop((one, other));
    // All over again, the domain is as any other.
    meet(bench.path())?;
    drop((third, domain));
    assert_eq!(bench.leftovers(), [""; 0]);
    Ok(())
}

pub fn deep() -> Outcome {
    let bench = Bench::new()?;
    // Far beyond the 108 bytes of a socket's address.
    let path = (0..10).fold(bench.path().to_owned(), |path, _| path.join("d".repeat(200)));
    fs::create_dir_all(&path)?;
    meet(&path)?;
    let me = join(&path, &"n".repeat(64))?;
    let jobs = me.create_mailbox::<u32>(&"m".repeat(64), Mechanism::Pipe)?;
    jobs.try_send(&1)?;
    assert_eq!(*jobs.receive()?, 1);
    // What no file system can hold is an error that names it.
    let too_deep = (0..25).fold(path, |path, _| path.join("d".repeat(200)));
    let error = join(&too_deep, "me").unwrap_err().to_string();
    assert!(error.contains("ENAMETOOLONG") && error.contains("dddd"), "{error}");
    Ok(())
}
