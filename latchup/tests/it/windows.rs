//! Exact sweeps: windows, maps, odds, shards, kills.

use crate::common::{Ran, command, count_down, elf, exit, folder, latchup, read, write};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A program whose outcome turns from `ok` to `deadline` when the costs of its loop add up to more
/// than the time limit.
pub(crate) const UNTIL: &str = "--until=60000cy";
const RANGE: &str = "machine.memory.l1_hit=1..24";
/// With `RANGE`, more parameters than can be swept.
const MORE: [&str; 8] =
    ["--param", "a=1..2", "--param", "b=1..2", "--param", "c=1..2", "--param", "d=1..2"];
/// Few values each, but too many combinations.
const WIDE: [&str; 4] =
    ["--param", "machine.memory.l2_hit=30..5029", "--param", "machine.memory.atomic_extra=0..4999"];
/// Everything that must not depend on how it was computed.
const RESULTS: [&str; 3] = ["windows.csv", "windows.json", "windows.svg"];

/// Code that loads a word `count` times.
fn loads(count: u32) -> Vec<u8> {
    // mov ecx, count; 1: mov eax, [0x100000]; dec ecx; jnz 1b
    let mut code = vec![0xb9];
    code.extend(count.to_le_bytes());
    code.extend([0x8b, 0x04, 0x25, 0x00, 0x00, 0x10, 0x00, 0xff, 0xc9, 0x75, 0xf5]);
    code
}

pub(crate) fn scenario(dir: &Path) {
    write(dir, "loads.elf", elf(&[loads(4_000), exit(0)].concat()));
    let text = "Scenario(title: \"loads\", machine: (cores: 1, memory: (l2_hit: 30)), \
                image: \"loads.elf\", until: Exit)";
    write(dir, "loads.ron", text);
}

fn sweep(dir: &Path, arguments: &[&str]) -> Ran {
    let all = [&["sweep", "loads.ron", UNTIL, "--param", RANGE], arguments].concat();
    latchup(dir, &all)
}

pub(crate) fn done(dir: &Path, arguments: &[&str]) -> Ran {
    let ran = sweep(dir, arguments);
    assert_eq!(ran.status, 0, "{ran:?}");
    ran
}

#[track_caller]
fn assert_same(a: &Path, b: &Path) {
    for name in RESULTS {
        assert_eq!(read(a, name), read(b, name), "{name}");
    }
}

#[test]
fn windows_are_those_of_brute_force() {
    let dir = folder("windows-brute");
    scenario(&dir);
    let ran = done(&dir, &["--out", "exact", "--jobs", "2", "--judge"]);
    assert!(ran.out.contains("24 every point run alone, 0 differ"), "{}", ran.out);
    done(&dir, &["--out", "grid", "--grid", "1"]);
    let windows = read(&dir.join("exact"), "windows.csv");
    let rows = read(&dir.join("grid"), "sweep.csv");
    let mut values = 0;
    for window in windows.lines().skip(1) {
        let fields: Vec<&str> = window.split(',').collect();
        let (lo, hi): (u64, u64) = (fields[0].parse().expect("lo"), fields[1].parse().expect("hi"));
        for value in lo..=hi {
            let row = format!("{value},{},", fields[2..6].join(","));
            assert!(rows.lines().any(|line| line.starts_with(&row)), "{row} is not in {rows}");
            values += 1;
        }
    }
    assert_eq!(values, 24);
    assert!(windows.lines().count() >= 3, "one window shows little: {windows}");
}

#[test]
fn a_witness_command_shows_what_its_window_says() {
    let dir = folder("windows-witness");
    scenario(&dir);
    let ran = done(&dir, &["--out", "exact"]);
    let document = read(&dir.join("exact"), "windows.json");
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    let windows = document["windows"].as_array().expect("windows");
    assert_eq!(windows.len(), document["edges"].as_array().expect("edges").len() + 1);
    for window in windows {
        let line = window["command"].as_str().expect("a command");
        assert!(ran.out.contains(line), "{line} is not in {}", ran.out);
        let words: Vec<&str> = line.split(' ').skip(1).chain(["--json"]).collect();
        let report = latchup(&dir, &words);
        let report: serde_json::Value = serde_json::from_str(&report.out).expect("a report");
        assert_eq!(report["finding"]["kind"], window["finding"], "{line}");
    }
}

