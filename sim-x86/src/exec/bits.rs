//! Bit tests, scans and counts.

use super::alu::{Out, result_flags};
use super::operand::{bits, read_reg, set_status, sign_extend, write_reg};
use super::{Access, Bus, Size};
use crate::core::regs::{Registers, flags};
use crate::op::{Form, Kind, Op};

/// BT, BTS, BTR, BTC on a value. Flags: CF is the bit; the others stay.
pub(crate) fn bit_test(kind: Kind, a: u64, bit: u64, old: u64, size: Size) -> Out {
    let bit = bit & u64::from(bits(size) - 1);
    let one = 1 << bit;
    let value = match kind {
        Kind::Bts => a | one,
        Kind::Btr => a & !one,
        Kind::Btc => a ^ one,
        _ => a,
    };
    (value, old & flags::STATUS & !flags::CF | a >> bit & 1)
}

/// BSF (least bit) and BSR (greatest bit): `None` for 0. Flags: ZF if the operand is 0.
pub(crate) fn scan(kind: Kind, a: u64, size: Size) -> (Option<u64>, u64) {
    if a == 0 {
        return (None, result_flags(0, size));
    }
    let found = if kind == Kind::Bsf { a.trailing_zeros() } else { 63 - a.leading_zeros() };
    (Some(u64::from(found)), result_flags(u64::from(found), size) & !flags::ZF)
}

/// A bit-test instruction. A register bit offset reaches beyond a memory operand, in both
/// directions: the memory is a string of bits (SDM vol. 2A, BT).
pub(super) fn test_bit<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let bit = op.source(regs, bus)?;
    let (old, size) = (regs.rflags, op.size);
    if matches!(op.form, Form::RegReg | Form::RegImm) {
        let (value, status) = bit_test(op.kind, read_reg(regs, op.dst, size), bit, old, size);
        if op.kind != Kind::Bt {
            write_reg(regs, op.dst, size, value);
        }
        set_status(regs, status);
        return Ok(());
    }
    let mut addr = op.address(regs);
    if op.form == Form::MemReg {
        // The distance is part of the effective address, which a prefix may cut to 32 bits.
        let unit = sign_extend(bit, size) as i64 >> bits(size).trailing_zeros();
        let offset = op.offset(regs).wrapping_add((unit * size as i64) as u64);
        addr = op.cut(offset).wrapping_add(op.segment_base(regs));
    }
    if op.kind == Kind::Bt {
        let a = bus.load(regs, addr, size).map_err(|stall| op.memory_fault(stall))?;
        set_status(regs, bit_test(op.kind, a, bit, old, size).1);
        return Ok(());
    }
    op.modify_memory(regs, bus, addr, |a| bit_test(op.kind, a, bit, old, size))
}

/// BSF and BSR: for 0 the destination keeps all its 64 bits, as Intel's cores do.
pub(super) fn scan_bits<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let a = op.source(regs, bus)?;
    let (found, status) = scan(op.kind, a, op.size);
    if let Some(bit) = found {
        write_reg(regs, op.dst, op.size, bit);
    }
    set_status(regs, status);
    Ok(())
}

/// POPCNT. Flags: ZF if the operand is 0; all others 0.
pub(super) fn count_bits<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let a = op.source(regs, bus)?;
    write_reg(regs, op.dst, op.size, u64::from(a.count_ones()));
    set_status(regs, if a == 0 { flags::ZF } else { 0 });
    Ok(())
}
