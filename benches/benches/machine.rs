//! (a) one busy core, (b) 24 and more of them, (c) cores that contend for a ticket lock, with every
//! spun iteration executed and with waiting skipped, (d) a pointer chase, (h) the floor: simulated
//! instructions per host second. `summary` gives their ratios to the floor.

use criterion::{Criterion, SamplingMode, Throughput, criterion_main};
use latchup_benches::floor::Floor;
use latchup_benches::workloads;
use std::hint::black_box;
use std::time::Duration;

/// Instructions of one measured run of the floor.
const FLOOR: u64 = 20_000_000;

fn machines(c: &mut Criterion) {
    let mut group = c.benchmark_group("instructions");
    // A turn takes up to a second.
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(3));
    for mut workload in workloads::all() {
        // In full swing every turn has about as many.
        group.throughput(Throughput::Elements(workload.turn()));
        group.bench_function(workload.name.clone(), |b| b.iter(|| black_box(workload.turn())));
    }
    group.throughput(Throughput::Elements(FLOOR));
    let mut floor = Floor::new();
    group.bench_function("h: floor", |b| b.iter(|| black_box(floor.run(FLOOR))));
    group.finish();
}

#[allow(missing_docs, reason = "written by the macro")]
mod group {
    use super::machines;
    criterion::criterion_group!(machine, machines);
}
use group::machine;
criterion_main!(machine);
