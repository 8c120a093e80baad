//! A progress bar on a terminal; nothing elsewhere.

use super::arguments::Contest;
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::io::{self, IsTerminal};

/// How far the comparison is, over all rows.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// Messages of the rows that are done.
    before: Cell<u64>,
}

impl Progress {
    /// Of that many messages in all.
    pub fn over(messages: u64) -> Self {
        let bar = if io::stderr().is_terminal() {
            ProgressBar::new(messages)
        } else {
            ProgressBar::hidden()
        };
        let template = "{msg:18} {wide_bar} {human_pos}/{human_len} messages, {eta} left";
        let style = ProgressStyle::with_template(template);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Progress { bar, before: Cell::new(0) }
    }

    /// A row begins.
    pub fn begin(&self, contest: &Contest) {
        self.bar.set_message(format!("{} {}", contest.mechanism(), contest.capacity()));
    }

    /// That many messages of the row have been received.
    pub fn at(&self, messages: u64) {
        self.bar.set_position(self.before.get() + messages);
    }

    /// The row is over, and had that many messages to receive.
    pub fn end(&self, messages: u64) {
        self.before.set(self.before.get() + messages);
        self.bar.set_position(self.before.get());
    }

    /// Takes the bar away.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
