//! HOT: PUSH, POP and their relatives. RSP moves only after the memory access has succeeded.

use super::operand::{as_stack_fault, read_reg, rsp, write_gpr, write_reg};
use super::{Access, Bus, Flow, Size, Stall, segment};
use crate::core::regs::{Registers, flags, gpr};
use crate::ids::LINE_BYTES;
use crate::op::{Form, Op, flag};

/// Stores below RSP and moves RSP there.
#[inline(always)]
pub(super) fn push_value<B: Bus>(
    regs: &mut Registers,
    bus: &mut B,
    size: Size,
    value: u64,
) -> Access<()> {
    let top = rsp(regs).wrapping_sub(size as u64);
    bus.store(regs, top, size, value).map_err(as_stack_fault)?;
    regs.gpr[gpr::RSP] = top;
    Ok(())
}

/// Loads from the stack, `depth` bytes above RSP.
#[inline(always)]
pub(super) fn peek_value<B: Bus>(
    regs: &Registers,
    bus: &mut B,
    size: Size,
    depth: u64,
) -> Access<u64> {
    bus.load(regs, rsp(regs).wrapping_add(depth), size).map_err(as_stack_fault)
}

/// Removes `bytes` from the stack.
#[inline(always)]
pub(super) fn drop_bytes(regs: &mut Registers, bytes: u64) {
    regs.gpr[gpr::RSP] = rsp(regs).wrapping_add(bytes);
}

/// PUSH of a register or memory; PUSH RSP pushes the old value.
#[inline(always)]
pub(super) fn push<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let value = op.destination(regs, bus)?;
    push_value(regs, bus, op.size, value)
}

/// POP to a register or memory. An address based on RSP uses the value after the pop, and POP RSP
/// ends with the popped value (SDM vol. 2B, POP).
#[inline(always)]
pub(super) fn pop<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let value = peek_value(regs, bus, op.size, 0)?;
    let bytes = op.size as u64;
    if op.form == Form::Mem {
        let based = usize::from(op.base) == gpr::RSP;
        let addr = op.address(regs).wrapping_add(if based { bytes } else { 0 });
        bus.store(regs, addr, op.size, value).map_err(|stall| op.memory_fault(stall))?;
    }
    drop_bytes(regs, bytes);
    if op.form == Form::Reg {
        write_reg(regs, op.dst, op.size, value);
    }
    Ok(())
}

/// PUSH FS, PUSH GS: the selector, zero-extended.
pub(super) fn push_segment<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let value = segment::selector(regs, op.dst);
    push_value(regs, bus, op.size, value.into())
}

/// POP FS, POP GS.
pub(super) fn pop_segment<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let value = peek_value(regs, bus, op.size, 0)?;
    segment::load(regs, bus, op.dst, value as u16)?;
    drop_bytes(regs, op.size as u64);
    Ok(())
}

/// PUSHF: RF (and VM) read as 0 in the image.
pub(super) fn pushf<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let image = regs.rflags & !flags::RF;
    push_value(regs, bus, op.size, image)
}

/// RFLAGS bits that POPF and IRET may change at privilege level `cpl` (SDM vol. 2B, POPF): IOPL
/// needs ring 0, IF a privilege level not above IOPL.
pub(super) fn writable_flags(regs: &Registers) -> u64 {
    let always = flags::STATUS | flags::TF | flags::DF | flags::NT | flags::AC | flags::ID;
    let interrupt = if may_do_io(regs) { flags::IF } else { 0 };
    let level = if regs.cpl() == 0 { flags::IOPL } else { 0 };
    always | interrupt | level
}

/// True if CPL ≤ IOPL: CLI, STI, IN and OUT are allowed.
pub(super) fn may_do_io(regs: &Registers) -> bool {
    u64::from(regs.cpl()) <= (regs.rflags & flags::IOPL) >> 12
}

/// POPF: clears RF; a 16-bit one leaves the upper half alone.
pub(super) fn popf<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    let image = peek_value(regs, bus, op.size, 0)?;
    let mut writable = writable_flags(regs) | flags::RF;
    if op.size == Size::B2 {
        writable &= 0xffff;
    }
    regs.rflags = regs.rflags & !writable | image & writable & !flags::RF;
    drop_bytes(regs, op.size as u64);
    regs.rip = op.next_rip(regs);
    Ok(Flow::Flags)
}

