//! Speed-ups and snapshots change nothing in scenarios that nobody wrote.

use scenarios::document::Document;
use scenarios::guest::Guest;
use scenarios::load::Loaded;
use scenarios::simulation::NoFiles;
use std::collections::BTreeSet;
use verify::speed::{self, Extent, generate};

fn generated(seed: u64) -> Loaded {
    let text = generate::scenario(seed);
    let document =
        Document::parse("generated.ron", &text).unwrap_or_else(|d| panic!("{d}\n{text}"));
    document.load(&Guest::shipped().image, &NoFiles).unwrap_or_else(|d| panic!("{d}\n{text}"))
}

#[test]
fn ten_generated_scenarios_are_the_same_in_every_way() {
    let extent = Extent { nanoseconds: 800_000, snapshots: 10 };
    let mut ends = BTreeSet::new();
    for seed in 0..10 {
        let comparison = speed::compare(&generated(seed), extent, seed).expect("it runs");
        assert_eq!(comparison.differences, [], "seed {seed}");
        ends.insert(comparison.trace_hash);
    }
    assert_eq!(ends.len(), 10, "every seed is another scenario");
}

#[test]
fn a_run_through_a_hundred_snapshots_is_the_straight_run() {
    let extent = Extent { nanoseconds: 1_000_000, snapshots: 100 };
    let comparison = speed::compare(&generated(3), extent, 1).expect("it runs");
    assert_eq!(comparison.differences, []);
}

#[test]
fn a_seed_gives_one_text() {
    assert_eq!(generate::scenario(7), generate::scenario(7));
    assert_ne!(generate::scenario(7), generate::scenario(8));
}

/// A comparison that cannot fail proves nothing: two runs of unlike length differ.
#[test]
fn the_comparison_sees_a_difference() {
    let end = |nanoseconds| {
        let extent = Extent { nanoseconds, snapshots: 0 };
        speed::compare(&generated(1), extent, 0).expect("it runs").trace_hash
    };
    assert_ne!(end(200_000), end(200_100));
}

/// Generated tasks do what they are meant to: most come to their end, and none of the guest's
/// warnings fires.
#[test]
fn generated_scenarios_run_without_a_panic() {
    use scenarios::simulation::{RunOptions, Simulation};
    for seed in 0..10 {
        let mut simulation = Simulation::new(generated(seed)).expect("a valid machine");
        let stop = simulation.run(&RunOptions::default()).expect("it boots");
        let console = String::from_utf8_lossy(simulation.machine().console()).into_owned();
        assert!(!console.contains("panic"), "seed {seed}: {stop:?}\n{console}");
        assert!(simulation.finished() > 0, "seed {seed}: {stop:?}\n{console}");
    }
}
