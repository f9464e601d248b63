//! (f) The event queue alone, beside std's `BinaryHeap`: events taken and scheduled per second.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_main};
use latchup_benches::hold::{Heap, PENDING, Wheel};
use std::hint::black_box;

fn hold(c: &mut Criterion) {
    let mut group = c.benchmark_group("hold");
    group.throughput(Throughput::Elements(1));
    for pending in PENDING {
        let mut wheel = Wheel::new(pending);
        group.bench_function(BenchmarkId::new("EventQueue", pending), |b| {
            b.iter(|| black_box(wheel.hold()));
        });
        let mut heap = Heap::new(pending);
        group.bench_function(BenchmarkId::new("BinaryHeap", pending), |b| {
            b.iter(|| black_box(heap.hold()));
        });
    }
    group.finish();
}

#[allow(missing_docs, reason = "written by the macro")]
mod group {
    use super::hold;
    criterion::criterion_group!(queue, hold);
}
use group::queue;
criterion_main!(queue);
