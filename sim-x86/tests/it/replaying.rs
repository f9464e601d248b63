//! Replayed stretches change nothing: machines that take many interrupts are the same with replay
//! on and off.
//!
//! - `handlers`: random interrupt handlers

mod handlers;

use crate::guest::{self, DATA};
use handlers::{APIC, HANDLER, VECTOR, handle, plans, start_timer};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use sim_core::{Cycle, Stream};
use sim_x86::ids::{CoreId, PhysAddr};
use sim_x86::trace::{Observer, Record, TraceMask};
use sim_x86::{Machine, Speed, Stop};
use std::cell::Cell;

/// Runs `machine` up to each of the `cuts` at every speed and compares it with itself. How many
/// instructions were executed with all speed-ups, and with all but replays.
fn same_at(machine: &Machine, cuts: &[Cycle]) -> Result<(u64, u64), String> {
    let mut machines: Vec<_> =
        Speed::variants().into_iter().map(|(name, speed)| (name, speed, machine.clone())).collect();
    for &cut in cuts {
        let mut first: Option<(_, Machine)> = None;
        for (name, speed, machine) in machines.iter_mut().rev() {
            let stop = machine.run(cut, *speed, &mut ());
            let seen = (stop, machine.trace_hash(), machine.now());
            let Some((expected, other)) = &first else {
                first = Some((seen, machine.clone()));
                continue;
            };
            if seen != *expected {
                return Err(format!("{name}, at {cut}: {seen:x?} instead of {expected:x?}"));
            }
            if machine != other {
                return Err(format!("{name}, at {cut}: another state"));
            }
        }
    }
    let executed = |wanted| {
        let found = machines.iter().find(|(name, ..)| *name == wanted);
        found.map_or(0, |(.., machine)| machine.executed())
    };
    Ok((executed("all on"), executed("replay off")))
}

