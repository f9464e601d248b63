//! The machines of benchmarks (a) to (d), each in full swing.

use crate::programs;
use sim_x86::{Machine, Speed};

/// Everything on.
const SKIP: Speed = Speed { run_ahead: true, skip_loops: true, replay: true, carry: true };
/// Every iteration of a waiting loop is executed.
const EXECUTE: Speed = Speed { run_ahead: true, skip_loops: false, replay: false, carry: false };
/// Cycles over which the length of a turn is found.
const SAMPLE: u64 = 200_000;

/// A machine that does the same for ever, advanced in turns of equal length.
#[derive(Debug)]
pub struct Workload {
    /// Letter and name.
    pub name: String,
    machine: Machine,
    speed: Speed,
    /// Cycles of one turn.
    cycles: u64,
}

impl Workload {
    /// Runs `machine` for `warm_up` cycles; a turn will have about `instructions`.
    fn new(
        name: &str,
        mut machine: Machine,
        speed: Speed,
        warm_up: u64,
        instructions: u64,
    ) -> Self {
        machine.run(machine.now() + warm_up, speed, &mut ());
        let before = machine.instructions();
        machine.run(machine.now() + SAMPLE, speed, &mut ());
        let sampled = (machine.instructions() - before).max(1);
        let cycles = (instructions as f64 / sampled as f64 * SAMPLE as f64) as u64;
        Workload { name: name.to_owned(), machine, speed, cycles: cycles.max(1) }
    }

    /// One turn; the instructions that it simulated.
    pub fn turn(&mut self) -> u64 {
        let before = self.machine.instructions();
        self.machine.run(self.machine.now() + self.cycles, self.speed, &mut ());
        self.machine.instructions() - before
    }
}

/// All of them, in the order of their letters.
#[must_use]
pub fn all() -> Vec<Workload> {
    let mut all = Vec::new();
    // From 1 to 96 cores the cost of an instruction may grow by half; 256 are the most that the
    // guest kernel has room for.
    for (letter, cores) in [('a', 1), ('b', 24), ('b', 96), ('b', 256)] {
        let name = format!("{letter}: {cores} busy core{}", if cores == 1 { "" } else { "s" });
        let machine = programs::machine(cores, programs::integer_loop);
        all.push(Workload::new(&name, machine, SKIP, SAMPLE, 20_000_000));
    }
    for cores in [2, 8, 24, 48, 96] {
        let lock = || programs::machine(cores, programs::ticket_lock);
        let name = |how| format!("c: {cores} cores at a lock, {how}");
        all.push(Workload::new(&name("executed"), lock(), EXECUTE, SAMPLE, 4_000_000));
        all.push(Workload::new(&name("skipped"), lock(), SKIP, SAMPLE, 20_000_000));
    }
    let lock = || programs::machine(24, programs::long_held_lock);
    let name = |how| format!("c: 24 cores at a lock held long, {how}");
    all.push(Workload::new(&name("executed"), lock(), EXECUTE, SAMPLE, 4_000_000));
    all.push(Workload::new(&name("skipped"), lock(), SKIP, SAMPLE, 100_000_000));
    // It first builds its list.
    let chase = programs::machine(1, programs::pointer_chase);
    all.push(Workload::new("d: pointer chase", chase, SKIP, 40_000_000, 1_000_000));
    all
}
