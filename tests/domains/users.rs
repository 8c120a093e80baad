use nix::errno::Errno;
use nix::sys::stat::{Mode, umask};
use nix::unistd::geteuid;
use postbox::{Domain, DomainError, DomainOptions, fork};
use postbox_tests::bench::{Bench, greet};
use postbox_tests::{Outcome, unprivileged_as};
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const MEMBER: u32 = 4321;
const STRANGER: u32 = 4322;
const UMASKS: [u32; 3] = [0, 0o022, 0o777];

/// Runs `body` as another user, in a process of its own.
fn as_user(user: u32, body: impl FnOnce() -> Outcome) -> Outcome {
    let child = fork((), |()| {
        unprivileged_as(user)?;
        body()
    })?;
    Ok(child.wait()?)
}

/// Whether the domain's directories and files have just these permissions.
fn modes(domain: &Domain, directories: u32, files: u32) {
    let mode = |path: PathBuf| {
        let found = std::fs::metadata(&path).map(|found| found.permissions().mode() & 0o7777);
        found.unwrap_or_else(|error| panic!("{path:?}: {error}"))
    };
    let (lab, own) = (domain.path(), std::process::id());
    for directory in [lab.clone(), lab.join("processes"), lab.join("mailboxes")] {
        assert_eq!(mode(directory.clone()), directories, "{directory:?}");
    }
    for file in [lab.join("claims"), lab.join(format!("processes/host.{own}"))] {
        assert_eq!(mode(file.clone()), files, "{file:?}");
    }
}

fn connect_refused(outcome: nix::Result<()>) {
    assert!(matches!(outcome, Err(Errno::EACCES)), "{outcome:?}");
}

fn open(base: &Path) -> Result<Domain, DomainError> {
    DomainOptions::new().directory(base).open("lab")
}

pub fn refused() -> Outcome {
    if !geteuid().is_root() {
        return Ok(()); // Only root can become another user.
    }
    for mask in UMASKS {
        umask(Mode::from_bits_truncate(mask));
        let bench = Bench::for_all()?;
        let base = bench.path().join("base");
        let domain = open(&base)?;
        let me = domain.join("host")?;
        modes(&domain, 0o700, 0o600);
        let host = std::process::id();
        // By the directories alone, also where these were opened before.
        as_user(STRANGER, || {
            let error = open(&base).err().ok_or("another user was let in")?;
            assert!(error.to_string().contains("base"), "{error}");
            assert!(DomainOptions::new().directory(&base).group(STRANGER).open("lab").is_err());
            connect_refused(greet(&domain, "host", host));
            Ok(())
        })?;
        assert_eq!(domain.processes()?.len(), 1);
        // One who may pass through the directories still may not use what is in them.
        for directory in [base.clone(), domain.path(), domain.path().join("processes")] {
            set_permissions(directory, Permissions::from_mode(0o711))?;
        }
        as_user(STRANGER, || {
            assert!(open(&base).is_err());
            connect_refused(greet(&domain, "host", host));
            Ok(())
        })?;
        drop(me);
    }
    Ok(())
}

pub fn let_in() -> Outcome {
    if !geteuid().is_root() {
        return Ok(()); // Only root can become another user.
    }
    for mask in UMASKS {
        umask(Mode::from_bits_truncate(mask));
        let bench = Bench::for_all()?;
        let base = bench.path().join("base");
        let options = DomainOptions::new().directory(&base).group(MEMBER);
        let domain = options.open("lab")?;
        let me = domain.join("host")?;
        modes(&domain, 0o3770, 0o660);
        let host = std::process::id();
        as_user(MEMBER, || {
            let alone = open(&base).err().ok_or("let in without the option")?;
            assert!(alone.to_string().contains("another user"), "{alone}");
            let shared = options.open("lab")?;
            let me = shared.join("guest")?;
            assert!(shared.join("host").is_err(), "a live name was stolen from another user");
            let seen = shared.processes()?;
            let seen: Vec<_> = seen.iter().map(|p| (p.name().as_str(), p.uid())).collect();
            assert_eq!(seen, [("guest", MEMBER), ("host", 0)]);
            greet(&shared, "host", host)?;
            // What is another's stays.
            let socket = shared.path().join(format!("processes/host.{host}"));
            assert!(std::fs::remove_file(socket).is_err());
            drop(me);
            // A member can make a domain of its own, and take it away again.
            let own = options.open("own")?;
            drop(own.join("host")?);
            assert!(!own.path().exists());
            Ok(())
        })?;
        as_user(STRANGER, || {
            assert!(options.open("lab").is_err());
            connect_refused(greet(&domain, "host", host));
            Ok(())
        })?;
        assert_eq!(domain.processes()?.len(), 1);
        drop(me);
        drop(domain);
        assert_eq!(bench.leftovers(), [base.display().to_string()]);
    }
    Ok(())
}

pub fn pretended() -> Outcome {
    if !geteuid().is_root() {
        return Ok(()); // Only root can become another user.
    }
    let bench = Bench::for_all()?;
    let base = bench.path().join("base");
    std::fs::create_dir(&base)?;
    nix::unistd::chown(&base, None, Some(MEMBER.into()))?;
    // Whoever makes something in there makes it the group's.
    set_permissions(&base, Permissions::from_mode(0o3777))?;
    as_user(STRANGER, || {
        umask(Mode::empty());
        for directory in ["lab", "lab/processes", "lab/mailboxes"] {
            std::fs::create_dir(base.join(directory))?;
            set_permissions(base.join(directory), Permissions::from_mode(0o1770))?;
        }
        std::fs::write(base.join("lab/claims"), "")?;
        Ok(())
    })?;
    as_user(MEMBER, || {
        let opened = DomainOptions::new().directory(&base).group(MEMBER).open("lab");
        let error = opened.err().ok_or("took a stranger's domain for the group's")?;
        assert!(error.to_string().contains("chmod o-w"), "{error}");
        Ok(())
    })
}

pub fn squatted() -> Outcome {
    if !geteuid().is_root() {
        return Ok(()); // Only root can become another user.
    }
    let bench = Bench::for_all()?;
    set_permissions(bench.path(), Permissions::from_mode(0o1777))?;
    let base = bench.path().join("base");
    let refused = || {
        as_user(MEMBER, || {
            let error = open(&base).err().ok_or("walked into a trap")?.to_string();
            assert!(error.contains("cannot be trusted"), "{error}");
            assert!(error.contains("set POSTBOX_DIR to a directory of your own"), "{error}");
            Ok(())
        })
    };
    as_user(STRANGER, || Ok(std::fs::create_dir(&base)?))?;
    for mode in [0o700, 0o755, 0o777, 0o1777] {
        set_permissions(&base, Permissions::from_mode(mode))?;
        refused()?;
    }
    std::fs::remove_dir(&base)?;
    as_user(STRANGER, || Ok(std::os::unix::fs::symlink("/var/tmp", &base)?))?;
    refused()?;
    std::fs::remove_file(&base)?;
    as_user(STRANGER, || Ok(std::fs::write(&base, "")?))?;
    refused()
}
