//! Small bare-metal programs on whole machines, and their stopwatch.

use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_core::Cycle;
use sim_x86::dev::{DeviceSpec, HbaSpec, Latency};
use sim_x86::ids::{CoreId, PhysAddr};
use sim_x86::spec::{MachineSpec, Translation};
use sim_x86::{Machine, Speed, Start};

/// Code of every CPU: it tells the CPUs apart by RDI.
const CODE: u64 = 0x10_0000;
/// Handler of every interrupt but [`RETURN_VECTOR`]'s.
pub(super) const HANDLER: u64 = 0x18_0000;
/// Handler that returns at once.
const RETURN: u64 = 0x18_1000;
/// Its vector.
pub(super) const RETURN_VECTOR: i32 = 0x41;
const IDT: u64 = 0x1f_0000;
const IDTR: u64 = 0x1f_8000;
/// Results: one line each.
pub(super) const RESULT: u64 = 0x20_0000;
/// Lines to measure on: their sets hold no code.
pub(super) const LINES: u64 = 0x40_3000;
/// Lines of the measuring CPU's own.
pub(super) const OWN: u64 = 0x48_4000;
/// Stack tops, 4 KiB below each.
const STACKS: u64 = 0x30_0000;
/// Local APIC.
pub(super) const APIC: u64 = 0xfee0_0000;
/// Registers of the HBA that every rig has.
pub(super) const HBA: u64 = 0xe000_0000;
/// Accesses between two looks at the clock.
pub(super) const UNROLLED: i32 = 8;
/// Cycles after which a program that has not ended is given up.
const LIMIT: Cycle = Cycle(1_000_000_000);

/// A fragment of a program.
pub(super) type Code<'a> = dyn Fn(&mut CodeAssembler) -> Result<(), IcedError> + 'a;

/// A bare-metal machine of this preset, with an HBA.
pub(super) fn spec(preset: &MachineSpec) -> MachineSpec {
    let mut spec = preset.clone();
    spec.translation = Translation::Identity;
    spec.devices = vec![DeviceSpec::Hba(HbaSpec {
        name: "hba".to_owned(),
        regs: PhysAddr(HBA),
        firmware_latency: Latency::Constant(1),
        first_latencies: Vec::new(),
        msi: true,
        interrupt_latency: None,
        coalescing_depth: 1,
        coalescing_timeout: 0,
        reset_time: 1,
    })];
    spec
}

fn assemble(at: u64, code: &Code<'_>) -> Vec<u8> {
    let mut assembler = CodeAssembler::new(64).expect("64-bit code");
    code(&mut assembler).expect("the fragment is encodable");
    assembler.assemble(at).expect("its labels are in reach")
}

/// A machine that is about to run `program` on every CPU, with `handler` behind all vectors.
pub(super) fn machine(spec: MachineSpec, program: &Code<'_>, handler: &Code<'_>) -> Machine {
    let cores = spec.cores as u16;
    let mut machine = Machine::new(spec).expect("presets are valid");
    machine.write_physical(PhysAddr(CODE), &assemble(CODE, program));
    machine.write_physical(PhysAddr(HANDLER), &assemble(HANDLER, handler));
    machine.write_physical(PhysAddr(RETURN), &assemble(RETURN, &|a| a.iretq()));
    for vector in 0..256u64 {
        let to = if vector == RETURN_VECTOR as u64 { RETURN } else { HANDLER };
        // An interrupt gate: present, type 14, selector 0x10 (SDM vol. 3A §6.14.1).
        let low = to & 0xffff | 0x10 << 16 | 0x8e00 << 32 | (to >> 16 & 0xffff) << 48;
        let gate = [low.to_le_bytes(), (to >> 32).to_le_bytes()].concat();
        machine.write_physical(PhysAddr(IDT + 16 * vector), &gate);
    }
    let idtr = [&0xfffu16.to_le_bytes()[..], &IDT.to_le_bytes()].concat();
    machine.write_physical(PhysAddr(IDTR), &idtr);
    for id in 0..cores {
        let top = STACKS + 0x1000 * (u64::from(id) + 1);
        machine.start_core(CoreId(id), Start { rip: CODE, rdi: u64::from(id), rsp: top });
    }
    machine
}

