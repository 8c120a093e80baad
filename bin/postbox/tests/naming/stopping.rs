//! Ends that come early: signals, the time, a reader that leaves.

use super::scene::{Run, Scene};
use nix::sys::signal::Signal;
use std::io::Write;
use std::process::Stdio;

fn with_jobs() -> Scene {
    let scene = Scene::new();
    scene.postbox("mailbox create jobs --receivers members --capacity 4").good();
    scene
}

fn end(scene: Scene) {
    scene.postbox("mailbox destroy jobs").good();
    scene.finish();
}

/// It ends with that code, having said nothing.
fn quietly(run: Run, code: i32) -> Vec<u8> {
    let ended = run.finish();
    assert_eq!((ended.code(), &ended.err[..]), (Some(code), ""), "{ended:?}");
    ended.out
}

#[test]
fn ctrl_c_ends_a_consumer_that_waits_and_what_it_took_is_written_out() {
    let scene = with_jobs();
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let consumer = scene.consumer("--mailbox jobs --quiet");
        scene.await_ends("jobs", "receivers", 1);
        scene.producer("--mailbox jobs --deliver --quiet", "taken\n").good();
        consumer.signal(signal);
        assert_eq!(quietly(consumer, code), b"taken\n");
    }
    end(scene);
}

#[test]
fn ctrl_c_ends_a_producer_that_waits_for_room_for_input_or_for_a_partner() {
    let scene = with_jobs();
    let full = scene.producer("--mailbox jobs --quiet", "x\n".repeat(100));
    scene.until("it was full", |scene| scene.ask("mailbox inspect jobs")["queued"] == 4);
    full.signal(Signal::SIGINT);
    quietly(full, 130);

    let mut idle =
        scene.start("producer", "--mailbox jobs --quiet", Stdio::piped(), Stdio::piped());
    let held_open = idle.input();
    scene.await_ends("jobs", "senders", 1);
    idle.signal(Signal::SIGINT);
    quietly(idle, 130);
    drop(held_open);

    let alone = scene.producer("--to nobody --as alone --timeout 100 --quiet", "x");
    scene.await_process("alone");
    alone.signal(Signal::SIGINT);
    quietly(alone, 130);
    end(scene);
}

#[test]
fn ctrl_c_ends_one_who_receives_directly() {
    let scene = Scene::new();
    for words in ["--from nobody --as waiting --quiet", "--as waiting --quiet"] {
        let consumer = scene.consumer(words);
        scene.await_process("waiting");
        consumer.signal(Signal::SIGINT);
        quietly(consumer, 130);
    }
    let receive = scene.postbox("receive --as waiting");
    scene.await_process("waiting");
    receive.signal(Signal::SIGINT);
    quietly(receive, 130);
    scene.finish();
}

#[test]
fn the_time_is_up_with_exit_code_3() {
    let scene = with_jobs();
    let said = scene.producer("--mailbox jobs --timeout 0.3 --quiet", "x\n".repeat(9)).refused(3);
    assert!(said.contains("4 records"), "{said}");
    let mut idle = scene.start(
        "producer",
        "--mailbox jobs --timeout 0.1 --quiet",
        Stdio::piped(),
        Stdio::piped(),
    );
    let held_open = idle.input();
    idle.refused(3);
    drop(held_open);
    let ended = scene.consumer("--mailbox jobs --timeout 0.3 --json").finish();
    assert_eq!((ended.code(), &ended.out[..]), (Some(3), &b"x\nx\nx\nx\n"[..]), "{ended:?}");
    assert!(ended.statistics()["error"].as_str().unwrap().contains("timed out"));
    end(scene);
}

#[test]
fn a_consumer_whose_reader_has_left_takes_no_more_and_ends_quietly() {
    let scene = with_jobs();
    let (reader, writer) = std::io::pipe().unwrap();
    let consumer = scene.start("consumer", "--mailbox jobs --quiet", Stdio::null(), writer.into());
    scene.await_ends("jobs", "receivers", 1);
    drop(reader);
    quietly(consumer, 0);
    // Nobody took this, to lose it.
    scene.producer("--mailbox jobs --quiet", "kept").good();
    assert_eq!(scene.consumer("--mailbox jobs --count 1 --quiet").good(), "kept\n");
    end(scene);
}

#[test]
fn a_second_ctrl_c_ends_a_consumer_that_cannot_write_out_what_it_took() {
    let scene = with_jobs();
    // Nobody reads, and more comes than a pipe holds.
    let (reader, writer) = std::io::pipe().unwrap();
    let consumer = scene.start("consumer", "--mailbox jobs", Stdio::null(), writer.into());
    let producer = scene.producer("--mailbox jobs --quiet", "x".repeat(1 << 20));
    producer.good();
    scene.until("it was taken", |scene| scene.ask("mailbox inspect jobs")["queued"] == 0);
    scene.until("it ended", |_| {
        consumer.signal(Signal::SIGINT);
        consumer.has_ended()
    });
    quietly(consumer, 130);
    drop(reader);
    end(scene);
}

#[test]
fn a_full_disk_is_a_failure() {
    let scene = with_jobs();
    scene.producer("--mailbox jobs --quiet", "x").good();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let words = "--mailbox jobs --count 1 --quiet";
    let ended = scene.start("consumer", words, Stdio::null(), full.into()).finish();
    assert_eq!((ended.code(), ended.err.lines().count()), (Some(1), 1), "{ended:?}");
    end(scene);
}

#[test]
fn a_rate_is_kept() {
    let scene = with_jobs();
    let consumer = scene.consumer("--mailbox jobs --count 20 --quiet");
    scene.await_ends("jobs", "receivers", 1);
    let mut producer = scene.start(
        "producer",
        "--mailbox jobs --rate 100 --count 20 --json",
        Stdio::piped(),
        Stdio::piped(),
    );
    let mut input = producer.input();
    input.write_all(&b"x\n".repeat(50)).unwrap();
    let ended = producer.finish();
    assert_eq!(ended.code(), Some(0), "{ended:?}");
    let statistics = ended.statistics();
    assert_eq!(statistics["records"], 20);
    // Twenty records have nineteen pauses between them.
    assert!(statistics["seconds"].as_f64().unwrap() >= 0.17, "{statistics}");
    consumer.good();
    end(scene);
}
