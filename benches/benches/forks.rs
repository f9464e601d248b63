//! (g) The whole machine of `mpt2sas-ctl` at its race: cloned, written down, read back, hashed.
//! `tests/it` counts the bytes of a clone.

use criterion::{BatchSize, Criterion, criterion_main};
use latchup::Machine;
use latchup_benches::lockup;
use std::hint::black_box;

fn forks(c: &mut Criterion) {
    let simulation = lockup::at_race();
    let machine = simulation.machine();
    let bytes = machine.snapshot().expect("a snapshot");
    let mut group = c.benchmark_group("g: mpt2sas-ctl at its race");
    group.sample_size(20);
    // Each clone is dropped, outside of the measurement, before the next one is made, as the forks
    // of a sweep are.
    group.bench_function("clone", |b| {
        b.iter_batched(|| (), |()| machine.clone(), BatchSize::PerIteration);
    });
    group.bench_function("snapshot", |b| b.iter_with_large_drop(|| machine.snapshot()));
    group.bench_function("restore", |b| b.iter_with_large_drop(|| Machine::restore(&bytes)));
    group.bench_function("state hash", |b| b.iter(|| black_box(machine.state_hash())));
    group.finish();
}

#[allow(missing_docs, reason = "written by the macro")]
mod group {
    use super::forks;
    criterion::criterion_group!(forking, forks);
}
use group::forking;
criterion_main!(forking);
