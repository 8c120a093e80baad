//! A progress bar on a terminal; nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};

/// How far the bench is, in rounds.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// Of that many rounds in all. It has no thread of its own, beside which nothing could fork.
    pub fn over(rounds: u64) -> Self {
        let bar = if io::stderr().is_terminal() {
            ProgressBar::new(rounds)
        } else {
            ProgressBar::hidden()
        };
        let template = "{msg:24} {wide_bar} {human_pos}/{human_len} rounds, {eta} left";
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress(bar)
    }

    /// A case begins.
    pub fn begin(&self, label: String) {
        self.0.set_message(label);
    }

    /// A round is over.
    pub fn round(&self) {
        self.0.inc(1);
    }

    /// A case is repeated: so many rounds more.
    pub fn again(&self, rounds: u32) {
        self.0.inc_length(rounds.into());
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.0.finish_and_clear();
    }
}
