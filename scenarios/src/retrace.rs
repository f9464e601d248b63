//! Runs a simulation a second time to see how its CPUs came to the steps of a causal chain.
//!
//! A trace tells which instruction wrote a lock word, but not who had called it. The machine is
//! deterministic, so the way there can be walked again and looked at.

use crate::backtrace::{Stacks, unwind};
use crate::diagnosis::{Diagnosis, Link};
use crate::report::cpu::FrameReport;
use crate::simulation::{MachineMemory, Simulation};
use sim_core::Cycle;
use sim_x86::Speed;
use sim_x86::ids::CoreId;

/// A store becomes visible when it leaves the store buffer, after its instruction. This many
/// cycles before that the instruction is looked for; a store that had to wait longer for its line
/// is left without a backtrace.
const LOOK_BACK: u64 = 2_000;

/// Fills in the backtraces of `diagnosis`. `start` is the simulation from before its run (after
/// booting, to save time); `speed` must be that of the run.
pub fn retrace(start: &Simulation, speed: Speed, diagnosis: &mut Diagnosis) {
    let mut simulation = start.clone();
    let stacks = Stacks::of_guest(&simulation.loaded().symbols);
    for link in &mut diagnosis.causal_chain {
        let Some(core) = link.cpu.and_then(|cpu| u16::try_from(cpu).ok()).map(CoreId) else {
            continue;
        };
        let before = Cycle(link.at_cycle.saturating_sub(LOOK_BACK));
        if link.rip == 0 || before < simulation.machine().now() {
            continue;
        }
        if before > simulation.machine().now() {
            simulation.advance(before, speed, &mut ());
        }
        link.backtrace = walk(simulation.fork(), speed, &stacks, core, link);
    }
}

/// Steps from cycle to cycle and keeps the backtrace from the last time that the CPU was at the
/// link's instruction, or at least in its function.
fn walk(
    mut simulation: Simulation,
    speed: Speed,
    stacks: &Stacks,
    core: CoreId,
    link: &Link,
) -> Vec<FrameReport> {
    let function = simulation.loaded().symbols.function(link.rip);
    let Some((first, size)) = function else { return Vec::new() };
    let mut nearest = Vec::new();
    let mut exact = false;
    while simulation.machine().now().0 <= link.at_cycle {
        let machine = simulation.machine();
        let regs = machine.registers(core);
        let hit = regs.rip == link.rip;
        if hit || (!exact && regs.rip.wrapping_sub(first) < size) {
            let symbols = &simulation.loaded().symbols;
            let trace = unwind(&MachineMemory(machine), symbols, stacks, regs);
            nearest = trace.frames.into_iter().map(FrameReport::from).collect();
            exact |= hit;
        }
        let next = machine.now() + 1;
        simulation.advance(next, speed, &mut ());
    }
    nearest
}
