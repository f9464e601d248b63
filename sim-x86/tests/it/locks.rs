//! Ticket locks on many CPUs: nothing is lost, everybody is served, invariants hold throughout.

use crate::guest::{self, DATA, LONG, word};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_core::Cycle;
use sim_x86::spec::MachineSpec;
use sim_x86::{Machine, Speed, Stop};

/// Every CPU takes the 16-bit ticket lock at DATA `rounds` times and adds 1 to the word at
/// DATA+64 by a plain load and store; the last one to finish exits with code 7.
pub(crate) fn contention(cores: u32, rounds: i32) -> Machine {
    contention_on(guest::spec(cores), rounds)
}

/// The same on a given spec.
pub(crate) fn contention_on(spec: MachineSpec, rounds: i32) -> Machine {
    let cores = spec.cores;
    guest::machine_of(spec, |a| assemble(a, cores, rounds).expect("the program assembles"))
}

fn assemble(a: &mut CodeAssembler, cores: u32, rounds: i32) -> Result<(), IcedError> {
    let (mut again, mut spin, mut locked, mut done) =
        (a.create_label(), a.create_label(), a.create_label(), a.create_label());
    a.mov(rbx, DATA)?;
    a.mov(r12d, rounds)?;
    a.set_label(&mut again)?;
    a.mov(eax, 0x10000)?;
    a.lock().xadd(dword_ptr(rbx), eax)?;
    a.movzx(edx, ax)?;
    a.shr(eax, 16)?;
    a.set_label(&mut spin)?;
    a.cmp(edx, eax)?;
    a.je(locked)?;
    a.pause()?;
    a.movzx(edx, word_ptr(rbx))?;
    a.jmp(spin)?;
    a.set_label(&mut locked)?;
    a.mov(rcx, qword_ptr(rbx + 64))?;
    a.inc(rcx)?;
    a.mov(qword_ptr(rbx + 64), rcx)?;
    a.inc(word_ptr(rbx))?;
    a.dec(r12d)?;
    a.jnz(again)?;
    a.mov(eax, 1)?;
    a.lock().xadd(dword_ptr(rbx + 128), eax)?;
    a.cmp(eax, cores as i32 - 1)?;
    a.jne(done)?;
    a.mov(eax, 7)?;
    a.out(0xf4, al)?;
    a.set_label(&mut done)?;
    a.hlt()?;
    a.jmp(done)
}

#[test]
fn no_increment_is_lost() {
    for cores in [1, 2, 5, 24] {
        let mut machine = contention(cores, 50);
        let stop = machine.run(LONG, Speed::default(), &mut ());
        assert!(matches!(stop, Stop::Exit { code: 7, .. }), "{stop:?}");
        let total = u64::from(cores) * 50;
        assert_eq!(word(&machine, DATA + 64), total);
        assert_eq!(word(&machine, DATA) as u32, (total << 16 | total) as u32);
    }
}

#[test]
fn invariants_hold_all_the_way() {
    let mut machine = contention(24, 10);
    while machine.run(machine.now() + 997, Speed::default(), &mut ()) == Stop::Deadline {
        machine.check().expect("coherent");
        assert!(machine.now() < LONG);
    }
    assert_eq!(word(&machine, DATA + 64), 240);
    assert!(machine.now() > Cycle(1_000));
}
