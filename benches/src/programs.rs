//! Bare-metal programs for the benchmarks, on machines with identity addressing.

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_x86::ids::{CoreId, PhysAddr};
use sim_x86::spec::Translation;
use sim_x86::{Machine, Start, presets};

const CODE: u64 = 0x10_0000;
const DATA: u64 = 0x100_0000;
const STACKS: u64 = 0x800_0000;
/// Bytes between the private data of two cores.
const PRIVATE: u64 = 0x1_0000;

/// A machine of `cores` CPUs in which each runs `program` for ever, its number in RDI.
///
/// # Panics
/// If the program does not assemble: a mistake in this file.
#[must_use]
pub fn machine(cores: u32, program: fn(&mut CodeAssembler) -> Result<(), IcedError>) -> Machine {
    let preset = presets::westmere_ep();
    let sockets = cores.div_ceil(preset.topology.cores_per_package()).max(2);
    let mut spec = preset.with_sockets(sockets);
    spec.cores = cores;
    spec.x2apic = true;
    spec.translation = Translation::Identity;
    let mut assembler = CodeAssembler::new(64).expect("64-bit code");
    program(&mut assembler).expect("the program assembles");
    let code = assembler.assemble(CODE).expect("the program assembles");
    let mut machine = Machine::new(spec).expect("a valid machine");
    machine.write_physical(PhysAddr(CODE), &code);
    for id in 0..cores as u16 {
        let stack = STACKS + 0x1000 * (u64::from(id) + 1);
        machine.start_core(CoreId(id), Start { rip: CODE, rdi: u64::from(id), rsp: stack });
    }
    machine
}

/// An integer loop over 4 KiB of the core's own data: 13 instructions an element, as a compiler
/// writes them; all loads and stores hit L1.
///
/// # Errors
/// None: labels are placed once.
pub fn integer_loop(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut outer, mut inner, mut even) = (a.create_label(), a.create_label(), a.create_label());
    a.imul_3(rdi, rdi, PRIVATE as i32)?;
    a.set_label(&mut outer)?;
    a.lea(rsi, qword_ptr(rdi + DATA as i32))?;
    a.mov(ecx, 512)?;
    a.set_label(&mut inner)?;
    a.mov(rax, qword_ptr(rsi))?;
    a.lea(rdx, qword_ptr(rax + rax * 4 + 7))?;
    a.xor(rdx, rbx)?;
    a.add(rbx, rdx)?;
    a.mov(r9, rdx)?;
    a.shr(rdx, 7)?;
    a.mov(qword_ptr(rsi), rdx)?;
    a.test(r9b, 1)?;
    a.je(even)?;
    a.inc(r8)?;
    a.set_label(&mut even)?;
    a.add(rsi, 8)?;
    a.dec(ecx)?;
    a.jnz(inner)?;
    a.jmp(outer)
}

/// Every core takes one 16-bit ticket lock, adds to a word under it, releases it, for ever: as much
/// contention as there can be, and hardly a cycle without the lock's line on its way.
///
/// # Errors
/// None: labels are placed once.
pub fn ticket_lock(a: &mut CodeAssembler) -> Result<(), IcedError> {
    contention(a, |_| Ok(()))
}

/// The same with some 10,000 cycles of work under the lock, as under the Big Kernel Lock: the others
/// wait for nearly all of the time.
///
/// # Errors
/// None: labels are placed once.
pub fn long_held_lock(a: &mut CodeAssembler) -> Result<(), IcedError> {
    contention(a, |a| {
        let mut work = a.create_label();
        a.mov(ecx, 3_300)?;
        a.set_label(&mut work)?;
        a.dec(ecx)?;
        a.jnz(work)
    })
}

fn contention(
    a: &mut CodeAssembler,
    work: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>,
) -> Result<(), IcedError> {
    let (mut again, mut spin, mut locked) = (a.create_label(), a.create_label(), a.create_label());
    a.mov(rbx, DATA)?;
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
    a.inc(qword_ptr(rbx + 64))?;
    work(a)?;
    a.inc(word_ptr(rbx))?;
    a.jmp(again)
}

/// Follows pointers through 16 MiB with a stride that defeats every cache level.
///
/// # Errors
/// None: labels are placed once.
pub fn pointer_chase(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let (mut build, mut chase) = (a.create_label(), a.create_label());
    // Node n points to node n * 5 + 1 modulo 2^18: a full cycle over 64-byte nodes.
    a.mov(rsi, DATA)?;
    a.xor(ecx, ecx)?;
    a.set_label(&mut build)?;
    a.lea(eax, dword_ptr(rcx + rcx * 4 + 1))?;
    a.and(eax, 0x3_ffff)?;
    a.shl(rax, 6)?;
    a.add(rax, rsi)?;
    a.mov(edx, ecx)?;
    a.shl(rdx, 6)?;
    a.mov(qword_ptr(rsi + rdx), rax)?;
    a.inc(ecx)?;
    a.cmp(ecx, 0x4_0000)?;
    a.jne(build)?;
    a.set_label(&mut chase)?;
    a.mov(rsi, qword_ptr(rsi))?;
    a.inc(r8)?;
    a.jmp(chase)
}
