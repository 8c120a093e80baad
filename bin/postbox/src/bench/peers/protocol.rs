//! The lines between the bench and a peer's program, and what makes an answer believable.
//! `bin/peers/README.md` is their description for those who write such a program.

use crate::bench::arguments::Metric;
use crate::bench::figures::Measured;
use std::fmt;

/// What both sides speak.
pub const VERSION: u32 = 1;
/// Bytes of an answer at most, without its line end.
pub const LONGEST: usize = 256 << 10;
/// Bytes of a name at most.
const NAME: usize = 32;
/// Subjects of a program at most.
const SUBJECTS: usize = 8;
/// Bytes of a reason that are shown.
const REASON: usize = 200;

/// What a program says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The library's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The ways in which it can be used.
    pub subjects: Vec<String>,
}

/// What is asked for: one run.
#[derive(Debug, Clone)]
pub struct Request {
    /// To be repeated in the answer.
    pub id: u64,
    /// One of [`Hello::subjects`].
    pub subject: String,
    /// What to measure.
    pub metric: Metric,
    /// Bytes of a message.
    pub payload: usize,
    /// Messages that may wait.
    pub depth: u32,
    /// The processor of the half that measures.
    pub near: usize,
    /// The processor of the other half.
    pub far: usize,
    /// How long to measure.
    pub nanoseconds: u64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Times of one way.
    Latency {
        /// On average, in nanoseconds.
        mean: f64,
        /// Single ones in nanoseconds, and how often each occurred.
        trips: Vec<(u64, u64)>,
    },
    /// Messages taken.
    Throughput {
        /// When the first one came, in nanoseconds of `CLOCK_MONOTONIC`; it is not counted.
        first: u64,
        /// When the last one had come.
        last: u64,
        /// How many.
        count: u64,
    },
    /// It cannot do that case.
    Refused(String),
    /// It can, but something failed.
    Failed(String),
}

/// When the bench asked and when it was answered, in nanoseconds of `CLOCK_MONOTONIC`.
#[derive(Debug, Clone, Copy)]
pub struct Waited {
    /// Before the request.
    pub from: u64,
    /// After the answer.
    pub to: u64,
}

impl Hello {
    /// From an answer to `hello`.
    pub fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("hello") {
            return Err(format!("instead of 'hello' it says '{}'", shown(line)));
        }
        let version: u32 = number(words.next().unwrap_or_default())?;
        if version != VERSION {
            return Err(format!("it speaks version {version} of the protocol, not {VERSION}"));
        }
        let mut named = || name(words.next().unwrap_or_default());
        let (name_of_it, version) = (named()?, named()?);
        let subjects = words.map(name).collect::<Result<Vec<String>, String>>()?;
        if subjects.is_empty() || subjects.len() > SUBJECTS {
            return Err(format!("it has {} subjects, not 1 to {SUBJECTS}", subjects.len()));
        }
        Ok(Hello { name: name_of_it, version, subjects })
    }

    /// What rows call that subject.
    pub fn display(&self, subject: usize) -> String {
        format!("{} {}, {}", self.name, self.version, self.subjects[subject])
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "run {} {} {} payload={} depth={} near={} far={} nanoseconds={}",
            self.id,
            self.subject,
            self.metric.name(),
            self.payload,
            self.depth,
            self.near,
            self.far,
            self.nanoseconds
        )
    }
}

impl Answer {
    /// From an answer to that request.
    pub fn parse(line: &str, request: &Request) -> Result<Self, String> {
        let strange = || format!("it answers '{}'", shown(line));
        let (kind, rest) = line.split_once(' ').ok_or_else(strange)?;
        let (id, rest) = rest.split_once(' ').ok_or_else(strange)?;
        if id != request.id.to_string() {
            return Err(format!("it answers '{}' to request {}", shown(line), request.id));
        }
        match (kind, request.metric) {
            ("refused", _) => Ok(Answer::Refused(shown(rest))),
            ("failed", _) => Ok(Answer::Failed(shown(rest))),
            ("latency", Metric::Latency) => {
                let [mean, trips] = values(rest, ["mean", "trips"])?;
                let mean = mean.parse().map_err(|_| format!("'{}' is no number", shown(mean)))?;
                let trips = trips.split(',').map(trip).collect::<Result<_, _>>()?;
                Ok(Answer::Latency { mean, trips })
            }
            ("throughput", Metric::Throughput) => {
                let [first, last, count] = values(rest, ["first", "last", "count"])?;
                Ok(Answer::Throughput {
                    first: number(first)?,
                    last: number(last)?,
                    count: number(count)?,
                })
            }
            _ => Err(strange()),
        }
    }

