//! Multiplication and division.

use super::alu::{Out, result_flags};
use super::operand::{
    bits, mask, read_gpr, read_reg, set_status, sign_extend, write_gpr, write_reg,
};
use super::{Access, Bus, Exception, Size, Stall};
use crate::core::regs::{Registers, flags, gpr};
use crate::op::{Kind, Op};

const DIVIDE_ERROR: Stall = Stall::Fault(Exception::DivideError);

/// CF and OF together.
fn overflow_flags(lost: bool) -> u64 {
    if lost { flags::CF | flags::OF } else { 0 }
}

/// MUL: low and high half. Flags: CF and OF if the high half is not 0.
pub(crate) fn mul(a: u64, b: u64, size: Size) -> (u64, Out) {
    let product = u128::from(a) * u128::from(b);
    let (low, high) = (product as u64 & mask(size), (product >> bits(size)) as u64);
    (high, (low, wide_flags(low, size) | overflow_flags(high != 0)))
}

/// IMUL: low and high half. Flags: CF and OF if the product does not fit the low half.
pub(crate) fn imul(a: u64, b: u64, size: Size) -> (u64, Out) {
    let (a, b) = (sign_extend(a, size) as i64, sign_extend(b, size) as i64);
    let product = i128::from(a) * i128::from(b);
    let low = product as u64 & mask(size);
    let high = (product >> bits(size)) as u64 & mask(size);
    let lost = i128::from(sign_extend(low, size) as i64) != product;
    (high, (low, wide_flags(low, size) | overflow_flags(lost)))
}

/// SF, ZF, AF and PF after a multiplication are undefined by the manual.
fn wide_flags(low: u64, size: Size) -> u64 {
    result_flags(low, size) & !flags::ZF
}

/// DIV: quotient and remainder; #DE if the quotient does not fit.
pub(crate) fn div(high: u64, low: u64, divisor: u64, size: Size) -> Access<(u64, u64)> {
    // The high half below the divisor is the very condition for the quotient to fit.
    if high >= divisor {
        return Err(DIVIDE_ERROR);
    }
    let dividend = u128::from(high) << bits(size) | u128::from(low);
    if let Ok(dividend) = u64::try_from(dividend) {
        return Ok((dividend / divisor, dividend % divisor));
    }
    let divisor = u128::from(divisor);
    Ok(((dividend / divisor) as u64, (dividend % divisor) as u64))
}

/// IDIV: quotient (rounded to zero) and remainder (sign of the dividend); #DE if the quotient
/// does not fit.
pub(crate) fn idiv(high: u64, low: u64, divisor: u64, size: Size) -> Access<(u64, u64)> {
    let width = bits(size);
    let dividend = i128::from(sign_extend(high, size) as i64) << width | i128::from(low);
    let divisor = i128::from(sign_extend(divisor, size) as i64);
    // The host divides 64 bits an order of magnitude faster than 128.
    if let (Ok(dividend), Ok(divisor)) = (i64::try_from(dividend), i64::try_from(divisor))
        && let (Some(quotient), Some(remainder)) =
            (dividend.checked_div(divisor), dividend.checked_rem(divisor))
    {
        return fits(quotient.into(), remainder.into(), size);
    }
    let (Some(quotient), Some(remainder)) =
        (dividend.checked_div(divisor), dividend.checked_rem(divisor))
    else {
        return Err(DIVIDE_ERROR);
    };
    fits(quotient, remainder, size)
}

/// Cuts the results of a signed division to size; #DE if the quotient does not fit.
fn fits(quotient: i128, remainder: i128, size: Size) -> Access<(u64, u64)> {
    let low = quotient as u64 & mask(size);
    if i128::from(sign_extend(low, size) as i64) != quotient {
        return Err(DIVIDE_ERROR);
    }
    Ok((low, remainder as u64 & mask(size)))
}

/// MUL and IMUL with one operand: AX, DX:AX, EDX:EAX or RDX:RAX = accumulator × operand.
pub(super) fn multiply_wide<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let b = op.read_rm(regs, bus, op.size)?;
    let a = read_gpr(regs, gpr::RAX, op.size);
    let core = if op.kind == Kind::Mul { mul } else { imul };
    let (high, (low, status)) = core(a, b, op.size);
    set_wide(regs, op.size, high, low);
    set_status(regs, status);
    Ok(())
}

/// IMUL with two operands (the first is a factor too), or three (the last is immediate).
pub(super) fn multiply<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let b = op.read_rm(regs, bus, op.size)?;
    let a = if op.kind == Kind::Imul { read_reg(regs, op.dst, op.size) } else { op.imm };
    let (_, (value, status)) = imul(a, b, op.size);
    write_reg(regs, op.dst, op.size, value);
    set_status(regs, status);
    Ok(())
}

/// DIV and IDIV: the double-width accumulator by the operand.
pub(super) fn divide<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let divisor = op.read_rm(regs, bus, op.size)?;
    let (high, low) = if op.size == Size::B1 {
        let ax = regs.gpr[gpr::RAX];
        (ax >> 8 & 0xff, ax & 0xff)
    } else {
        (read_gpr(regs, gpr::RDX, op.size), read_gpr(regs, gpr::RAX, op.size))
    };
    let core = if op.kind == Kind::Div { div } else { idiv };
    let (quotient, remainder) = core(high, low, divisor, op.size)?;
    set_wide(regs, op.size, remainder, quotient);
    Ok(())
}

/// Writes high:low to AX, DX:AX, EDX:EAX or RDX:RAX.
fn set_wide(regs: &mut Registers, size: Size, high: u64, low: u64) {
    if size == Size::B1 {
        write_gpr(regs, gpr::RAX, Size::B2, (high & 0xff) << 8 | low);
    } else {
        write_gpr(regs, gpr::RAX, size, low);
        write_gpr(regs, gpr::RDX, size, high);
    }
}
