//! Shifts and rotates: pure functions from operand, count and old flags to value and status flags.
//!
//! A masked count of 0 changes no flag at all. Flags that the manual leaves undefined are those of
//! current Intel cores.

use super::alu::{Out, result_flags};
use super::operand::{bits, mask, read_gpr, read_reg, sign_extend};
use super::{Access, Bus, Size};
use crate::core::regs::{Registers, flags, gpr};
use crate::op::{Kind, Op, flag};

/// The count as the hardware sees it: modulo 64 for 64-bit operands, else modulo 32.
#[inline(always)]
fn masked(count: u64, size: Size) -> u32 {
    (count & if size == Size::B8 { 63 } else { 31 }) as u32
}

#[inline(always)]
fn carry_overflow(carry: u64, overflow: u64) -> u64 {
    carry & 1 | (overflow & 1) << 11
}

/// SHL, SAL. Flags: CF SF ZF PF; OF (for a count of 1) is the sign change.
#[inline(always)]
pub(crate) fn shl(a: u64, count: u64, old: u64, size: Size) -> Out {
    let count = masked(count, size);
    if count == 0 {
        return (a, old & flags::STATUS);
    }
    let (width, value) = (bits(size), (a << count) & mask(size));
    let carry = if count <= width { a >> (width - count) } else { 0 };
    (value, result_flags(value, size) | carry_overflow(carry, carry ^ value >> (width - 1)))
}

/// SHR. Flags: CF SF ZF PF; OF (for a count of 1) is the old sign.
#[inline(always)]
pub(crate) fn shr(a: u64, count: u64, old: u64, size: Size) -> Out {
    let count = masked(count, size);
    if count == 0 {
        return (a, old & flags::STATUS);
    }
    let value = a >> count;
    let overflow = a >> (bits(size) - 1);
    (value, result_flags(value, size) | carry_overflow(a >> (count - 1), overflow))
}

/// SAR. Flags: CF SF ZF PF; OF 0.
#[inline(always)]
pub(crate) fn sar(a: u64, count: u64, old: u64, size: Size) -> Out {
    let count = masked(count, size);
    if count == 0 {
        return (a, old & flags::STATUS);
    }
    let signed = sign_extend(a, size) as i64;
    let value = (signed >> count) as u64 & mask(size);
    (value, result_flags(value, size) | carry_overflow((signed >> (count - 1)) as u64, 0))
}

/// Keeps SF, ZF, AF and PF, which rotates leave alone.
#[inline(always)]
fn rotate_flags(old: u64, carry: u64, overflow: u64) -> u64 {
    old & (flags::STATUS & !flags::CF & !flags::OF) | carry_overflow(carry, overflow)
}

/// ROL. Flags: CF is the lowest bit of the result; OF (count 1) is the sign change.
#[inline(always)]
pub(crate) fn rol(a: u64, count: u64, old: u64, size: Size) -> Out {
    let (width, count) = (bits(size), masked(count, size));
    if count == 0 {
        return (a, old & flags::STATUS);
    }
    let turn = count % width;
    let value = if turn == 0 { a } else { (a << turn | a >> (width - turn)) & mask(size) };
    (value, rotate_flags(old, value, value ^ value >> (width - 1)))
}

/// ROR. Flags: CF is the highest bit of the result; OF (count 1) is its two highest bits' XOR.
#[inline(always)]
pub(crate) fn ror(a: u64, count: u64, old: u64, size: Size) -> Out {
    let (width, count) = (bits(size), masked(count, size));
    if count == 0 {
        return (a, old & flags::STATUS);
    }
    let turn = count % width;
    let value = if turn == 0 { a } else { (a >> turn | a << (width - turn)) & mask(size) };
    let top = value >> (width - 1);
    (value, rotate_flags(old, top, top ^ value >> (width - 2)))
}

/// RCL: rotation of the operand with CF above it. Flags: CF; OF (count 1) is the sign change.
pub(crate) fn rcl(a: u64, count: u64, old: u64, size: Size) -> Out {
    let width = bits(size);
    let turn = masked(count, size) % (width + 1);
    if turn == 0 {
        return (a, old & flags::STATUS);
    }
    let joined = u128::from(a) | u128::from(old & flags::CF) << width;
    let turned = joined << turn | joined >> (width + 1 - turn);
    let value = turned as u64 & mask(size);
    let carry = (turned >> width) as u64 & 1;
    (value, rotate_flags(old, carry, carry ^ value >> (width - 1)))
}

/// RCR: rotation of the operand with CF above it. Flags: CF; OF (count 1) is the XOR of the two
/// highest bits of the result.
pub(crate) fn rcr(a: u64, count: u64, old: u64, size: Size) -> Out {
    let width = bits(size);
    let turn = masked(count, size) % (width + 1);
    if turn == 0 {
        return (a, old & flags::STATUS);
    }
    let joined = u128::from(a) | u128::from(old & flags::CF) << width;
    let turned = joined >> turn | joined << (width + 1 - turn);
    let value = turned as u64 & mask(size);
    let carry = (turned >> width) as u64 & 1;
    (value, rotate_flags(old, carry, (value >> (width - 1)) ^ (value >> (width - 2))))
}

/// What a double shift of 16-bit operands by more than 16 goes on with: the destination again.
fn again(a: u64, size: Size) -> u64 {
    if size == Size::B2 { a } else { 0 }
}

/// SHLD: `a` shifted left, filled from the top of `b`. Flags: CF SF ZF PF; OF (count 1) is the
/// sign change.
pub(crate) fn shld(a: u64, b: u64, count: u64, old: u64, size: Size) -> Out {
    let (width, count) = (bits(size), masked(count, size));
    if count == 0 {
        return (a, old & flags::STATUS);
    }
    let joined = u128::from(a) << (128 - width)
        | u128::from(b) << (128 - 2 * width)
        | u128::from(again(a, size)) << 80;
    let value = ((joined << count) >> (128 - width)) as u64;
    let carry = (joined >> (128 - count)) as u64;
    (value, result_flags(value, size) | carry_overflow(carry, carry ^ value >> (width - 1)))
}

/// SHRD: `a` shifted right, filled from the bottom of `b`. Flags: CF SF ZF PF; OF (count 1) is
/// the sign change.
pub(crate) fn shrd(a: u64, b: u64, count: u64, old: u64, size: Size) -> Out {
    let (width, count) = (bits(size), masked(count, size));
    if count == 0 {
        return (a, old & flags::STATUS);
    }
    let joined = u128::from(again(a, size)) << 32 | u128::from(b) << width | u128::from(a);
    let value = (joined >> count) as u64 & mask(size);
    let carry = (joined >> (count - 1)) as u64;
    let overflow = (value >> (width - 1)) ^ (value >> (width - 2));
    (value, result_flags(value, size) | carry_overflow(carry, overflow))
}

/// SHLD and SHRD: the count is immediate or in CL.
pub(super) fn double<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let (old, size) = (regs.rflags, op.size);
    let in_cl = op.has(flag::COUNT_CL);
    let count = if in_cl { read_gpr(regs, gpr::RCX, Size::B1) } else { op.imm };
    let b = read_reg(regs, op.src, size);
    let core = if op.kind == Kind::Shld { shld } else { shrd };
    op.modify(regs, bus, |a| core(a, b, count, old, size))
}