    /// The figures, as far as they can be true: nobody was measured before it was asked, and nobody's
    /// trips take longer than it took to answer.
    pub fn believed(self, waited: Waited) -> Result<Measured, String> {
        let Waited { from, to } = waited;
        let whole = to.saturating_sub(from);
        match self {
            Answer::Refused(reason) | Answer::Failed(reason) => Err(reason),
            Answer::Latency { mean, trips } => {
                let possible = mean.is_finite() && mean > 0.0 && mean * 2.0 <= whole as f64;
                if !possible {
                    return Err(format!("a mean of {mean} ns within {whole} ns is impossible"));
                }
                // Times are rounded to three digits or more.
                let all = trips.iter().map(|&(time, count)| 2.0 * time as f64 * count as f64);
                let all: f64 = all.sum();
                if all <= 0.0 || all > whole as f64 * 1.01 {
                    return Err(format!("trips of {all:.0} ns within {whole} ns are impossible"));
                }
                Ok(Measured { counts: trips, ..Measured::of(mean) })
            }
            Answer::Throughput { first, last, count } => {
                if first < from || last > to || first >= last {
                    return Err(format!("from {first} to {last} is not between {from} and {to}"));
                }
                if count == 0 {
                    return Err("it took no message".into());
                }
                let value = count as f64 * 1e9 / (last - first) as f64;
                Ok(Measured::of(value))
            }
        }
    }
}

/// A word that is safe to show and to send back.
fn name(word: &str) -> Result<String, String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    if word.is_empty() || word.len() > NAME || !word.bytes().all(good) {
        return Err(format!("'{}' is no name: up to {NAME} of A-Z a-z 0-9 . _ + -", shown(word)));
    }
    Ok(word.to_owned())
}

/// `key=value` for each of those keys, in that order.
fn values<'l, const N: usize>(text: &'l str, keys: [&str; N]) -> Result<[&'l str; N], String> {
    let mut words = text.split_ascii_whitespace();
    let mut found = [""; N];
    for (place, key) in found.iter_mut().zip(keys) {
        let value = words.next().and_then(|word| word.strip_prefix(key)?.strip_prefix('='));
        *place = value.ok_or_else(|| format!("there is no {key}= in '{}'", shown(text)))?;
    }
    match words.next() {
        None => Ok(found),
        Some(word) => Err(format!("nobody asked for '{}'", shown(word))),
    }
}

/// `time:count`, both above zero.
fn trip(text: &str) -> Result<(u64, u64), String> {
    let strange = || format!("'{}' is no TIME:COUNT", shown(text));
    let (time, count) = text.split_once(':').ok_or_else(strange)?;
    let (time, count) = (number(time)?, number(count)?);
    if time == 0 || count == 0 { Err(strange()) } else { Ok((time, count)) }
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("'{}' is no number", shown(text)))
}

