//! Replayed stretches change nothing: machines that take many interrupts are the same with replay
//! on and off.
//!
//! - `handlers`: random interrupt handlers
//! - `ticking`: a handler by hand, run with replays and without

pub(crate) mod handlers;
mod ticking;

use crate::guest::{self, DATA};
use handlers::{APIC, HANDLER, VECTOR, plans, start_timer};
use iced_x86::code_asm::*;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use sim_core::{Cycle, Stream};
use sim_x86::ids::{CoreId, PhysAddr};
use sim_x86::trace::TraceMask;
use sim_x86::{Machine, Speed, Stop};
use std::cell::Cell;
use ticking::{PERIOD, Pair, WARM, Written, counts, sleeps, ticking, ticking_in, warm};

/// Runs `machine` up to each of the `cuts` at every speed and compares it with itself. How many
/// instructions were executed with all speed-ups, and with all but replays.
pub(crate) fn same_at(machine: &Machine, cuts: &[Cycle]) -> Result<(u64, u64), String> {
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
fn a_run_may_end_at_any_cycle_of_a_recording() {
    // The first recordings, with stores that take long.
    let machine = ticking(1, 20, counts, sleeps);
    for cut in 0..5 * PERIOD {
        Pair::new(&machine).pass(14 * PERIOD + cut);
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
fn a_line_that_was_waited_for_is_paid_once() {
    // A stretch begins with a load, which has to wait now and then: the line was taken by CPU 1,
    // which has a slower timer.
    const WORD: u64 = DATA + 0x2_0400;
    let body = |a: &mut CodeAssembler| {
        let mut only_reads = a.create_label();
        a.test(rdi, rdi)?;
        a.jz(only_reads)?;
        a.inc(qword_ptr(WORD))?;
        a.set_label(&mut only_reads)?;
        a.mov(dword_ptr(r14 + 0x80), 0)?;
        a.mov(rcx, qword_ptr(WORD))?;
        counts(a)
    };
    let machine = ticking(2, 1, body, |a| {
        let mut again = a.create_label();
        start_timer(a, 7 * 90 + 4, true)?;
        a.set_label(&mut again)?;
        a.hlt()?;
        a.jmp(again)
    });
    let mut pair = warm(&machine);
    for _ in 0..300 {
        pair.pass(PERIOD + 7);
    }
    assert!(pair.word(WORD) > 80);
}

#[test]
fn a_stretch_begins_in_the_line_of_the_instruction_before_or_in_another() {
    // The loop has a stretch after its access to the local APIC, and after an interrupt that comes
    // there. Where it begins, and only there, its line shares a set of L1I with the handler's.
    let turn = |a: &mut CodeAssembler| {
        a.mov(dword_ptr(r14 + 0x80), 0)?;
        for at in 0..12 {
            a.mov(r8, qword_ptr(rbp + 0x300))?;
            a.lea(r9, qword_ptr(r8 + at))?;
        }
        Ok(())
    };
    let body = |a: &mut CodeAssembler| {
        // It does not always take as long, so that interrupts come everywhere.
        let mut delay = a.create_label();
        a.inc(qword_ptr(rbp))?;
        a.mov(ecx, dword_ptr(rbp))?;
        a.and(ecx, 63)?;
        a.inc(ecx)?;
        a.set_label(&mut delay)?;
        a.dec(ecx)?;
        a.jnz(delay)?;
        (0..45).try_for_each(|_| a.nop())
    };
    let mut pair = warm(&ticking_in(1, 1, turn, body, sleeps));
    for _ in 0..PERIOD {
        pair.pass(PERIOD + 1);
    }
}

#[test]
fn a_word_that_was_stored_in_part_is_not_taken_for_known() {
    // Both words change; the parts are those of memory, not of the last store.
    let parts: [fn(&mut CodeAssembler) -> Written; 2] = [
        |a| {
            a.add(dword_ptr(rbp + 0x54), 3)?;
            a.mov(byte_ptr(rbp + 0x50), 7)?;
            (0..9).try_for_each(|_| a.nop())?;
            a.mov(rax, qword_ptr(rbp + 0x50))
        },
        |a| {
            a.shl(rax, 31)?;
            a.mov(qword_ptr(rbp + 0x58), rax)?;
            (0..9).try_for_each(|_| a.nop())?;
            a.mov(eax, dword_ptr(rbp + 0x5c))
        },
    ];
    for part in parts {
        let body = |a: &mut CodeAssembler| {
            a.mov(rax, qword_ptr(rbp))?;
            a.inc(rax)?;
            a.mov(qword_ptr(rbp), rax)?;
            part(a)?;
            a.mov(qword_ptr(rbp + 0x130), rax)
        };
        let mut pair = Pair::new(&ticking(1, 1, body, sleeps));
        for _ in 0..3 {
            pair.pass(WARM + 7);
        }
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

#[test]
fn a_timer_that_expires_within_a_handler_is_not_overlooked() {
    // The handler sets the timer: every 64th time so that it expires before the handler ends.
    let body = |a: &mut CodeAssembler| {
        counts(a)?;
        a.mov(eax, dword_ptr(rbp))?;
        a.xor(ecx, ecx)?;
        a.test(eax, 63)?;
        a.setne(cl)?;
        a.imul_3(ecx, ecx, 72)?;
        a.inc(ecx)?;
        a.mov(dword_ptr(r14 + 0x380), ecx)?;
        (0..60).try_for_each(|_| a.add(qword_ptr(rbp + 0x30), 3))
    };
    let mut pair = warm(&ticking(1, 1, body, sleeps));
    for _ in 0..200 {
        pair.pass(PERIOD);
    }
}

#[test]
fn a_waiting_loop_across_lines_may_be_left_anywhere() {
    // It polls a word and has more than a line of code.
    let turn = |a: &mut CodeAssembler| {
        a.cmp(qword_ptr(rbp + 0x80), 0)?;
        (0..14).try_for_each(|n| a.test(eax, 0x1234_5678 + n))?;
        a.pause()
    };
    let machine = ticking_in(1, 1, turn, counts, sleeps);
    let cuts: Vec<Cycle> = (0..400).map(|n| Cycle(20 * PERIOD + n * (PERIOD / 4 + 7))).collect();
    same_at(&machine, &cuts).expect("the same at every speed");
}