#[test]
fn jobs_and_shards_do_not_show() {
    let dir = folder("windows-shards");
    scenario(&dir);
    done(&dir, &["--out", "one", "--jobs", "1"]);
    done(&dir, &["--out", "two", "--jobs", "2"]);
    assert_same(&dir.join("one"), &dir.join("two"));
    assert_eq!(read(&dir.join("one"), "tiles.jsonl"), read(&dir.join("two"), "tiles.jsonl"));
    for index in 0..5 {
        done(&dir, &["--out", "parts", "--shard", &format!("{index}/5")]);
    }
    // The last two as tasks of job arrays.
    for (text, variables) in [
        ("array", [("SLURM_ARRAY_TASK_ID", "8"), ("SLURM_ARRAY_TASK_COUNT", "7")]),
        ("array/7", [("HQ_TASK_ID", "6"), ("HQ_JOB_ID", "1")]),
    ] {
        let mut task = command(&dir, &["sweep", "loads.ron", UNTIL, "--param", RANGE]);
        task.args(["--out", "array", "--shard", text]).envs(variables);
        let ran = task.env("SLURM_ARRAY_TASK_MIN", "3").output().expect("it starts");
        assert!(ran.status.success(), "{ran:?}");
    }
    for index in [0, 1, 2, 3, 4] {
        done(&dir, &["--out", "array", "--shard", &format!("{index}/7")]);
    }
    for parts in ["parts", "array"] {
        let merged = latchup(&dir, &["merge", parts]);
        assert_eq!(merged.status, 0, "{merged:?}");
        assert_same(&dir.join("one"), &dir.join(parts));
        let again = latchup(&dir, &["merge", parts]);
        assert_eq!((again.status, again.out), (0, merged.out));
    }
    // The merged folder is the sweep itself: nothing is left to do.
    let ran = done(&dir, &["--out", "parts"]);
    assert!(ran.err.contains("0 points remain"), "{}", ran.err);
    assert_same(&dir.join("one"), &dir.join("parts"));
}

#[test]
fn gaps_and_overlaps_of_shards_are_refused() {
    let dir = folder("windows-gaps");
    scenario(&dir);
    let shard = |out: &str, shard: &str| done(&dir, &["--out", out, "--shard", shard]);
    shard("parts", "0/3");
    shard("parts", "2/3");
    shard("other", "1/3");
    shard("other", "1/4");
    shard("full", "1/3");
    let refused = |folders: &[&str], reason: &str| {
        let ran = latchup(&dir, &[&["merge", "--out", "merged"], folders].concat());
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(ran.err.contains(reason), "{reason}: {}", ran.err);
    };
    refused(&["parts"], "the values 9..16 are in none of the shards");
    refused(&["parts", "other"], "which another shard has too");
    refused(&["parts", "full", "full"], "which another shard has too");
    refused(&["full/shard-1-of-3"], "the values 1..8 are in none");
    refused(&["."], "there are no shards");
    std::fs::remove_file(dir.join("full/shard-1-of-3/work.json")).expect("it is there");
    refused(&["parts", "full"], "is not finished");
    let tiles = read(&dir, "full/shard-1-of-3/tiles.jsonl");
    let some: Vec<&str> = tiles.lines().take(3).collect();
    write(&dir, "full/shard-1-of-3/tiles.jsonl", some.join("\n") + "\n");
    refused(&["parts", "full"], "5 points are missing");
    let full = ["sweep", "loads.ron", UNTIL, "--param", RANGE, "--full"];
    let ran = latchup(&dir, &[&full[..], &["--out", "long", "--shard", "1/3"]].concat());
    assert_eq!(ran.status, 0, "{ran:?}");
    refused(&["parts", "long"], "belongs to a different sweep than");
}

