//! Never more than n: how many messages certainly waited in the channel at any instant.
//!
//! A message certainly waits from the end of the call that sent it to the beginning of the call
//! that received it. Both times are noted outside the calls, so a message that is counted was in the
//! channel for all of that time, and perhaps longer: what is found is certain.
//!
//! Where the two sides meet, nothing waits, with one exception. A `try_send` that succeeded has bound
//! a receiver inside a waiting call, which stays for it; but another receiver that begins its call
//! just then may be quicker, or the bound one killed. So of these there may be as many as there
//! are receivers.

use super::{Judged, Rule, against};
use crate::chaos::table::duration;

/// What counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Which {
    /// Sender and receiver, where each two have a channel of their own.
    pub link: Option<(u32, u32)>,
    /// Sent by a call that found a receiver waiting, where the two sides meet.
    pub met: bool,
}

/// The comings and goings of a few seconds.
#[derive(Debug)]
pub struct Crowd {
    most: Option<u32>,
    /// When, and one more or one less.
    steps: Vec<(Which, u64, i8)>,
}

impl Crowd {
    /// No more than `most` at any time; none: as many as there are.
    pub fn new(most: Option<u32>) -> Self {
        Crowd { most, steps: Vec::new() }
    }

    /// A message waited from `sent` to `asked`, if that is later.
    pub fn waited(&mut self, channel: Which, sent: u64, asked: u64) {
        if self.most.is_some() && sent < asked {
            self.steps.push((channel, sent, 1));
            self.steps.push((channel, asked, -1));
        }
    }

    /// Whether there ever were too many, with so many receivers; forgets them.
    pub fn judge(&mut self, receivers: usize) -> Judged {
        let Some(most) = self.most else { return Ok(()) };
        // One that leaves makes room for one that comes at the same instant.
        self.steps.sort_unstable();
        let (mut channel, mut inside, mut since) = (Which::default(), 0i64, None);
        for &(which, at, step) in &self.steps {
            if which != channel {
                (channel, inside, since) = (which, 0, None);
            }
            inside += i64::from(step);
            let most = if which.met { receivers as i64 } else { i64::from(most) };
            if inside > most {
                since = since.or(Some(at));
            } else if let Some(begin) = since {
                let account = format!(
                    "{} messages or more waited for {}, the capacity is {most}",
                    most + 1,
                    duration(at - begin)
                );
                return against(Rule::TooMany, account);
            }
        }
        self.steps.clear();
        self.steps.shrink_to(1 << 16);
        Ok(())
    }
}
