//! RDMSR and WRMSR: the registers that live in [`Registers`]; the bus has the others.

use super::operand::{GP0, canonical, require};
use super::{Access, Bus};
use crate::core::regs::Registers;

/// MSR numbers (SDM vol. 3B app. B).
pub mod number {
    /// IA32_TSC_DEADLINE.
    pub const TSC_DEADLINE: u32 = 0x6e0;
    /// First x2APIC register.
    pub const X2APIC: u32 = 0x800;
    /// Last of the range kept for x2APIC registers.
    pub const X2APIC_END: u32 = 0xbff;
    /// IA32_EFER.
    pub const EFER: u32 = 0xc000_0080;
    /// IA32_STAR.
    pub const STAR: u32 = 0xc000_0081;
    /// IA32_LSTAR.
    pub const LSTAR: u32 = 0xc000_0082;
    /// IA32_CSTAR.
    pub const CSTAR: u32 = 0xc000_0083;
    /// IA32_FMASK.
    pub const FMASK: u32 = 0xc000_0084;
    /// IA32_FS_BASE.
    pub const FS_BASE: u32 = 0xc000_0100;
    /// IA32_GS_BASE.
    pub const GS_BASE: u32 = 0xc000_0101;
    /// IA32_KERNEL_GS_BASE.
    pub const KERNEL_GS_BASE: u32 = 0xc000_0102;
    /// IA32_TSC_AUX.
    pub const TSC_AUX: u32 = 0xc000_0103;
}

/// EFER bits: SCE, LME, LMA, NXE.
const EFER_SCE: u64 = 1 << 0;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
const EFER_NXE: u64 = 1 << 11;

/// True if SYSCALL is enabled.
pub(super) fn syscall_enabled(regs: &Registers) -> bool {
    regs.sys.efer & EFER_SCE != 0
}

/// True if WRMSR of this register is serialising (SDM vol. 3A §8.3: all but the x2APIC's and the
/// TSC deadline).
pub(super) fn serialises(msr: u32) -> bool {
    msr != number::TSC_DEADLINE && !(number::X2APIC..=number::X2APIC_END).contains(&msr)
}

/// Reads an MSR.
pub(super) fn read<B: Bus>(regs: &Registers, bus: &mut B, msr: u32) -> Access<u64> {
    Ok(match msr {
        number::EFER => regs.sys.efer,
        number::STAR => regs.sys.star,
        number::LSTAR => regs.sys.lstar,
        number::CSTAR => regs.sys.cstar,
        number::FMASK => regs.sys.fmask,
        number::FS_BASE => regs.fs_base,
        number::GS_BASE => regs.gs_base,
        number::KERNEL_GS_BASE => regs.sys.kernel_gs_base,
        number::TSC_AUX => regs.sys.tsc_aux,
        _ => return bus.rdmsr(regs, msr),
    })
}

/// Writes an MSR: #GP for reserved bits and non-canonical addresses.
pub(super) fn write<B: Bus>(regs: &mut Registers, bus: &mut B, msr: u32, value: u64) -> Access<()> {
    let address = |slot: &mut u64| {
        require(canonical(value))?;
        *slot = value;
        Ok(())
    };
    let low_half = |slot: &mut u64| {
        require(value >> 32 == 0)?;
        *slot = value;
        Ok(())
    };
    match msr {
        number::EFER => write_efer(regs, value),
        number::STAR => {
            regs.sys.star = value;
            Ok(())
        }
        number::LSTAR => address(&mut regs.sys.lstar),
        number::CSTAR => address(&mut regs.sys.cstar),
        number::FMASK => low_half(&mut regs.sys.fmask),
        number::FS_BASE => address(&mut regs.fs_base),
        number::GS_BASE => address(&mut regs.gs_base),
        number::KERNEL_GS_BASE => address(&mut regs.sys.kernel_gs_base),
        number::TSC_AUX => low_half(&mut regs.sys.tsc_aux),
        _ => bus.wrmsr(regs, msr, value),
    }
}

/// LMA is the processor's to set, and LME may not change while paging is on, as it always is.
fn write_efer(regs: &mut Registers, value: u64) -> Access<()> {
    let known = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
    let changed = regs.sys.efer ^ value;
    if value & !known != 0 || changed & EFER_LME != 0 {
        return Err(GP0);
    }
    regs.sys.efer = value & !EFER_LMA | regs.sys.efer & EFER_LMA;
    Ok(())
}
