//! The frequent instructions as functions of their operands and the old flags, for callers that
//! keep values elsewhere than in registers.

use super::alu::{self, Out};
use super::operand::mask;
use super::{Size, shift};
use crate::op::{Form, Kind, Op, reg};

/// An instruction with two operands (or one: the second does not count) and one result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Pure {
    Add,
    Or,
    And,
    Sub,
    Xor,
    Inc,
    Dec,
    Shl,
    Shr,
    Sar,
}

/// Where an operand stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// In the low bytes of a general-purpose register.
    Register(u8),
    /// In memory.
    Memory,
    /// In the instruction.
    Immediate(u64),
}

/// The two operands of an instruction, if they are whole registers of 4 or 8 bytes (or parts of them,
/// of one that only sets flags), memory, or immediate.
pub(crate) fn operands(op: &Op) -> Option<[Operand; 2]> {
    let is_high = |id: u8| (reg::HIGH_BYTE..reg::RIP).contains(&id);
    let high = is_high(op.dst) || is_high(op.src);
    if high || op.size < Size::B4 && !matches!(op.kind, Kind::Cmp | Kind::Test) {
        return None;
    }
    let immediate = Operand::Immediate(op.imm);
    let a = match op.form {
        Form::Mem | Form::MemReg | Form::MemImm => Operand::Memory,
        _ if op.dst < 16 => Operand::Register(op.dst),
        _ => immediate,
    };
    let b = match op.form {
        Form::RegReg | Form::MemReg => Operand::Register(op.src & 15),
        Form::RegMem | Form::Mem => Operand::Memory,
        _ => immediate,
    };
    Some([a, b])
}

impl Pure {
    /// The function of an instruction; CMP and TEST have those of SUB and AND.
    pub(crate) fn of(kind: Kind) -> Option<Pure> {
        Some(match kind {
            Kind::Add => Pure::Add,
            Kind::Or => Pure::Or,
            Kind::And | Kind::Test => Pure::And,
            Kind::Sub | Kind::Cmp => Pure::Sub,
            Kind::Xor => Pure::Xor,
            Kind::Inc => Pure::Inc,
            Kind::Dec => Pure::Dec,
            Kind::Shl => Pure::Shl,
            Kind::Shr => Pure::Shr,
            Kind::Sar => Pure::Sar,
            _ => return None,
        })
    }

    /// True if the new status flags depend on the old ones.
    pub(crate) fn reads_flags(self) -> bool {
        matches!(self, Pure::Inc | Pure::Dec | Pure::Shl | Pure::Shr | Pure::Sar)
    }

    /// Result and status flags, by the low `size` bytes of `a` and `b`. Always inlined: where nobody
    /// wants the flags, the compiler leaves them out.
    #[inline(always)]
    pub(crate) fn apply(self, a: u64, b: u64, old: u64, size: Size) -> Out {
        let (a, b) = (a & mask(size), b & mask(size));
        match self {
            Pure::Add => alu::add(a, b, size),
            Pure::Or => alu::logic(a | b, size),
            Pure::And => alu::logic(a & b, size),
            Pure::Sub => alu::sub(a, b, size),
            Pure::Xor => alu::logic(a ^ b, size),
            Pure::Inc => alu::inc(a, old, size),
            Pure::Dec => alu::dec(a, old, size),
            Pure::Shl => shift::shl(a, b, old, size),
            Pure::Shr => shift::shr(a, b, old, size),
            Pure::Sar => shift::sar(a, b, old, size),
        }
    }
}