#[test]
fn random_handlers_run_the_same_at_every_speed() {
    let config = Config {
        cases: 64,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..Config::default()
    };
    let (executed, all) = (Cell::new(0), Cell::new(0));
    let result = TestRunner::new(config).run(&plans(), |plan| {
        let machine = plan.machine();
        let tick = machine.spec().interrupts.apic_timer_tick;
        let counts = same_at(&machine, &plan.cuts(tick)).map_err(TestCaseError::fail)?;
        executed.set(executed.get() + counts.0);
        all.set(all.get() + counts.1);
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    let (executed, all) = (executed.get(), all.get());
    // Most of them do not repeat: what they have to show is that this makes no difference.
    assert!(executed < all / 100 * 96, "{executed} of {all} were executed");
}

/// Cycles between two interrupts of the machines below.
const PERIOD: u64 = 1_980;
/// Runs this long before anything is looked at: enough for recordings.
const WARM: u64 = 300 * PERIOD;

type Written = Result<(), IcedError>;

/// A machine whose CPU 0 spins, all others run `other`, and CPU 0 handles a timer's interrupts: with
/// `body`, between saving and restoring RAX, RCX and RDX, and the EOI.
fn ticking(
    cores: u32,
    store_commit: u32,
    body: impl FnOnce(&mut CodeAssembler) -> Written,
    other: impl FnOnce(&mut CodeAssembler) -> Written,
) -> Machine {
    let mut spec = guest::spec(cores);
    spec.memory.store_commit = store_commit;
    let count = (PERIOD / u64::from(spec.interrupts.apic_timer_tick)) as u32;
    let write = |a: &mut CodeAssembler| -> Written {
        let (mut elsewhere, mut spin) = (a.create_label(), a.create_label());
        a.test(rdi, rdi)?;
        a.jnz(elsewhere)?;
        start_timer(a, count, true)?;
        a.set_label(&mut spin)?;
        a.pause()?;
        a.jmp(spin)?;
        a.set_label(&mut elsewhere)?;
        a.nop()?;
        a.mov(rbp, DATA)?;
        other(a)?;
        a.hlt()
    };
    let mut machine = guest::machine_of(spec, |a| write(a).expect("the program assembles"));
    handle(&mut machine, |a| {
        for register in [rax, rcx, rdx] {
            a.push(register)?;
        }
        body(a)?;
        a.mov(dword_ptr(r14 + 0xb0), 0)?;
        for register in [rdx, rcx, rax] {
            a.pop(register)?;
        }
        a.iretq()
    });
    machine
}

/// A body that counts, and does enough for a recording.
fn counts(a: &mut CodeAssembler) -> Written {
    a.mov(rax, qword_ptr(rbp))?;
    a.inc(rax)?;
    a.mov(qword_ptr(rbp), rax)?;
    for at in [0x10, 0x18, 0x20] {
        a.mov(rcx, qword_ptr(rbp + at))?;
        a.lea(rdx, qword_ptr(rcx + rax * 2))?;
        a.mov(qword_ptr(rbp + 0x100 + at), rdx)?;
    }
    a.rdtsc()?;
    a.mov(qword_ptr(rbp + 0x140), rax)
}

/// Other CPUs sleep.
fn sleeps(_: &mut CodeAssembler) -> Written {
    Ok(())
}

/// Two machines that are the same, with replays and without, run side by side.
struct Pair([Machine; 2]);

/// What an observer saw, all of it.
struct Seen(TraceMask, Vec<Record>);

impl Observer for Seen {
    fn wants(&self) -> TraceMask {
        self.0
    }
    fn on(&mut self, record: &Record) {
        self.1.push(*record);
    }
}

impl Pair {
    fn new(machine: &Machine) -> Self {
        Pair([machine.clone(), machine.clone()])
    }

    fn speeds() -> [Speed; 2] {
        [Speed::default(), Speed { replay: false, ..Speed::default() }]
    }

    /// Runs both for some time: how it ended, and what was seen.
    fn run(&mut self, cycles: u64, wants: TraceMask) -> (Stop, Vec<Record>) {
        let until = self.0[0].now() + cycles;
        let mut ends = self.0.iter_mut().zip(Pair::speeds()).map(|(machine, speed)| {
            let mut seen = Seen(wants, Vec::new());
            let stop = machine.run(until, speed, &mut seen);
            (stop, seen.1, machine.trace_hash())
        });
        let (replayed, plain) = (ends.next().expect("two"), ends.next().expect("two"));
        drop(ends);
        assert!(replayed == plain, "at {}: {:?}, {:?}", self.0[1].now(), replayed.0, plain.0);
        assert!(self.0[0] == self.0[1], "another state at {}", self.0[1].now());
        (plain.0, plain.1)
    }

    fn pass(&mut self, cycles: u64) {
        assert_eq!(self.run(cycles, TraceMask::default()).0, Stop::Deadline);
    }

    /// Changes both.
    fn change(&mut self, change: impl Fn(&mut Machine)) {
        self.0.iter_mut().for_each(change);
    }

    /// True if most of what passes now is replayed.
    fn replays(&mut self) -> bool {
        let executed = |pair: &Pair| [pair.0[0].executed(), pair.0[1].executed()];
        let before = executed(self);
        self.pass(20 * PERIOD);
        let after = executed(self);
        let (executed, all) = (after[0] - before[0], after[1] - before[1]);
        executed < all * 3 / 4
    }

    fn word(&self, at: u64) -> u64 {
        guest::word(&self.0[0], at)
    }
}

/// A machine that has run until it replays its handler.
fn warm(machine: &Machine) -> Pair {
    let mut pair = Pair::new(machine);
    pair.pass(WARM);
    assert!(pair.replays());
    pair
}

#[test]
fn a_handler_that_repeats_is_replayed() {
    warm(&ticking(1, 1, counts, sleeps));
}

#[test]
fn a_run_may_end_at_any_cycle_of_a_stretch() {
    type End = fn(&mut CodeAssembler) -> Written;
    // What is done last takes long, or is a store, or stores are behind.
    let ends: [(u32, End); 4] = [
        (1, |a| a.add(qword_ptr(rbp + 0x30), rax)),
        (20, |a| a.add(qword_ptr(rbp + 0x30), rax)),
        (20, |a| a.rdtsc()),
        (7, |a| {
            a.mov(qword_ptr(rbp + 0x30), rax)?;
            a.xor(edx, edx)?;
            a.mov(ecx, 7)?;
            a.div(rcx)
        }),
    ];
    for (store_commit, end) in ends {
        let body = |a: &mut CodeAssembler| {
            let mut away = a.create_label();
            counts(a)?;
            a.jmp(away)?;
            (0..70).try_for_each(|_| a.nop())?;
            a.set_label(&mut away)?;
            end(a)?;
            // Unknown to the replays.
            a.mfence()
        };
        let mut pair = warm(&ticking(1, store_commit, body, sleeps));
        for _ in 0..PERIOD {
            pair.pass(PERIOD + 1);
        }
    }
}

#[test]
fn what_another_cpu_writes_is_seen() {
    // CPU 1 changes one of the words that never changed before, now and then.
    let machine = ticking(2, 1, counts, |a| {
        let (mut again, mut delay) = (a.create_label(), a.create_label());
        a.set_label(&mut again)?;
        a.mov(ecx, (WARM / 4) as u32)?;
        a.set_label(&mut delay)?;
        a.dec(rcx)?;
        a.jnz(delay)?;
        a.inc(qword_ptr(rbp + 0x18))?;
        a.jmp(again)
    });
    let mut pair = Pair::new(&machine);
    for n in 0..5 {
        pair.pass(WARM);
        assert!(pair.word(DATA + 0x18) >= n);
        let (count, result) = (pair.word(DATA), pair.word(DATA + 0x118));
        assert!(count > 290 * (n + 1), "{count}");
        assert!(result >= 2 * count + pair.word(DATA + 0x18) - 3, "{result}");
    }
}

#[test]
fn a_watched_word_is_reported_at_every_write() {
    let writes = TraceMask { writes: true, ..TraceMask::default() };
    let reads = TraceMask { reads: true, ..TraceMask::default() };
    for wants in [writes, reads, writes | reads] {
        let mut pair = warm(&ticking(1, 1, counts, sleeps));
        // The handler's counter, once the handler is known.
        pair.change(|machine| machine.watch(PhysAddr(DATA), 8));
        let (_, seen) = pair.run(100 * PERIOD, wants);
        let each = u64::from(wants.writes) + u64::from(wants.reads);
        assert!(seen.len() as u64 >= 99 * each, "{}", seen.len());
        // Nobody asks, and then somebody does again.
        pair.pass(50 * PERIOD);
        let (_, seen) = pair.run(100 * PERIOD, wants);
        assert!(seen.len() as u64 >= 99 * each, "{}", seen.len());
    }
    // Watched from the start.
    let mut machine = ticking(1, 1, counts, sleeps);
    machine.watch(PhysAddr(DATA + 0x118), 8);
    let (_, seen) = Pair::new(&machine).run(WARM, writes);
    assert!(seen.len() > 290, "{}", seen.len());
}

#[test]
fn a_write_that_is_to_stop_the_run_stops_it() {
    // Every 64th interrupt, not known to matter when the stretch was recorded.
    let body = |a: &mut CodeAssembler| {
        let mut other = a.create_label();
        counts(a)?;
        a.mov(rax, qword_ptr(rbp))?;
        a.test(eax, 63)?;
        a.jnz(other)?;
        a.mov(qword_ptr(rbp + 0x30), rax)?;
        a.set_label(&mut other)?;
        a.nop()
    };
    for (at, most) in [(0x30, 64), (0x118, 1)] {
        let mut pair = warm(&ticking(1, 1, body, sleeps));
        pair.change(|machine| machine.stop_on_write(PhysAddr(DATA + at), 8));
        for _ in 0..3 {
            let (stop, _) = pair.run((most + 1) * PERIOD, TraceMask::default());
            assert_eq!(stop, Stop::Written(CoreId(0)));
        }
        pair.change(Machine::clear_stops);
        pair.pass(WARM);
    }
}

/// Where the instruction lies that others change.
const CHANGED: u64 = HANDLER + 0x800;

/// A body that calls a function at [`CHANGED`].
fn calls(a: &mut CodeAssembler) -> Written {
    counts(a)?;
    a.call(CHANGED)?;
    a.add(qword_ptr(rbp + 0x28), rax)
}

/// Code that leaves a number in EAX.
fn number(number: u32) -> [u8; 6] {
    let [a, b, c, d] = number.to_le_bytes();
    [0xb8, a, b, c, d, 0xc3]
}

#[test]
fn code_that_is_written_over_is_not_replayed() {
    // By another CPU, in the end.
    let mut machine = ticking(2, 1, calls, |a| {
        let mut delay = a.create_label();
        a.mov(ecx, WARM as u32)?;
        a.set_label(&mut delay)?;
        a.dec(rcx)?;
        a.jnz(delay)?;
        a.mov(rax, CHANGED + 1)?;
        a.mov(dword_ptr(rax), 1_000)
    });
    machine.write_physical(PhysAddr(CHANGED), &number(1));
    let mut pair = warm(&machine);
    let before = pair.word(DATA + 0x28);
    assert_eq!(before, pair.word(DATA));
    // A loop takes two cycles at least.
    pair.pass(3 * WARM);
    assert!(pair.word(DATA + 0x28) > before + 100 * 1_000);
    // By a debugger.
    pair.change(|machine| machine.write_physical(PhysAddr(CHANGED), &number(1_000_000)));
    let before = pair.word(DATA + 0x28);
    pair.pass(50 * PERIOD);
    assert!(pair.word(DATA + 0x28) > before + 45 * 1_000_000);
}

#[test]
fn an_interrupt_is_taken_in_the_middle_of_a_handler() {
    // CPU 1 sends NMIs to CPU 0 at all times; whenever one comes the handler of NMIs counts.
    let nmi = CHANGED;
    let mut machine = ticking(2, 1, counts, |a| {
        let (mut again, mut delay) = (a.create_label(), a.create_label());
        a.mov(rsi, APIC)?;
        a.mov(dword_ptr(rsi + 0xf0), 0x1ff)?;
        a.mov(ebx, 100)?;
        a.set_label(&mut again)?;
        a.mov(ecx, (WARM / 2) as u32)?;
        a.set_label(&mut delay)?;
        a.dec(rcx)?;
        a.jnz(delay)?;
        // From now on at another moment of the period each time.
        a.mov(ecx, ((PERIOD + 7) / 2) as u32)?;
        a.mov(dword_ptr(rsi + 0x310), 0)?;
        a.mov(dword_ptr(rsi + 0x300), 0x400)?;
        a.dec(ebx)?;
        a.jnz(delay)
    });
    let mut a = CodeAssembler::new(64).expect("64-bit code");
    let write = |a: &mut CodeAssembler| -> Written {
        a.inc(qword_ptr(rbp + 0x200))?;
        a.add(qword_ptr(rbp + 0x10), 5)?;
        a.iretq()
    };
    write(&mut a).expect("the handler assembles");
    let code = a.assemble(nmi).expect("the handler assembles");
    machine.write_physical(PhysAddr(nmi), &code);
    guest::set_handlers(&mut machine, &[(2, nmi), (VECTOR, HANDLER)]);
    let mut pair = Pair::new(&machine);
    for _ in 0..1_000 {
        pair.pass(PERIOD);
    }
    assert_eq!(pair.word(DATA + 0x200), 100);
}

#[test]
fn clones_and_snapshots_go_on_alike() {
    let pair = warm(&ticking(1, 3, counts, sleeps));
    let mut cuts = Stream::new(7, "cuts");
    let [mut machine, _] = pair.0;
    for _ in 0..20 {
        let at = machine.now() + cuts.between(PERIOD, 3 * PERIOD);
        machine.run(at, Speed::default(), &mut ());
        let bytes = machine.snapshot().expect("a snapshot");
        let restored = Machine::restore(&bytes).expect("the same build");
        let mut dropped = machine.clone();
        dropped.forget_derived();
        let mut straight = machine.clone();
        let end = at + WARM / 3 + cuts.between(0, PERIOD);
        straight.run(end, Speed::exact_steps(), &mut ());
        // The one that goes on has its recordings; the others make theirs.
        let mut goes_on = std::mem::replace(&mut machine, straight.clone());
        goes_on.run(end, Speed::default(), &mut ());
        assert!(goes_on == straight, "at {end}");
        for mut other in [restored, dropped] {
            other.run(end, Speed::default(), &mut ());
            assert!(other == straight, "at {end}");
            assert_eq!(other.trace_hash(), straight.trace_hash(), "at {end}");
        }
        machine = goes_on;
    }
}
