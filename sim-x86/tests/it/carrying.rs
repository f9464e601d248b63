//! CPUs that are carried on in their waiting loops end up where executing takes them, whatever reaches
//! them meanwhile.

use crate::guest::{self, DATA};
use crate::replaying::handlers::{handle, start_timer};
use crate::replaying::same_at;
use crate::skipping::delay;
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use sim_core::{Cycle, Stream};
use sim_x86::core::carry::Counts;
use sim_x86::{Machine, Speed};
use std::cell::Cell;

type Written = Result<(), IcedError>;
/// Jumps to `out` when the lower half of the word at RBX is EAX's. Begins at `spin`, where it goes on if
/// it falls through; may change RCX, RDX, R8 and R9, and finds what the word was, cut to 16 bits, in
/// EDX.
type Wait = fn(&mut CodeAssembler, spin: CodeLabel, out: CodeLabel) -> Written;

/// The ticket lock that all CPUs take.
const LOCK: u64 = DATA + 0x4_0000;
/// A word of another line, which the handler writes.
const OTHER: i32 = 0x100;

/// Waiting loops: those that only poll, first, and others.
const WAITS: [Wait; 12] = [
    // The kernel's: the load lies in the middle.
    |a, _, out| {
        a.cmp(edx, eax)?;
        a.je(out)?;
        a.pause()?;
        a.movzx(edx, word_ptr(rbx))
    },
    // The load comes first.
    |a, _, out| {
        a.movzx(edx, word_ptr(rbx))?;
        a.cmp(edx, eax)?;
        a.je(out)?;
        a.pause()
    },
    // The load is a comparison.
    |a, spin, out| {
        a.pause()?;
        a.cmp(word_ptr(rbx), ax)?;
        a.jne(spin)?;
        a.jmp(out)
    },
    // The load is last but for the jump that closes the loop, and takes part of the word only.
    |a, spin, out| {
        a.mov(r8d, eax)?;
        a.pause()?;
        a.sub(r8d, edx)?;
        a.test(r8d, r8d)?;
        a.movzx(edx, word_ptr(rbx))?;
        a.jnz(spin)?;
        a.jmp(out)
    },
    // What it finds is worked on, and what it found before is kept.
    |a, _, out| {
        a.mov(ecx, dword_ptr(rbx))?;
        a.movzx(edx, cx)?;
        a.mov(r9d, edx)?;
        a.xor(r9d, eax)?;
        a.jz(out)?;
        a.shl(r9d, 3)?;
        a.lea(r8, qword_ptr(r9 + rcx * 2 + 5))?;
        a.pause()
    },
    // The address is worked out in each iteration.
    |a, spin, out| {
        a.lea(r8, qword_ptr(rbx + 8))?;
        a.movzx(edx, word_ptr(r8 - 8))?;
        a.pause()?;
        a.cmp(edx, eax)?;
        a.jne(spin)?;
        a.jmp(out)
    },
    // Here the value loaded is lost before the next load: the loop is parked at its head.
    |a, _, out| {
        a.movzx(edx, word_ptr(rbx))?;
        a.cmp(edx, eax)?;
        a.je(out)?;
        a.mov(edx, 7)?;
        a.pause()
    },
    // A part of a register keeps what it had.
    |a, _, out| {
        a.mov(dx, word_ptr(rbx))?;
        a.cmp(edx, eax)?;
        a.je(out)?;
        a.pause()
    },
    // It reads a second line, which an interrupt handler writes.
    |a, _, out| {
        a.movzx(edx, word_ptr(rbx))?;
        a.cmp(edx, eax)?;
        a.je(out)?;
        a.mov(r8, qword_ptr(rbx + OTHER))?;
        a.pause()
    },
    // It alternates: two iterations are never the same.
    |a, _, out| {
        a.movzx(edx, word_ptr(rbx))?;
        a.cmp(edx, eax)?;
        a.je(out)?;
        a.xor(r8d, 1)?;
        a.pause()
    },
    // How long an iteration takes depends on what it finds: a branch leads to the next instruction.
    |a, _, out| {
        let mut next = a.create_label();
        a.movzx(edx, word_ptr(rbx))?;
        a.test(edx, 1)?;
        a.jz(next)?;
        a.set_label(&mut next)?;
        a.cmp(edx, eax)?;
        a.je(out)?;
        a.pause()
    },
    // What it does before the load depends on what it found the time before.
    |a, _, out| {
        a.mov(r9d, edx)?;
        a.movzx(edx, word_ptr(rbx))?;
        a.cmp(edx, eax)?;
        a.je(out)?;
        a.lea(r8, qword_ptr(r9 + 1))?;
        a.pause()
    },
];

