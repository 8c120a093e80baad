//! Every command on the pages of the documentation is run, and prints what the page says.
//!
//! The pages are README.md and docs/textbook.md. A block that opens with `console` holds commands,
//! each after `$ `, and what they print. In what is printed, `…` stands for anything within a line, and
//! a line of its own for any lines. A second word names the terminal (`console two`); a third,
//! `goes-on`, says that the last command is still running when the page goes on elsewhere. A command
//! has to succeed, unless the next one is `echo $?`.
//!
//! Each section (`##`) has a directory and a domain of its own.

mod page;
mod terminal;

use page::{Block, Command};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use terminal::Terminal;

#[test]
fn every_command_of_the_readme_prints_what_it_says() {
    run("README.md");
}

#[test]
fn every_command_of_the_textbook_page_prints_what_it_says() {
    run("docs/textbook.md");
}

fn run(page: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join(page)).unwrap();
    let sections = page::sections(&text);
    assert!(sections.values().any(|blocks| !blocks.is_empty()), "{page} holds no commands");
    let mut wrong = Vec::new();
    for (heading, blocks) in sections {
        if !blocks.is_empty() {
            println!("{page}: {heading}");
            play(&blocks, &mut wrong);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Runs the blocks of one section; notes what is not as the page says.
fn play(blocks: &[Block], wrong: &mut Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let mut terminals: BTreeMap<&str, Terminal> = BTreeMap::new();
    for block in blocks {
        let terminal =
            terminals.entry(&block.terminal).or_insert_with(|| Terminal::open(directory.path()));
        for command in &block.commands {
            terminal.enter(&command.line);
        }
        terminal.wait_for_all_but(usize::from(block.goes_on));
    }
    for (name, terminal) in terminals {
        let commands: Vec<&Command> = blocks
            .iter()
            .filter(|block| block.terminal == name)
            .flat_map(|block| &block.commands)
            .collect();
        let outcomes = terminal.close();
        assert_eq!(outcomes.len(), commands.len(), "{name}: {outcomes:?}");
        for (i, (command, outcome)) in commands.iter().zip(&outcomes).enumerate() {
            let may_fail = commands.get(i + 1).is_some_and(|next| next.line == "echo $?");
            if !page::matches(&command.prints, &outcome.printed) {
                let (said, printed) = (command.prints.join("\n"), outcome.printed.join("\n"));
                let line = &command.line;
                wrong.push(format!("`{line}` is said to print\n{said}\nand printed\n{printed}"));
            } else if outcome.status != 0 && !may_fail {
                wrong.push(format!("`{}`: {outcome:?}", command.line));
            }
        }
    }
}

#[test]
fn what_the_pages_build_are_all_the_programs_that_they_use() {
    // `cargo build` without a package builds the default members.
    let metadata = std::process::Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let built = metadata["workspace_default_members"].as_array().unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    let mut programs: Vec<&str> = packages
        .filter(|package| built.contains(&package["id"]))
        .flat_map(|package| package["targets"].as_array().unwrap())
        .filter(|target| target["kind"][0] == "bin")
        .map(|target| target["name"].as_str().unwrap())
        .collect();
    programs.sort_unstable();
    assert_eq!(programs, ["chat", "consumer", "postbox", "producer"]);
}
