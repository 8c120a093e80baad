//! A progress bar on a terminal; nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::io::{self, IsTerminal};
use std::time::Duration;

/// How far the chaos is, in time, over all rounds.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Milliseconds of the rounds that are done.
    before: Cell<u64>,
}

impl Progress {
    /// Of so much traffic in all.
    pub fn over(traffic: Duration) -> Self {
        let bar = if io::stderr().is_terminal() {
            ProgressBar::new(traffic.as_millis() as u64)
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{msg:32} {wide_bar} {percent} %, {eta} left");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress { bar, before: Cell::new(0) }
    }

    /// A round begins.
    pub fn begin(&self, round: String) {
        self.bar.set_message(round);
    }

    /// The round has had so much traffic.
    pub fn at(&self, traffic: Duration) {
        self.bar.set_position(self.before.get() + traffic.as_millis() as u64);
    }

    /// The round is over, and was that long.
    pub fn end(&self, traffic: Duration) {
        self.before.set(self.before.get() + traffic.as_millis() as u64);
        self.bar.set_position(self.before.get());
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
