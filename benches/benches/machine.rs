//! Simulated instructions per host second, beside the floor: (a) one busy core, (b) 24 busy cores,
//! (c) cores that contend for a ticket lock, with every spun iteration executed and with waiting
//! skipped, (d) a pointer chase, (h) the floor.

use criterion::{Criterion, Throughput, criterion_main};
use latchup_benches::floor::Floor;
use latchup_benches::programs;
use sim_x86::{Machine, Speed};
use std::hint::black_box;

/// Cycles of one measured step.
const STEP: u64 = 50_000;
const ALL: Speed = Speed { run_ahead: true, skip_loops: true, replay: true };
const EXECUTE: Speed = Speed { run_ahead: true, skip_loops: false, replay: false };

fn advance(machine: &mut Machine, cycles: u64, speed: Speed) {
    let until = machine.now() + cycles;
    black_box(machine.run(until, speed, &mut ()));
}

fn machines(c: &mut Criterion) {
    let mut group = c.benchmark_group("instructions");
    let mut bench = |name: &str, mut machine: Machine, warm_up: u64, speed: Speed| {
        advance(&mut machine, warm_up, speed);
        let before = machine.instructions();
        advance(&mut machine, 20 * STEP, speed);
        // In full swing every step has about as many.
        group.throughput(Throughput::Elements((machine.instructions() - before) / 20));
        group.bench_function(name, |b| b.iter(|| advance(&mut machine, STEP, speed)));
    };
    bench("a: 1 busy core", programs::machine(1, programs::integer_loop), STEP, ALL);
    bench("b: 24 busy cores", programs::machine(24, programs::integer_loop), STEP, ALL);
    for cores in [2, 8, 24, 48, 96] {
        let lock = || programs::machine(cores, programs::ticket_lock);
        bench(&format!("c: {cores} cores at a lock, executed"), lock(), STEP, EXECUTE);
        bench(&format!("c: {cores} cores at a lock, skipped"), lock(), STEP, ALL);
    }
    let chase = programs::machine(1, programs::pointer_chase);
    bench("d: pointer chase", chase, 800 * STEP, ALL);
    group.throughput(Throughput::Elements(STEP));
    let mut floor = Floor::new();
    group.bench_function("h: floor", |b| b.iter(|| black_box(floor.run(STEP))));
    group.finish();
}

#[allow(missing_docs, reason = "written by the macro")]
mod group {
    use super::machines;
    criterion::criterion_group!(machine, machines);
}
use group::machine;
criterion_main!(machine);