/// LEAVE: RSP = RBP, then POP RBP.
#[inline(always)]
pub(super) fn leave<B: Bus>(regs: &mut Registers, bus: &mut B) -> Access<()> {
    let frame = regs.gpr[gpr::RBP];
    let saved = bus.load(regs, frame, Size::B8).map_err(as_stack_fault)?;
    regs.gpr[gpr::RSP] = frame.wrapping_add(8);
    regs.gpr[gpr::RBP] = saved;
    Ok(())
}

/// Stores that every store buffer can hold (the presets have 32 and more): no instruction may need
/// more at once.
const MOST_STORES: usize = 32;

/// ENTER: pushes RBP and, for a nesting level, that many frame pointers; reserves the frame.
pub(super) fn enter<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let level = op.disp as u64 & 31;
    let frame = rsp(regs).wrapping_sub(8);
    let bottom = frame.wrapping_sub(8 * level).wrapping_sub(op.imm);
    // All stores must be possible before the first is made. The order is that of the pushes; the
    // new top of the stack must be writable too (SDM vol. 2A, ENTER).
    let mut outer = [0; 32];
    for slot in 0..=level {
        if (1..level).contains(&slot) {
            let addr = regs.gpr[gpr::RBP].wrapping_sub(8 * slot);
            outer[slot as usize] = bus.load(regs, addr, Size::B8).map_err(as_stack_fault)?;
        }
        let addr = frame.wrapping_sub(8 * slot);
        bus.load_for_write(regs, addr, Size::B8).map_err(as_stack_fault)?;
    }
    bus.load_for_write(regs, bottom, Size::B8).map_err(as_stack_fault)?;
    if level > 0 {
        // A misaligned frame needs two places in the store buffer wherever it crosses a line.
        let crossing = |slot: &u64| frame.wrapping_sub(8 * slot) % LINE_BYTES > LINE_BYTES - 8;
        let stores = level as usize + 1 + (0..=level).filter(crossing).count();
        if stores > MOST_STORES {
            return Err(Stall::Unimplemented);
        }
        bus.room(stores)?;
    }
    see_own_pushes(&mut outer[..level.max(1) as usize], frame, regs.gpr[gpr::RBP]);
    bus.store(regs, frame, Size::B8, regs.gpr[gpr::RBP]).map_err(as_stack_fault)?;
    for slot in 1..level {
        let addr = frame.wrapping_sub(8 * slot);
        bus.store(regs, addr, Size::B8, outer[slot as usize])?;
    }
    if level > 0 {
        bus.store(regs, frame.wrapping_sub(8 * level), Size::B8, frame)?;
    }
    regs.gpr[gpr::RBP] = frame;
    regs.gpr[gpr::RSP] = bottom;
    Ok(())
}

/// ENTER reads each outer frame pointer after it has pushed the one before: where the two ranges
/// overlap it reads what it has just pushed. `outer[n]` was read at `saved` − 8n and goes to
/// `frame` − 8n; slot 0 is `saved` itself.
fn see_own_pushes(outer: &mut [u64], frame: u64, saved: u64) {
    outer[0] = saved;
    for slot in 1..outer.len() {
        let mut bytes = outer[slot].to_le_bytes();
        for (n, byte) in bytes.iter_mut().enumerate() {
            let at = saved.wrapping_sub(8 * slot as u64).wrapping_add(n as u64);
            let below = frame.wrapping_add(7).wrapping_sub(at);
            let pushed = (below / 8) as usize;
            if pushed < slot {
                *byte = outer[pushed].to_le_bytes()[7 - (below % 8) as usize];
            }
        }
        outer[slot] = u64::from_le_bytes(bytes);
    }
}

/// LOOP and JRCXZ count in RCX, or in ECX with an address-size prefix: `(count, width)`.
pub(super) fn counter(regs: &Registers, op: &Op) -> (u64, Size) {
    let width = if op.has(flag::ADDR32) { Size::B4 } else { Size::B8 };
    (read_reg(regs, gpr::RCX as u8, width), width)
}

/// Writes the counter of the given width.
pub(super) fn set_counter(regs: &mut Registers, width: Size, count: u64) {
    write_gpr(regs, gpr::RCX, width, count);
}