/// Runs a machine until its program exits.
pub(super) fn run(mut machine: Machine) -> Machine {
    machine.run(LIMIT, Speed::default(), &mut ());
    machine
}

/// The word at `addr`.
pub(super) fn word(machine: &Machine, addr: u64) -> u64 {
    let mut bytes = [0; 8];
    machine.read_physical(PhysAddr(addr), &mut bytes);
    u64::from_le_bytes(bytes)
}

/// Ends the run.
pub(super) fn exit(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.xor(eax, eax)?;
    a.mfence()?;
    a.out(0xf4, al)?;
    a.hlt()
}

/// Sleeps for ever.
pub(super) fn sleep(a: &mut CodeAssembler) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.set_label(&mut again)?;
    a.hlt()?;
    a.jmp(again)
}

/// Waits for `loops` iterations.
pub(super) fn delay(a: &mut CodeAssembler, loops: i32) -> Result<(), IcedError> {
    let mut again = a.create_label();
    a.mov(ecx, loops)?;
    a.set_label(&mut again)?;
    a.dec(rcx)?;
    a.jnz(again)
}

/// Lets the CPU take interrupts.
pub(super) fn interrupts_on(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.mov(rax, IDTR)?;
    a.lidt(ptr(rax))?;
    a.mov(rsi, APIC)?;
    a.mov(dword_ptr(rsi + 0xf0), 0x1ff)?;
    a.sti()
}

/// Branches to a piece of code of its own for each CPU named; all others sleep.
pub(super) fn by_cpu(a: &mut CodeAssembler, parts: &[(u16, &Code<'_>)]) -> Result<(), IcedError> {
    for &(cpu, code) in parts {
        let mut other = a.create_label();
        a.cmp(edi, i32::from(cpu))?;
        a.jne(other)?;
        code(a)?;
        a.set_label(&mut other)?;
        // A label needs an instruction.
        a.nop()?;
    }
    sleep(a)
}

/// A subroutine: EAX = cycles between two looks at the clock with `UNROLLED` times `op` between.
fn stopwatch(
    a: &mut CodeAssembler,
    at: &mut CodeLabel,
    op: &dyn Fn(&mut CodeAssembler, i32) -> Result<(), IcedError>,
) -> Result<(), IcedError> {
    a.set_label(at)?;
    a.rdtsc()?;
    a.mov(r8d, eax)?;
    for n in 0..UNROLLED {
        op(a, n)?;
    }
    a.rdtsc()?;
    a.sub(eax, r8d)?;
    a.ret()
}

/// An operation, with its number among the unrolled ones.
pub(super) type Op<'a> = &'a dyn Fn(&mut CodeAssembler, i32) -> Result<(), IcedError>;

/// Measures `op` on the lines at `LINES` (in RBX) against `base`, both run before on lines of the
/// CPU's own: puts the sums at RESULT and RESULT+64, and exits.
pub(super) fn measure(a: &mut CodeAssembler, op: Op<'_>, base: Op<'_>) -> Result<(), IcedError> {
    let (mut timed, mut empty, mut begin) = (a.create_label(), a.create_label(), a.create_label());
    a.jmp(begin)?;
    stopwatch(a, &mut timed, op)?;
    stopwatch(a, &mut empty, base)?;
    a.set_label(&mut begin)?;
    for _ in 0..2 {
        a.mov(rbx, OWN)?;
        a.call(timed)?;
        a.mov(rbx, OWN)?;
        a.call(empty)?;
    }
    a.mov(r9, RESULT)?;
    a.mov(qword_ptr(r9 + 64), rax)?;
    a.mfence()?;
    a.mov(rbx, LINES)?;
    a.call(timed)?;
    a.mov(r9, RESULT)?;
    a.mov(qword_ptr(r9), rax)?;
    exit(a)
}

/// Nothing.
pub(super) fn nothing(_: &mut CodeAssembler, _: i32) -> Result<(), IcedError> {
    Ok(())
}

/// Handles no interrupt.
pub(super) fn no_handler(a: &mut CodeAssembler) -> Result<(), IcedError> {
    a.iretq()
}

/// What [`measure`] found, by operation.
pub(super) fn measured(machine: &Machine) -> f64 {
    let (timed, empty) = (word(machine, RESULT), word(machine, RESULT + 64));
    (timed as f64 - empty as f64) / f64::from(UNROLLED)
}
