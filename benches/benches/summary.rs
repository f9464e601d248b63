//! One table of all benchmarks, (a) to (h): medians of measurements taken in turn, so that the
//! ratios hold on a host whose speed changes from minute to minute.
//!
//! `cargo bench -p latchup-benches --bench summary` measures all; `-- e` only what begins with e.

#![allow(clippy::print_stdout, reason = "a table is what it is for")]

use latchup::Machine;
use latchup_benches::floor::Floor;
use latchup_benches::hold::{Heap, PENDING, Wheel};
use latchup_benches::{lockup, workloads};
use std::hint::black_box;
use std::time::Instant;

/// Rounds in which everything takes its turn.
const ROUNDS: usize = 7;
/// Instructions of the floor, and events of a queue, in one round.
const FLOOR: u64 = 20_000_000;
const EVENTS: u64 = 2_000_000;
/// Clones of which one measurement is the mean.
const CLONES: u32 = 100;
/// Thresholds of the watchdog, and how often each run to the panic is measured.
const THRESHOLDS: [(&str, usize); 2] = [("60s", 3), ("10s", 3)];

/// Seconds that `work` takes, and what it returns.
fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let start = Instant::now();
    let result = black_box(work());
    (start.elapsed().as_secs_f64(), result)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Something measured in turn with others: millions per second by round.
struct Row<'a> {
    name: String,
    turn: Box<dyn FnMut() -> u64 + 'a>,
    rates: Vec<f64>,
}

impl<'a> Row<'a> {
    fn new(name: impl Into<String>, turn: impl FnMut() -> u64 + 'a) -> Self {
        Row { name: name.into(), turn: Box::new(turn), rates: Vec::new() }
    }

    fn measure(&mut self) {
        let (seconds, count) = timed(&mut self.turn);
        self.rates.push(count as f64 / seconds / 1e6);
    }
}

/// Medians of all rows, measured in turn.
fn in_turn(rows: &mut [Row<'_>]) -> Vec<f64> {
    for _ in 0..ROUNDS {
        rows.iter_mut().for_each(Row::measure);
    }
    rows.iter_mut().map(|row| median(&mut row.rates)).collect()
}

/// (a) to (d) and (h).
fn instructions(wanted: &dyn Fn(&str) -> bool) -> f64 {
    let mut floor = Floor::new();
    let mut machines = workloads::all();
    machines.retain(|workload| wanted(&workload.name));
    let floor_turn = move || {
        black_box(floor.run(FLOOR));
        FLOOR
    };
    let mut rows = vec![Row::new("h: floor", floor_turn)];
    let workload = |mut workload: workloads::Workload| {
        Row::new(workload.name.clone(), move || workload.turn())
    };
    rows.extend(machines.into_iter().map(workload));
    let medians = in_turn(&mut rows);
    println!("| simulated instructions | MIPS | ratio to the floor |\n|---|---|---|");
    for (row, mips) in rows.iter().zip(&medians) {
        println!("| {} | {mips:.1} | {:.2} |", row.name, mips / medians[0]);
    }
    let rate = |name| rows.iter().zip(&medians).find(|(row, _)| row.name == name);
    if let (Some((_, one)), Some((_, many))) = (rate("a: 1 busy core"), rate("b: 96 busy cores")) {
        println!(
            "\nAn instruction of 96 busy cores costs {:.2} times one of a lone core.",
            one / many
        );
    }
    medians[0]
}

/// (e)
fn lockups(floor: f64, wanted: &dyn Fn(&str) -> bool) {
    println!(
        "\n| mpt2sas-ctl to its panic | seconds | MIPS | ratio to the floor |\n|---|---|---|---|"
    );
    for (threshold, times) in THRESHOLDS {
        let name = format!("e: watchdog of {threshold}");
        if !wanted(&name) {
            continue;
        }
        let (mut seconds, mut instructions) = (Vec::new(), 0);
        for _ in 0..times {
            let mut simulation = lockup::simulation(threshold);
            let (taken, ()) = timed(|| lockup::run_to_panic(&mut simulation));
            seconds.push(taken);
            instructions = simulation.machine().instructions();
        }
        let seconds = median(&mut seconds);
        let mips = instructions as f64 / seconds / 1e6;
        println!("| {name} | {seconds:.2} | {mips:.0} | {:.1} |", mips / floor);
    }
}

/// (f)
fn queues() {
    println!("\n| f: pending | EventQueue, M events/s | BinaryHeap | ratio |\n|---|---|---|---|");
    for pending in PENDING {
        let (mut wheel, mut heap) = (Wheel::new(pending), Heap::new(pending));
        let mut wheel_turn = || {
            (0..EVENTS).for_each(|_| {
                black_box(wheel.hold());
            });
            EVENTS
        };
        let mut heap_turn = || {
            (0..EVENTS).for_each(|_| {
                black_box(heap.hold());
            });
            EVENTS
        };
        let mut rows = [Row::new("", &mut wheel_turn), Row::new("", &mut heap_turn)];
        let medians = in_turn(&mut rows);
        let ratio = medians[0] / medians[1];
        println!("| {pending} | {:.1} | {:.1} | {ratio:.2} |", medians[0], medians[1]);
    }
}

/// (g)
fn forks() {
    let simulation = lockup::at_race();
    let machine = simulation.machine();
    let bytes = machine.snapshot().expect("a snapshot");
    // Each is dropped before the next one is made, as the forks of a sweep are.
    let clone =
        || (0..CLONES).map(|_| timed(|| machine.clone()).0).sum::<f64>() / f64::from(CLONES);
    let snapshot = || timed(|| machine.snapshot()).0;
    let restore = || timed(|| Machine::restore(&bytes)).0;
    let hash = || timed(|| machine.state_hash()).0;
    let works: [(&str, &dyn Fn() -> f64); 4] =
        [("clone", &clone), ("snapshot", &snapshot), ("restore", &restore), ("state hash", &hash)];
    let mut seconds = works.map(|_| Vec::new());
    for _ in 0..ROUNDS {
        for ((_, work), seconds) in works.iter().zip(&mut seconds) {
            seconds.push(work());
        }
    }
    println!("\n| g: mpt2sas-ctl at its race | microseconds |\n|---|---|");
    for ((name, _), seconds) in works.iter().zip(&mut seconds) {
        println!("| {name} | {:.0} |", median(seconds) * 1e6);
    }
    println!("\nA snapshot has {:.1} MiB.", bytes.len() as f64 / f64::from(1 << 20));
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to know that it starts.
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let wanted = |name: &str| filter.is_none_or(|filter| name.starts_with(filter.as_str()));
    let floor = instructions(&wanted);
    if wanted("e: ") {
        lockups(floor, &wanted);
    }
    if wanted("f: ") {
        queues();
    }
    if wanted("g: ") {
        forks();
    }
}
