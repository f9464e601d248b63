//! Speed-ups change nothing: the trace hash is the same with each of them off.

use crate::guest::{self, LONG};
use crate::locks::contention;
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_core::Cycle;
use sim_x86::ids::PhysAddr;
use sim_x86::{Machine, Speed, Stop};

/// A delay loop that counts down from `count` in RDX.
pub(crate) fn delay(a: &mut CodeAssembler, count: i32) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.mov(edx, count)?;
    a.set_label(&mut again)?;
    a.dec(rdx)?;
    a.jnz(again)
}

/// Trace hashes of `machine` run to its end with each speed-up off and with all of them.
pub(crate) fn hashes(machine: &Machine) -> Vec<(Stop, u64, Cycle)> {
    let run = |(_, speed)| {
        let mut machine = machine.clone();
        let stop = machine.run(LONG, speed, &mut ());
        (stop, machine.trace_hash(), machine.now())
    };
    Speed::variants().into_iter().map(run).collect()
}

#[test]
fn contention_is_the_same_at_every_speed() {
    for cores in [2, 7, 24] {
        let hashes = hashes(&contention(cores, 20));
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{cores}: {hashes:x?}");
    }
}

#[test]
fn a_counted_loop_is_skipped_exactly() {
    let machine = guest::machine(2, |a| {
        let mut delay = || -> Result<(), IcedError> {
            let mut again = a.create_label();
            a.mov(ecx, 100_000)?;
            a.set_label(&mut again)?;
            a.dec(rcx)?;
            a.jnz(again)?;
            a.mov(eax, 3)?;
            a.out(0xf4, al)?;
            a.hlt()
        };
        delay().expect("the program assembles");
    });
    let hashes = hashes(&machine);
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:x?}");
    assert!(hashes[0].2 > Cycle(300_000));
}

#[test]
fn a_loop_with_calls_is_skipped_exactly() {
    // CPU 0 waits for a flag through a function call, as __bitmap_empty is waited on; CPU 1 sets
    // the flag after a delay.
    let machine = guest::machine(2, |a| assemble_call_loop(a).expect("the program assembles"));
    let hashes = hashes(&machine);
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:x?}");
    assert!(matches!(hashes[0].0, Stop::Exit { code: 9, .. }));
}

fn assemble_call_loop(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut wait, mut read, mut setter) = (a.create_label(), a.create_label(), a.create_label());
    a.mov(rbx, guest::DATA)?;
    a.test(rdi, rdi)?;
    a.jnz(setter)?;
    a.set_label(&mut wait)?;
    a.pause()?;
    a.call(read)?;
    a.test(rax, rax)?;
    a.jz(wait)?;
    a.mov(eax, 9)?;
    a.out(0xf4, al)?;
    a.hlt()?;
    a.set_label(&mut read)?;
    a.push(rbp)?;
    a.mov(rbp, rsp)?;
    a.mov(rax, qword_ptr(rbx))?;
    a.pop(rbp)?;
    a.ret()?;
    a.set_label(&mut setter)?;
    delay(a, 20_000)?;
    a.mov(qword_ptr(rbx), 1)?;
    a.hlt()
}

/// A skip that does not happen shows in no hash: it must be counted.
#[test]
fn waiting_loops_are_computed_and_not_executed() {
    let mut machine = guest::machine(2, |a| assemble_call_loop(a).expect("the program assembles"));
    machine.run(LONG, Speed::default(), &mut ());
    let (all, executed) = (machine.instructions(), machine.executed());
    assert!(all > 50_000, "{all}");
    assert!(executed < all / 50, "{executed} of {all} were executed");

    let mut machine = contention(24, 50);
    machine.run(LONG, Speed::default(), &mut ());
    let (all, executed) = (machine.instructions(), machine.executed());
    assert!(executed < all / 2, "{executed} of {all} were executed");
    machine = contention(24, 50);
    machine.run(LONG, Speed::exact_steps(), &mut ());
    assert_eq!((machine.instructions(), machine.executed()), (all, all));
}

/// Lines that CPU 1 writes one by one while CPU 0 waits for a flag in another.
const TAKEN: i32 = 64;

