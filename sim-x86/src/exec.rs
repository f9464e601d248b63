//! Instruction semantics: what each instruction does to registers and asks of the world.
//!
//! The core sees the world through one narrow trait, [`Bus`]; the machine implements it, and so
//! does a small test double. Instructions are *restartable*: everything that can make one wait or
//! fault happens before its first side effect, so that a core blocked on a cache line simply
//! executes the instruction again when the line has come.

use crate::core::regs::Registers;
use serde::{Deserialize, Serialize};

/// Operand size in bytes: 1, 2, 4 or 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Size {
    /// 8 bits.
    B1 = 1,
    /// 16 bits.
    B2 = 2,
    /// 32 bits.
    B4 = 4,
    /// 64 bits.
    B8 = 8,
}

/// A fault or trap to be delivered through the IDT (SDM vol. 3A §6.3–6.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exception {
    /// Vector 0, #DE.
    DivideError,
    /// Vector 1, #DB (trap after the instruction).
    Debug,
    /// Vector 3, #BP (trap: the saved RIP is that of the next instruction).
    Breakpoint,
    /// Vector 6, #UD.
    InvalidOpcode,
    /// Vector 11, #NP with its error code (a selector).
    SegmentNotPresent(u16),
    /// Vector 12, #SS with its error code.
    StackFault(u16),
    /// Vector 13, #GP with its error code.
    GeneralProtection(u16),
    /// Vector 14, #PF: linear address for CR2 and error code (bit 0 present, 1 write, 2 user,
    /// 4 instruction fetch).
    PageFault {
        /// Faulting linear address.
        addr: u64,
        /// Error code.
        code: u16,
    },
    /// Vector 17, #AC with error code 0.
    AlignmentCheck,
}

/// Why an instruction cannot complete now. It has changed nothing yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stall {
    /// It faults.
    Fault(Exception),
    /// Memory or a device must answer first; the core executes it again then.
    Wait,
    /// The machine does not implement it (address, bytes and disassembly are reported).
    Unimplemented,
}

/// Result of asking the world for something.
pub type Access<T> = Result<T, Stall>;

/// How an instruction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Falls through: RIP has moved past it.
    Next,
    /// Jumped: RIP holds the target.
    Taken,
    /// One iteration of a REP string instruction is done, more follow: RIP still points at it.
    Repeat,
    /// HLT: RIP is past it; the core sleeps until an interrupt.
    Halt,
    /// Opens an interrupt shadow of one instruction (STI that set IF, MOV SS, POP SS).
    Shadow {
        /// True for MOV SS/POP SS, which hold off NMI and #DB as well (SDM vol. 3A §6.8.3).
        nmi_too: bool,
    },
    /// IRET: RIP holds the target and NMIs are unblocked (SDM vol. 3A §6.7.1).
    Iret,
    /// A software interrupt or trap (INT n, INT3) to deliver with RIP past the instruction.
    Interrupt(u8),
    /// MWAIT: like HLT, but also woken by a store to the monitored line.
    Mwait,
}

/// What an instruction may ask of the world outside the registers.
///
/// Addresses are linear. Sizes above 8 bytes are asked for in 8-byte parts, except by the
/// `locked` pair, which takes 16 for CMPXCHG16B.
pub trait Bus {
    /// Loads `size` bytes, zero-extended; sees the core's own buffered stores.
    fn load(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64>;

    /// Like `load`, but faults as a write would: the first half of a plain read-modify-write.
    fn load_for_write(&mut self, regs: &Registers, addr: u64, size: Size) -> Access<u64>;

    /// Puts a store into the store buffer; waits if that is full.
    fn store(&mut self, regs: &Registers, addr: u64, size: Size, value: u64) -> Access<()>;

    /// Waits until the store buffer has room for `stores` more stores, which then cannot stall
    /// for room. Instructions with more than one store ask first.
    fn room(&mut self, stores: usize) -> Access<()>;

    /// Begins a locked read-modify-write of `bytes` (1, 2, 4, 8 or 16) bytes: store buffer
    /// drained, line(s) owned. Returns the old value. If it succeeds the instruction must call
    /// [`Bus::locked_write`] next (a locked operation always writes, if only the old value back).
    fn locked_read(&mut self, regs: &Registers, addr: u64, bytes: u8) -> Access<u128>;

    /// Ends the locked read-modify-write begun by [`Bus::locked_read`].
    fn locked_write(&mut self, addr: u64, bytes: u8, value: u128);

    /// Waits until the core's own stores are globally visible (MFENCE, serialising instructions).
    fn drain(&mut self) -> Access<()>;

    /// IN.
    fn port_in(&mut self, port: u16, size: Size) -> Access<u32>;

    /// OUT.
    fn port_out(&mut self, port: u16, size: Size, value: u32) -> Access<()>;

    /// RDMSR of a register that is not in [`Registers`].
    fn rdmsr(&mut self, regs: &Registers, msr: u32) -> Access<u64>;

    /// WRMSR of a register that is not in [`Registers`].
    fn wrmsr(&mut self, regs: &Registers, msr: u32, value: u64) -> Access<()>;

    /// RDPMC.
    fn rdpmc(&mut self, counter: u32) -> Access<u64>;

    /// The time-stamp counter as RDTSC reads it at this instruction.
    fn tsc(&mut self) -> u64;

    /// CPUID.
    fn cpuid(&mut self, leaf: u32, subleaf: u32) -> [u32; 4];

    /// Task priority (CR8), bits 7:4 of the LAPIC's TPR.
    fn cr8(&mut self) -> u8;

    /// Writes CR8.
    fn set_cr8(&mut self, value: u8);

    /// MONITOR: arms the line that holds `addr`.
    fn monitor(&mut self, regs: &Registers, addr: u64) -> Access<()>;

    /// CLFLUSH of the line that holds `addr`.
    fn flush_line(&mut self, regs: &Registers, addr: u64) -> Access<()>;

    /// INVLPG, or a full TLB flush for `None` (MOV CR3).
    fn flush_tlb(&mut self, addr: Option<u64>);

    /// Reads memory as a descriptor-table or TSS read does: untimed, coherent, ring 0.
    fn read_system(&mut self, addr: u64, size: Size) -> Access<u64>;

    /// Adds data-dependent cycles to the instruction's table cost (REP start-up, wide division).
    fn charge(&mut self, cycles: u32);
}
