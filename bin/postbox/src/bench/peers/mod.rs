//! Other libraries that pass messages, measured beside ours: a program for each, which takes turns
//! with ours and answers one line for one line. `bin/peers` has some of them, and the protocol.
//!
//! ```text
//!  bench                          program                        its second half
//!    │ hello 1                       │
//!    ├──────────────────────────────►│ hello 1 iceoryx2 0.10 copied loaned
//!    │◄──────────────────────────────┤
//!    │ run 1 copied latency …        │        starts, pins
//!    ├──────────────────────────────►├───────────────────────────────►│
//!    │                               │◄── messages there and back ───►│
//!    │◄──────────────────────────────┤ latency 1 mean=… trips=…       ╵
//!    │ end of input                  │
//!    ├──────────────────────────────►╵
//! ```
//!
//! Nobody is trusted: each answer has a deadline and a greatest length, and is checked against what
//! the bench itself saw. In reading order: [`protocol`] (the lines), [`program`] (one of them,
//! started, asked and ended), [`guest`] (one of its subjects in one case).

mod guest;
mod program;
mod protocol;

pub use guest::{Guest, PEER};
pub use program::Heard;

use super::contender::Terms;
use super::crew::Trouble;
use super::plan::Case;
use super::row::Row;
use postbox::{Capacity, Mechanism};
use postbox_program::ending::Ending;
use postbox_program::stop::Stop;
use program::Program;
use protocol::Request;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What the programs in a directory are called, and the names of the libraries after that.
const PREFIX: &str = "postbox-peer-";

/// Whoever is measured beside ours.
#[derive(Debug)]
pub struct Peers {
    programs: Vec<Program>,
    /// Beside shared memory only, which is the mechanism for those who care how long it takes.
    choosy: bool,
    /// Requests so far; each has a number of its own.
    asked: u64,
}

/// One subject of one program.
#[derive(Debug, Clone, Copy)]
pub struct Seat {
    program: usize,
    subject: usize,
}

impl Peers {
    /// Starts the programs at those paths. Those that do not introduce themselves are left out; a
    /// row for each says why.
    ///
    /// # Errors
    ///
    /// Only [`Trouble::Stopped`].
    pub fn meet(
        paths: &[PathBuf],
        mechanisms: &[Mechanism],
        patience: Duration,
        stop: &Stop,
    ) -> Result<(Self, Vec<Row>), Trouble> {
        let choosy = mechanisms.is_empty() || mechanisms.contains(&Mechanism::SharedMemory);
        let mut peers = Peers { programs: Vec::new(), choosy, asked: 0 };
        let mut rows = Vec::new();
        for path in paths {
            match Program::meet(path, patience, stop) {
                Ok(program) => peers.programs.push(program),
                Err(Trouble::Stopped) => return Err(Trouble::Stopped),
                Err(Trouble::Failed(reason)) => {
                    let subject = program::file_name(path);
                    rows.push(Row {
                        subject,
                        mechanism: PEER,
                        error: Some(reason),
                        ..Row::default()
                    });
                }
            }
        }
        Ok((peers, rows))
    }

    /// Who takes part in that case: all, where it is one that they could have, too.
    pub fn beside(&self, case: &Case) -> Vec<Guest> {
        let subject = &case.subject;
        let pair = subject.producers == 1 && subject.consumers == 1;
        let fits = !self.choosy || subject.mechanism == Mechanism::SharedMemory;
        if !pair || !fits || subject.capacity == Capacity::Bounded(0) {
            return Vec::new();
        }
        let mut guests = Vec::new();
        for (program, it) in self.programs.iter().enumerate().filter(|(_, it)| !it.is_out()) {
            for subject in 0..it.hello().subjects.len() {
                guests.push(Guest::new(it.hello().display(subject), Seat { program, subject }));
            }
        }
        guests
    }

    /// One run of a guest, who notes what came of it.
    ///
    /// # Errors
    ///
    /// Only [`Trouble::Stopped`]: what goes wrong with a peer is its own affair.
    pub fn turn(
        &mut self,
        guest: &mut Guest,
        case: &Case,
        terms: &Terms<'_>,
    ) -> Result<(), Trouble> {
        if !guest.is_gone() {
            guest.note(self.measure(guest.seat, case, terms)?);
        }
        Ok(())
    }

    /// Every subject of every program: its library, what that calls it, and what rows call it.
    pub fn seats(&self) -> Vec<(Seat, &str, &str, String)> {
        let mut seats = Vec::new();
        for (program, it) in self.programs.iter().enumerate() {
            let hello = it.hello();
            for (subject, word) in hello.subjects.iter().enumerate() {
                let seat = Seat { program, subject };
                seats.push((seat, &*hello.name, &**word, hello.display(subject)));
            }
        }
        seats
    }

    /// One run of one subject.
    ///
    /// # Errors
    ///
    /// Only [`Trouble::Stopped`].
    pub fn measure(
        &mut self,
        seat: Seat,
        case: &Case,
        terms: &Terms<'_>,
    ) -> Result<Heard, Trouble> {
        self.asked += 1;
        let (near, far) = terms.placement.pair();
        let program = &mut self.programs[seat.program];
        let request = Request {
            id: self.asked,
            subject: program.hello().subjects[seat.subject].clone(),
            metric: case.metric,
            payload: case.subject.payload,
            depth: case.slots(),
            near,
            far,
            nanoseconds: terms.budget,
        };
        program.run(&request, terms.stop)
    }
}

/// The programs that those paths name: a directory stands for those in it that are called
/// `postbox-peer-NAME`, a file for itself, whatever it is called.
///
/// # Errors
///
/// Bad input: there is no such path, or nothing to run there.
pub fn find(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Ending> {
    let mut found = Vec::new();
    for path in paths {
        let bad =
            |why: String| Ending::BadInput(format!("no peers at '{}': {why}", path.display()));
        if path.is_dir() {
            let inside = programs(path).map_err(|error| bad(error.to_string()))?;
            if inside.is_empty() {
                return Err(bad(format!(
                    "no program there is called {PREFIX}NAME (scripts/peers.sh builds some)"
                )));
            }
            found.extend(inside);
        } else {
            let program = is_program(path).map_err(|error| bad(error.to_string()))?;
            if !program {
                return Err(bad("it is no program".into()));
            }
            found.push(path.clone());
        }
    }
    Ok(found)
}

/// Those in a directory, by name.
fn programs(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let named = entry.file_name().to_string_lossy().starts_with(PREFIX);
        // What vanishes meanwhile is none.
        if named && is_program(&entry.path()).unwrap_or(false) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn is_program(path: &Path) -> io::Result<bool> {
    let metadata = fs::metadata(path)?;
    Ok(metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}
