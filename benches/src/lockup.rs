//! The catalogue's `mpt2sas-ctl`: 24 CPUs, 3,900 tasks, a race, and a minute until the watchdog
//! sees what became of it.

use latchup::{Cycle, Document, Guest, NoFiles, RunOptions, Simulation, Speed};

/// The scenario.
const TEXT: &str = include_str!("../../scenarios/catalog/mpt2sas-ctl.ron");
/// The cycle at which the lock is zeroed while another CPU holds it.
pub const RACE: Cycle = Cycle(154_624_669);

/// The scenario before its first instruction, with this threshold of the watchdog (`"60s"` is
/// RHEL 6's).
///
/// # Panics
/// If the catalogue's scenario has mistakes.
#[must_use]
pub fn simulation(threshold: &str) -> Simulation {
    let mut document = Document::parse("mpt2sas-ctl.ron", TEXT).expect("a well-formed scenario");
    document.set(&format!("kernel.watchdog.thresh={threshold}"));
    let loaded = document.load(&Guest::shipped().image, &NoFiles).expect("a valid scenario");
    Simulation::new(loaded).expect("a valid machine")
}

/// Runs it until the watchdog panics.
///
/// # Panics
/// If it does not end that way.
pub fn run_to_panic(simulation: &mut Simulation) {
    let stop = simulation.run(&RunOptions::default()).expect("the guest boots");
    let finding = simulation.investigate(&stop).diagnosis.finding;
    assert_eq!(finding.kind.name(), "hard-lockup", "{stop:?}");
}

/// The simulation at its race, made ready to be forked.
///
/// # Panics
/// If the guest does not boot.
#[must_use]
pub fn at_race() -> Simulation {
    let mut simulation = simulation("60s");
    let speed = Speed::default();
    simulation.boot(speed).expect("the guest boots");
    simulation.advance(RACE, speed, &mut ());
    simulation.machine_mut().freeze();
    simulation
}
