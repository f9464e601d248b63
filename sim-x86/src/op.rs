//! Predecoded instructions: what [`crate::exec::execute`] runs.
//!
//! An [`Op`] is decoded once, from the bytes at its address, and then kept by the core as long as
//! those bytes stay. Everything that can be known from the bytes alone is worked out here, so that
//! execution is one jump on the kind and no more questions: operand form, register numbers, sign
//! extended immediates and displacements, condition, and the cycles it costs.
//!
//! The instruction set is that of a Westmere core without x87, MMX, SSE and virtualisation:
//! encodings that later cores gave a meaning (`F3 0F BC`: TZCNT) keep their older one (BSF).

mod cost;
mod decode;
pub(crate) mod effects;
mod kind;

#[cfg(test)]
mod tests;

pub use kind::implemented;

use crate::core::regs::Registers;
use crate::exec::Size;
use crate::exec::fast::Fast;
use iced_x86::{Formatter, GasFormatter};
pub(crate) use kind::Kind;

/// Longest instruction, bytes (SDM vol. 2A §2.3.11).
pub const MAX_INSTRUCTION_BYTES: usize = 15;

/// Where an instruction's operands are; the destination comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// No explicit operand.
    None,
    /// One register.
    Reg,
    /// One memory operand.
    Mem,
    /// One immediate.
    Imm,
    /// Register, register.
    RegReg,
    /// Register, immediate.
    RegImm,
    /// Register, memory.
    RegMem,
    /// Memory, register.
    MemReg,
    /// Memory, immediate.
    MemImm,
}

/// Register numbers beyond the sixteen of the encoding.
pub(crate) mod reg {
    /// Set in the number of AH, CH, DH and BH: bits 15:8 of the register in the low four bits.
    pub(crate) const HIGH_BYTE: u8 = 0x10;
    /// As base of a memory operand: the address of the next instruction.
    pub(crate) const RIP: u8 = 0x20;
    /// As base of a memory operand: the 64-bit address in [`super::Op::imm`] (opcodes A0 to A3).
    pub(crate) const ABSOLUTE: u8 = 0x21;
    /// No register.
    pub(crate) const NONE: u8 = 0xff;
}

/// Bits of [`Op::flags`].
pub(crate) mod flag {
    /// LOCK prefix.
    pub(crate) const LOCK: u8 = 1 << 0;
    /// REP or REPE prefix on a string instruction.
    pub(crate) const REP: u8 = 1 << 1;
    /// REPNE prefix on a string instruction.
    pub(crate) const REPNE: u8 = 1 << 2;
    /// Addresses and counts of 32 bits (prefix 67).
    pub(crate) const ADDR32: u8 = 1 << 3;
    /// The memory operand is in the stack segment: a non-canonical address is #SS, not #GP.
    pub(crate) const STACK: u8 = 1 << 4;
    /// The memory operand has the base of FS added.
    pub(crate) const FS: u8 = 1 << 5;
    /// The memory operand has the base of GS added.
    pub(crate) const GS: u8 = 1 << 6;
    /// The count of a double shift is in CL.
    pub(crate) const COUNT_CL: u8 = 1 << 7;
}

/// How the address of a memory operand is worked out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// Base register and displacement: most operands.
    Based,
    /// Next instruction and displacement.
    Relative,
    /// In any way.
    General,
}

/// Bits of [`Op::place`].
pub(crate) mod place {
    /// The next one in the page's list follows it in memory, in the same line, and ends there.
    pub(crate) const SMOOTH: u8 = 1 << 0;
    /// It runs over into the next line.
    pub(crate) const CROSSES: u8 = 1 << 1;
}

/// One predecoded instruction. Derived from memory, never part of the machine's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Op {
    pub(crate) kind: Kind,
    pub(crate) form: Form,
    pub(crate) size: Size,
    pub(crate) len: u8,
    pub(crate) dst: u8,
    pub(crate) src: u8,
    pub(crate) base: u8,
    pub(crate) index: u8,
    /// Left shift of the index register.
    pub(crate) scale: u8,
    /// Condition in the encoding of Jcc, 0–15.
    pub(crate) cond: u8,
    pub(crate) flags: u8,
    /// Specialised handler; decided by kind, form and size.
    pub(crate) fast: Fast,
    pub(crate) cost: u16,
    /// Cycles on top of `cost` when the instruction's condition turns out so: branch taken, end of
    /// a REP string instruction, IRET to ring 3, serialising WRMSR.
    pub(crate) extra: u16,
    pub(crate) disp: i32,
    pub(crate) address: Address,
    /// Where it lies in its page; set by [`crate::core::code`].
    pub(crate) place: u8,
    /// Immediate cut to the operand size, distance of a relative branch, or, of a memory-operand
    /// instruction with a second immediate, that one.
    pub(crate) imm: u64,
}

