//! Small bare-metal guests, assembled here.

use iced_x86::code_asm::CodeAssembler;
use sim_core::Cycle;
use sim_x86::ids::{CoreId, PhysAddr};
use sim_x86::presets;
use sim_x86::spec::{MachineSpec, Translation};
use sim_x86::{Machine, Start};

/// Where code goes.
pub(crate) const CODE: u64 = 0x10_0000;
/// The interrupt descriptor table.
const IDT: u64 = CODE + 0x2000;
/// Where data goes: its own lines.
pub(crate) const DATA: u64 = 0x20_0000;
/// Stack tops, one 4 KiB stack per CPU below.
pub(crate) const STACKS: u64 = 0x30_0000;

/// The default preset with `cores` CPUs and identity addressing.
pub(crate) fn spec(cores: u32) -> MachineSpec {
    let mut spec = presets::preset("westmere-ep").expect("the default preset");
    spec.cores = cores;
    spec.translation = Translation::Identity;
    spec
}

/// A machine whose CPUs all run `program` with their number in RDI.
pub(crate) fn machine(cores: u32, program: impl FnOnce(&mut CodeAssembler)) -> Machine {
    machine_of(spec(cores), program)
}

/// The same on a given spec.
pub(crate) fn machine_of(spec: MachineSpec, program: impl FnOnce(&mut CodeAssembler)) -> Machine {
    let mut assembler = CodeAssembler::new(64).expect("64-bit code");
    program(&mut assembler);
    let code = assembler.assemble(CODE).expect("the program assembles");
    let cores = spec.cores;
    let mut machine = Machine::new(spec).expect("a valid machine");
    machine.write_physical(PhysAddr(CODE), &code);
    for id in 0..cores as u16 {
        let rsp = STACKS + 0x1000 * (u64::from(id) + 1);
        machine.start_core(CoreId(id), Start { rip: CODE, rdi: u64::from(id), rsp });
    }
    machine
}

/// Gives every CPU an interrupt descriptor table with these handlers by vector.
pub(crate) fn set_handlers(machine: &mut Machine, handlers: &[(u8, u64)]) {
    for &(vector, handler) in handlers {
        let low = handler & 0xffff | 0x10 << 16 | 0x8e << 40 | (handler >> 16 & 0xffff) << 48;
        let gate = u128::from(low) | u128::from(handler >> 32) << 64;
        machine.write_physical(PhysAddr(IDT + u64::from(vector) * 16), &gate.to_le_bytes());
    }
    for core in 0..machine.spec().cores as u16 {
        let idtr = &mut machine.registers_mut(CoreId(core)).sys.idtr;
        idtr.base = IDT;
        idtr.limit = 0xfff;
    }
}

/// The 64-bit word at `addr`.
pub(crate) fn word(machine: &Machine, addr: u64) -> u64 {
    let mut bytes = [0; 8];
    machine.read_physical(PhysAddr(addr), &mut bytes);
    u64::from_le_bytes(bytes)
}

/// A deadline that no test reaches.
pub(crate) const LONG: Cycle = Cycle(2_000_000_000);
