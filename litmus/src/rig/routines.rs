//! The interrupt handlers, and the routines that bring lines into a state: real code.

use super::IDT;
use crate::timing::VECTOR;
use iced_x86::IcedError;
use iced_x86::code_asm::*;
use sim_x86::Machine;
use sim_x86::ids::{LINE_BYTES, PhysAddr};

/// Where they lie.
const ROUTINES: u64 = 0x11_0000;
/// Vector of the non-maskable interrupt.
const NMI: u8 = 2;

/// Addresses of the small routines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Routines {
    /// NMI handler.
    pub(super) nmi: u64,
    /// Handler of the maskable interrupt.
    pub(super) fixed: u64,
    /// Switches the local APIC on.
    pub(super) apic: u64,
    /// Stores RDX at RDI: the line is Modified here.
    pub(super) store: u64,
    /// Loads the byte at RDI.
    pub(super) load: u64,
    /// Flushes the line of RDI.
    pub(super) flush: u64,
}

/// Assembles and writes the routines and the interrupt descriptor table.
pub(super) fn write(machine: &mut Machine) -> Result<Routines, IcedError> {
    let mut next = ROUTINES;
    let mut add = |machine: &mut Machine,
                   program: &dyn Fn(&mut CodeAssembler) -> Result<(), IcedError>|
     -> Result<u64, IcedError> {
        let mut a = CodeAssembler::new(64)?;
        program(&mut a)?;
        let (start, code) = (next, a.assemble(next)?);
        machine.write_physical(PhysAddr(start), &code);
        next = (start + code.len() as u64).next_multiple_of(LINE_BYTES);
        Ok(start)
    };
    let routines = Routines {
        nmi: add(machine, &CodeAssembler::iretq)?,
        fixed: add(machine, &|a| {
            a.push(rax)?;
            a.mov(rax, EOI)?;
            a.mov(dword_ptr(rax), 0)?;
            a.pop(rax)?;
            a.iretq()
        })?,
        apic: add(machine, &|a| {
            a.mov(rax, SPURIOUS)?;
            a.mov(dword_ptr(rax), 0x1ff)?;
            a.hlt()
        })?,
        store: add(machine, &|a| {
            a.mov(byte_ptr(rdi), dl)?;
            a.hlt()
        })?,
        load: add(machine, &|a| {
            a.mov(al, byte_ptr(rdi))?;
            a.hlt()
        })?,
        flush: add(machine, &|a| {
            a.clflush(byte_ptr(rdi))?;
            a.hlt()
        })?,
    };
    for (vector, handler) in [(NMI, routines.nmi), (VECTOR, routines.fixed)] {
        let address = PhysAddr(IDT + u64::from(vector) * 16);
        machine.write_physical(address, &gate(handler));
    }
    Ok(routines)
}

/// EOI register of the local APIC (SDM vol. 3A §10.4.1).
const EOI: u64 = 0xfee0_00b0;
/// Spurious-interrupt vector register, whose bit 8 enables the local APIC (§10.9).
const SPURIOUS: u64 = 0xfee0_00f0;

/// A 64-bit interrupt gate (SDM vol. 3A §6.14.1) to the flat code segment.
fn gate(handler: u64) -> [u8; 16] {
    let low = handler & 0xffff | 0x10 << 16 | 0x8e << 40 | (handler >> 16 & 0xffff) << 48;
    (u128::from(low) | u128::from(handler >> 32) << 64).to_le_bytes()
}