/// CPU 0 reads the lines before it waits, if it is to lose them while it does.
fn loses_lines(a: &mut CodeAssembler, reads: bool) -> Result<(), IcedError> {
    let (mut read, mut wait, mut writer, mut delay) =
        (a.create_label(), a.create_label(), a.create_label(), a.create_label());
    a.mov(rbx, guest::DATA)?;
    a.mov(ecx, TAKEN)?;
    a.mov(rsi, rbx)?;
    a.test(rdi, rdi)?;
    a.jnz(writer)?;
    if reads {
        a.set_label(&mut read)?;
        a.add(rsi, 64)?;
        a.mov(rax, qword_ptr(rsi))?;
        a.dec(rcx)?;
        a.jnz(read)?;
    }
    a.set_label(&mut wait)?;
    a.pause()?;
    a.mov(rax, qword_ptr(rbx))?;
    a.test(rax, rax)?;
    a.jz(wait)?;
    // What it reads now shows whether the line is gone.
    a.mov(rax, qword_ptr(rbx + 64))?;
    a.out(0xf4, al)?;
    a.hlt()?;
    a.set_label(&mut writer)?;
    a.mov(edx, 20_000)?;
    a.set_label(&mut delay)?;
    a.dec(rdx)?;
    a.jnz(delay)?;
    a.mov(edx, 1_000)?;
    a.add(rsi, 64)?;
    a.mov(qword_ptr(rsi), 7)?;
    a.dec(rcx)?;
    a.jnz(delay)?;
    a.mov(qword_ptr(rbx), 1)?;
    a.hlt()
}

#[test]
fn a_waiting_loop_sleeps_through_probes_for_other_lines() {
    let machine =
        |reads| guest::machine(2, |a| loses_lines(a, reads).expect("the program assembles"));
    let hashes = hashes(&machine(true));
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:x?}");
    assert!(matches!(hashes[0].0, Stop::Exit { code: 7, .. }), "{hashes:x?}");

    let executed = |reads| {
        let mut machine = machine(reads);
        machine.run(LONG, Speed::default(), &mut ());
        machine.executed()
    };
    // Four instructions to read a line, and none when it goes.
    let (none_lost, all_lost) = (executed(false), executed(true));
    let most = none_lost + 6 * TAKEN as u64;
    assert!(all_lost < most, "{all_lost} with probes, {none_lost} without");
}

/// See [`waits_in_turn`].
const WRITES: i32 = 20;

/// CPU 0 waits for `words` words one after the other, in one loop; CPU 1 sets each after a delay,
/// and before that writes some times `away` bytes from it.
fn waits_in_turn(a: &mut CodeAssembler, words: i32, away: i32) -> Result<(), IcedError> {
    let (mut wait, mut setter) = (a.create_label(), a.create_label());
    let (mut again, mut last) = (a.create_label(), a.create_label());
    a.mov(rbx, guest::DATA)?;
    a.mov(ecx, words)?;
    a.test(rdi, rdi)?;
    a.jnz(setter)?;
    a.set_label(&mut wait)?;
    a.pause()?;
    a.mov(rax, qword_ptr(rbx))?;
    a.test(rax, rax)?;
    a.jz(wait)?;
    a.add(rbx, 64)?;
    a.dec(rcx)?;
    a.jnz(wait)?;
    a.mov(eax, 5)?;
    a.out(0xf4, al)?;
    a.hlt()?;
    a.set_label(&mut setter)?;
    a.mov(esi, WRITES + 1)?;
    a.set_label(&mut again)?;
    delay(a, 1_000)?;
    a.dec(rsi)?;
    a.jz(last)?;
    a.mov(qword_ptr(rbx + away), rsi)?;
    a.jmp(again)?;
    a.set_label(&mut last)?;
    a.mov(qword_ptr(rbx), 1)?;
    a.add(rbx, 64)?;
    a.dec(rcx)?;
    a.jnz(setter)?;
    a.hlt()
}

#[test]
fn a_loop_that_polls_another_word_is_another_loop() {
    for away in [8, 4096] {
        let machine = guest::machine(2, |a| waits_in_turn(a, 12, away).expect("it assembles"));
        let hashes = hashes(&machine);
        assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:x?}");
        assert!(matches!(hashes[0].0, Stop::Exit { code: 5, .. }), "{hashes:x?}");
    }
}

