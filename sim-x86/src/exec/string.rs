//! String instructions: one iteration per call, so that interrupts land between iterations.
//!
//! The start-up time of a REP instruction is charged with its last iteration: then it is paid once
//! however often the instruction was interrupted, and without remembering anything.

use super::operand::{mask, read_gpr, require, set_status, write_gpr};
use super::stack::{counter, may_do_io, set_counter};
use super::{Access, Bus, Flow, Size, alu};
use crate::core::regs::{Registers, flags, gpr};
use crate::op::{Kind, Op, flag};

/// What the step moved: which of RSI and RDI advance.
#[derive(Clone, Copy)]
struct Moved {
    source: bool,
    destination: bool,
}

const SOURCE: Moved = Moved { source: true, destination: false };
const DESTINATION: Moved = Moved { source: false, destination: true };
const BOTH: Moved = Moved { source: true, destination: true };

/// One iteration.
pub(super) fn string<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    let repeated = op.has(flag::REP | flag::REPNE);
    let (count, width) = counter(regs, op);
    if matches!(op.kind, Kind::Ins | Kind::Outs) {
        // Checked even if nothing is to be moved.
        require(may_do_io(regs))?;
    }
    if repeated && op.has(flag::ADDR32) {
        narrow(regs, op);
    }
    if repeated && count == 0 {
        return Ok(end(regs, bus, op));
    }
    let moved = step(regs, bus, op, width)?;
    let stride = match regs.rflags & flags::DF {
        0 => op.size as u64,
        _ => (op.size as u64).wrapping_neg(),
    };
    for (advances, number) in [(moved.source, gpr::RSI), (moved.destination, gpr::RDI)] {
        if advances {
            let next = read_gpr(regs, number, width).wrapping_add(stride);
            write_gpr(regs, number, width, next);
        }
    }
    if !repeated {
        regs.rip = op.next_rip(regs);
        return Ok(Flow::Next);
    }
    set_counter(regs, width, count - 1);
    let stop = match op.kind {
        Kind::Cmps | Kind::Scas => op.has(flag::REP) != (regs.rflags & flags::ZF != 0),
        _ => false,
    };
    Ok(if stop || count == 1 { end(regs, bus, op) } else { Flow::Repeat })
}

/// With addresses of 32 bits and a REP prefix, the count and the pointers of MOVS and STOS lose
/// their upper halves at once, even if nothing is moved or the first iteration faults, as on Intel's
/// cores. Doing so twice changes nothing more.
fn narrow(regs: &mut Registers, op: &Op) {
    let pointers: &[usize] = match op.kind {
        Kind::Movs => &[gpr::RCX, gpr::RSI, gpr::RDI],
        Kind::Stos => &[gpr::RCX, gpr::RDI],
        _ => &[gpr::RCX],
    };
    for &number in pointers {
        regs.gpr[number] &= 0xffff_ffff;
    }
}

/// The REP instruction is over.
fn end<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Flow {
    bus.charge(op.extra.into());
    regs.rip = op.next_rip(regs);
    Flow::Next
}

/// The memory part of one iteration.
fn step<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op, width: Size) -> Access<Moved> {
    let size = op.size;
    // Only the source can be in another segment.
    let source = (read_gpr(regs, gpr::RSI, width)).wrapping_add(op.segment_base(regs));
    let destination = read_gpr(regs, gpr::RDI, width);
    let accumulator = read_gpr(regs, gpr::RAX, size);
    match op.kind {
        Kind::Movs => {
            let value = bus.load(regs, source, size)?;
            bus.store(regs, destination, size, value)?;
            Ok(BOTH)
        }
        Kind::Stos => {
            bus.store(regs, destination, size, accumulator)?;
            Ok(DESTINATION)
        }
        Kind::Lods => {
            let value = bus.load(regs, source, size)?;
            write_gpr(regs, gpr::RAX, size, value);
            Ok(SOURCE)
        }
        Kind::Cmps => {
            // In this order, which a fault shows.
            let b = bus.load(regs, destination, size)?;
            let a = bus.load(regs, source, size)?;
            set_status(regs, alu::sub(a, b, size).1);
            Ok(BOTH)
        }
        Kind::Scas => {
            let b = bus.load(regs, destination, size)?;
            set_status(regs, alu::sub(accumulator, b, size).1);
            Ok(DESTINATION)
        }
        _ => port_step(regs, bus, op, source, destination),
    }
}

/// INS and OUTS. The port is touched last but for a store that can no longer fail.
fn port_step<B: Bus>(
    regs: &mut Registers,
    bus: &mut B,
    op: &Op,
    source: u64,
    destination: u64,
) -> Access<Moved> {
    bus.drain()?;
    let port = regs.gpr[gpr::RDX] as u16;
    if op.kind == Kind::Outs {
        let value = bus.load(regs, source, op.size)?;
        bus.port_out(port, op.size, value as u32)?;
        return Ok(SOURCE);
    }
    bus.load_for_write(regs, destination, op.size)?;
    bus.room(1)?;
    let value = bus.port_in(port, op.size)?;
    bus.store(regs, destination, op.size, u64::from(value) & mask(op.size))?;
    Ok(DESTINATION)
}
