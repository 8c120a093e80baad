//! The lines between the bench and a program.

use crate::Outcome;
use crate::work::Figures;
use std::fmt;
use std::str::FromStr;

/// What both sides speak.
pub const VERSION: u32 = 1;

/// What a program says of itself.
#[derive(Debug, Clone, Copy)]
pub struct Hello {
    /// The library's name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// The ways in which it can be used.
    pub subjects: &'static [&'static str],
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hello {VERSION} {} {} {}", self.name, self.version, self.subjects.join(" "))
    }
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// One way of a message, there and back
    Latency,
    /// Messages in a second, one way
    Throughput,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// To be repeated in the answer.
    pub id: u64,
    /// Which way of using the library.
    pub subject: String,
    /// What to measure.
    pub metric: Metric,
    /// Bytes of a message.
    pub payload: usize,
    /// Messages that may wait.
    pub depth: usize,
    /// The processor of the half that measures.
    pub near: usize,
    /// The processor of the other half.
    pub far: usize,
    /// How long to measure.
    pub nanoseconds: u64,
}

impl FromStr for Run {
    type Err = Box<dyn std::error::Error>;

    fn from_str(line: &str) -> Outcome<Self> {
        let mut words = line.split_ascii_whitespace();
        let mut word = || words.next().ok_or_else(|| format!("'{line}' is too short"));
        if word()? != "run" {
            return Err(format!("'{line}' is neither 'hello' nor 'run'").into());
        }
        let (id, subject) = (word()?.parse()?, word()?.to_owned());
        let metric = match word()? {
            "latency" => Metric::Latency,
            "throughput" => Metric::Throughput,
            other => return Err(format!("'{other}' is no metric").into()),
        };
        let mut value = |key: &str| -> Outcome<u64> {
            let value = word()?.strip_prefix(key).and_then(|rest| rest.strip_prefix('='));
            Ok(value.ok_or_else(|| format!("there is no {key}= in '{line}'"))?.parse()?)
        };
        let (payload, depth) = (value("payload")?, value("depth")?.max(1));
        let (near, far, nanoseconds) = (value("near")?, value("far")?, value("nanoseconds")?);
        if payload < 8 {
            return Err("a message has 8 bytes at least".into());
        }
        Ok(Run {
            id,
            subject,
            metric,
            payload: payload.try_into()?,
            depth: depth.try_into()?,
            near: near.try_into()?,
            far: far.try_into()?,
            nanoseconds,
        })
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Run { id, subject, payload, depth, near, far, nanoseconds, .. } = self;
        let metric = match self.metric {
            Metric::Latency => "latency",
            Metric::Throughput => "throughput",
        };
        write!(
            f,
            "run {id} {subject} {metric} payload={payload} depth={depth} near={near} far={far} \
             nanoseconds={nanoseconds}"
        )
    }
}

/// The answer to a run.
pub fn answer(run: &Run, measured: &Figures) -> String {
    let id = run.id;
    match measured {
        Figures::Latency { mean, trips } => {
            let trips: Vec<String> =
                trips.iter().map(|(time, count)| format!("{time}:{count}")).collect();
            format!("latency {id} mean={mean} trips={}", trips.join(","))
        }
        Figures::Throughput { first, last, count } => {
            format!("throughput {id} first={first} last={last} count={count}")
        }
    }
}

/// The answer to a run that is not possible.
pub fn refused(run: &Run, reason: &str) -> String {
    format!("refused {} {}", run.id, one_line(reason))
}

/// The answer to a run that was, and went wrong.
pub fn failed(run: &Run, reason: &str) -> String {
    format!("failed {} {}", run.id, one_line(reason))
}

fn one_line(reason: &str) -> String {
    reason.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_survives_the_way_through_a_line() {
        let line = "run 7 copied latency payload=64 depth=256 near=0 far=1 nanoseconds=1000";
        let run: Run = line.parse().unwrap();
        assert_eq!((run.id, run.payload, run.far), (7, 64, 1));
        assert_eq!(run.to_string(), line);
        for nonsense in ["", "run", "run 7 copied beauty", "go 7", &line[..60], &line[4..]] {
            nonsense.parse::<Run>().unwrap_err();
        }
    }

    #[test]
    fn a_reason_is_one_line() {
        let line = "run 7 copied latency payload=64 depth=256 near=0 far=1 nanoseconds=1000";
        assert_eq!(failed(&line.parse().unwrap(), "too\n  bad"), "failed 7 too bad");
    }
}
