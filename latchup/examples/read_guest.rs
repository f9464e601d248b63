//! Stops at a function of the guest kernel and reads registers, symbols and memory there.
//!
//! `cargo run --example read_guest`

use latchup::{CoreId, RunOptions, Simulation, StopReason, load_text};
use std::error::Error;

const SCENARIO: &str = r#"Scenario(
    title: "a task completes a completion",
    machine: (preset: "westmere-ep", cores: 2),
    variables: { "go": Completion, "word": Word(0x1122334455667788) },
    tasks: [(comm: "waker", cpu: 1, kernel: [Complete("go")])],
    until: AnyOf([Reached("complete", 1), Time("20ms")]),
)"#;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let mut simulation = Simulation::new(load_text("read.ron", SCENARIO)?)?;
    let stop = simulation.run(&RunOptions::default())?;
    assert!(matches!(stop, StopReason::Condition(_)), "{stop:?}");

    // CPU 1 has called complete(); cores run ahead of each other, so it may be some instructions
    // further by now.
    let (machine, loaded) = (simulation.machine(), simulation.loaded());
    let rip = machine.registers(CoreId(1)).rip;
    assert!(loaded.symbols.name_at(rip).is_some(), "{rip:#x} lies in a function");
    let investigation = simulation.investigate(&stop);
    assert_eq!(investigation.cpus[1].rip, rip);
    let frames = &investigation.cpus[1].backtrace;
    assert!(frames.iter().any(|frame| frame.name == "complete"), "{frames:#?}");

    let variable = |name| loaded.variables.iter().find(|v| v.name == name).ok_or("a variable");
    let mut bytes = [0; 8];
    assert!(machine.read_virtual(variable("word")?.addr, &mut bytes));
    assert_eq!(u64::from_le_bytes(bytes), 0x1122_3344_5566_7788);
    Ok(())
}
