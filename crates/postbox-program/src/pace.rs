//! So many a second.

use crate::stop::Stop;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How many a second: above zero, at most a thousand million.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        match number.parse() {
            // Slower than one in 30 years would overflow nothing, but be of no use either.
            Ok(rate) if (1e-9..=1e9).contains(&rate) => Ok(Rate(rate)),
            _ => Err("give a number of records per second, above 0 and at most 1000000000".into()),
        }
    }
}

/// Lets so many pass a second, evenly: what was missed is not caught up with later.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    next: Instant,
}

/// How far behind its time the pace may be and still keep the rate: sleeps are never exact.
const SLACK: Duration = Duration::from_millis(20);

impl Pace {
    /// The first may pass at once.
    pub fn new(rate: Rate) -> Self {
        Pace { interval: Duration::from_secs_f64(rate.0.recip()), next: Instant::now() }
    }

    /// Waits for the next one's time, but not beyond `deadline`; false if the program is to stop or
    /// the deadline came first.
    pub fn wait(&mut self, stop: &Stop, deadline: Option<Instant>) -> bool {
        let now = Instant::now();
        if let Some(ahead) = self.next.checked_duration_since(now).filter(|left| !left.is_zero()) {
            let left = deadline.map_or(ahead, |at| at.saturating_duration_since(now).min(ahead));
            if stop.pause(left) || left < ahead {
                return false;
            }
        }
        let earliest = now.checked_sub(SLACK).unwrap_or(now);
        self.next = self.next.max(earliest) + self.interval;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_above_zero() {
        for text in ["1", "0.5", "1000/s", "1e3"] {
            text.parse::<Rate>().unwrap();
        }
        for text in ["0", "-1", "NaN", "inf", "", "fast", "1/m", "1e10"] {
            text.parse::<Rate>().unwrap_err();
        }
    }
}
