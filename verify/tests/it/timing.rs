//! Latencies as the presets state them, and as the page in `docs/` tells them.

use sim_x86::presets;
use std::path::Path;
use verify::timing;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/timing-validation.md");
    std::fs::read_to_string(path).expect("the page in docs")
}

#[test]
fn every_latency_is_as_its_preset_states_and_as_the_page_says() {
    let page = page();
    for preset in timing::machines() {
        let name = &preset.preset;
        let begin = page.find(&format!("## `{name}`")).expect("a section for each preset");
        let section = &page[begin..];
        for row in timing::latencies(&preset) {
            let line = timing::line_of(&row);
            assert!(row.holds(), "{name}: {line}");
            let update = "latchup verify timing --write docs/timing-validation.md";
            assert!(section.contains(&line), "{name}: the page is stale: {update}\n{line}");
        }
    }
}

#[test]
fn what_a_preset_states_is_what_is_measured() {
    let mut slower = presets::westmere_ep();
    slower.memory.load.modified[2] += 100;
    let modified = |spec| {
        let rows = timing::latencies(spec);
        let row = rows.into_iter().find(|row| row.name == "Load, Modified, one hop");
        row.expect("a row of the table").measured
    };
    assert_eq!(modified(&slower) - modified(&presets::westmere_ep()), 100.0);
}
