//! Store buffering: the one reordering that x86-TSO allows must show, and MFENCE must stop it.

use crate::guest::{self, DATA, LONG, word};
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_x86::{Machine, Speed};

/// Two CPUs: each stores 1 to its own line and then loads the other's into DATA+256+64*id.
/// `skew` cycles of delay on CPU 1; the lines are first read by both, so that stores have to wait.
fn store_buffering(skew: u32, fence: bool) -> Machine {
    guest::machine(2, |a| assemble(a, skew, fence).expect("the program assembles"))
}

fn assemble(a: &mut CodeAssembler, skew: u32, fence: bool) -> Result<(), IcedError> {
    let (mut other, mut delay, mut go) = (a.create_label(), a.create_label(), a.create_label());
    a.mov(rbx, DATA)?;
    a.mov(rsi, DATA + 64)?;
    a.mov(ecx, 2_000)?;
    a.test(edi, edi)?;
    a.jz(other)?;
    a.xchg(rbx, rsi)?;
    a.add(ecx, skew as i32)?;
    a.set_label(&mut other)?;
    a.mov(rax, qword_ptr(rbx))?;
    a.mov(rax, qword_ptr(rsi))?;
    a.set_label(&mut delay)?;
    a.dec(rcx)?;
    a.jnz(delay)?;
    a.set_label(&mut go)?;
    a.mov(qword_ptr(rbx), 1)?;
    if fence {
        a.mfence()?;
    }
    a.mov(rax, qword_ptr(rsi))?;
    a.shl(edi, 6)?;
    a.mov(qword_ptr(rdi + (DATA + 256) as i32), rax)?;
    a.hlt()
}

fn outcomes(fence: bool) -> Vec<(u64, u64)> {
    let run = |skew| {
        let mut machine = store_buffering(skew, fence);
        machine.run(LONG, Speed::default(), &mut ());
        machine.check().expect("coherent");
        (word(&machine, DATA + 256), word(&machine, DATA + 320))
    };
    let mut outcomes: Vec<_> = (0..120).map(run).collect();
    outcomes.sort_unstable();
    outcomes.dedup();
    outcomes
}

#[test]
fn both_loads_may_pass_the_stores() {
    let seen = outcomes(false);
    assert!(seen.contains(&(0, 0)), "{seen:?}");
    assert!(seen.contains(&(1, 0)) || seen.contains(&(0, 1)), "{seen:?}");
}

#[test]
fn a_fence_forbids_it() {
    let seen = outcomes(true);
    assert!(!seen.contains(&(0, 0)), "{seen:?}");
    assert!(seen.len() > 1, "{seen:?}");
}
