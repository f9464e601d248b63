//! (f) The event queue alone, hold model: with n events pending, take one and schedule one, its
//! distance exponential with a mean of 300 cycles, about that of the machine's messages. Against
//! std's `BinaryHeap` on the same keys.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_main};
use sim_core::{Cycle, EventQueue, Source, Stream};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::hint::black_box;

/// Distances, drawn beforehand so that drawing is not measured.
struct Distances {
    cycles: Vec<u64>,
    next: usize,
}

impl Distances {
    fn new() -> Self {
        let mut stream = Stream::new(1, "hold");
        let mut draw = || (-300.0 * (1.0 - stream.unit()).ln()) as u64;
        Distances { cycles: (0..1 << 16).map(|_| draw()).collect(), next: 0 }
    }

    fn next(&mut self) -> u64 {
        self.next = (self.next + 1) % self.cycles.len();
        self.cycles[self.next]
    }
}

const SOURCES: u16 = 32;

fn wheel(c: &mut Criterion) {
    let mut group = c.benchmark_group("hold");
    group.throughput(Throughput::Elements(1));
    for pending in [32usize, 1_000, 100_000] {
        group.bench_function(BenchmarkId::new("EventQueue", pending), |b| {
            let mut distances = Distances::new();
            let mut queue = EventQueue::new(usize::from(SOURCES));
            for n in 0..pending {
                queue.schedule(Cycle(distances.next()), Source(n as u16 % SOURCES), n as u64);
            }
            b.iter(|| {
                let (at, event) = queue.pop().expect("events are pending");
                let source = Source(event as u16 % SOURCES);
                queue.schedule(at + distances.next(), source, event);
                black_box(at)
            });
        });
        group.bench_function(BenchmarkId::new("BinaryHeap", pending), |b| {
            let mut distances = Distances::new();
            let mut heap = BinaryHeap::new();
            let mut sequence = 0u64;
            for n in 0..pending as u64 {
                heap.push(Reverse((distances.next(), n << 48, [n, 0])));
            }
            b.iter(|| {
                let Reverse((at, _, event)) = heap.pop().expect("events are pending");
                sequence += 1;
                let order = (event[0] % u64::from(SOURCES)) << 48 | sequence;
                heap.push(Reverse((at + distances.next(), order, event)));
                black_box(at)
            });
        });
    }
    group.finish();
}

#[allow(missing_docs, reason = "written by the macro")]
mod group {
    use super::wheel;
    criterion::criterion_group!(queue, wheel);
}
use group::queue;
criterion_main!(queue);
