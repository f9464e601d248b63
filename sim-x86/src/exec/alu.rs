//! HOT: addition, subtraction and logic: pure functions from operands to value and status flags.
//!
//! Operands come zero-extended from their width. Flags are computed at once and without branches:
//! about fifteen host instructions, cheaper than remembering what to compute later.

use super::operand::{bits, mask, set_status};
use super::{Access, Bus, Size};
use crate::core::regs::{Registers, flags};
use crate::op::Op;

/// A result, and the six status flags with it.
pub(crate) type Out = (u64, u64);

/// SF, ZF and PF of a result.
#[inline(always)]
pub(crate) fn result_flags(value: u64, size: Size) -> u64 {
    let zero = u64::from(value == 0) << 6;
    let sign = (value >> (bits(size) - 1)) << 7;
    // The nibble's parity, from a table in a constant.
    let nibble = (value ^ value >> 4) & 15;
    let parity = (0x9669_u64 >> nibble & 1) << 2;
    zero | sign | parity
}

#[inline(always)]
fn carries(value: u64, size: Size, carry: u64, overflow: u64, half: u64) -> u64 {
    let top = bits(size) - 1;
    result_flags(value, size) | (carry >> top & 1) | (overflow >> top & 1) << 11 | half & flags::AF
}

/// ADC. Flags: OF SF ZF AF PF CF.
#[inline(always)]
pub(crate) fn adc(a: u64, b: u64, carry: u64, size: Size) -> Out {
    let value = a.wrapping_add(b).wrapping_add(carry) & mask(size);
    let out = a & b | (a | b) & !value;
    (value, carries(value, size, out, (a ^ value) & (b ^ value), a ^ b ^ value))
}

/// SBB. Flags: OF SF ZF AF PF CF.
#[inline(always)]
pub(crate) fn sbb(a: u64, b: u64, borrow: u64, size: Size) -> Out {
    let value = a.wrapping_sub(b).wrapping_sub(borrow) & mask(size);
    let out = !a & b | (!a | b) & value;
    (value, carries(value, size, out, (a ^ b) & (a ^ value), a ^ b ^ value))
}

/// ADD, XADD. Flags: OF SF ZF AF PF CF.
#[inline(always)]
pub(crate) fn add(a: u64, b: u64, size: Size) -> Out {
    adc(a, b, 0, size)
}

/// SUB, CMP. Flags: OF SF ZF AF PF CF.
#[inline(always)]
pub(crate) fn sub(a: u64, b: u64, size: Size) -> Out {
    sbb(a, b, 0, size)
}

/// AND, OR, XOR and TEST of an already combined value. Flags: SF ZF PF; OF and CF 0, and AF
/// (undefined by the manual) 0, as Intel's cores have it.
#[inline(always)]
pub(crate) fn logic(value: u64, size: Size) -> Out {
    (value, result_flags(value, size))
}

/// INC. Flags: OF SF ZF AF PF; CF as in `old`.
#[inline(always)]
pub(crate) fn inc(a: u64, old: u64, size: Size) -> Out {
    let (value, status) = add(a, 1, size);
    (value, status & !flags::CF | old & flags::CF)
}

/// DEC. Flags: OF SF ZF AF PF; CF as in `old`.
#[inline(always)]
pub(crate) fn dec(a: u64, old: u64, size: Size) -> Out {
    let (value, status) = sub(a, 1, size);
    (value, status & !flags::CF | old & flags::CF)
}

/// NEG: 0 − a. Flags: OF SF ZF AF PF CF (set unless a is 0).
#[inline(always)]
pub(crate) fn neg(a: u64, size: Size) -> Out {
    sub(0, a, size)
}

/// NOT. Flags: none.
#[inline(always)]
pub(crate) fn not(a: u64, old: u64, size: Size) -> Out {
    (!a & mask(size), old & flags::STATUS)
}

/// A two-operand instruction that writes its first operand.
#[inline(always)]
pub(super) fn binary<B: Bus>(
    regs: &mut Registers,
    bus: &mut B,
    op: &Op,
    f: impl FnOnce(u64, u64) -> Out,
) -> Access<()> {
    let b = op.source(regs, bus)?;
    op.modify(regs, bus, |a| f(a, b))
}

/// A two-operand instruction that only sets flags.
#[inline(always)]
pub(super) fn compare<B: Bus>(
    regs: &mut Registers,
    bus: &mut B,
    op: &Op,
    f: impl FnOnce(u64, u64) -> Out,
) -> Access<()> {
    let b = op.source(regs, bus)?;
    let a = op.destination(regs, bus)?;
    set_status(regs, f(a, b).1);
    Ok(())
}
