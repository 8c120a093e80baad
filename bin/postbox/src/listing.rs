//! `postbox processes` and `postbox links`.

use comfy_table::{CellAlignment, Row};
use postbox::{Domain, LinkError, Name, Statistics};
use postbox_program::command_line::EXIT_CODES;
use postbox_program::ending::{Ending, print};
use postbox_program::place::Place;
use postbox_program::tables::{grouped, json_array, table};
use serde::Serialize;

/// The arguments of `processes`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Processes {
    #[command(flatten)]
    place: Place,
    /// Print one JSON array of objects instead of the table
    #[arg(long)]
    json: bool,
}

/// A process.
#[derive(Debug, Serialize)]
struct Process {
    name: String,
    pid: u32,
    uid: u32,
}

impl Processes {
    /// Lists them.
    pub fn run(&self) -> Ending {
        self.list().err().unwrap_or(Ending::Done)
    }

    fn list(&self) -> Result<(), Ending> {
        let domain = self.place.open()?;
        let entries = domain.processes()?;
        let each = entries.iter().map(|entry| Process {
            name: entry.name().to_string(),
            pid: entry.pid(),
            uid: entry.uid(),
        });
        let processes: Vec<Process> = each.collect();
        if self.json {
            return print(&json_array(&processes));
        }
        if processes.is_empty() {
            return print(&format!("nobody is in domain '{}'\n", domain.name()));
        }
        let mut table = table(["process", "pid", "user"]);
        for process in &processes {
            let Process { name, pid, uid } = process;
            table.add_row(Row::from([name, &pid.to_string(), &uid.to_string()]));
        }
        print(&format!("{table}\n"))
    }
}

/// The arguments of `links`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Links {
    /// Only those of the process of that name [default: of every process]
    process: Option<Name>,
    #[command(flatten)]
    place: Place,
    /// Print one JSON array of objects instead of the table
    #[arg(long)]
    json: bool,
}

/// A link, as one of its processes sees it.
#[derive(Debug, Serialize)]
struct Link {
    process: String,
    partner: String,
    partner_pid: u32,
    mechanism: &'static str,
    capacity: String,
    schema: Option<String>,
    /// From the process to its partner; none if it does not go that way.
    outgoing: Option<Way>,
    incoming: Option<Way>,
}

/// One direction.
#[derive(Debug, Serialize)]
struct Way {
    waiting: usize,
    sent: u64,
    bytes: u64,
}

impl Links {
    /// Lists them, each once.
    pub fn run(&self) -> Ending {
        self.list().err().unwrap_or(Ending::Done)
    }

    fn list(&self) -> Result<(), Ending> {
        let domain = self.place.open()?;
        let links = match &self.process {
            Some(process) => links_of(&domain, process)?,
            None => all_links(&domain)?,
        };
        if self.json {
            return print(&json_array(&links));
        }
        if links.is_empty() {
            return print(&format!("there is no link in domain '{}'\n", domain.name()));
        }
        print(&render(&links))
    }
}

/// Those of every process, as the one of the two sees it whose name comes first.
fn all_links(domain: &Domain) -> Result<Vec<Link>, Ending> {
    let mut all = Vec::new();
    for process in domain.processes()? {
        match links_of(domain, process.name()) {
            Ok(links) => all.extend(links.into_iter().filter(|link| link.process < link.partner)),
            // It has gone meanwhile, does not answer, or has no links to tell of, as a keeper.
            Err(Ending::Nothing(_) | Ending::Failure(_)) => {}
            Err(ending) => return Err(ending),
        }
    }
    Ok(all)
}

fn links_of(domain: &Domain, process: &Name) -> Result<Vec<Link>, Ending> {
    let links = domain.links_of(process.as_str()).map_err(|error| match error {
        LinkError::TimedOut => Ending::Nothing(format!(
            "timed out: process '{process}' did not answer; if it was stopped, let it go on"
        )),
        error => error.into(),
    })?;
    let way = |way: Option<(usize, &Statistics)>| {
        way.map(|(waiting, counts)| Way { waiting, sent: counts.sent, bytes: counts.sent_bytes })
    };
    let each = links.iter().map(|link| Link {
        process: process.to_string(),
        partner: link.partner().name().map(Name::to_string).unwrap_or_default(),
        partner_pid: link.partner().pid(),
        mechanism: link.mechanism().name(),
        capacity: link.capacity().to_string(),
        schema: link.schema().map(str::to_owned),
        outgoing: way(link.outgoing()),
        incoming: way(link.incoming()),
    });
    Ok(each.collect())
}

fn render(links: &[Link]) -> String {
    let mut table = table([
        "process",
        "partner",
        "mechanism",
        "capacity",
        "sent →",
        "waiting →",
        "← sent",
        "← waiting",
    ]);
    for link in links {
        let cells = |way: &Option<Way>| match way {
            Some(way) => [grouped(way.sent), grouped(way.waiting as u64)],
            None => ["-".to_owned(), "-".to_owned()],
        };
        let mut row = vec![
            link.process.clone(),
            link.partner.clone(),
            link.mechanism.to_owned(),
            link.capacity.clone(),
        ];
        row.extend(cells(&link.outgoing));
        row.extend(cells(&link.incoming));
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(3) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{table}\n")
}
