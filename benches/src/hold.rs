//! The event queue alone, in the hold model (Jones, CACM 1986): with n events pending, take one and
//! schedule one, its distance exponential with a mean of 300 cycles, about that of the machine's
//! messages. Against std's `BinaryHeap` on the same keys.

use sim_core::{Cycle, EventQueue, Source, Stream};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Pending events that are measured: a small machine, a large one, and far too many.
pub const PENDING: [usize; 3] = [32, 1_000, 100_000];
const SOURCES: u16 = 32;

/// How many distances are drawn.
const DISTANCES: usize = 1 << 16;

/// Distances, drawn beforehand so that drawing is not measured; nor is a division, so their number
/// is a power of two that the compiler knows.
#[derive(Debug)]
struct Distances {
    cycles: Box<[u64; DISTANCES]>,
    next: usize,
}

impl Distances {
    fn new() -> Self {
        let mut stream = Stream::new(1, "hold");
        let mut draw = || (-300.0 * (1.0 - stream.unit()).ln()) as u64;
        let mut cycles = Box::new([0; DISTANCES]);
        cycles.fill_with(&mut draw);
        Distances { cycles, next: 0 }
    }

    fn next(&mut self) -> u64 {
        self.next = (self.next + 1) % DISTANCES;
        self.cycles[self.next]
    }
}

/// The machine's queue.
#[derive(Debug)]
pub struct Wheel {
    distances: Distances,
    queue: EventQueue<u64>,
}

impl Wheel {
    /// A queue with so many events.
    #[must_use]
    pub fn new(pending: usize) -> Self {
        let mut distances = Distances::new();
        let mut queue = EventQueue::new(usize::from(SOURCES));
        for n in 0..pending {
            queue.schedule(Cycle(distances.next()), Source(n as u16 % SOURCES), n as u64);
        }
        Wheel { distances, queue }
    }

    /// Takes an event and schedules it anew; its time.
    pub fn hold(&mut self) -> u64 {
        let Some((at, event)) = self.queue.pop() else { return 0 };
        let source = Source(event as u16 % SOURCES);
        self.queue.schedule(at + self.distances.next(), source, event);
        at.0
    }
}

/// A binary heap with the same keys (time; source and sequence) and payloads as large.
#[derive(Debug)]
pub struct Heap {
    distances: Distances,
    heap: BinaryHeap<Reverse<(u64, u64, [u64; 2])>>,
    sequence: u64,
}

impl Heap {
    /// A heap with so many events.
    #[must_use]
    pub fn new(pending: usize) -> Self {
        let mut distances = Distances::new();
        let event = |n| Reverse((distances.next(), n << 48, [n, 0]));
        let heap = (0..pending as u64).map(event).collect();
        Heap { distances, heap, sequence: 0 }
    }

    /// Takes an event and schedules it anew; its time.
    pub fn hold(&mut self) -> u64 {
        let Some(Reverse((at, _, event))) = self.heap.pop() else { return 0 };
        self.sequence += 1;
        let order = (event[0] % u64::from(SOURCES)) << 48 | self.sequence;
        self.heap.push(Reverse((at + self.distances.next(), order, event)));
        at
    }
}
