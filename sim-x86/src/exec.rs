//! Instruction semantics: what each instruction does to registers and asks of the world.
//!
//! The core sees the world through one narrow trait, [`Bus`]; the machine implements it, and so
//! does a small test double. Instructions are *restartable*: everything that can make one wait or
//! fault happens before its first side effect, so that a core blocked on a cache line simply
//! executes the instruction again when the line has come.

pub(crate) mod alu;
mod atomic;
mod bits;
mod branch;
mod control;
pub(crate) mod fast;
pub mod flat;
mod mov;
pub mod msr;
pub(crate) mod muldiv;
pub(crate) mod operand;
pub(crate) mod pure;
mod segment;
pub(crate) mod shift;
mod stack;
mod string;
mod system;

#[cfg(test)]
pub(crate) mod tests;

use crate::core::regs::{Registers, flags};
use crate::op::{Kind, Op};
use fast::Brief;
pub(crate) use mov::{compares, condition, holds_after_cmp};
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
    /// SYSCALL, SYSRET, far RET to another ring: RIP holds the target there.
    Ring,
    /// One iteration of a REP string instruction is done, more follow: RIP still points at it.
    Repeat,
    /// HLT: RIP is past it; the core sleeps until an interrupt.
    Halt,
    /// Opens an interrupt shadow of one instruction (STI that set IF, MOV SS, POP SS).
    Shadow {
        /// True for MOV SS/POP SS, which hold off NMI and #DB as well (SDM vol. 3A §6.8.3).
        nmi_too: bool,
    },
    /// POPF: interrupts may be enabled now, or single-stepping.
    Flags,
    /// IRET: RIP holds the target and NMIs are unblocked (SDM vol. 3A §6.7.1).
    Iret,
    /// A software interrupt or trap (INT n, INT3) to deliver with RIP past the instruction.
    Interrupt(u8),
    /// INT1: a #DB to deliver with RIP past the instruction, whatever the gate's privilege level.
    DebugTrap,
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

/// Executes one instruction, out of line. On success RIP has moved on; on `Err` nothing has changed.
///
/// # Errors
/// [`Stall`]: it faults, must wait, or is not implemented.
pub fn execute<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Result<Flow, Stall> {
    let mut rest = Ok(Flow::Next);
    match fast::execute(regs, bus, op, &mut rest) {
        Brief::Next => Ok(Flow::Next),
        Brief::Taken => Ok(Flow::Taken),
        Brief::Rest => rest,
    }
}

/// Every form and size of the frequent instructions.
#[inline(never)]
fn execute_general<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Result<Flow, Stall> {
    let (old, size) = (regs.rflags, op.size);
    match op.kind {
        Kind::Mov => mov::mov(regs, bus, op)?,
        Kind::Lea => operand::write_reg(regs, op.dst, size, op.offset(regs)),
        Kind::Movzx8 => mov::movzx(regs, bus, op, Size::B1)?,
        Kind::Movzx16 => mov::movzx(regs, bus, op, Size::B2)?,
        Kind::Movsx8 => mov::movsx(regs, bus, op, Size::B1)?,
        Kind::Movsx16 => mov::movsx(regs, bus, op, Size::B2)?,
        Kind::Movsx32 => mov::movsx(regs, bus, op, Size::B4)?,
        Kind::Cmov => mov::cmov(regs, bus, op)?,
        Kind::Setcc => mov::setcc(regs, bus, op)?,
        Kind::Add => alu::binary(regs, bus, op, |a, b| alu::add(a, b, size))?,
        Kind::Or => alu::binary(regs, bus, op, |a, b| alu::logic(a | b, size))?,
        Kind::And => alu::binary(regs, bus, op, |a, b| alu::logic(a & b, size))?,
        Kind::Sub => alu::binary(regs, bus, op, |a, b| alu::sub(a, b, size))?,
        Kind::Xor => alu::binary(regs, bus, op, |a, b| alu::logic(a ^ b, size))?,
        Kind::Cmp => alu::compare(regs, bus, op, |a, b| alu::sub(a, b, size))?,
        Kind::Test => alu::compare(regs, bus, op, |a, b| alu::logic(a & b, size))?,
        Kind::Inc => op.modify(regs, bus, |a| alu::inc(a, old, size))?,
        Kind::Dec => op.modify(regs, bus, |a| alu::dec(a, old, size))?,
        Kind::Neg => op.modify(regs, bus, |a| alu::neg(a, size))?,
        Kind::Not => op.modify(regs, bus, |a| alu::not(a, old, size))?,
        Kind::Shl => alu::binary(regs, bus, op, |a, n| shift::shl(a, n, old, size))?,
        Kind::Shr => alu::binary(regs, bus, op, |a, n| shift::shr(a, n, old, size))?,
        Kind::Sar => alu::binary(regs, bus, op, |a, n| shift::sar(a, n, old, size))?,
        Kind::Push => stack::push(regs, bus, op)?,
        Kind::PushImm => stack::push_value(regs, bus, size, op.imm)?,
        Kind::Pop => stack::pop(regs, bus, op)?,
        Kind::Leave => stack::leave(regs, bus)?,
        Kind::Nop | Kind::Pause => {}
        Kind::Jmp => return branch::jmp(regs, op),
        Kind::Jcc => return branch::jcc(regs, bus, op),
        Kind::Call => return branch::call(regs, bus, op),
        Kind::Ret => return branch::ret(regs, bus, op),
        Kind::JmpIndirect => return branch::jmp_indirect(regs, bus, op),
        Kind::CallIndirect => return branch::call_indirect(regs, bus, op),
        _ => return execute_rarer(regs, bus, op),
    }
    regs.rip = op.next_rip(regs);
    Ok(Flow::Next)
}

