//! Loads by level of the hierarchy; loads, stores and locked operations by the state of the line
//! and the distance to it.

use super::Row;
use super::published::{self, Access};
use super::rig::{self, LINES, by_cpu, delay, measure, nothing};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_x86::ids::{CoreId, LINE_BYTES, PhysAddr};
use sim_x86::spec::{DISTANCES, MachineSpec};

/// The first CPU of the nearest die at each distance that the machine has, seen from CPU 0; at
/// distance 0, CPU 1.
fn at_distances(spec: &MachineSpec) -> [Option<u16>; DISTANCES] {
    let topology = &spec.topology;
    let mut found = [None; DISTANCES];
    for core in 1..spec.cores as u16 {
        let distance = topology.core_distance(CoreId(0), CoreId(core));
        found[distance] = found[distance].or(Some(core));
    }
    found
}

/// What distances are called.
pub(super) const DISTANCE: [&str; DISTANCES] = ["same die", "same package", "one hop", "two hops"];

/// A chain of pointers from `LINES` on; `at(n)` is where the n-th lies.
fn chase(preset: &MachineSpec, length: u64, warm: u32, at: impl Fn(u64) -> u64) -> f64 {
    let first = at(0);
    let measurer = |a: &mut CodeAssembler| measure_chain(a, warm, first);
    let program = |a: &mut CodeAssembler| by_cpu(a, &[(0, &measurer)]);
    let mut machine = rig::machine(rig::spec(preset), &program, &rig::no_handler);
    for n in 0..length {
        machine.write_physical(PhysAddr(at(n)), &at((n + 1) % length).to_le_bytes());
    }
    machine.write_physical(PhysAddr(rig::OWN), &rig::OWN.to_le_bytes());
    rig::measured(&rig::run(machine))
}

fn measure_chain(a: &mut CodeAssembler, warm: u32, first: u64) -> Result<(), IcedError> {
    a.mov(rbx, first)?;
    for _ in 0..warm {
        a.mov(rbx, qword_ptr(rbx))?;
    }
    a.mov(r10, rbx)?;
    // The chain's own place, if this is not the round that warms up the code.
    let enter = |a: &mut CodeAssembler, n| {
        if n > 0 {
            return Ok(());
        }
        a.mov(rcx, LINES)?;
        a.cmp(rbx, rcx)?;
        a.cmove(rbx, r10)
    };
    let follow = |a: &mut CodeAssembler, n| {
        enter(a, n)?;
        a.mov(rbx, qword_ptr(rbx))
    };
    measure(a, &follow, &enter)
}

/// Load-to-use by level.
pub(super) fn levels(preset: &MachineSpec) -> Vec<Row> {
    let memory = &preset.memory;
    let same_set = |sets: u32| LINE_BYTES * u64::from(sets);
    let row = |name: &str, measured, stated| {
        Row::new("Load-to-use by level", name, measured, stated)
            .published(published::level(&preset.preset, name))
    };
    let (l1_ring, l2_ring) = (2 * u64::from(memory.l1d_ways), 2 * u64::from(memory.l2_ways));
    let mut rows = vec![
        row("L1", chase(preset, 1, 4, |_| LINES), memory.l1_hit),
        row(
            "L2",
            chase(preset, l1_ring, 3 * l1_ring as u32, |n| LINES + n * same_set(memory.l1d_sets)),
            memory.l2_hit,
        ),
        row(
            "L3",
            chase(preset, l2_ring, 3 * l2_ring as u32, |n| LINES + n * same_set(memory.l2_sets)),
            memory.load.shared[0],
        ),
    ];
    let dies = preset.cores.div_ceil(preset.topology.cores_per_die) as usize;
    for (distance, far) in DISTANCE.into_iter().enumerate() {
        // Pages are interleaved over the dies.
        let node = (0..dies).find(|&die| preset.topology.distance(0, die) == distance);
        let Some(node) = node else { continue };
        let here = |n: u64| 0x100_0000 + 4096 * (n * dies as u64 + node as u64) + 64 * n;
        let name = if distance == 0 { "local DRAM".to_owned() } else { format!("DRAM, {far}") };
        let measured = chase(preset, 64, 1, here);
        rows.push(row(&name, measured, memory.load.memory[distance]));
    }
    rows
}

