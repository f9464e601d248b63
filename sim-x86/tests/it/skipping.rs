//! Speed-ups change nothing: the trace hash is the same with each of them off.

use crate::guest::{self, LONG};
use crate::locks::contention;
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_core::Cycle;
use sim_x86::{Machine, Speed, Stop};

fn speeds() -> [Speed; 8] {
    std::array::from_fn(|n| Speed {
        run_ahead: n & 1 == 0,
        skip_loops: n & 2 == 0,
        replay: n & 4 == 0,
    })
}

/// Trace hashes of `machine` run to its end with every combination of speed-ups.
pub(crate) fn hashes(machine: &Machine) -> Vec<(Stop, u64, Cycle)> {
    let run = |speed| {
        let mut machine = machine.clone();
        let stop = machine.run(LONG, speed, &mut ());
        (stop, machine.trace_hash(), machine.now())
    };
    speeds().map(run).to_vec()
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
    let (mut wait, mut read, mut setter, mut delay) =
        (a.create_label(), a.create_label(), a.create_label(), a.create_label());
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
    a.mov(ecx, 20_000)?;
    a.set_label(&mut delay)?;
    a.dec(rcx)?;
    a.jnz(delay)?;
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

#[test]
fn a_machine_that_sleeps_for_good_is_idle_and_one_that_spins_is_not() {
    let sleeping = guest::machine(2, |a| a.hlt().expect("it assembles"));
    let spinning = guest::machine(2, |a| {
        let mut again = a.create_label();
        a.set_label(&mut again).and_then(|()| a.jmp(again)).expect("it assembles");
    });
    for speed in speeds() {
        let run = |machine: &Machine| machine.clone().run(Cycle(50_000), speed, &mut ());
        assert_eq!(run(&sleeping), Stop::Idle);
        assert_eq!(run(&spinning), Stop::Deadline);
    }
}
