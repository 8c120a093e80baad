//! One row: what a mechanism under one naming went through.

use super::arguments::Ordeal;
use super::books::{Loss, Place, Violation};
use super::naming::Naming;
use super::round::Findings;
use super::setting::Setting;
use serde::Serialize;

/// What all was well with.
pub const KEPT: &str = "kept";
/// What something was wrong with.
pub const VIOLATED: &str = "VIOLATED";
/// What a signal ended early: nothing was wrong so far.
pub const INTERRUPTED: &str = "interrupted";

/// How many losses a row names.
const MOST_NAMED: usize = 1000;

/// One row of the table, one object of the JSON array.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Row {
    /// `pipe`, `socket`, `mqueue` or `shm`.
    pub mechanism: String,
    /// `channel`, `pair`, `direct`, `mailbox` or `keeper`.
    pub naming: &'static str,
    /// Those of its rounds that have begun.
    pub capacities: Vec<String>,
    /// Processes that send at a time.
    pub producers: u8,
    /// Processes that receive at a time.
    pub consumers: u8,
    /// What all that was done came from.
    pub seed: u64,
    /// Of traffic.
    pub seconds: f64,
    /// Messages received.
    pub messages: u64,
    /// Messages sent, received or not.
    pub sent: u64,
    /// Those of them with a receipt.
    pub delivered: u64,
    /// Messages that calls refused to send.
    pub refused: u64,
    /// Victims killed.
    pub kills: u64,
    /// Victims stopped.
    pub stops: u64,
    /// Ends that victims cloned in the middle of traffic.
    pub clones: u64,
    /// Repairs of room that the channels carried out; nobody counts those of links and pairs.
    pub repairs: Option<u64>,
    /// How many messages killed receivers took along.
    pub losses: u64,
    /// The first of them, by name.
    pub lost: Vec<Lost>,
    /// The longest wait in which work was possible, less what the machine starved everybody.
    pub longest_wait_ms: f64,
    /// What was subtracted.
    pub starved_ms: f64,
    /// Who waited for what then.
    pub longest_wait: String,
    /// `kept`, `VIOLATED` or `interrupted`.
    pub verdict: &'static str,
    /// The rule that was violated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// How: what, which message, who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The command that does the same once more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
}

/// A message that a killed receiver took along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lost {
    /// The sender's number.
    pub sender: u32,
    /// Its name.
    pub sender_name: String,
    /// Which of its messages; none for an empty one.
    pub message: Option<u64>,
    /// The number of the receiver that can have had it.
    pub receiver: u32,
    /// Its name.
    pub receiver_name: String,
    /// Its process.
    pub receiver_pid: u32,
    /// `hand` if it had taken it, `link` if the link went with it.
    pub place: &'static str,
}

impl From<&Loss> for Lost {
    fn from(loss: &Loss) -> Self {
        let (from, by) = (loss.message.from, loss.by);
        Lost {
            sender: from.number,
            sender_name: from.seat.to_string(),
            message: loss.message.seq,
            receiver: by.number,
            receiver_name: by.seat.to_string(),
            receiver_pid: by.pid,
            place: match loss.place {
                Place::Hand => "hand",
                Place::Link => "link",
            },
        }
    }
}

impl Row {
    /// Of which nothing has been done yet.
    pub fn of(ordeal: &Ordeal) -> Self {
        let mut row = Row { verdict: KEPT, ..Row::default() };
        if let Some(setting) = ordeal.rounds.first() {
            row.mechanism = setting.mechanism.to_string();
            row.naming = setting.naming.name();
            (row.producers, row.consumers) = (setting.producers, setting.consumers);
            row.seed = setting.seed;
            // Only who has an end, or opens one, can ask.
            let asked = !matches!(setting.naming, Naming::Direct | Naming::Pair);
            row.repairs = asked.then_some(0);
        }
        row
    }

    /// Takes in what a round has found.
    pub fn add(&mut self, setting: &Setting, findings: &Findings) {
        let Findings { totals, longest, losses, .. } = findings;
        let capacity = setting.capacity.to_string();
        if !self.capacities.contains(&capacity) {
            self.capacities.push(capacity);
        }
        self.seconds += findings.traffic.as_secs_f64();
        self.messages += totals.received;
        self.sent += totals.sent;
        self.delivered += totals.delivered;
        self.refused += totals.refused;
        self.kills += findings.kills;
        self.stops += findings.stops;
        self.clones += findings.clones;
        if let Some(repairs) = &mut self.repairs {
            *repairs += findings.repairs;
        }
        self.losses += losses.len() as u64;
        let room = MOST_NAMED.saturating_sub(self.lost.len());
        self.lost.extend(losses.iter().take(room).map(Lost::from));
        let net = longest.net as f64 / 1e6;
        if net >= self.longest_wait_ms {
            self.longest_wait_ms = net;
            self.starved_ms = longest.starved as f64 / 1e6;
            self.longest_wait.clone_from(&longest.what);
        }
    }

    /// Something was wrong; `command` does it once more.
    pub fn violated(&mut self, violation: Violation, command: String) {
        self.verdict = VIOLATED;
        self.rule = Some(violation.rule.name());
        self.account = Some(violation.account);
        self.repeat = Some(command);
    }
}
