//! `postbox mailbox list` and `inspect`.

use super::Subject;
use comfy_table::{CellAlignment, Row};
use postbox::{MailboxEntry, MailboxError, MailboxStatus, Ownership};
use postbox_program::ending::{Ending, print};
use postbox_program::place::Place;
use postbox_program::plain::plain;
use postbox_program::tables::{grouped, json_array, json_object, table};
use serde::Serialize;

/// The arguments of `mailbox list`.
#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    place: Place,
    /// Print one JSON array of objects instead of the table
    #[arg(long)]
    json: bool,
}

/// One mailbox of a list: how it stands, or that its owner does not say.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Line {
    Known(Box<MailboxStatus>),
    Silent { name: String, owner_pid: u32, error: String },
}

impl List {
    pub(super) fn run(&self) -> Result<(), Ending> {
        let domain = self.place.open()?;
        let mut lines = Vec::new();
        for entry in domain.mailboxes()? {
            match domain.mailbox(entry.name().as_str())?.status() {
                Ok(status) => lines.push(Line::Known(Box::new(status))),
                // It has gone meanwhile.
                Err(MailboxError::Absent { .. } | MailboxError::Destroyed { .. }) => {}
                Err(error) => lines.push(silent(&entry, &error)),
            }
        }
        if self.json {
            return print(&json_array(&lines));
        }
        if lines.is_empty() {
            return print(&format!("there is no mailbox in domain '{}'\n", domain.name()));
        }
        print(&render(&lines))
    }
}

fn silent(entry: &MailboxEntry, error: &MailboxError) -> Line {
    Line::Silent {
        name: entry.name().to_string(),
        owner_pid: entry.owner(),
        error: error.to_string(),
    }
}

fn render(lines: &[Line]) -> String {
    let mut table = table([
        "mailbox",
        "owner",
        "mechanism",
        "capacity",
        "policy",
        "queued",
        "senders",
        "receivers",
        "may receive",
        "may send",
    ]);
    for line in lines {
        table.add_row(match line {
            Line::Known(status) => Row::from([
                status.name.to_string(),
                status.owner.name.to_string(),
                status.mechanism.to_string(),
                status.capacity.to_string(),
                status.policy.to_string(),
                grouped(status.queued as u64),
                grouped(status.senders as u64),
                grouped(status.receivers as u64),
                status.may_receive.to_string(),
                status.may_send.to_string(),
            ]),
            Line::Silent { name, owner_pid, error } => {
                Row::from([name.clone(), format!("process {owner_pid}"), plain(error)])
            }
        });
    }
    for column in table.column_iter_mut().skip(5).take(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}

/// The arguments of `mailbox inspect`.
#[derive(Debug, clap::Args)]
pub struct Inspect {
    #[command(flatten)]
    subject: Subject,
}

impl Inspect {
    pub(super) fn run(&self) -> Result<(), Ending> {
        let status = self.subject.open()?.status()?;
        print(&if self.subject.json { json_object(&status) } else { page(&status) })
    }
}

fn page(status: &MailboxStatus) -> String {
    let owner = &status.owner;
    let kept = match owner.ownership {
        Ownership::Keeper => "keeper",
        Ownership::Process => "process",
    };
    let mut table = table(["", status.name.as_str()]);
    table.add_rows([
        ["id", &format!("{:016x}", status.id)],
        ["owner", &format!("{kept} '{}', process {} of user {}", owner.name, owner.pid, owner.uid)],
        ["mechanism", status.mechanism.name()],
        ["capacity", &status.capacity.to_string()],
        ["largest message", &format!("{} bytes", grouped(status.max_message as u64))],
        ["policy", &status.policy.to_string()],
        ["schema", &plain(status.schema.as_deref().unwrap_or("any"))],
        ["may receive", &status.may_receive.to_string()],
        ["may send", &status.may_send.to_string()],
        ["queued", &grouped(status.queued as u64)],
        ["senders attached", &grouped(status.senders as u64)],
        ["receivers attached", &grouped(status.receivers as u64)],
    ]);
    format!("{table}\n")
}

/// What was created.
pub(super) fn sentence(status: &MailboxStatus) -> String {
    format!(
        "mailbox '{}': {}, capacity {}, policy {}; may receive: {}; may send: {}; owner: {} \
         (process {})\n",
        status.name,
        status.mechanism,
        status.capacity,
        status.policy,
        status.may_receive,
        status.may_send,
        status.owner.name,
        status.owner.pid
    )
}
