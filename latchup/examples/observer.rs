//! Attaches an observer: counts the interrupts of each CPU and the IPIs between them.
//!
//! A task on CPU 1 is woken by CPU 0, which takes a reschedule IPI.
//! `cargo run --example observer`

use latchup::{
    Actor, Entry, Observer, Record, RunOptions, Simulation, Trace, TraceMask, load_text,
};
use std::error::Error;

const SCENARIO: &str = r#"Scenario(
    title: "one CPU wakes another",
    machine: (preset: "westmere-ep", cores: 2),
    variables: { "go": Completion },
    tasks: [
        (comm: "waiter", cpu: 1, kernel: [Wait("go")]),
        (comm: "waker", cpu: 0, at: "100us", kernel: [Complete("go")]),
    ],
    until: AnyOf([AllTasksDone, Time("20ms")]),
)"#;

/// Interrupts taken by each CPU and IPIs sent.
#[derive(Default)]
struct Counts {
    interrupts: [u64; 2],
    ipis: u64,
}

impl Observer for Counts {
    fn wants(&self) -> TraceMask {
        TraceMask { control: true, messages: true, ..TraceMask::default() }
    }

    fn on(&mut self, record: &Record) {
        let Actor::Core(core) = record.actor else { return };
        match record.what {
            Trace::Enter { entry: Entry::Interrupt(_), .. } => {
                self.interrupts[usize::from(core.0)] += 1;
            }
            Trace::Ipi { .. } => self.ipis += 1,
            _ => {}
        }
    }
}

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut simulation = Simulation::new(load_text("wake.ron", SCENARIO)?)?;
    let mut watched = simulation.clone();

    let mut counts = Counts::default();
    watched.run_observed(&RunOptions::default(), &mut counts)?;
    assert_eq!(watched.unfinished(), 0, "both tasks came to their end");
    assert!(counts.ipis >= 1, "the wake-up takes an IPI");
    assert!(counts.interrupts[1] >= 1, "CPU 1 was interrupted");

    // Being watched changes nothing.
    simulation.run(&RunOptions::default())?;
    assert_eq!(simulation.machine().trace_hash(), watched.machine().trace_hash());
    Ok(())
}
