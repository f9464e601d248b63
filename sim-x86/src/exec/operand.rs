//! HOT: operands of an [`Op`]: registers of every width, effective addresses, memory.

use super::alu::Out;
use super::{Access, Bus, Exception, Size, Stall};
use crate::core::regs::{Registers, flags, gpr};
use crate::op::{Address, Form, Op, flag, reg};

/// Bits in an operand.
#[inline(always)]
pub(crate) const fn bits(size: Size) -> u32 {
    size as u32 * 8
}

/// All ones in the operand's width.
#[inline(always)]
pub(crate) const fn mask(size: Size) -> u64 {
    u64::MAX >> (64 - bits(size))
}

/// The operand sign-extended to 64 bits.
#[inline(always)]
pub(crate) const fn sign_extend(value: u64, size: Size) -> u64 {
    let unused = 64 - bits(size);
    ((value << unused) as i64 >> unused) as u64
}

/// True if bits 63:47 are equal (48-bit linear addresses, SDM vol. 1 §3.3.7.1).
#[inline(always)]
pub(crate) const fn canonical(addr: u64) -> bool {
    ((addr << 16) as i64 >> 16) as u64 == addr
}

/// #GP(0).
pub(crate) const GP0: Stall = Stall::Fault(Exception::GeneralProtection(0));

/// #GP(0) unless `condition`.
#[inline(always)]
pub(crate) fn require(condition: bool) -> Access<()> {
    if condition { Ok(()) } else { Err(GP0) }
}

/// [`Op::memory_fault`] of an instruction with these flags: by value, so that a specialised copy of
/// the instruction need not lie in memory.
#[cold]
#[inline(never)]
fn memory_fault(flags: u8, stall: Stall) -> Stall {
    if flags & flag::STACK != 0 { as_stack_fault(stall) } else { stall }
}

/// A non-canonical address in the stack segment is #SS, not #GP (SDM vol. 1 §3.3.7.1).
#[cold]
pub(crate) fn as_stack_fault(stall: Stall) -> Stall {
    if stall == GP0 { Stall::Fault(Exception::StackFault(0)) } else { stall }
}

/// Replaces the status flags.
#[inline(always)]
pub(crate) fn set_status(regs: &mut Registers, status: u64) {
    regs.rflags = regs.rflags & !flags::STATUS | status;
}

/// Where the operand begins in its register: bit 8 for AH, CH, DH and BH.
#[inline(always)]
fn low_bit(id: u8, size: Size) -> u8 {
    if size == Size::B1 { (id & reg::HIGH_BYTE) >> 1 } else { 0 }
}

/// A register operand, zero-extended.
#[inline(always)]
pub(crate) fn read_reg(regs: &Registers, id: u8, size: Size) -> u64 {
    let shift = low_bit(id, size);
    (regs.gpr[usize::from(id & 15)] >> shift) & mask(size)
}

/// Writes a register: 32 bits clear the upper half, 8 and 16 keep the rest.
#[inline(always)]
pub(crate) fn write_reg(regs: &mut Registers, id: u8, size: Size, value: u64) {
    let shift = low_bit(id, size);
    let written = if size >= Size::B4 { u64::MAX } else { mask(size) << shift };
    let slot = &mut regs.gpr[usize::from(id & 15)];
    *slot = *slot & !written | (value & mask(size)) << shift;
}

/// Writes the low part of an implicit register operand.
#[inline(always)]
pub(crate) fn write_gpr(regs: &mut Registers, number: usize, size: Size, value: u64) {
    write_reg(regs, number as u8, size, value);
}

/// Reads the low part of an implicit register operand.
#[inline(always)]
pub(crate) fn read_gpr(regs: &Registers, number: usize, size: Size) -> u64 {
    read_reg(regs, number as u8, size)
}

impl Op {
    /// Address of the next instruction.
    #[inline(always)]
    pub(crate) fn next_rip(&self, regs: &Registers) -> u64 {
        regs.rip.wrapping_add(u64::from(self.len))
    }

    /// Effective address without the segment base: what LEA computes.
    #[inline(always)]
    pub(crate) fn offset(&self, regs: &Registers) -> u64 {
        let base = match self.base {
            n if n < 16 => regs.gpr[usize::from(n & 15)],
            reg::RIP => self.next_rip(regs),
            reg::ABSOLUTE => return self.imm,
            _ => 0,
        };
        let index = if self.index < 16 { regs.gpr[usize::from(self.index & 15)] } else { 0 };
        self.cut(base.wrapping_add(index << self.scale).wrapping_add(i64::from(self.disp) as u64))
    }

    /// An effective address in the instruction's address size.
    #[inline(always)]
    pub(crate) fn cut(&self, offset: u64) -> u64 {
        if self.has(flag::ADDR32) { offset & 0xffff_ffff } else { offset }
    }

    /// Base of the segment that a prefix names.
    #[inline(always)]
    pub(crate) fn segment_base(&self, regs: &Registers) -> u64 {
        if !self.has(flag::FS | flag::GS) {
            0
        } else if self.has(flag::GS) {
            regs.gs_base
        } else {
            regs.fs_base
        }
    }