/// The beginning of it, with nothing in it that a terminal obeys.
fn shown(text: &str) -> String {
    let clean = |char: char| if char.is_control() { '\u{fffd}' } else { char };
    let mut shown: String = text.chars().take(REASON).map(clean).collect();
    if text.chars().nth(REASON).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(metric: Metric) -> Request {
        let subject = "copied".into();
        Request { id: 3, subject, metric, payload: 64, depth: 256, near: 0, far: 1, nanoseconds: 9 }
    }

    fn figures(line: &str, metric: Metric) -> Result<Measured, String> {
        let waited = Waited { from: 1_000, to: 2_000 };
        Answer::parse(line, &request(metric))?.believed(waited)
    }

    #[test]
    fn a_program_introduces_itself_and_its_subjects() {
        let hello = Hello::parse("hello 1 iceoryx2 0.10.0 copied loaned").unwrap();
        assert_eq!(hello.display(1), "iceoryx2 0.10.0, loaned");
        let subjects = "s ".repeat(SUBJECTS + 1);
        for (line, said) in [
            ("", "instead of 'hello'"),
            ("Segmentation fault", "Segmentation fault"),
            ("hello 2 x 1 a", "version 2"),
            ("hello 1 x", "no name"),
            ("hello 1 x 1", "0 subjects"),
            ("hello 1 <b> 1 a", "no name"),
            (&format!("hello 1 x 1 {subjects}"), "9 subjects"),
            (&format!("hello 1 {} 1 a", "x".repeat(NAME + 1)), "no name"),
        ] {
            let error = Hello::parse(line).unwrap_err();
            assert!(error.contains(said), "{line}: {error}");
        }
    }

    #[test]
    fn answers_carry_figures_or_a_reason() {
        let measured = figures("latency 3 mean=41.5 trips=40:2,50:1", Metric::Latency).unwrap();
        assert_eq!((measured.value, measured.counts), (41.5, vec![(40, 2), (50, 1)]));
        let measured = figures("throughput 3 first=1100 last=1600 count=5", Metric::Throughput);
        assert!((measured.unwrap().value - 1e7).abs() < 1e-3);
        let refused = Answer::parse("refused 3 too large\u{1b}[2J", &request(Metric::Latency));
        assert_eq!(refused, Ok(Answer::Refused("too large\u{fffd}[2J".into())));
    }

    #[test]
    fn what_cannot_be_is_not_believed() {
        for line in [
            "latency 3 mean=NaN trips=40:2",
            "latency 3 mean=-4 trips=40:2",
            "latency 3 mean=501 trips=40:2",
            "latency 3 mean=40 trips=40:20",
            "latency 3 mean=40 trips=18446744073709551615:18446744073709551615",
            "throughput 3 first=999 last=1600 count=5",
            "throughput 3 first=1100 last=2001 count=5",
            "throughput 3 first=1600 last=1600 count=5",
            "throughput 3 first=1100 last=1600 count=0",
        ] {
            let latency = line.starts_with("latency");
            let metric = if latency { Metric::Latency } else { Metric::Throughput };
            Answer::parse(line, &request(metric)).unwrap();
            figures(line, metric).unwrap_err();
        }
    }

    #[test]
    fn nonsense_is_an_error_and_never_a_panic() {
        for line in [
            "",
            "latency",
            "latency 3",
            "latency 4 mean=1 trips=1:1",
            "latency 3 mean=1",
            "latency 3 mean=1 trips=",
            "latency 3 mean=1 trips=0:1",
            "latency 3 mean=1 trips=1:1 more=1",
            "latency 3 trips=1:1 mean=1",
            "throughput 3 first=1 last=2 count=3",
            "\u{1f980} 3 mean=1",
        ] {
            let error = Answer::parse(line, &request(Metric::Latency)).unwrap_err();
            assert!(error.len() < 3 * REASON, "{error}");
        }
        // Good lines with bytes knocked out of them.
        let mut random = fastrand::Rng::with_seed(7);
        for line in ["hello 1 a 1 b", "latency 3 mean=41.5 trips=40:2,50:1", "refused 3 why"] {
            for _ in 0..20_000 {
                let mut bytes = line.as_bytes().to_vec();
                for _ in 0..random.usize(1..4) {
                    let at = random.usize(..bytes.len());
                    bytes[at] = random.u8(..);
                }
                let text = String::from_utf8_lossy(&bytes);
                let _ = Hello::parse(&text);
                if let Ok(answer) = Answer::parse(&text, &request(Metric::Latency)) {
                    let _ = answer.believed(Waited { from: 0, to: u64::MAX });
                }
            }
        }
    }
}
