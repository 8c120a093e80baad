//! The command line: what clap has to say, in one line, and values that several programs take.

use crate::ending::{Ending, unwritable};
use clap::error::ErrorKind;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// The last words of every help.
pub const EXIT_CODES: &str = "Exit codes: 0 done, 1 failure, 2 usage or bad input, \
3 nothing there or timed out, 130 interrupted (Ctrl-C), 143 terminated";

/// What clap has to say: help goes out as it is, an error becomes one line.
pub fn refuse(error: &clap::Error) -> Ending {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return match error.print().and_then(|()| io::stdout().flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => unwritable(&error),
            // A closed standard output ends it quietly.
            _ => Ending::Done,
        };
    }
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return Ending::BadInput("a command is missing: see --help".into());
    }
    let text = error.to_string();
    // Tips and usage follow after an empty line.
    let said = text.split("\n\n").next().unwrap_or(&text);
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Ending::BadInput(format!("{} (see --help)", line.strip_prefix("error: ").unwrap_or(&line)))
}

/// A patience in seconds, fractions included.
#[derive(Debug, Clone, Copy)]
pub struct Seconds(Duration);

impl std::str::FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = text.strip_suffix('s').unwrap_or(text).parse().unwrap_or(-1.0);
        Duration::try_from_secs_f64(seconds)
            .map(Seconds)
            .map_err(|_| "give a number of seconds, such as 0.5 or 10".into())
    }
}

impl Seconds {
    /// That long from now; none if that is beyond what the clock can say.
    pub fn from_now(self) -> Option<Instant> {
        Instant::now().checked_add(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_not_negative() {
        for text in ["0", "0.5", "10s", "1e3"] {
            text.parse::<Seconds>().unwrap();
        }
        for text in ["-1", "NaN", "inf", "", "soon", "1m"] {
            text.parse::<Seconds>().unwrap_err();
        }
    }
}
