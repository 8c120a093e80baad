//! Domains among real processes: who gets a name, who is let in, who can be harmed, what is left.

mod deadlines;
mod forks;
mod joining;
mod strangers;
mod users;

use postbox_tests::{Case, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    run(vec![
        Case::new("two hundred processes join at once", joining::crowd),
        Case::new(
            "of fifty that race for a name one wins, and after its death the next",
            joining::race,
        ),
        Case::new(
            "nothing is left while others join and leave at any time",
            joining::coming_and_going,
        ),
        Case::new("what a killed process has left goes with the next one", joining::leftovers),
        Case::new("a stopped process is listed and keeps its name", joining::stopped),
        Case::new("a name outlives handles, other programs and forked children", forks::keeps),
        Case::new("a plainly forked child that outlives its parent holds nothing", forks::outlived),
        Case::new("a process that is being asked can fork", forks::while_asked),
        Case::new("a forked child joins as itself", forks::child_joins),
        Case::new("who leaves hangs up although a forked child has copies", forks::leaves_a_copy),
        Case::new("another user is refused whatever the umask", users::refused),
        Case::new("a group is let in whatever the umask, and nobody else", users::let_in),
        Case::new(
            "a stranger's domain is not the group's, whatever it looks like",
            users::pretended,
        ),
        Case::new("what a stranger has put where domains should lie is refused", users::squatted),
        Case::new(
            "who asks a name that the dead still hold is in time",
            deadlines::name_of_the_dead,
        ),
        Case::new("garbage harms nobody", strangers::garbage),
        Case::new("ten thousand silent connections harm nobody", strangers::silence),
    ])
}
