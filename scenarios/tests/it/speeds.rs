//! Speed-ups change nothing in the catalogue, and they do speed it up.

use crate::catalog::{FILES, load};
use scenarios::simulation::{RunOptions, Simulation};
use sim_x86::Speed;

/// Milliseconds of a scenario that are run at every speed: enough for its race to happen.
fn milliseconds(name: &str) -> u64 {
    match name {
        "mpt2sas-ctl" | "mpt2sas-ctl-fixed" => 52,
        _ => 4,
    }
}

/// A run of the first part of `name`.
fn run(name: &str, speed: Speed, ms: u64) -> Simulation {
    let mut simulation = Simulation::new(load(name)).expect("a valid machine");
    let limit = simulation.machine().spec().clock.cycles_in_ns(ms * 1_000_000);
    let options = RunOptions { speed, limit: Some(limit), ..RunOptions::default() };
    simulation.run(&options).expect("it boots");
    simulation
}

#[test]
fn the_catalogue_is_the_same_at_every_speed() {
    for name in FILES {
        let reference = run(name, Speed::default(), milliseconds(name));
        for (variant, speed) in Speed::variants() {
            let other = run(name, speed, milliseconds(name));
            let hash = other.machine().trace_hash();
            assert_eq!(hash, reference.machine().trace_hash(), "{name}, {variant}");
            assert!(other.machine() == reference.machine(), "{name}, {variant}");
        }
    }
}

/// The trace hash cannot tell whether a loop was skipped; the number of executed instructions can.
/// It counts from when stops were last set or cleared: from the boot, if nothing is to stop the run.
#[test]
fn a_hung_machine_costs_next_to_nothing() {
    for (name, ms) in [("tlb-flush-irqs-off", 100), ("mpt2sas-ctl", 80), ("ab-ba", 100)] {
        let mut simulation = Simulation::new(load(name)).expect("a valid machine");
        simulation.boot(Speed::default()).expect("it boots");
        let before = simulation.machine().instructions();
        simulation.advance(simulation.at_ns(ms * 1_000_000), Speed::default(), &mut ());
        let machine = simulation.machine();
        let (all, executed) = (machine.instructions() - before, machine.executed());
        assert!(executed > 0, "{name}: nothing was counted");
        assert!(executed < all / 20, "{name}: {executed} of {all} were executed");
    }
}
