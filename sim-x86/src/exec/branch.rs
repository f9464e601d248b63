//! HOT: jumps, calls and returns. A non-canonical target faults at the branch itself.

use super::mov::condition;
use super::operand::{GP0, as_stack_fault, canonical, require, rsp};
use super::stack::{counter, drop_bytes, peek_value, push_value, set_counter};
use super::{Access, Bus, Exception, Flow, Size, Stall};
use crate::core::regs::{Registers, flags};
use crate::op::{Kind, Op};

/// Sets RIP.
#[inline(always)]
fn go(regs: &mut Registers, target: u64) -> Access<Flow> {
    require(canonical(target))?;
    regs.rip = target;
    Ok(Flow::Taken)
}

/// Target of a relative branch.
#[inline(always)]
fn relative(regs: &Registers, op: &Op) -> u64 {
    op.next_rip(regs).wrapping_add(op.imm)
}

/// Jumps if `taken`, at the price of a taken branch; else falls through.
#[inline(always)]
fn branch<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op, taken: bool) -> Access<Flow> {
    if !taken {
        regs.rip = op.next_rip(regs);
        return Ok(Flow::Next);
    }
    let flow = go(regs, relative(regs, op))?;
    bus.charge(op.extra.into());
    Ok(flow)
}

/// JMP to a relative target.
#[inline(always)]
pub(super) fn jmp(regs: &mut Registers, op: &Op) -> Access<Flow> {
    go(regs, relative(regs, op))
}

/// Jcc.
#[inline(always)]
pub(super) fn jcc<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    branch(regs, bus, op, condition(op.cond, regs.rflags))
}

/// Pushes the return address and jumps.
#[inline(always)]
fn call_to<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op, target: u64) -> Access<Flow> {
    if !canonical(target) {
        // A fault of the push comes first.
        let top = rsp(regs).wrapping_sub(8);
        bus.load_for_write(regs, top, Size::B8).map_err(as_stack_fault)?;
        return Err(GP0);
    }
    push_value(regs, bus, Size::B8, op.next_rip(regs))?;
    go(regs, target)
}

/// CALL of a relative target.
#[inline(always)]
pub(super) fn call<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    call_to(regs, bus, op, relative(regs, op))
}

/// JMP through a register or memory.
pub(super) fn jmp_indirect<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    let target = op.destination(regs, bus)?;
    go(regs, target)
}

/// CALL through a register or memory.
pub(super) fn call_indirect<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    let target = op.destination(regs, bus)?;
    call_to(regs, bus, op, target)
}

/// RET, also with bytes to drop.
#[inline(always)]
pub(super) fn ret<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    let target = peek_value(regs, bus, Size::B8, 0)?;
    let flow = go(regs, target)?;
    drop_bytes(regs, 8u64.wrapping_add(op.imm));
    Ok(flow)
}

/// Far RET: loads CS as well, and RSP and SS when it leads to an outer ring. Descriptors are not
/// read: any selector that is not null and not of an inner ring is taken for 64-bit code.
pub(super) fn retf<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    let word = op.size as u64;
    // Intel's cores read the selector first, and of its slot only the selector.
    let cs = peek_value(regs, bus, Size::B2, word)? as u16;
    let target = peek_value(regs, bus, op.size, 0)?;
    let (ring, cpl) = (cs & 3, u16::from(regs.cpl()));
    require(cs & !3 != 0)?;
    if ring < cpl {
        return Err(Stall::Fault(Exception::GeneralProtection(cs & !3)));
    }
    if ring == cpl {
        let flow = go(regs, target)?;
        drop_bytes(regs, 2 * word + op.imm);
        regs.sel.cs = cs;
        return Ok(flow);
    }
    let stack = peek_value(regs, bus, op.size, 2 * word + op.imm)?;
    let ss = peek_value(regs, bus, Size::B2, 3 * word + op.imm)? as u16;
    go(regs, target)?;
    regs.sel.cs = cs;
    regs.sel.ss = ss;
    regs.gpr[crate::core::regs::gpr::RSP] = stack.wrapping_add(op.imm);
    Ok(Flow::Ring)
}

/// LOOP, LOOPE, LOOPNE. Flags: none.
pub(super) fn looping<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    let (count, width) = counter(regs, op);
    let count = count.wrapping_sub(1) & super::operand::mask(width);
    let zero = regs.rflags & flags::ZF != 0;
    let wanted = match op.kind {
        Kind::Loope => zero,
        Kind::Loopne => !zero,
        _ => true,
    };
    let flow = branch(regs, bus, op, count != 0 && wanted)?;
    set_counter(regs, width, count);
    Ok(flow)
}

/// JRCXZ, JECXZ.
pub(super) fn jump_if_zero<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    let (count, _) = counter(regs, op);
    branch(regs, bus, op, count == 0)
}