#[test]
fn a_loop_that_is_woken_for_nothing_is_parked_again_at_once() {
    let executed = |away| {
        let mut machine = guest::machine(2, |a| waits_in_turn(a, 1, away).expect("it assembles"));
        machine.run(LONG, Speed::default(), &mut ());
        machine.executed()
    };
    // An iteration has four instructions: one is executed when the line has come, and the loop is
    // known again. To see it repeat, and to survey it, takes three.
    let woken = executed(8) - executed(4096);
    assert!(woken <= 6 * WRITES as u64, "{woken} executed");
}

/// Where the handler of #DB goes.
const HANDLER: u64 = guest::CODE + 0x1000;
/// Traps before the handler ends the loop.
const TRAPS: i32 = 60;

/// CPU 0 waits for a word that CPU 1 sets, clears it, and waits again with TF set; the handler of
/// #DB counts in R8 and sets the word in the end.
fn steps_through(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut wait, mut done, mut setter) = (a.create_label(), a.create_label(), a.create_label());
    a.mov(rbx, guest::DATA)?;
    a.test(rdi, rdi)?;
    a.jnz(setter)?;
    a.xor(r8d, r8d)?;
    // The handler's lines come into the caches.
    a.int1()?;
    a.set_label(&mut wait)?;
    a.pause()?;
    a.mov(rax, qword_ptr(rbx))?;
    a.test(rax, rax)?;
    a.jz(wait)?;
    a.cmp(r8d, 1)?;
    a.jne(done)?;
    a.mov(qword_ptr(rbx), 0)?;
    a.mfence()?;
    a.mov(rdx, qword_ptr(rbx))?;
    a.pushfq()?;
    a.or(qword_ptr(rsp), 0x100)?;
    a.popfq()?;
    a.jmp(wait)?;
    a.set_label(&mut done)?;
    a.mov(eax, r8d)?;
    a.out(0xf4, al)?;
    a.hlt()?;
    a.set_label(&mut setter)?;
    delay(a, 20_000)?;
    a.mov(qword_ptr(rbx), 1)?;
    // From now on it takes the line away, again and again.
    let mut takes = a.create_label();
    a.set_label(&mut takes)?;
    delay(a, 301)?;
    a.inc(qword_ptr(rbx + 8))?;
    a.jmp(takes)
}

fn debug_handler(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut back = a.create_label();
    a.inc(r8d)?;
    a.cmp(r8d, TRAPS)?;
    a.jne(back)?;
    a.mov(qword_ptr(rbx), 1)?;
    // The image of RFLAGS, without TF.
    a.and(qword_ptr(rsp + 16), 0xff)?;
    a.set_label(&mut back)?;
    a.iretq()
}

#[test]
fn a_loop_that_is_stepped_through_is_not_parked() {
    let mut machine = guest::machine(2, |a| steps_through(a).expect("it assembles"));
    let mut a = CodeAssembler::new(64).expect("64-bit code");
    debug_handler(&mut a).expect("it assembles");
    let code = a.assemble(HANDLER).expect("it assembles");
    machine.write_physical(PhysAddr(HANDLER), &code);
    guest::set_handlers(&mut machine, &[(1, HANDLER)]);
    let hashes = hashes(&machine);
    assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{hashes:x?}");
    let code = TRAPS as u8;
    assert!(matches!(hashes[0].0, Stop::Exit { code: c, .. } if c == code), "{hashes:x?}");
}

#[test]
fn a_machine_that_sleeps_for_good_is_idle_and_one_that_spins_is_not() {
    let sleeping = guest::machine(2, |a| a.hlt().expect("it assembles"));
    let spinning = guest::machine(2, |a| {
        let mut again = a.create_label();
        a.set_label(&mut again).and_then(|()| a.jmp(again)).expect("it assembles");
    });
    for (_, speed) in Speed::variants() {
        let run = |machine: &Machine| machine.clone().run(Cycle(50_000), speed, &mut ());
        assert_eq!(run(&sleeping), Stop::Idle);
        assert_eq!(run(&spinning), Stop::Deadline);
    }
}