/// The less frequent instructions, out of the way of the others.
#[inline(never)]
fn execute_rarer<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Result<Flow, Stall> {
    let (old, size) = (regs.rflags, op.size);
    match op.kind {
        Kind::Adc => alu::binary(regs, bus, op, |a, b| alu::adc(a, b, old & flags::CF, size))?,
        Kind::Sbb => alu::binary(regs, bus, op, |a, b| alu::sbb(a, b, old & flags::CF, size))?,
        Kind::Rol => alu::binary(regs, bus, op, |a, n| shift::rol(a, n, old, size))?,
        Kind::Ror => alu::binary(regs, bus, op, |a, n| shift::ror(a, n, old, size))?,
        Kind::Rcl => alu::binary(regs, bus, op, |a, n| shift::rcl(a, n, old, size))?,
        Kind::Rcr => alu::binary(regs, bus, op, |a, n| shift::rcr(a, n, old, size))?,
        Kind::Shld | Kind::Shrd => shift::double(regs, bus, op)?,
        Kind::Mul | Kind::ImulWide => muldiv::multiply_wide(regs, bus, op)?,
        Kind::Imul | Kind::Imul3 => muldiv::multiply(regs, bus, op)?,
        Kind::Div | Kind::Idiv => muldiv::divide(regs, bus, op)?,
        Kind::Bt | Kind::Bts | Kind::Btr | Kind::Btc => bits::test_bit(regs, bus, op)?,
        Kind::Bsf | Kind::Bsr => bits::scan_bits(regs, bus, op)?,
        Kind::Popcnt => bits::count_bits(regs, bus, op)?,
        Kind::Bswap => mov::bswap(regs, op),
        Kind::Cbw => mov::widen_accumulator(regs, op),
        Kind::Cwd => mov::sign_to_rdx(regs, op),
        Kind::Xchg => mov::xchg(regs, bus, op)?,
        Kind::Xlat => mov::xlat(regs, bus, op)?,
        Kind::Lahf => mov::lahf(regs),
        Kind::Sahf => mov::sahf(regs),
        Kind::Cmpxchg => atomic::cmpxchg(regs, bus, op)?,
        Kind::Xadd => atomic::xadd(regs, bus, op)?,
        Kind::Cmpxchg8b => atomic::cmpxchg_pair(regs, bus, op, Size::B4)?,
        Kind::Cmpxchg16b => atomic::cmpxchg_pair(regs, bus, op, Size::B8)?,
        // SFENCE only orders stores, which the store buffer does by itself; the SDM (vol. 3A
        // §11.10) nevertheless has it drain the buffer.
        Kind::Mfence | Kind::Sfence => bus.drain()?,
        Kind::Lfence => {}
        Kind::Clc => regs.rflags &= !flags::CF,
        Kind::Stc => regs.rflags |= flags::CF,
        Kind::Cmc => regs.rflags ^= flags::CF,
        Kind::Cld => regs.rflags &= !flags::DF,
        Kind::Std => regs.rflags |= flags::DF,
        Kind::Pushf => stack::pushf(regs, bus, op)?,
        Kind::Popf => return stack::popf(regs, bus, op),
        Kind::Enter => stack::enter(regs, bus, op)?,
        Kind::PushSeg => stack::push_segment(regs, bus, op)?,
        Kind::Retf => return branch::retf(regs, bus, op),
        Kind::Loop | Kind::Loope | Kind::Loopne => return branch::looping(regs, bus, op),
        Kind::Jrcxz => return branch::jump_if_zero(regs, bus, op),
        Kind::Movs | Kind::Cmps | Kind::Scas | Kind::Lods | Kind::Stos | Kind::Ins | Kind::Outs => {
            return string::string(regs, bus, op);
        }
        _ => return system::execute(regs, bus, op),
    }
    regs.rip = op.next_rip(regs);
    Ok(Flow::Next)
}
