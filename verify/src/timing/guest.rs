//! The guest kernel's own operations, timed from one instruction to another. Its detector of hard
//! lockups is off: it needs the counters of an Intel CPU.

use super::{Line, Row, published};
use scenarios::document::Document;
use scenarios::guest::Guest;
use scenarios::simulation::{NoFiles, Simulation};
use sim_core::Cycle;
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

/// Runs until CPU 0 comes to one of these instructions; `None` if it never does.
fn reach(simulation: &mut Simulation, rips: &[u64]) -> Option<Cycle> {
    let end = simulation.epoch()? + LIMIT;
    let machine = simulation.machine_mut();
    rips.iter().for_each(|&rip| machine.stop_at(rip, Some(CoreId(0))));
    let stop = machine.run(end, Speed::default(), &mut ());
    // The stop is told by a message: the instruction began when that was sent.
    let leg = sim_x86::mem::home::leg(&machine.spec().memory);
    let at = Cycle(machine.now().0 - leg);
    machine.clear_stops();
    (stop == Stop::Reached(CoreId(0))).then_some(at)
}

/// The instructions to which calls of the function at `entry` return.
fn returns(simulation: &Simulation, entry: u64) -> Vec<u64> {
    /// Linear address of physical address 0 in the kernel's own mapping.
    const KERNEL: u64 = 0xffff_ffff_8000_0000;
    const CALL: u8 = 0xe8;
    let mut found = Vec::new();
    for segment in &simulation.loaded().segments {
        for (n, bytes) in segment.bytes.windows(5).enumerate() {
            let &[CALL, a, b, c, d] = bytes else { continue };
            let next = KERNEL + segment.addr.0 + n as u64 + 5;
            let distance = i64::from(i32::from_le_bytes([a, b, c, d]));
            if next.wrapping_add_signed(distance) == entry {
                found.push(next);
            }
        }
    }
    found
}

/// Cycles from the first instruction of a function on CPU 0 until it has returned, the `nth` time.
fn call(simulation: &mut Simulation, function: &str, nth: u32) -> Option<u64> {
    let entry = simulation.loaded().symbols.address(function)?;
    let returns = returns(simulation, entry);
    let mut cycles = None;
    for _ in 0..nth {
        let begin = reach(simulation, &[entry])?;
        let end = reach(simulation, &returns)?;
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
            kernel: (watchdog: (hard: false)),
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
pub(super) fn shootdowns(preset: &MachineSpec) -> Vec<Line> {
    let counts = (1..preset.cores).filter(|n| n % 3 == 1);
    let point = |n: u32| (f64::from(n), shootdown(preset, n).map_or(f64::NAN, |c| c as f64));
    let name = "TLB shootdown (flush_tlb_mm) of n CPUs";
    Line::by_package(preset, name, "per target", counts.map(point).collect(), 1)
}

/// Two kernel threads of one CPU hand it to each other by completions: waking and switching.
pub(super) fn context_switch(preset: &MachineSpec) -> Row {
    let cycles = switch_cycles(preset).unwrap_or(f64::NAN);
    Row::measured("Guest kernel", "Context switch", cycles)
        .published(published::other(&preset.preset, "Context switch"))
}

/// The median of many switches.
fn switch_cycles(preset: &MachineSpec) -> Option<f64> {
    let text = format!(
        r#"Scenario(
            title: "context switches",
            machine: (preset: "{}", cores: 2),
            kernel: (watchdog: (hard: false)),
            variables: {{ "a": Completion, "b": Completion }},
            tasks: [
                (comm: "ping", cpu: 0, at: "1ms", kernel: [Forever([Complete("b"), Wait("a")])]),
                (comm: "pong", cpu: 0, at: "1ms", kernel: [Forever([Wait("b"), Complete("a")])]),
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
        times.push(reach(&mut simulation, &[switch])?);
    }
    let mut gaps: Vec<u64> = times.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    gaps.sort_unstable();
    Some(gaps[gaps.len() / 2] as f64)
}