#[test]
fn a_killed_sweep_goes_on_and_ends_with_the_same_bytes() {
    let dir = folder("windows-killed");
    write(&dir, "count.elf", elf(&[count_down(600_000), exit(0)].concat()));
    let text = "Scenario(title: \"counts down\", machine: (cores: 1, memory: (l2_hit: 40)), \
                image: \"count.elf\", until: Exit)";
    write(&dir, "count.ron", text);
    let arguments = |out: &'static str| {
        let param = "machine.memory.l1_hit=1..40";
        ["sweep", "count.ron", "--param", param, "--out", out, "--jobs", "1", "--exact-steps"]
    };
    let mut child = command(&dir, &arguments("killed"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the command can be started");
    let tiles = dir.join("killed").join("tiles.jsonl");
    let lines = || std::fs::read_to_string(&tiles).map_or(0, |text| text.lines().count());
    let begun = Instant::now();
    while lines() < 3 && begun.elapsed() < Duration::from_secs(120) {
        assert_eq!(child.try_wait().expect("it can be asked"), None, "it ended by itself");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().expect("SIGKILL");
    child.wait().expect("it ends");
    assert!((3..40).contains(&lines()), "killed too early or too late: {} lines", lines());
    assert!(!dir.join("killed/windows.csv").exists());
    // A kill may also tear a line.
    let mut torn = read(&dir, "killed/tiles.jsonl");
    torn.push_str("{\"at\":[7");
    write(&dir, "killed/tiles.jsonl", torn);
    let resumed = latchup(&dir, &arguments("killed"));
    assert_eq!(resumed.status, 0, "{resumed:?}");
    assert!(resumed.err.contains("points remain"), "{}", resumed.err);
    assert_eq!(latchup(&dir, &arguments("whole")).status, 0);
    assert_same(&dir.join("killed"), &dir.join("whole"));
}

#[test]
fn two_parameters_make_a_map() {
    let dir = folder("windows-map");
    scenario(&dir);
    let second = ["--param", "machine.memory.l2_hit=30..32", "--jobs", "2"];
    let map = |more: &[&str]| done(&dir, &[&second[..], more].concat());
    let ran = map(&["--out", "map", "--judge-random", "5"]);
    assert!(ran.out.contains("5 random points run alone, 0 differ"), "{}", ran.out);
    let regions = read(&dir.join("map"), "regions.csv");
    let area = |line: &str| {
        let numbers: Vec<u64> = line.split(',').map_while(|field| field.parse().ok()).collect();
        (numbers[1] - numbers[0] + 1) * (numbers[3] - numbers[2] + 1)
    };
    assert_eq!(regions.lines().skip(1).map(area).sum::<u64>(), 24 * 3);
    for index in ["0/2", "1/2"] {
        map(&["--out", "parts", "--shard", index]);
    }
    assert_eq!(latchup(&dir, &["merge", "parts"]).status, 0);
    for name in ["regions.csv", "map.json", "map.svg"] {
        assert_eq!(read(&dir.join("map"), name), read(&dir.join("parts"), name), "{name}");
    }
    let drawn = latchup(&dir, &["plot", "map", "--format", "png"]);
    assert_eq!(drawn.status, 0, "{drawn:?}");
    assert!(dir.join("map/map.png").exists());
}

#[test]
fn three_parameters_make_regions() {
    let dir = folder("windows-regions");
    scenario(&dir);
    let more = ["--param", "machine.memory.l2_hit=30..31", "--param", "machine.costs.alu=1..3"];
    let regions = |arguments: &[&str]| done(&dir, &[&more[..], arguments].concat());
    let ran = regions(&["--out", "all", "--judge-random", "20", "--parquet"]);
    assert!(ran.out.contains("20 random points run alone, 0 differ"), "{}", ran.out);
    assert!(ran.out.contains("points within 1.."), "{}", ran.out);
    let table = read(&dir.join("all"), "regions.csv");
    let head = "lo,hi,second_lo,second_hi,third_lo,third_hi,finding,";
    assert!(table.starts_with(head), "{table}");
    let area = |line: &str| -> u64 {
        let numbers: Vec<u64> = line.split(',').map_while(|field| field.parse().ok()).collect();
        numbers.chunks_exact(2).map(|range| range[1] - range[0] + 1).product()
    };
    assert_eq!(table.lines().skip(1).map(area).sum::<u64>(), 24 * 2 * 3);
    let map: serde_json::Value =
        serde_json::from_str(&read(&dir.join("all"), "map.json")).expect("JSON");
    for region in map["regions"].as_array().expect("regions") {
        assert!(region["third"].is_array() && region.get("fourth").is_none(), "{region}");
        assert_eq!(region["witness"].as_array().map(Vec::len), Some(3));
        assert_eq!(region["command"].as_str().map(|line| line.matches("--set").count()), Some(3));
    }
    assert!(dir.join("all/regions.parquet").exists() && !dir.join("all/map.svg").exists());
    for index in ["0/3", "1/3", "2/3"] {
        regions(&["--out", "parts", "--shard", index]);
    }
    assert_eq!(latchup(&dir, &["merge", "parts"]).status, 0);
    for name in ["regions.csv", "map.json"] {
        assert_eq!(read(&dir.join("all"), name), read(&dir.join("parts"), name), "{name}");
    }
    let drawn = latchup(&dir, &["plot", "all"]);
    assert_eq!(drawn.status, 2, "{drawn:?}");
    assert!(drawn.err.contains("no picture shows more than two parameters"), "{}", drawn.err);
}

#[test]
fn odds_by_windows_and_by_sampling_agree() {
    let dir = folder("windows-odds");
    write(&dir, "latency.csv", "n,latency_ns\n1,5\n2,5\n3,10\n4,1000\n");
    let text = "Scenario(title: \"t\", machine: (cores: 1), \
                tasks: [(comm: \"a\", cpu: 0, run: [Compute(\"20cy\")])], \
                until: AnyOf([AllTasksDone, Time(\"8000cy\")]))";
    write(&dir, "task.ron", text);
    let sweep = |more: &[&str]| {
        let fixed = ["sweep", "task.ron", "--param", "tasks[0].run[0][0]=0cy..40cy"];
        let fixed = [&fixed[..], &["--out", "out"]].concat();
        latchup(&dir, &[&fixed[..], more].concat())
    };
    let odds = ["--odds", "csv:latency.csv#latency_ns", "--rate", "100/s"];
    let ran = sweep(&[&odds[..], &["--monte-carlo", "200"]].concat());
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(ran.out.contains("outside of the range"), "{}", ran.out);
    assert!(ran.out.contains("each decided by a run of its own"), "{}", ran.out);
    let document = read(&dir.join("out"), "odds.json");
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!(document["outside"], 0.25);
    let estimates = document["monte_carlo"]["estimates"].as_array().expect("estimates");
    let samples: u64 = estimates.iter().filter_map(|e| e["samples"].as_u64()).sum();
    assert_eq!(samples, 200);
    for estimate in estimates {
        assert!(estimate["deviations"].as_f64().expect("a number").abs() < 4.5, "{estimate}");
    }
    let looked_up =
        sweep(&[&odds[..], &["--monte-carlo", "200", "--monte-carlo-by", "windows"]].concat());
    assert!(looked_up.out.contains("looked up in the windows"), "{}", looked_up.out);
}

#[test]
fn wrong_sweeps_are_refused_with_advice() {
    let dir = folder("windows-wrong");
    scenario(&dir);
    write(&dir, "bad.csv", "fast\nslow\n");
    let time = ["sweep", "loads.ron", "--param", "until.items[1].x=0cy..9cy"];
    let plain = ["sweep", "loads.ron", "--param", RANGE];
    for (base, more, reason) in [
        (&plain, &["--shard", "3/3"][..], "there is no shard 3 of 3"),
        (&plain, &["--shard", "0/25"], "more shards than values"),
        (&plain, &["--plan", "25"], "more shards than values"),
        (&plain, &["--shard", "array"], "neither SLURM_ARRAY_TASK_ID nor HQ_TASK_ID is set"),
        (&plain, &["--odds", "40us"], "one parameter that is a time"),
        (&plain, &["--param", RANGE], "is swept twice"),
        (&plain, &MORE, "5 parameters are more than can be swept"),
        (&plain, &["--param", "a=1..2", "--param", "b=1..2", "--param", RANGE], "is swept twice"),
        (&plain, &["--grid", "0"], "a step of 0 never arrives"),
        (&plain, &["--grid", "5cy"], "either of durations or of plain numbers"),
        (&plain, &["--grid", "1", "--judge"], "no windows to shard, judge or integrate"),
        (&plain, &["--param", "machine.cores=1..9:1"], "runs over one parameter"),
        (&plain, &["--rate", "100/s"], "--odds"),
        (&plain, &["--odds", "40us", "--rate", "100"], "/s, /min or /h"),
        (&plain, &["--param", "machine.memory.l2_hit=30..9000030"], "more than 4000000 values"),
        (&plain, &WIDE, "give the parameter with the most values first"),
        (&time, &["--odds", "csv:none.csv"], "cannot read none.csv"),
        (&time, &["--odds", "csv:bad.csv"], "`slow`"),
        (&time, &["--odds", "Lognormal(1)"], "did you mean `LogNormal`?"),
        (&time, &["--odds", "40us", "--shard", "0/2"], "merge the shards"),
    ] {
        let ran = latchup(&dir, &[&base[..], more].concat());
        assert_eq!(ran.status, 2, "{more:?}: {ran:?}");
        assert!(ran.err.contains(reason), "{more:?}: no {reason} in {}", ran.err);
    }
    let printed = latchup(&dir, &[&plain[..], &["--plan", "3"]].concat());
    assert_eq!(printed.out, "--shard 0/3  # 1..8\n--shard 1/3  # 9..16\n--shard 2/3  # 17..24\n");
    done(&dir, &["--out", "there"]);
    let other = latchup(&dir, &["sweep", "loads.ron", "--param", RANGE, "--out", "there"]);
    assert!(other.status == 2 && other.err.contains("--until"), "{other:?}");
}
