//! The architectural registers of one CPU (SDM vol. 1 §3.4, vol. 3A §2). Data only.

use serde::{Deserialize, Serialize};

/// RFLAGS bits (SDM vol. 1 §3.4.3).
pub mod flags {
    /// Carry.
    pub const CF: u64 = 1 << 0;
    /// Reserved, always 1.
    pub const FIXED: u64 = 1 << 1;
    /// Parity of the low result byte.
    pub const PF: u64 = 1 << 2;
    /// Carry out of bit 3.
    pub const AF: u64 = 1 << 4;
    /// Zero.
    pub const ZF: u64 = 1 << 6;
    /// Sign.
    pub const SF: u64 = 1 << 7;
    /// Trap (single step).
    pub const TF: u64 = 1 << 8;
    /// Maskable interrupts enabled.
    pub const IF: u64 = 1 << 9;
    /// String direction.
    pub const DF: u64 = 1 << 10;
    /// Overflow.
    pub const OF: u64 = 1 << 11;
    /// I/O privilege level (two bits).
    pub const IOPL: u64 = 3 << 12;
    /// Nested task.
    pub const NT: u64 = 1 << 14;
    /// Resume.
    pub const RF: u64 = 1 << 16;
    /// Alignment check.
    pub const AC: u64 = 1 << 18;
    /// CPUID is available (can be toggled).
    pub const ID: u64 = 1 << 21;
    /// The six status flags.
    pub const STATUS: u64 = CF | PF | AF | ZF | SF | OF;
}

/// Numbers of the general-purpose registers as encoded in instructions.
pub mod gpr {
    /// RAX.
    pub const RAX: usize = 0;
    /// RCX.
    pub const RCX: usize = 1;
    /// RDX.
    pub const RDX: usize = 2;
    /// RBX.
    pub const RBX: usize = 3;
    /// RSP.
    pub const RSP: usize = 4;
    /// RBP.
    pub const RBP: usize = 5;
    /// RSI.
    pub const RSI: usize = 6;
    /// RDI.
    pub const RDI: usize = 7;
    /// R8 (R9..R15 follow).
    pub const R8: usize = 8;
    /// R11.
    pub const R11: usize = 11;
}

/// GDTR or IDTR.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRegister {
    /// Linear base address.
    pub base: u64,
    /// Limit in bytes, inclusive.
    pub limit: u16,
}

/// Segment selectors. Bases of CS, DS, ES, SS are 0 in 64-bit mode; FS and GS have their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selectors {
    /// Code segment; bits 1:0 are the CPL.
    pub cs: u16,
    /// Stack segment.
    pub ss: u16,
    /// Data segment.
    pub ds: u16,
    /// Extra segment.
    pub es: u16,
    /// FS selector.
    pub fs: u16,
    /// GS selector.
    pub gs: u16,
}

/// System registers and the MSRs that instructions use directly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemRegisters {
    /// CR0.
    pub cr0: u64,
    /// CR2: linear address of the last page fault.
    pub cr2: u64,
    /// CR3.
    pub cr3: u64,
    /// CR4.
    pub cr4: u64,
    /// DR0–DR3, DR6, DR7 (kept, never trigger).
    pub dr: [u64; 6],
    /// IA32_EFER.
    pub efer: u64,
    /// IA32_STAR: selectors for SYSCALL/SYSRET.
    pub star: u64,
    /// IA32_LSTAR: 64-bit SYSCALL entry.
    pub lstar: u64,
    /// IA32_CSTAR.
    pub cstar: u64,
    /// IA32_FMASK: RFLAGS bits cleared by SYSCALL.
    pub fmask: u64,
    /// IA32_KERNEL_GS_BASE.
    pub kernel_gs_base: u64,
    /// IA32_TSC_AUX.
    pub tsc_aux: u64,
    /// GDTR.
    pub gdtr: TableRegister,
    /// IDTR.
    pub idtr: TableRegister,
    /// LDTR selector.
    pub ldtr: u16,
    /// TR selector.
    pub tr: u16,
    /// Base of the 64-bit TSS that TR names (cached from its descriptor by LTR).
    pub tss_base: u64,
}

/// Everything an instruction can read or write by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registers {
    /// General-purpose registers by encoding: RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8–R15.
    pub gpr: [u64; 16],
    /// Address of the current instruction; of the next one once it has retired.
    pub rip: u64,
    /// RFLAGS.
    pub rflags: u64,
    /// FS base.
    pub fs_base: u64,
    /// GS base.
    pub gs_base: u64,
    /// Segment selectors.
    pub sel: Selectors,
    /// System registers.
    pub sys: SystemRegisters,
}

/// The registers that plain instructions change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct General {
    gpr: [u64; 16],
    rip: u64,
    rflags: u64,
}

impl General {
    #[inline]
    pub(crate) fn of(regs: &Registers) -> Self {
        General { gpr: regs.gpr, rip: regs.rip, rflags: regs.rflags }
    }

    /// Gives `regs` these values.
    #[inline]
    pub(crate) fn restore(&self, regs: &mut Registers) {
        (regs.gpr, regs.rip, regs.rflags) = (self.gpr, self.rip, self.rflags);
    }
}

impl Registers {
    /// Current privilege level: 0 or 3.
    #[inline]
    #[must_use]
    pub fn cpl(&self) -> u8 {
        (self.sel.cs & 3) as u8
    }

    /// True if maskable interrupts are enabled.
    #[inline]
    #[must_use]
    pub fn interrupts_enabled(&self) -> bool {
        self.rflags & flags::IF != 0
    }
}