/// CPUs that take one lock in turn, while their timers interrupt them.
#[derive(Clone, Debug)]
struct Plan {
    cores: u32,
    /// How each CPU waits, four bits each.
    waits: u32,
    /// Iterations of work under the lock, at least, and what it varies by.
    work: (u32, u32),
    /// Counts of the timers; 0: none.
    timer: u32,
    /// Whether handlers write a line that loops read, and whether the loops have interrupts off.
    disturbs: bool,
    masked: bool,
    /// Whether CPUs begin to wait, and handlers end, with stores on their way.
    stores: bool,
    late: bool,
    /// Cycles that misses take longer, at most.
    slow: u32,
    seed: u64,
}

fn plans() -> impl Strategy<Value = Plan> {
    let work = (0u32..400, 0u32..64);
    let timer = prop_oneof![1 => Just(0u32), 4 => 40u32..400];
    let slow = prop_oneof![3 => Just(0u32), 1 => 1u32..40];
    let flags = (any::<bool>(), prop::bool::weighted(0.2), any::<bool>(), any::<bool>());
    (2u32..9, any::<u32>(), work, timer, flags, slow, any::<u64>()).prop_map(
        |(cores, waits, work, timer, (disturbs, masked, stores, late), slow, seed)| Plan {
            cores,
            waits,
            work,
            timer,
            disturbs,
            masked,
            stores,
            late,
            slow,
            seed,
        },
    )
}

impl Plan {
    fn write(&self, a: &mut CodeAssembler) -> Written {
        if self.timer > 0 {
            start_timer(a, self.timer, true)?;
        }
        if self.masked {
            a.cli()?;
        }
        a.mov(rbx, LOCK)?;
        a.mov(r12, rdi)?;
        a.mov(r13d, edi)?;
        for core in 0..self.cores {
            let mut next = a.create_label();
            a.cmp(r12, core as i32)?;
            a.jne(next)?;
            self.take_turns(a, WAITS[(self.waits >> (4 * core % 32)) as usize % 16 % WAITS.len()])?;
            a.set_label(&mut next)?;
            a.nop()?;
        }
        a.hlt()
    }

    /// Takes the lock, works under it, releases it, for ever.
    fn take_turns(&self, a: &mut CodeAssembler, wait: Wait) -> Written {
        let (mut again, mut spin, mut locked, mut work) =
            (a.create_label(), a.create_label(), a.create_label(), a.create_label());
        a.set_label(&mut again)?;
        a.mov(eax, 0x10000)?;
        a.lock().xadd(dword_ptr(rbx), eax)?;
        a.movzx(edx, ax)?;
        a.shr(eax, 16)?;
        if self.stores {
            // All CPUs want this line.
            a.mov(qword_ptr(rbx + 0x200), r13)?;
        }
        a.set_label(&mut spin)?;
        wait(a, spin, locked)?;
        a.jmp(spin)?;
        a.set_label(&mut locked)?;
        // Not always as long: what the others do moves past it.
        a.imul_3(r13d, r13d, 1_103_515_245)?;
        a.add(r13d, 12_345)?;
        a.mov(ecx, r13d)?;
        a.shr(ecx, 16)?;
        a.and(ecx, self.work.1 as i32)?;
        a.add(ecx, self.work.0 as i32 + 1)?;
        a.set_label(&mut work)?;
        a.dec(rcx)?;
        a.jnz(work)?;
        a.inc(qword_ptr(rbx + 0x40))?;
        a.inc(word_ptr(rbx))?;
        if self.masked {
            a.sti()?;
            a.nop()?;
            a.cli()?;
        }
        a.jmp(again)
    }

    fn machine(&self) -> Machine {
        let mut machine = guest::machine_of(guest::spec(self.cores), |a| {
            self.write(a).expect("the program assembles");
        });
        handle(&mut machine, |a| {
            a.push(rax)?;
            a.inc(qword_ptr(rbp))?;
            if self.disturbs {
                a.mov(rax, LOCK + OTHER as u64)?;
                a.inc(qword_ptr(rax))?;
            }
            a.mov(dword_ptr(r14 + 0xb0), 0)?;
            if self.late {
                a.mov(qword_ptr(rbx + 0x240), rax)?;
            }
            a.pop(rax)?;
            a.iretq()
        });
        let perturbation = sim_x86::perturb::Perturbation { miss: self.slow, ..Default::default() };
        machine.perturb(perturbation);
        machine
    }

    /// Cycles at which a run is interrupted: some near each other, most far.
    fn cuts(&self) -> Vec<Cycle> {
        let mut stream = Stream::new(self.seed, "cuts");
        let mut at = 0;
        let mut next = || {
            at += match stream.between(0, 2) {
                0 => stream.between(1, 30),
                1 => stream.between(1, 900),
                _ => stream.between(1, 9_000),
            };
            Cycle(at)
        };
        (0..60).map(|_| next()).collect()
    }
}

