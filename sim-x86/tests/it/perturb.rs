//! Perturbed timing is exact timing: it repeats itself and is the same at every speed.

use crate::guest::{self, CODE, DATA, LONG};
use crate::skipping::hashes;
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_x86::ids::PhysAddr;
use sim_x86::{Machine, Perturbation};

/// Where the handlers lie.
const HANDLERS: u64 = CODE + 0x1000;
/// Interrupts and NMIs taken, per CPU.
const COUNTS: u64 = DATA + 0x1000;
const VECTOR: u8 = 0x50;

fn all_on(seed: u64) -> Perturbation {
    Perturbation {
        seed,
        start_skew: 3_000,
        instruction: 40,
        store_drain: 900,
        miss: 500,
        one_in: 2,
        uneven: 3,
        interrupt_every: 30,
        vector: VECTOR,
        nmi_every: 40,
    }
}

/// Adds to shared and own counters, with a spin-wait on the way.
fn program(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut again, mut wait) = (a.create_label(), a.create_label());
    a.mov(rbx, DATA)?;
    a.mov(rax, 0xfee0_00f0_u64)?;
    a.mov(dword_ptr(rax), 0x1ff)?;
    a.sti()?;
    a.mov(ecx, 40)?;
    a.set_label(&mut again)?;
    a.lock().inc(qword_ptr(rbx))?;
    a.mov(qword_ptr(rbx + rdi * 8 + 64), rcx)?;
    a.mov(rdx, qword_ptr(rbx + 64))?;
    a.dec(ecx)?;
    a.jnz(again)?;
    a.set_label(&mut wait)?;
    a.pause()?;
    a.cmp(qword_ptr(rbx), 40 * 3)?;
    a.jne(wait)?;
    a.cli()?;
    a.hlt()
}

/// NMI handler, then interrupt handler: each counts for its CPU (its number is in RDI).
fn handlers(a: &mut CodeAssembler, start: &mut [u64; 2]) -> Result<(), IcedError> {
    let (mut nmi, mut fixed) = (a.create_label(), a.create_label());
    a.set_label(&mut nmi)?;
    a.inc(qword_ptr(rdi * 8 + COUNTS as i32))?;
    a.iretq()?;
    a.set_label(&mut fixed)?;
    a.inc(qword_ptr(rdi * 8 + COUNTS as i32 + 64))?;
    a.push(rax)?;
    a.mov(rax, 0xfee0_00b0_u64)?;
    a.mov(dword_ptr(rax), 0)?;
    a.pop(rax)?;
    a.iretq()?;
    let options = iced_x86::BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
    let code = a.assemble_options(HANDLERS, options)?;
    *start = [code.label_ip(&nmi)?, code.label_ip(&fixed)?];
    Ok(())
}

fn machine(perturbation: Perturbation) -> Machine {
    let mut spec = guest::spec(3);
    spec.perturb = perturbation;
    let mut machine = guest::machine_of(spec, |a| program(a).expect("the program assembles"));
    let mut a = CodeAssembler::new(64).expect("64-bit code");
    let mut at = [0; 2];
    handlers(&mut a, &mut at).expect("the handlers assemble");
    let code = a.assemble(HANDLERS).expect("the handlers assemble");
    machine.write_physical(PhysAddr(HANDLERS), &code);
    guest::set_handlers(&mut machine, &[(2, at[0]), (VECTOR, at[1])]);
    machine
}

#[test]
fn a_perturbed_run_is_the_same_at_every_speed() {
    for seed in 0..12 {
        let only_skew = Perturbation { seed, start_skew: 900, ..Perturbation::default() };
        for perturbation in [all_on(seed), only_skew] {
            let hashes = hashes(&machine(perturbation));
            assert!(hashes.iter().all(|hash| *hash == hashes[0]), "{perturbation:?}: {hashes:x?}");
        }
    }
}

#[test]
fn each_part_of_a_perturbation_changes_the_run_but_not_its_result() {
    let off = Perturbation::default();
    let parts = [
        Perturbation { seed: 1, start_skew: 900, ..off },
        Perturbation { seed: 1, instruction: 90, ..off },
        Perturbation { seed: 1, store_drain: 900, ..off },
        Perturbation { seed: 1, miss: 900, ..off },
        Perturbation { seed: 1, interrupt_every: 20, vector: VECTOR, ..off },
        Perturbation { seed: 1, nmi_every: 20, ..off },
    ];
    let run = |perturbation| {
        let mut machine = machine(perturbation);
        machine.run(LONG, sim_x86::Speed::default(), &mut ());
        machine.check().expect("coherent");
        assert_eq!(guest::word(&machine, DATA), 120);
        machine.trace_hash()
    };
    let mut seen = vec![run(off)];
    assert_eq!(run(Perturbation { seed: 9, ..off }), seen[0]);
    for perturbation in parts {
        let hash = run(perturbation);
        assert!(!seen.contains(&hash), "{perturbation:?}");
        assert_ne!(hash, run(Perturbation { seed: 2, ..perturbation }), "{perturbation:?}");
        seen.push(hash);
    }
}

#[test]
fn interrupts_and_nmis_land_between_instructions() {
    let mut machine = machine(Perturbation { seed: 4, ..all_on(4) });
    machine.run(LONG, sim_x86::Speed::default(), &mut ());
    for core in 0..3 {
        let count = |at| guest::word(&machine, COUNTS + core * 8 + at);
        assert!(count(0) > 2 && count(64) > 2, "{core}: {} {}", count(0), count(64));
    }
}