const _: () = assert!(size_of::<Op>() == 32);

/// Result of decoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoded {
    /// An instruction (one that raises #UD, or that is not implemented, is one too).
    Op(Op),
    /// The bytes end within the instruction.
    NeedMore,
}

impl Op {
    /// Decodes the instruction that starts `bytes` and lies at `rip`; give all bytes up to
    /// [`MAX_INSTRUCTION_BYTES`] that can be fetched. `costs` is baked into the result.
    #[must_use]
    pub fn decode(bytes: &[u8], rip: u64, costs: &crate::spec::InstructionCosts) -> Decoded {
        decode::decode(bytes, rip, costs)
    }

    /// Length in bytes, 1 to 15.
    #[inline]
    #[must_use]
    pub fn length(&self) -> u64 {
        u64::from(self.len)
    }

    /// Cycles by the preset's table, without memory time and what the instruction charges to
    /// [`crate::exec::Bus::charge`] while it runs.
    #[inline]
    #[must_use]
    pub fn cost(&self) -> u32 {
        u32::from(self.cost)
    }

    /// True if RIP after it need not be that of the next instruction, or if the core has to look
    /// at its result before it goes on: the end of a straight run of instructions.
    #[must_use]
    pub fn ends_block(&self) -> bool {
        self.kind.is_branch() || self.flags & (flag::REP | flag::REPNE) != 0
    }

    /// True if [`crate::exec::execute`] refuses it with [`crate::exec::Stall::Unimplemented`].
    #[must_use]
    pub fn is_unimplemented(&self) -> bool {
        self.kind == Kind::Unimplemented
    }

    /// True for an instruction of the PAUSE kind: the mark of a spin loop.
    #[must_use]
    pub fn is_pause(&self) -> bool {
        self.kind == Kind::Pause
    }

    /// The register, if this is `dec` of a 64-bit register: the head of a counted delay loop.
    #[must_use]
    pub fn decremented(&self) -> Option<u8> {
        let dec = self.kind == Kind::Dec && self.form == Form::Reg && self.size == Size::B8;
        dec.then_some(self.dst)
    }

    /// True if all that it does to memory is to read its explicit operand, if it has one there:
    /// what loops are made of that only poll.
    pub(crate) fn only_polls(&self) -> bool {
        use Kind::*;
        match self.form {
            Form::Mem | Form::MemReg | Form::MemImm => matches!(self.kind, Cmp | Test),
            Form::None | Form::Reg | Form::Imm | Form::RegReg | Form::RegImm | Form::RegMem => {
                matches!(
                    self.kind,
                    Mov | Movzx8
                        | Movzx16
                        | Movsx8
                        | Movsx16
                        | Movsx32
                        | Lea
                        | Add
                        | Sub
                        | And
                        | Or
                        | Xor
                        | Cmp
                        | Test
                        | Inc
                        | Dec
                        | Shl
                        | Shr
                        | Jcc
                        | Jmp
                        | Nop
                        | Pause
                )
            }
        }
    }

    /// True if an instruction that [`Op::only_polls`] has an operand in memory.
    pub(crate) fn reads_memory(&self) -> bool {
        let memory = matches!(self.form, Form::RegMem | Form::Mem | Form::MemReg | Form::MemImm);
        memory && self.kind != Kind::Lea
    }

    /// Linear address of the operand in memory, of an instruction that [`Op::only_polls`].
    pub(crate) fn loads_from(&self, regs: &Registers) -> Option<u64> {
        self.reads_memory().then(|| self.address(regs))
    }

    /// True for a direct jump, which may close a loop (calls and returns do not).
    #[inline]
    #[must_use]
    pub fn is_jump(&self) -> bool {
        matches!(self.kind, Kind::Jcc | Kind::Jmp | Kind::Loop | Kind::Loope | Kind::Loopne)
    }

    /// True for `jnz`.
    #[must_use]
    pub fn is_jnz(&self) -> bool {
        const NOT_ZERO: u8 = 5;
        self.kind == Kind::Jcc && self.cond == NOT_ZERO
    }

    #[inline(always)]
    pub(crate) fn has(&self, flags: u8) -> bool {
        self.flags & flags != 0
    }
}

/// The first instruction of `bytes` in AT&T syntax, as a kernel's oops would be read.
#[must_use]
pub fn disassemble(bytes: &[u8], rip: u64) -> String {
    let instruction = decode::decoder(bytes, rip).decode();
    let mut text = String::new();
    let mut formatter = GasFormatter::new();
    let options = formatter.options_mut();
    options.set_space_after_operand_separator(true);
    options.set_small_hex_numbers_in_decimal(true);
    options.set_branch_leading_zeros(false);
    formatter.format(&instruction, &mut text);
    text
}
