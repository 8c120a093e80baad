//! What a page says.

use std::collections::BTreeMap;

/// Commands of one terminal, one after the other.
#[derive(Debug)]
pub struct Block {
    pub terminal: String,
    pub goes_on: bool,
    pub commands: Vec<Command>,
}

#[derive(Debug)]
pub struct Command {
    pub line: String,
    pub prints: Vec<String>,
}

/// The blocks of commands by section, numbered so that they stay in order.
pub fn sections(text: &str) -> BTreeMap<String, Vec<Block>> {
    let mut sections: BTreeMap<String, Vec<Block>> = BTreeMap::new();
    let mut heading = String::from("00");
    let mut block: Option<Block> = None;
    let mut in_other_fence = false;
    for line in text.lines() {
        if let Some(open) = &mut block {
            if line.trim_end() == "```" {
                sections.entry(heading.clone()).or_default().extend(block.take());
            } else if let Some(command) = line.strip_prefix("$ ") {
                open.commands.push(Command { line: command.to_owned(), prints: Vec::new() });
            } else {
                let command = open.commands.last_mut().expect("a block begins with a command");
                command.prints.push(line.to_owned());
            }
        } else if let Some(info) = line.strip_prefix("```") {
            let mut words = info.split_whitespace();
            if !in_other_fence && words.next() == Some("console") {
                block = Some(Block {
                    terminal: words.next().unwrap_or("one").to_owned(),
                    goes_on: words.next() == Some("goes-on"),
                    commands: Vec::new(),
                });
            } else {
                in_other_fence = !in_other_fence;
            }
        } else if let Some(title) = line.strip_prefix("## ") {
            heading = format!("{:02} {title}", sections.len() + 1);
            sections.entry(heading.clone()).or_default();
        }
    }
    assert!(block.is_none(), "a block is not closed");
    sections
}

/// Whether `printed` is what the page says.
pub fn matches(said: &[String], printed: &[String]) -> bool {
    match (said, printed) {
        ([], []) => true,
        ([line, rest @ ..], _) if line == "…" => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        ([line, rest @ ..], [first, others @ ..]) => {
            line_matches(line.trim_end(), first.trim_end()) && matches(rest, others)
        }
        _ => false,
    }
}

fn line_matches(said: &str, printed: &str) -> bool {
    match said.split_once('…') {
        None => said == printed,
        Some((before, after)) => printed.strip_prefix(before).is_some_and(|rest| {
            rest.char_indices()
                .map(|(at, _)| at)
                .chain([rest.len()])
                .any(|at| line_matches(after, &rest[at..]))
        }),
    }
}

#[test]
fn an_ellipsis_stands_for_anything_and_nothing_else_does() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let fits = |said, printed| matches(&lines(said), &lines(printed));
    assert!(fits("a … c", "a b c") && fits("a…", "a") && fits("…\nend", "x\ny\nend"));
    assert!(!fits("a … c", "a b d") && !fits("a", "a\nb") && !fits("a\nb", "a"));
}
