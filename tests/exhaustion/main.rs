//! Something is used up: descriptors, processes, queues, memory, room in a directory, seats at a
//! table. Everything works in a smaller way, or says in one clear error which limit was hit, how
//! high it is and what to do about it; nobody hangs, nobody is killed, nothing leaks; and once there
//! is enough again the very same calls succeed.
//!
//! Not here: `fs.file-max` and the pages of all pipes (`pipe-user-pages-hard`) are the whole
//! machine's, which a test must not touch. Nor does a full `/dev/shm` matter: memory files do not lie
//! in it.

mod clocks;
mod crowds;
mod descriptors;
mod members;
mod memory;
mod namespaces;
mod partner;
mod partners;
mod places;
mod quotas;
mod scarce;
mod signals;

use postbox_tests::{CAPACITIES, Case, across, over, over_capacities, run};
use std::process::ExitCode;

/// The case that waits in every way, which is run in special surroundings too.
const DEADLINES: &str = "struck each millisecond, no call by name is early, or late";

fn main() -> ExitCode {
    let parts = [
        descriptors(),
        quotas(),
        memory(),
        places(),
        namespaces(),
        crowds(),
        members(),
        signals(),
        clocks(),
    ];
    run(parts.into_iter().flatten().collect())
}

fn descriptors() -> Vec<Case> {
    use descriptors::*;
    let single = vec![
        Case::new("whoever cannot join for want of descriptors loses nothing", joining),
        Case::new("a fork without a descriptor for the child does not happen", forking),
    ];
    let parts = [
        single,
        over("with few descriptors a channel works or says so and works later", few_descriptors),
        over("a receive that runs out of descriptors says so and works later", out_of_descriptors),
        over(
            "without descriptors every call says so, and succeeds once there are some",
            every_call,
        ),
        over(
            "whoever asks a process without descriptors is told so and never hangs",
            partners::the_other,
        ),
        over(
            "two processes without descriptors tell each other so and come together later",
            partners::both,
        ),
    ];
    parts.into_iter().flatten().collect()
}

fn quotas() -> Vec<Case> {
    use quotas::*;
    let single =
        vec![Case::new("a fork beyond RLIMIT_NPROC is refused with the reason", no_more_processes)];
    let parts = [
        single,
        vec![
            Case::new("a thread beyond RLIMIT_NPROC is refused with the reason", no_more_threads),
            Case::new(
                "no more queues in the system is said so, until one is closed",
                no_more_queues,
            ),
        ],
        over_capacities("an unprivileged user has the whole contract", &CAPACITIES, unprivileged),
        over("without a queue quota the limit is named and the others work", no_queue_quota),
        over(
            "with a small queue quota channels are narrower until the limit is named",
            small_quota,
        ),
        over("with all pipe pages used up the contract still holds", pipe_pages),
    ];
    parts.into_iter().flatten().collect()
}

fn memory() -> Vec<Case> {
    use memory::*;
    let parts = [
        over(
            "with a low file size limit a channel works or names it and SIGXFSZ never kills",
            files,
        ),
        over("a file size limit that falls later never kills", files_later),
        over("in a small control group the byte cap comes before the kernel kills", control_group),
        over("with little address space a channel works or says so", address_space),
        over("the byte cap is an error of an unbounded channel and draining mends it", byte_cap),
        over("the byte cap holds large messages of an unbounded channel back", byte_cap_of_bodies),
        over("a message beyond the byte cap is an error and no wait", beyond_the_cap),
        over("a bounded channel at its byte cap waits for room", bounded_at_the_cap),
    ];
    parts.into_iter().flatten().collect()
}

fn places() -> Vec<Case> {
    use places::*;
    vec![
        Case::new(
            "a directory without inodes is named, and works with the first that suffice",
            full,
        ),
        Case::new("a directory that fills up disturbs nobody who has joined", full_while_joined),
        Case::new("a read-only directory is named, and works once it can be written", read_only),
        Case::new(
            "a directory of another user's is named, and works once it is open",
            no_permission,
        ),
        Case::new("a domain whose directory is removed goes on, and a new one begins", removed),
        Case::new("a directory may lie deeper than a socket's address can say", deep),
    ]
}

fn namespaces() -> Vec<Case> {
    use namespaces::*;
    let parts = [
        vec![Case::new(
            "a domain refuses whoever is in another time namespace, and says so",
            of_another_time,
        )],
        over("where /proc shows no settings of the system the contract holds", without_settings),
        over("where /proc hides the processes of others the contract holds", hidden),
        over("where /proc is that of another pid namespace the contract holds", of_other_numbers),
    ];
    parts.into_iter().flatten().collect()
}

fn crowds() -> Vec<Case> {
    use crowds::*;
    vec![
        Case::new(
            "ten thousand connections of one user keep nobody from being served",
            of_the_same_user,
        ),
        Case::new(
            "ten thousand connections of one process keep nobody from being served",
            of_one_process,
        ),
        Case::new(
            "ten thousand connections of strangers keep nobody from being served",
            of_strangers,
        ),
    ]
}

fn members() -> Vec<Case> {
    use members::*;
    let parts = [
        single(),
        across("three hundred synchronous sends at once take turns at the receipts", receipts),
        across("sixty-four senders are all served, each in order", senders),
        over(
            "a mailbox without a free seat says how many it has, and one that goes is free",
            seats,
        ),
        over("a channel that has given up thousands of offers is as good as new", corpses),
    ];
    parts.into_iter().flatten().collect()
}

fn signals() -> Vec<Case> {
    use signals::*;
    let parts = [
        over(
            "struck each millisecond, processes come together and nothing is lost",
            coming_together,
        ),
        over("struck each millisecond, children are started and waited for", children),
        over(
            "struck each millisecond, batches and selections are whole and in order",
            many_at_once,
        ),
        over(DEADLINES, deadlines),
    ];
    parts.into_iter().flatten().collect()
}

fn clocks() -> Vec<Case> {
    use clocks::*;
    let parts = [
        over("no wait goes by a clock that can be set", what_waits_are_by),
        over("deadlines hold whatever time the monotonic clock shows", another_time),
    ];
    parts.into_iter().flatten().collect()
}