    /// Linear address of the memory operand. HOT.
    #[inline(always)]
    pub(crate) fn address(&self, regs: &Registers) -> u64 {
        let disp = i64::from(self.disp) as u64;
        match self.address {
            Address::Based => regs.gpr[usize::from(self.base & 15)].wrapping_add(disp),
            Address::Relative => self.next_rip(regs).wrapping_add(disp),
            Address::General => self.offset(regs).wrapping_add(self.segment_base(regs)),
        }
    }

    /// What a fault of the memory operand really is, by its segment.
    #[inline(always)]
    pub(crate) fn memory_fault(&self, stall: Stall) -> Stall {
        memory_fault(self.flags, stall)
    }

    /// Loads the memory operand.
    #[inline(always)]
    pub(crate) fn load<B: Bus>(&self, regs: &Registers, bus: &mut B, size: Size) -> Access<u64> {
        bus.load(regs, self.address(regs), size).map_err(|stall| self.memory_fault(stall))
    }

    /// Stores to the memory operand.
    #[inline(always)]
    pub(crate) fn store<B: Bus>(
        &self,
        regs: &Registers,
        bus: &mut B,
        size: Size,
        value: u64,
    ) -> Access<()> {
        bus.store(regs, self.address(regs), size, value).map_err(|stall| self.memory_fault(stall))
    }

    /// The second operand.
    #[inline(always)]
    pub(crate) fn source<B: Bus>(&self, regs: &Registers, bus: &mut B) -> Access<u64> {
        match self.form {
            Form::RegReg | Form::MemReg => Ok(read_reg(regs, self.src, self.size)),
            Form::RegMem => self.load(regs, bus, self.size),
            _ => Ok(self.imm),
        }
    }

    /// The first operand, to be read only.
    #[inline(always)]
    pub(crate) fn destination<B: Bus>(&self, regs: &Registers, bus: &mut B) -> Access<u64> {
        match self.form {
            Form::Mem | Form::MemReg | Form::MemImm => self.load(regs, bus, self.size),
            _ => Ok(read_reg(regs, self.dst, self.size)),
        }
    }

    /// The register-or-memory operand of a one-operand instruction or the second of a
    /// two-operand one, with a width of its own.
    #[inline(always)]
    pub(crate) fn read_rm<B: Bus>(&self, regs: &Registers, bus: &mut B, size: Size) -> Access<u64> {
        match self.form {
            Form::Reg => Ok(read_reg(regs, self.dst, size)),
            Form::RegReg => Ok(read_reg(regs, self.src, size)),
            _ => self.load(regs, bus, size),
        }
    }

    /// Writes the first operand.
    #[inline(always)]
    pub(crate) fn write<B: Bus>(
        &self,
        regs: &mut Registers,
        bus: &mut B,
        value: u64,
    ) -> Access<()> {
        match self.form {
            Form::Mem | Form::MemReg | Form::MemImm => self.store(regs, bus, self.size, value),
            _ => {
                write_reg(regs, self.dst, self.size, value);
                Ok(())
            }
        }
    }

    /// First operand = `f`(first operand), with the status flags that `f` returns.
    #[inline(always)]
    pub(crate) fn modify<B: Bus>(
        &self,
        regs: &mut Registers,
        bus: &mut B,
        f: impl FnOnce(u64) -> Out,
    ) -> Access<()> {
        match self.form {
            Form::Mem | Form::MemReg | Form::MemImm => {
                let addr = self.address(regs);
                self.modify_memory(regs, bus, addr, f)
            }
            _ => {
                let (value, status) = f(read_reg(regs, self.dst, self.size));
                write_reg(regs, self.dst, self.size, value);
                set_status(regs, status);
                Ok(())
            }
        }
    }

    /// Read-modify-write of memory at `addr`, locked if the instruction says so.
    #[inline(always)]
    pub(crate) fn modify_memory<B: Bus>(
        &self,
        regs: &mut Registers,
        bus: &mut B,
        addr: u64,
        f: impl FnOnce(u64) -> Out,
    ) -> Access<()> {
        let status = if self.has(flag::LOCK) {
            let bytes = self.size as u8;
            let old = bus.locked_read(regs, addr, bytes).map_err(|e| self.memory_fault(e))?;
            let (value, status) = f(old as u64);
            bus.locked_write(addr, bytes, u128::from(value));
            status
        } else {
            let old = bus.load_for_write(regs, addr, self.size);
            let (value, status) = f(old.map_err(|e| self.memory_fault(e))?);
            bus.store(regs, addr, self.size, value).map_err(|e| self.memory_fault(e))?;
            status
        };
        set_status(regs, status);
        Ok(())
    }
}

/// RSP, the stack pointer.
#[inline(always)]
pub(crate) fn rsp(regs: &Registers) -> u64 {
    regs.gpr[gpr::RSP]
}
