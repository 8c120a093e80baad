//! `postbox keeper`: a process whose only work is to own mailboxes.
//!
//! ```text
//!  postbox mailbox create,
//!  postbox keeper --background ── no keeper? ──► postbox keeper --detached
//!          │                                      │ a session of its own, standard streams away
//!          │ ◄──────── "ready", over a pipe ──────┤ claims the name `keeper`
//!          │ ── create ──────────────────────────►│ … ends once it owns nothing any more
//! ```
//!
//! What a shell has started leads a group of processes, and can have no session of its own. A child of it can.

use crate::NAME;
use nix::unistd::{close, dup2_stderr, dup2_stdin, dup2_stdout, setsid};
use postbox::{Domain, Keeper, KeeperError, SpawnError, WhenIdle};
use postbox_program::command_line::EXIT_CODES;
use postbox_program::ending::{Ending, complain, print};
use postbox_program::place::Place;
use postbox_program::stop::Stop;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// This program, even if its file has been replaced meanwhile.
const OWN_PROGRAM: &str = "/proc/self/exe";
/// How long a keeper in the background owns nothing before it ends.
const IDLE: Duration = Duration::from_secs(1);
/// What the background keeper says once it answers.
const READY: &str = "ready";

/// The arguments of `keeper`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Detach from the terminal, say `ready`, and end when no mailbox is left; `mailbox create`
    /// starts it so
    #[arg(long)]
    background: bool,
    /// Be the process that `--background` starts
    #[arg(long, hide = true, conflicts_with = "background")]
    detached: bool,
}

/// Keeps mailboxes until it is stopped, or in the background until none is left.
pub fn run(arguments: &Arguments) -> Ending {
    keep(arguments).unwrap_or_else(|ending| ending)
}

fn keep(arguments: &Arguments) -> Result<Ending, Ending> {
    if arguments.background {
        ensure(&arguments.place.open()?)?;
        print(&format!("{READY}\n"))?;
        return Ok(Ending::Done);
    }
    if arguments.detached {
        detach();
    }
    let stop = Stop::install()?;
    let domain = arguments.place.open()?;
    let when_idle = if arguments.detached { WhenIdle::End(IDLE) } else { WhenIdle::Stay };
    let keeper = match Keeper::start(&domain, when_idle) {
        // Somebody else was faster, and is as good.
        Err(KeeperError::Running { .. }) if arguments.detached => {
            say_ready();
            return Ok(Ending::Done);
        }
        started => started.map_err(refused)?,
    };
    if arguments.detached {
        say_ready();
    } else {
        let place = domain.path();
        complain(
            NAME,
            &format!("keeps the mailboxes of domain '{}' in {}", domain.name(), place.display()),
        );
    }
    match keeper.run(&stop.wait(None)) {
        Ok(()) => Ok(Ending::Done),
        Err(error) => Ok(stop.explain(refused(error))),
    }
}

fn refused(error: KeeperError) -> Ending {
    match error {
        KeeperError::Cancelled => Ending::Cancelled,
        KeeperError::TimedOut => Ending::Nothing(error.to_string()),
        error => Ending::Failure(error.to_string()),
    }
}

/// A session of its own, no descriptor of anybody's but the standard streams, and no directory
/// that could not be unmounted for its sake.
fn detach() {
    // It leads no group: `ensure` has not made it lead one.
    let _ = setsid();
    let _ = std::env::set_current_dir("/");
    let open = fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let open: Vec<i32> = open.filter_map(|fd| fd.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // The one of the listing is closed already.
        let _ = close(fd);
    }
}

/// Tells whoever started it, and lets go of what it was started with.
fn say_ready() {
    // Nobody need listen.
    let _ = writeln!(io::stdout(), "{READY}");
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ =
            dup2_stdin(&null).and_then(|()| dup2_stdout(&null)).and_then(|()| dup2_stderr(&null));
    }
}

/// Sees to it that the domain has a keeper: starts one in the background if there is none.
///
/// # Errors
///
/// In the words of the one that could not start, and with its exit code.
pub fn ensure(domain: &Domain) -> Result<(), Ending> {
    if Keeper::of(domain).map_err(refused)?.is_some() {
        return Ok(());
    }
    let failed = |source: io::Error| {
        // It knows what to do about it.
        let error = SpawnError::Start { program: "a keeper".into(), source };
        Ending::Failure(error.to_string())
    };
    let (mut word, theirs) = io::pipe().map_err(failed)?;
    let mut child = Command::new(OWN_PROGRAM)
        .arg0(NAME)
        .args(["keeper", "--detached", "--domain", domain.name().as_str()])
        .stdin(Stdio::null())
        .stdout(theirs.try_clone().map_err(failed)?)
        .stderr(theirs)
        .spawn()
        .map_err(failed)?;
    // The command still held the pipe's other end; it is gone with it.
    let mut said = String::new();
    word.read_to_string(&mut said).map_err(failed)?;
    if said.lines().any(|line| line == READY) {
        return Ok(());
    }
    // It has ended, or is about to.
    let code = child.wait().ok().and_then(|status| status.code());
    let reason = said.trim().trim_start_matches("postbox: ");
    let reason = format!("the keeper did not start: {reason}");
    Err(match code {
        Some(2) => Ending::BadInput(reason),
        Some(3) => Ending::Nothing(reason),
        _ => Ending::Failure(reason),
    })
}
