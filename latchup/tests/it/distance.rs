//! `run --distance`: how far one run is from another outcome.

use crate::common::{folder, latchup, read};
use crate::windows::{UNTIL, done, scenario};
use serde_json::Value;

const PATH: &str = "machine.memory.l1_hit";

#[test]
fn the_distance_of_a_run_is_that_to_the_edge_of_a_sweep() {
    let dir = folder("distance");
    scenario(&dir);
    done(&dir, &["--out", "sweep"]);
    let windows = read(&dir.join("sweep"), "windows.csv");
    let last_ok = windows.lines().find(|line| line.contains(",ok,")).expect("a window");
    let hi: u64 = last_ok.split(',').nth(1).and_then(|hi| hi.parse().ok()).expect("a value");

    let value = format!("{PATH}=2");
    let run = ["run", "loads.ron", UNTIL, "--set", &value, "--distance", PATH, "--within", "30"];
    let told = latchup(&dir, &run);
    assert_eq!(told.status, 0, "{told:?}");
    let away = format!("this run is {} from deadline", hi + 1 - 2);
    assert!(told.out.contains(&away), "{away}: {}", told.out);

    let json = latchup(&dir, &[&run[..], &["--json"]].concat());
    let document: Value = serde_json::from_str(&json.out).expect("JSON");
    let distance = &document["distance"];
    assert_eq!(distance["value"], 2);
    assert_eq!(distance["above"]["value"], hi + 1);
    assert_eq!(distance["above"]["verdict"]["finding"], "deadline");
    assert_eq!(distance["below"], Value::Null);
}

#[test]
fn what_has_no_number_has_no_distance() {
    let dir = folder("distance-of-nothing");
    scenario(&dir);
    for path in ["machine.memory.l9_hit", "title"] {
        let ran = latchup(&dir, &["run", "loads.ron", UNTIL, "--distance", path]);
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(ran.err.contains(&format!("--distance {path}")), "{}", ran.err);
    }
}