#[test]
fn waiting_cpus_are_the_same_at_every_speed() {
    let cases = 96;
    let rng_seed = RngSeed::Fixed(3);
    let config = Config { cases, failure_persistence: None, rng_seed, ..Config::default() };
    let all = Cell::new(Counts::default());
    let result = TestRunner::new(config).run(&plans(), |plan| {
        let machine = plan.machine();
        same_at(&machine, &plan.cuts()).map_err(TestCaseError::fail)?;
        let mut once = machine.clone();
        once.run(Cycle(300_000), Speed::default(), &mut ());
        all.set([all.get(), once.carried()].into_iter().sum());
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
    let all = all.get();
    assert!(all.to_miss > 10_000 && all.into_loop > 10_000 && all.back > 500, "{all:?}");
}

/// CPU 0 waits until the word at LOCK is 1 more than it was, counts, and so on. Its handler adds 1 to
/// it at every `nth` interrupt; CPU 1 leaves it as it is, but takes its line.
fn waits_for_its_handler(nth: i32) -> Machine {
    let write = |a: &mut CodeAssembler| -> Written {
        let (mut takes, mut again, mut spin) =
            (a.create_label(), a.create_label(), a.create_label());
        a.mov(rbx, LOCK)?;
        a.test(rdi, rdi)?;
        a.jnz(takes)?;
        start_timer(a, 60, true)?;
        a.xor(eax, eax)?;
        a.set_label(&mut again)?;
        a.inc(eax)?;
        a.set_label(&mut spin)?;
        a.pause()?;
        a.movzx(edx, word_ptr(rbx))?;
        a.cmp(edx, eax)?;
        a.jne(spin)?;
        a.inc(qword_ptr(rbx + OTHER))?;
        a.jmp(again)?;
        a.set_label(&mut takes)?;
        delay(a, 3_001)?;
        a.inc(qword_ptr(rbx + 8))?;
        a.jmp(takes)
    };
    let mut machine = guest::machine(2, |a| write(a).expect("the program assembles"));
    handle(&mut machine, |a| {
        let mut out = a.create_label();
        a.push(rax)?;
        a.inc(qword_ptr(rbp))?;
        // It brings the line back, if that is away.
        a.mov(rax, qword_ptr(rbp))?;
        a.and(eax, nth - 1)?;
        a.test(qword_ptr(rbx + 8), rax)?;
        a.test(eax, eax)?;
        a.jnz(out)?;
        a.inc(qword_ptr(rbx))?;
        a.set_label(&mut out)?;
        a.mov(dword_ptr(r14 + 0xb0), 0)?;
        a.pop(rax)?;
        a.iretq()
    });
    machine
}

#[test]
fn a_handler_may_end_the_wait_that_it_interrupts() {
    for nth in [1, 2, 8] {
        let machine = waits_for_its_handler(nth);
        let cuts: Vec<Cycle> = (1..200).map(|n| Cycle(n * 1_777)).collect();
        same_at(&machine, &cuts).expect("the same");
        let mut machine = machine;
        machine.run(Cycle(400_000), Speed::default(), &mut ());
        let [waits, interrupts] = [LOCK + OTHER as u64, DATA].map(|at| guest::word(&machine, at));
        assert!(interrupts > 100 && waits.abs_diff(interrupts / nth as u64) < 2, "{waits}");
        let carried = machine.carried();
        assert!(nth < 8 || carried.into_loop > interrupts / 2, "{carried:?} of {interrupts}");
    }
}

#[test]
fn a_core_that_polls_the_line_that_it_runs_in_is_the_same_at_every_speed() {
    // The word lies behind the loop; CPU 1 writes it now and then, and so the line of the code.
    let write = |a: &mut CodeAssembler| -> Written {
        let (mut writes, mut again, mut spin, mut word) =
            (a.create_label(), a.create_label(), a.create_label(), a.create_label());
        a.lea(rbx, ptr(word))?;
        a.test(rdi, rdi)?;
        a.jnz(writes)?;
        a.xor(eax, eax)?;
        a.set_label(&mut again)?;
        a.inc(eax)?;
        a.set_label(&mut spin)?;
        a.pause()?;
        a.mov(edx, dword_ptr(rbx))?;
        a.cmp(edx, eax)?;
        a.jb(spin)?;
        a.jmp(again)?;
        a.set_label(&mut word)?;
        a.db(&[0; 8])?;
        a.set_label(&mut writes)?;
        delay(a, 501)?;
        a.inc(dword_ptr(rbx))?;
        a.jmp(writes)
    };
    let machine = guest::machine(2, |a| write(a).expect("the program assembles"));
    let cuts: Vec<Cycle> = (1..150).map(|n| Cycle(n * 333)).collect();
    same_at(&machine, &cuts).expect("the same");
}
