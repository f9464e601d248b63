//! The guest kernel's own operations, timed from one instruction to another.

use super::{Line, Row, published};
use scenarios::document::Document;
use scenarios::guest::Guest;
use scenarios::simulation::{NoFiles, Simulation};
use sim_core::Cycle;
use sim_x86::core::regs::gpr;
use sim_x86::ids::CoreId;
use sim_x86::spec::MachineSpec;
use sim_x86::{Speed, Stop};

/// Cycles after the epoch within which everything measured here happens.
const LIMIT: u64 = 60_000_000;

/// A scenario that has booted.
fn booted(text: &str) -> Simulation {
    let document = Document::parse("timing.ron", text).expect("a well-formed scenario");
    let loaded = document.load(&Guest::shipped().image, &NoFiles).expect("a valid scenario");
    let mut simulation = Simulation::new(loaded).expect("presets are valid");
    simulation.boot(Speed::default()).expect("the guest boots");
    simulation
}

/// Runs until CPU 0 comes to `rip`; `None` if it never does.
fn reach(simulation: &mut Simulation, rip: u64) -> Option<Cycle> {
    let end = simulation.epoch()? + LIMIT;
    let machine = simulation.machine_mut();
    machine.stop_at(rip, Some(CoreId(0)));
    let stop = machine.run(end, Speed::default(), &mut ());
    // The stop is told by a message; the instruction began when that was sent.
    let leg = sim_x86::mem::home::leg(&machine.spec().memory);
    let at = Cycle(machine.now().0 - leg);
    machine.clear_stops();
    (stop == Stop::Reached(CoreId(0))).then_some(at)
}

/// Cycles from the first instruction of a function on CPU 0 until it returns, the `nth` time.
fn call(simulation: &mut Simulation, function: &str, nth: u32) -> Option<u64> {
    let entry = simulation.loaded().symbols.address(function)?;
    let mut cycles = None;
    for _ in 0..nth {
        let begin = reach(simulation, entry)?;
        let machine = simulation.machine();
        let mut back = [0; 8];
        machine.read_virtual(machine.registers(CoreId(0)).gpr[gpr::RSP], &mut back);
        let end = reach(simulation, u64::from_le_bytes(back))?;
        cycles = Some(end.since(begin));
    }
    cycles
}

/// `flush_tlb_mm` of an address space that is in use on `targets` other CPUs.
fn shootdown(preset: &MachineSpec, targets: u32) -> Option<u64> {
    let cpus: Vec<u32> = (1..=targets).collect();
    let text = format!(
        r#"Scenario(
            title: "TLB shootdown",
            machine: (preset: "{}", cores: {}),
            tasks: [(comm: "app", cpu: 0, at: "3ms", mm: "app",
                     run: [Repeat(3, [Munmap(pages: 1), Compute("20us")])])],
            populations: [(comm: "app", count: {targets}, cpus: {cpus:?}, at: "1ms", mm: "app",
                           run: [Forever([Compute("100us")])])],
            until: AllTasksDone,
        )"#,
        preset.preset, preset.cores,
    );
    // The first one brings code and data in.
    call(&mut booted(&text), "flush_tlb_mm", 2)
}

/// TLB shootdowns by the number of CPUs to reach.
pub(super) fn shootdowns(preset: &MachineSpec) -> Option<Line> {
    let last = preset.cores - 1;
    let counts = [1, 2, 4, 6, 8, 12, 16, 20, 24, 32, 40, 47];
    let counts = counts.into_iter().filter(|&n| n <= last);
    let point = |n: u32| Some((f64::from(n), shootdown(preset, n)? as f64));
    let points: Option<Vec<_>> = counts.map(point).collect();
    Some(Line::fit("TLB shootdown (flush_tlb_mm) of n CPUs", "per target", points?))
}

/// Two kernel threads of one CPU hand it to each other.
pub(super) fn context_switch(preset: &MachineSpec) -> Option<Row> {
    let text = format!(
        r#"Scenario(
            title: "context switches",
            machine: (preset: "{}", cores: 2),
            tasks: [
                (comm: "ping", cpu: 0, at: "1ms", kernel: [Forever([Schedule])]),
                (comm: "pong", cpu: 0, at: "1ms", kernel: [Forever([Schedule])]),
            ],
            until: Time("20ms"),
        )"#,
        preset.preset
    );
    let mut simulation = booted(&text);
    let switch = simulation.loaded().symbols.address("__switch_to_asm")?;
    // From one switch to the next: everything between belongs to one change of tasks.
    let mut times = Vec::new();
    for _ in 0..40 {
        times.push(reach(&mut simulation, switch)?);
    }
    let mut gaps: Vec<u64> = times.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    gaps.sort_unstable();
    let row = Row::measured("Guest kernel", "Context switch", gaps[gaps.len() / 2] as f64);
    Some(row.published(published::other(&preset.preset, "Context switch")))
}
