//! Boots once and forks: an unchanged copy and a restored snapshot end alike, a changed one does
//! not.
//!
//! A task spins until a word is 1, which nobody sets. `cargo run --example fork_and_compare`

use latchup::{RunOptions, Simulation, Speed, StopReason, load_text};
use std::error::Error;

const SCENARIO: &str = r#"Scenario(
    title: "a task waits for a word",
    machine: (preset: "westmere-ep", cores: 2),
    variables: { "go": Word },
    tasks: [(comm: "spinner", cpu: 1, kernel: [SpinUntil("go", 1)])],
    until: AnyOf([AllTasksDone, Time("2ms")]),
)"#;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let loaded = load_text("spin.ron", SCENARIO)?;
    let mut original = Simulation::new(loaded.clone())?;
    let epoch = original.boot(Speed::default())?;

    let mut copy = original.clone();
    let mut restored = Simulation::restore(loaded, &original.snapshot()?)?;
    let mut changed = original.clone();
    let go = changed.loaded().variables[0].phys;
    changed.machine_mut().write_physical(go, &1u64.to_le_bytes());

    let options = RunOptions::default();
    assert_eq!(original.run(&options)?, StopReason::Deadline);
    for fork in [&mut copy, &mut restored] {
        assert_eq!(fork.run(&options)?, StopReason::Deadline);
        assert_eq!(fork.machine().now(), original.machine().now());
        assert_eq!(fork.machine().trace_hash(), original.machine().trace_hash());
    }
    assert!(matches!(changed.run(&options)?, StopReason::Condition(_)), "the word was there");
    assert!(changed.machine().now() < original.machine().now());
    assert!(changed.machine().now() >= epoch);
    Ok(())
}
