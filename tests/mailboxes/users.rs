//! Other users than the owner's.

use crate::actor::Stage;
use nix::sys::socket::{MsgFlags, recv};
use nix::unistd::getuid;
use postbox::Mechanism;
use postbox_tests::Outcome;
use std::fs::File;

const GUEST: u32 = 4321;
const STRANGER: u32 = 4322;

/// What this process has of a channel that can be read from: descriptors as they are, and those that
/// can be opened anew through `/proc`.
pub fn readable() -> String {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten() {
        let number = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        let (Some(number), Ok(target)) = (number, std::fs::read_link(entry.path())) else {
            continue;
        };
        let target = target.display().to_string();
        let kind = target.split(':').next().unwrap_or_default();
        // The standard streams are pipes, too.
        let queue = number > 2 && (kind == "pipe" || target.starts_with("/postbox"));
        let flags = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}"));
        let flags = flags.unwrap_or_default();
        let flags = flags.lines().find_map(|line| line.strip_prefix("flags:"));
        let mode = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
        if queue && mode.is_none_or(|mode| mode & 0o3 != 0o1) {
            found.push("a reading side".to_owned());
        }
        if queue && File::open(entry.path()).is_ok() {
            found.push("one by /proc".to_owned());
        }
        let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        if kind == "socket" && recv(number, &mut [0; 64], peek).is_ok_and(|bytes| bytes > 0) {
            found.push("a message".to_owned());
        }
    }
    found.sort();
    found.dedup();
    format!("found {}", found.join(", "))
}

pub fn second_user() -> Outcome {
    if !getuid().is_root() {
        return Ok(()); // Only root can become another user.
    }
    let private = Stage::for_all()?;
    let mut boss = private.actor("boss")?;
    boss.does("create jobs receivers=members")?;
    assert!(private.actor_as("guest", Some((GUEST, GUEST))).is_err());

    let shared = Stage::for_group(GUEST)?;
    let mut boss = shared.actor("boss")?;
    boss.does("create jobs receivers=guest")?;
    assert!(shared.actor_as("guest", Some((STRANGER, STRANGER))).is_err());
    let mut guest = shared.actor_as("guest", Some((GUEST, GUEST)))?;
    guest.does("open jobs")?;
    guest.does("send jobs x")?;
    // Listed when nobody had the name: the creator's user was meant.
    assert!(guest.ask("receive jobs")?.contains("may not receive"));
    boss.does("grant jobs guest")?;
    assert_eq!(guest.ask("receive jobs")?, "x from guest");
    let said = shared.domain()?.mailbox("jobs")?;
    let granted = said.status()?.may_receive;
    let users: Vec<u32> = granted.granted().iter().map(|grant| grant.uid).collect();
    assert_eq!(users, [0, GUEST]);
    // A keeper of another user keeps it from being changed.
    let mut keeper = shared.actor("keeper")?;
    guest.does("create kept owner=keeper receivers=members")?;
    assert!(guest.ask("destroy kept")?.contains("user 0 may"));
    boss.does("open kept")?;
    boss.does("destroy kept")?;
    let _ = keeper.next();
    Ok(())
}

pub fn write_only(mechanism: Mechanism) -> Outcome {
    if !getuid().is_root() {
        return Ok(()); // Only root can become another user.
    }
    let stage = Stage::for_group(GUEST)?;
    let mut boss = stage.actor("boss")?;
    boss.does(&format!("create jobs mechanism={mechanism} capacity=3"))?;
    let mut guest = stage.actor_as("guest", Some((GUEST, GUEST)))?;
    guest.does("open jobs")?;
    for i in 0..3 {
        guest.does(&format!("send jobs {i}"))?;
    }
    assert!(guest.ask("receive jobs")?.contains("boss may"));
    let (whole, narrow) = (boss.ask("readable")?, guest.ask("readable")?);
    match mechanism {
        Mechanism::Pipe | Mechanism::MessageQueue => {
            assert_eq!(whole, "found a reading side, one by /proc");
        }
        Mechanism::Socket => assert!(whole.contains("a message"), "{whole}"),
        // The memory is mapped whole: there it is the library that refuses.
        Mechanism::SharedMemory => {}
    }
    assert_eq!(narrow, "found ");
    for i in 0..3 {
        assert_eq!(boss.ask("receive jobs")?, format!("{i} from guest"));
    }
    Ok(())
}
