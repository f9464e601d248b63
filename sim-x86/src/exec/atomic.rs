//! CMPXCHG, XADD and the double-width compare-and-exchange.
//!
//! The other lockable instructions (ADD, BTS, …) need nothing of their own: [`Op::modify`] asks
//! the bus for a locked access when the instruction has the prefix.

use super::alu;
use super::operand::{read_gpr, read_reg, require, set_status, write_gpr, write_reg};
use super::{Access, Bus, Size};
use crate::core::regs::{Registers, flags, gpr};
use crate::op::{Form, Op, flag};

/// CMPXCHG: destination = source if it equals the accumulator, else accumulator = destination.
/// Flags: those of CMP. Only the register that is written has its upper half cleared; a memory
/// destination is always written, if only with its old value (SDM vol. 2A, CMPXCHG).
pub(super) fn cmpxchg<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let size = op.size;
    let expected = read_gpr(regs, gpr::RAX, size);
    let new = read_reg(regs, op.src, size);
    let compare = |old| alu::sub(expected, old, size).1;
    let old = if op.form == Form::RegReg {
        let old = read_reg(regs, op.dst, size);
        set_status(regs, compare(old));
        if old == expected {
            write_reg(regs, op.dst, size, new);
        }
        old
    } else {
        let mut seen = 0;
        let addr = op.address(regs);
        op.modify_memory(regs, bus, addr, |old| {
            seen = old;
            (if old == expected { new } else { old }, compare(old))
        })?;
        seen
    };
    if old != expected {
        write_gpr(regs, gpr::RAX, size, old);
    }
    Ok(())
}

/// XADD: source = destination, destination = their sum. Flags: those of ADD.
pub(super) fn xadd<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let (size, addend) = (op.size, read_reg(regs, op.src, op.size));
    if op.form == Form::RegReg {
        let old = read_reg(regs, op.dst, size);
        let (sum, status) = alu::add(old, addend, size);
        // In this order: with both operands the same register the sum remains.
        write_reg(regs, op.src, size, old);
        write_reg(regs, op.dst, size, sum);
        set_status(regs, status);
        return Ok(());
    }
    let mut seen = 0;
    let addr = op.address(regs);
    op.modify_memory(regs, bus, addr, |old| {
        seen = old;
        alu::add(old, addend, size)
    })?;
    write_reg(regs, op.src, size, seen);
    Ok(())
}

/// CMPXCHG8B and CMPXCHG16B: `half` is the width of one register of the pairs. Flags: ZF only.
pub(super) fn cmpxchg_pair<B: Bus>(
    regs: &mut Registers,
    bus: &mut B,
    op: &Op,
    half: Size,
) -> Access<()> {
    let width = super::operand::bits(half);
    let pair = |regs: &Registers, high, low| {
        u128::from(read_gpr(regs, high, half)) << width | u128::from(read_gpr(regs, low, half))
    };
    let expected = pair(regs, gpr::RDX, gpr::RAX);
    let new = pair(regs, gpr::RCX, gpr::RBX);
    let addr = op.address(regs);
    // Unlike all others the 16-byte form insists on alignment.
    require(half == Size::B4 || addr.is_multiple_of(16))?;
    let old = read_pair(regs, bus, op, addr, half)?;
    let value = if old == expected { new } else { old };
    if op.has(flag::LOCK) {
        bus.locked_write(addr, half as u8 * 2, value);
    } else if half == Size::B4 {
        bus.store(regs, addr, Size::B8, value as u64)?;
    } else {
        bus.store(regs, addr, half, value as u64)?;
        bus.store(regs, addr.wrapping_add(8), half, (value >> width) as u64)?;
    }
    if old == expected {
        regs.rflags |= flags::ZF;
    } else {
        regs.rflags &= !flags::ZF;
        write_gpr(regs, gpr::RAX, half, old as u64);
        write_gpr(regs, gpr::RDX, half, (old >> width) as u64);
    }
    Ok(())
}

/// Reads both halves, so that nothing can go wrong when they are written.
fn read_pair<B: Bus>(
    regs: &Registers,
    bus: &mut B,
    op: &Op,
    addr: u64,
    half: Size,
) -> Access<u128> {
    if op.has(flag::LOCK) {
        let old = bus.locked_read(regs, addr, half as u8 * 2);
        return old.map_err(|stall| op.memory_fault(stall));
    }
    let mut part =
        |addr, size| bus.load_for_write(regs, addr, size).map_err(|stall| op.memory_fault(stall));
    if half == Size::B4 {
        return part(addr, Size::B8).map(u128::from);
    }
    let (low, high) = (part(addr, half)?, part(addr.wrapping_add(8), half)?);
    bus.room(2)?;
    Ok(u128::from(high) << 64 | u128::from(low))
}
