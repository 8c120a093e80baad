//! The owner of a mailbox, and a hostile user that was let in to send.

use crate::honest::{self, MAX_MESSAGE};
use crate::hostile;
use crate::plan::seconds;
use nix::unistd::getuid;
use postbox::{Bytes, Capacity, Domain, DomainError, DomainOptions, Mechanism, Options, Wait};
use postbox_tests::{Chance, Outcome, PATIENCE};
use std::fs::Permissions;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

/// The hostile user, and the group that the domain is open to.
const GUEST: u32 = 4323;

/// The domain of a case, for the owner and for its guest.
pub fn domain(place: &Path) -> Result<Domain, DomainError> {
    DomainOptions::new().directory(place).group(GUEST).open("lab")
}

pub fn visited(mechanism: Mechanism) -> Outcome {
    if !getuid().is_root() {
        return Ok(()); // Only root can become another user.
    }
    let mut chance = Chance::new();
    let place = tempfile::tempdir_in("/var/tmp")?;
    std::fs::set_permissions(place.path(), Permissions::from_mode(0o755))?;
    let base = place.path().join("base");
    let me = domain(&base)?.join("boss")?;
    let options = Options::new(mechanism)
        .capacity(Capacity::Bounded(8))
        .max_message(MAX_MESSAGE)
        .byte_cap(1 << 17);
    let jobs = me.create_mailbox::<Bytes>("jobs", options)?;
    let beside = me.create_mailbox::<u64>("beside", Options::new(mechanism))?;
    let (tx, rx) = (jobs.sender()?, jobs.receiver()?);
    let (beside_tx, beside_rx) = (beside.sender()?, beside.receiver()?);

    let mut guest = Command::new(std::env::current_exe()?)
        .env_remove("POSTBOX_CASE")
        .env(hostile::PART, chance.below(1 << 50).to_string())
        .env(hostile::DOMAIN, &base)
        .stdout(Stdio::piped())
        .uid(GUEST)
        .gid(GUEST)
        .spawn()?;
    let said = guest.stdout.take().ok_or("no output")?;
    assert_eq!(BufReader::new(said).lines().next().ok_or("the guest did not come in")??, "here");

    honest::limit_memory()?;
    let end = Instant::now() + seconds();
    let mut count = 0;
    while Instant::now() < end {
        honest::receive(&rx, &mut chance);
        honest::send(&tx, &mut chance);
        beside_tx.send_with(&count, &Wait::timeout(PATIENCE))?;
        assert_eq!(*beside_rx.receive_with(&Wait::timeout(PATIENCE))?, count);
        count += 1;
    }
    assert!(count > 0);
    // And it still answers for its mailboxes, whatever it says of the spoilt one.
    assert!(domain(&base)?.processes()?.iter().any(|process| process.name().as_str() == "boss"));
    assert!(guest.try_wait()?.is_none(), "the hostile member fell into its own trap");
    guest.kill()?;
    guest.wait()?;
    honest::drop_in_time((tx, rx));
    drop((beside_tx, beside_rx));
    honest::drop_in_time((jobs, beside));
    honest::drop_in_time(me);
    Ok(())
}
