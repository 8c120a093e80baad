//! The loop of a program: a line in, a line out, until the input ends.

use crate::Outcome;
use crate::protocol::{Hello, Run, answer, failed, refused};
use crate::work::Figures;
use std::env;
use std::io::{self, BufRead, Read, Write};
use std::process::{Command, ExitCode, Stdio};

/// The argument of the half that measures.
pub const NEAR: &str = "near";
/// The argument of the other half.
pub const FAR: &str = "far";
/// This program, whatever has become of its file.
pub const OWN: &str = "/proc/self/exe";

/// What a program can do.
#[derive(Debug, Clone, Copy)]
pub struct Abilities {
    /// Who it is.
    pub hello: Hello,
    /// Why it cannot do that run, if so.
    pub refuses: fn(&Run) -> Option<String>,
    /// The half that measures, in a process of its own; it starts the other one.
    pub near: fn(&Run) -> Outcome<Figures>,
    /// The other half, if that is a process.
    pub far: fn(&Run) -> Outcome<()>,
}

/// The `main` of every program.
pub fn main(abilities: &Abilities) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let told = match &arguments[..] {
        [] => serve(abilities),
        [half, line] if half == NEAR => near(abilities, line),
        [half, line] if half == FAR => line.parse().and_then(|run| (abilities.far)(&run)),
        _ => Err("this program is for 'postbox bench --peers'; see bin/peers/README.md".into()),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", abilities.hello.name);
            ExitCode::FAILURE
        }
    }
}

fn serve(abilities: &Abilities) -> Outcome<()> {
    let mut out = io::stdout();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let said = match line.split_ascii_whitespace().next() {
            Some("hello") => abilities.hello.to_string(),
            _ => run(abilities, &line.parse()?),
        };
        writeln!(out, "{said}")?;
        out.flush()?;
    }
    Ok(())
}

/// In a process of its own, so that a library that falls over takes one run with it.
fn run(abilities: &Abilities, run: &Run) -> String {
    if !abilities.hello.subjects.contains(&run.subject.as_str()) {
        return refused(run, "there is no such subject");
    }
    if let Some(reason) = (abilities.refuses)(run) {
        return refused(run, &reason);
    }
    half(run).unwrap_or_else(|error| failed(run, &error.to_string()))
}

fn half(run: &Run) -> Outcome<String> {
    let mut command = Command::new(OWN);
    command.args([NEAR, &run.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let mut said = String::new();
    if let Some(out) = &mut child.stdout {
        out.read_to_string(&mut said)?;
    }
    let status = child.wait()?;
    // Where both halves fail, each says so.
    match said.lines().next() {
        Some(line) => Ok(line.to_owned()),
        None => Err(format!("its measuring half ended: {status}").into()),
    }
}

fn near(abilities: &Abilities, line: &str) -> Outcome<()> {
    let run: Run = line.parse()?;
    let said = match (abilities.near)(&run) {
        Ok(figures) => answer(&run, &figures),
        Err(error) => failed(&run, &error.to_string()),
    };
    println!("{said}");
    Ok(())
}

/// For libraries that wait by looking again and again.
pub fn refuse_to_share_a_core(run: &Run) -> Option<String> {
    let shared = run.near == run.far;
    shared.then(|| "it polls, and on one core that is waiting for the scheduler".to_owned())
}