/// How the lines to be accessed are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Modified,
    Exclusive,
    Shared,
}

/// Cycles of one access by CPU 0 to a line that `holder` has in `state`; a Shared one is in the
/// next CPU too.
fn access(preset: &MachineSpec, what: Access, state: State, holder: u16) -> f64 {
    let hold = |a: &mut CodeAssembler| {
        for n in 0..rig::UNROLLED {
            match state {
                State::Modified => a.mov(qword_ptr(LINES + 64 * n as u64), rdi)?,
                State::Exclusive | State::Shared => a.mov(rax, qword_ptr(LINES + 64 * n as u64))?,
            }
        }
        a.mfence()?;
        rig::sleep(a)
    };
    let share = |a: &mut CodeAssembler| {
        delay(a, 10_000)?;
        hold(a)
    };
    let sleep = |a: &mut CodeAssembler| rig::sleep(a);
    let timed = |a: &mut CodeAssembler| {
        delay(a, 40_000)?;
        match what {
            Access::Load => measure(a, &|a, n| a.mov(rcx, qword_ptr(rbx + 64 * n)), &nothing),
            Access::Store => {
                let store = |a: &mut CodeAssembler, n| {
                    a.mov(qword_ptr(rbx + 64 * n), rdi)?;
                    a.mfence()
                };
                measure(a, &store, &|a, _| a.mfence())
            }
            Access::Atomic => {
                measure(a, &|a, n| a.lock().xadd(qword_ptr(rbx + 64 * n), rcx), &nothing)
            }
        }
    };
    let second: &rig::Code<'_> = if state == State::Shared { &share } else { &sleep };
    let program =
        |a: &mut CodeAssembler| by_cpu(a, &[(0, &timed), (holder, &hold), (holder + 1, second)]);
    let machine = rig::machine(rig::spec(preset), &program, &rig::no_handler);
    rig::measured(&rig::run(machine))
}

/// Loads, stores and locked operations by state and distance.
pub(super) fn coherence(preset: &MachineSpec) -> Vec<Row> {
    let memory = &preset.memory;
    let mut rows = Vec::new();
    for what in [Access::Load, Access::Store, Access::Atomic] {
        let (table, extra) = match what {
            Access::Load => (&memory.load, 0),
            Access::Store => (&memory.store, 0),
            Access::Atomic => (&memory.store, memory.atomic_extra),
        };
        for state in [State::Modified, State::Exclusive, State::Shared] {
            let stated = match (state, what) {
                (State::Modified, _) => &table.modified,
                (State::Exclusive, _) => &table.exclusive,
                (State::Shared, _) => &table.shared,
            };
            for (distance, holder) in at_distances(preset).into_iter().enumerate() {
                let Some(holder) = holder else { continue };
                let measured = access(preset, what, state, holder);
                let name = format!("{what:?}, {state:?}, {}", DISTANCE[distance]);
                let published = published::coherence(&preset.preset, what, state, distance);
                rows.push(
                    Row::new("Coherence", &name, measured, stated[distance] + extra)
                        .published(published),
                );
            }
        }
    }
    rows.push(own_atomic(preset));
    rows
}

/// A locked operation on a line that the CPU has Modified already.
fn own_atomic(preset: &MachineSpec) -> Row {
    let program = |a: &mut CodeAssembler| {
        let timed = |a: &mut CodeAssembler| {
            for n in 0..rig::UNROLLED {
                a.mov(qword_ptr(LINES + 64 * n as u64), rdi)?;
            }
            measure(a, &|a, n| a.lock().xadd(qword_ptr(rbx + 64 * n), rcx), &nothing)
        };
        by_cpu(a, &[(0, &timed)])
    };
    let machine = rig::machine(rig::spec(preset), &program, &rig::no_handler);
    let measured = rig::measured(&rig::run(machine));
    // The preset's tables add up: the hold, the arithmetic and the issue of the store.
    let stated = preset.memory.locked + preset.costs.alu + 1;
    Row::new("Coherence", "Atomic, Modified, own", measured, stated)
        .published(published::own_atomic(&preset.preset))
}
