//! Runs of scenarios: reports, their repetition, expectations, pictures.

use crate::common::{folder, latchup, read, write};
use serde_json::Value;
use std::path::Path;

/// Two CPUs count under a lock; `count` is what they are said to reach.
fn counting(dir: &Path, name: &str, expected: u64) {
    let text = format!(
        r#"Scenario(
    title: "two CPUs count under a lock",
    machine: (preset: "westmere-ep", cores: 2),
    variables: {{ "lock": Lock, "count": Word }},
    tasks: [
        (comm: "a", cpu: 0, kernel: [Repeat(9, [Lock("lock"), Add("count", 1), Unlock("lock")])]),
        (comm: "b", cpu: 1, kernel: [Repeat(9, [Lock("lock"), Add("count", 1), Unlock("lock")])]),
    ],
    until: AnyOf([AllTasksDone, Time("20ms")]),
    expect: (finding: Ok, tasks_done: 2, variables: {{ "count": {expected} }}),
)
"#
    );
    write(dir, name, text);
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[test]
fn the_json_document_has_every_promised_field() {
    let dir = folder("run-json");
    counting(&dir, "count.ron", 18);
    let ran = latchup(&dir, &["run", "count.ron", "--json", "--set", "kernel.hz=1000"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    let report = json(&ran.out);
    for pointer in [
        "/format",
        "/finding/kind",
        "/finding/cpu",
        "/causal_chain",
        "/cpus/1/id",
        "/cpus/1/rip",
        "/cpus/1/symbol",
        "/cpus/1/interrupts_enabled",
        "/cpus/1/registers/rax",
        "/cpus/1/backtrace",
        "/locks/0/symbol",
        "/locks/0/word",
        "/locks/0/next",
        "/locks/0/owner",
        "/locks/0/holder",
        "/locks/0/waiters",
        "/tasks/RU",
        "/tasks/UN",
        "/tasks/IN",
        "/simulated/cycles",
        "/simulated/seconds",
        "/instructions",
        "/host_seconds",
        "/trace_hash",
        "/reproduce",
    ] {
        assert!(report.pointer(pointer).is_some(), "{pointer} is missing in {}", ran.out);
    }
    assert_eq!(report["finding"]["kind"], "ok");
    assert_eq!(report["cpus"].as_array().map(Vec::len), Some(2));
    let lock = report["locks"]
        .as_array()
        .and_then(|locks| locks.iter().find(|lock| lock["symbol"] == "lock").cloned());
    assert_eq!(lock.expect("the lock is reported")["word"], 18 << 16 | 18);
}

#[test]
fn the_reproduce_line_repeats_the_run_and_exact_steps_changes_nothing() {
    let dir = folder("run-reproduce");
    counting(&dir, "count.ron", 18);
    let set = "tasks[1].at=3us";
    let first = json(&latchup(&dir, &["run", "count.ron", "--json", "--set", set]).out);
    let line = first["reproduce"].as_str().expect("a command");
    assert_eq!(line, format!("latchup run count.ron --set '{set}'"));
    let arguments = ["run", "count.ron", "--set", set, "--json", "--exact-steps"];
    let again = json(&latchup(&dir, &arguments).out);
    assert_eq!(first["trace_hash"], again["trace_hash"]);
    assert_eq!(first["simulated"]["cycles"], again["simulated"]["cycles"]);
    let other = json(&latchup(&dir, &["run", "count.ron", "--json"]).out);
    assert_ne!(first["trace_hash"], other["trace_hash"], "the change has no effect");
}

#[test]
fn a_folder_of_scenarios_is_held_to_what_it_expects() {
    let dir = folder("test-folder");
    counting(&dir, "good.ron", 18);
    let ran = latchup(&dir, &["test", ".", "--jobs", "1"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.ends_with("1 passed, 0 failed\n"), "{ran:?}");

    counting(&dir, "bad.ron", 17);
    write(&dir, "none.ron", "Scenario(title: \"t\", machine: (cores: 2), until: Time(\"1us\"))");
    let (one, two) = (latchup(&dir, &["test", ".", "--jobs", "1"]), latchup(&dir, &["test", "."]));
    assert_eq!((one.status, &one.out), (1, &two.out), "{one:?}");
    assert!(one.out.contains("variable `count` is 18 (0x12) instead of 17"), "{one:?}");
    assert!(one.out.contains("it expects nothing"), "{one:?}");
    assert!(one.out.ends_with("1 passed, 2 failed\n"), "{one:?}");
    let ran = latchup(&dir, &["run", "bad.ron"]);
    assert_eq!(ran.status, 1);
    assert!(ran.err.contains("not as expected: variable `count`"), "{}", ran.err);
}

#[test]
fn pictures_are_written_and_drawn_anew() {
    let dir = folder("run-out");
    counting(&dir, "count.ron", 18);
    let ran = latchup(&dir, &["run", "count.ron", "--out", "result"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let out = dir.join("result");
    assert!(ran.out.contains(&read(&out, "report.txt")));
    let report = json(&read(&out, "report.json"));
    assert_eq!(report["scenario"]["file"], "count.ron");
    let svg = read(&out, "lockup.svg");
    std::fs::remove_file(out.join("lockup.svg")).expect("it was written");
    let ran = latchup(&dir, &["plot", "result"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.contains("lockup.svg"), "{}", ran.out);
    assert_eq!(read(&out, "lockup.svg"), svg);
    assert_eq!(latchup(&dir, &["plot", "result", "--format", "png"]).status, 0);
    let png = std::fs::read(out.join("lockup.png")).expect("it was drawn");
    assert!(png.starts_with(b"\x89PNG"));
}
