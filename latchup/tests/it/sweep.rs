//! Brute-force sweeps: order, resumption, repetition.

use crate::common::{command, count_down, elf, exit, folder, latchup, read, write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

const PARAM: &str = "machine.memory.l1_hit=1..9:1";
const ROWS: usize = 9;

/// A scenario whose runs take a moment each.
fn scenario(dir: &Path) {
    write(dir, "count.elf", elf(&[count_down(600_000), exit(0)].concat()));
    let text = "Scenario(title: \"counts down\", machine: (cores: 1), image: \"count.elf\", \
                until: Exit)";
    write(dir, "count.ron", text);
}

fn sweep(dir: &Path, out: &str, jobs: &str) -> String {
    let ran = latchup(dir, &["sweep", "count.ron", "--param", PARAM, "--out", out, "--jobs", jobs]);
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.contains("9 runs"), "{ran:?}");
    read(&dir.join(out), "sweep.csv")
}

#[test]
fn a_killed_sweep_goes_on_and_ends_with_the_same_bytes() {
    let dir = folder("sweep-killed");
    scenario(&dir);
    let arguments = ["sweep", "count.ron", "--param", PARAM, "--out", "killed", "--jobs", "1"];
    let mut child = command(&dir, &arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command can be started");
    let csv = dir.join("killed").join("sweep.csv");
    let lines = || std::fs::read_to_string(&csv).map_or(0, |text| text.lines().count());
    let begun = Instant::now();
    while lines() < 3 && begun.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
    let there = lines();
    assert!((3..ROWS + 1).contains(&there), "killed too early or too late: {there} lines");
    // A kill may also tear a line.
    let mut torn = read(&dir.join("killed"), "sweep.csv");
    torn.push_str("9,ok");
    write(&dir, "killed/sweep.csv", torn);

    let resumed = sweep(&dir, "killed", "1");
    assert_eq!(resumed, sweep(&dir, "whole", "1"));
    assert_eq!(resumed.lines().count(), ROWS + 1);
    let values: Vec<&str> =
        resumed.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
    assert_eq!(values, (1..=9).map(|n| n.to_string()).collect::<Vec<_>>());
    let file = |folder: &str, name: &str| read(&dir.join(folder), name);
    assert_eq!(file("killed", "sweep.json"), file("whole", "sweep.json"));
    assert_eq!(file("killed", "sweep.svg"), file("whole", "sweep.svg"));
    // Another time there is nothing left to do.
    assert_eq!(sweep(&dir, "killed", "1"), resumed);
}

#[test]
fn the_number_of_jobs_does_not_show() {
    let dir = folder("sweep-jobs");
    scenario(&dir);
    assert_eq!(sweep(&dir, "one", "1"), sweep(&dir, "two", "2"));
}

#[test]
fn a_different_sweep_in_the_same_folder_is_refused() {
    let dir = folder("sweep-other");
    scenario(&dir);
    let run = |arguments: &[&str]| {
        latchup(&dir, &[&["sweep", "count.ron", "--out", "out", "--param"], arguments].concat())
    };
    assert_eq!(run(&["machine.memory.l1_hit=3..4:1"]).status, 0);
    let before = read(&dir.join("out"), "sweep.csv");
    let refused = |arguments: &[&str], reason: &str| {
        let ran = run(arguments);
        assert_eq!(ran.status, 2, "{ran:?}");
        let said = ran.err.contains("belongs to a different sweep") && ran.err.contains(reason);
        assert!(said, "{reason}: {}", ran.err);
    };
    refused(&["machine.memory.l1_hit=3..5", "--grid", "1"], "the range");
    refused(&["machine.memory.l2_hit=13..14:1"], "the parameter");
    refused(&["machine.memory.l1_hit=3..4:1", "--seed", "5"], "--seed");
    write(&dir, "count.elf", elf(&exit(1)));
    refused(&["machine.memory.l1_hit=3..4:1"], "a file that it names");
    assert_eq!(read(&dir.join("out"), "sweep.csv"), before);
}
