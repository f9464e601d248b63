//! Loads a scenario, runs it to its end, and reads what came out.
//!
//! Two CPUs count to 100 under a ticket lock. `cargo run --example run_scenario`

use latchup::{FindingKind, RunOptions, Simulation, judge, load_text};
use std::error::Error;

const SCENARIO: &str = r#"Scenario(
    title: "two CPUs count under a lock",
    machine: (preset: "westmere-ep", cores: 2),
    variables: { "lock": Lock, "count": Word },
    tasks: [
        (comm: "a", cpu: 0, kernel: [Repeat(50, [Lock("lock"), Add("count", 1), Unlock("lock")])]),
        (comm: "b", cpu: 1, kernel: [Repeat(50, [Lock("lock"), Add("count", 1), Unlock("lock")])]),
    ],
    until: AnyOf([AllTasksDone, Time("20ms")]),
    expect: (finding: Ok, variables: { "count": 100 }),
)"#;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let loaded = load_text("counting.ron", SCENARIO)?;
    let expect = loaded.expect.clone().ok_or("the scenario expects something")?;
    let mut simulation = Simulation::new(loaded)?;
    let stop = simulation.run(&RunOptions::default())?;
    let report = simulation.report(&stop, &simulation.investigate(&stop));

    assert_eq!(report.finding.kind, FindingKind::Ok, "{}", report.to_text());
    assert_eq!(judge(&expect, &report, &simulation), Vec::<String>::new());
    let lock = report.locks.iter().find(|lock| lock.symbol == "lock").ok_or("the lock")?;
    assert_eq!((lock.next, lock.owner), (100, 100), "every ticket was served");
    Ok(())
}
