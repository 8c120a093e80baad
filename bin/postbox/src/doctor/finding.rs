//! What the doctor has to say about one thing.

use comfy_table::Row;
use postbox_program::plain::plain;
use postbox_program::tables::{grouped, json_array, table};
use serde::Serialize;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All is well.
    Ok,
    /// Works, in a smaller or slower way; or something to know.
    Note,
    /// Something does not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What it is called where one changes it.
    pub check: String,
    /// What it is here.
    pub value: String,
    /// How bad that is.
    pub verdict: Verdict,
    /// What it means for Postbox.
    pub meaning: String,
    /// What to do about it; nothing if all is well, or where the meaning says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    /// All is well.
    pub fn ok(check: &str, value: impl ToString, meaning: impl ToString) -> Self {
        Finding {
            check: check.to_owned(),
            value: value.to_string(),
            verdict: Verdict::Ok,
            meaning: meaning.to_string(),
            remedy: None,
        }
    }

    /// It works in a smaller way unless one does that.
    pub fn note(self, remedy: impl ToString) -> Self {
        Finding { verdict: Verdict::Note, remedy: Some(remedy.to_string()), ..self }
    }

    /// It does not work, and what it means says what to do.
    pub fn failure(self) -> Self {
        Finding { verdict: Verdict::Problem, ..self }
    }

    /// It does not work unless one does that.
    pub fn problem(self, remedy: impl ToString) -> Self {
        Finding { verdict: Verdict::Problem, remedy: Some(remedy.to_string()), ..self }
    }
}

/// All of them, as JSON.
pub fn json(findings: &[Finding]) -> String {
    json_array(findings)
}

/// All of them, for people.
pub fn render(findings: &[Finding]) -> String {
    let mut table = table(["", "what", "here", "which means"]);
    for finding in findings {
        let sign = match finding.verdict {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Problem => "PROBLEM",
        };
        let meaning = plain(&finding.meaning);
        let means = match &finding.remedy {
            Some(remedy) => format!("{meaning}\n→ {}", plain(remedy)),
            None => meaning,
        };
        let value = finding.value.parse().map_or_else(|_| plain(&finding.value), grouped);
        table.add_row(Row::from([sign, &finding.check, &value, &means]));
    }
    format!("{table}\n")
}
