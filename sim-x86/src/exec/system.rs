//! System instructions: privilege, control registers, descriptor tables, time, ports, ring changes.
//!
//! Serialising instructions (SDM vol. 3A §8.3) begin with [`Bus::drain`]: everything that this
//! core has stored is visible to all before they act.

use super::operand::{canonical, read_reg, require, write_gpr, write_reg};
use super::stack::{may_do_io, peek_value, writable_flags};
use super::{Access, Bus, Exception, Flow, Size, Stall, control, msr, segment};
use crate::core::regs::{Registers, flags, gpr};
use crate::op::{Form, Kind, Op};

/// #GP(0) outside ring 0.
pub(super) fn privileged(regs: &Registers) -> Access<()> {
    require(regs.cpl() == 0)
}

/// #UD unless `condition`.
fn defined(condition: bool) -> Access<()> {
    if condition { Ok(()) } else { Err(Stall::Fault(Exception::InvalidOpcode)) }
}

/// Everything that the hot dispatch leaves over.
pub(super) fn execute<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    match op.kind {
        Kind::Cli => cli(regs)?,
        Kind::Sti => return sti(regs, op),
        Kind::In => port_in(regs, bus, op)?,
        Kind::Out => port_out(regs, bus, op)?,
        Kind::Hlt => return halt(regs, op, Flow::Halt),
        Kind::Mwait => return mwait(regs, op),
        Kind::Monitor => monitor(regs, bus, op)?,
        Kind::Int => return Ok(interrupt(regs, op, op.imm as u8)),
        Kind::Int1 => {
            regs.rip = op.next_rip(regs);
            return Ok(Flow::DebugTrap);
        }
        Kind::Int3 => return Ok(interrupt(regs, op, 3)),
        Kind::Syscall => return syscall(regs, op),
        Kind::Sysret => return sysret(regs),
        Kind::Iret => return iret(regs, bus, op),
        Kind::Swapgs => {
            privileged(regs)?;
            std::mem::swap(&mut regs.gs_base, &mut regs.sys.kernel_gs_base);
        }
        Kind::Rdmsr => rdmsr(regs, bus)?,
        Kind::Wrmsr => wrmsr(regs, bus, op)?,
        Kind::Rdtsc | Kind::Rdtscp => rdtsc(regs, bus, op)?,
        Kind::Rdpmc => rdpmc(regs, bus)?,
        Kind::Cpuid => cpuid(regs, bus)?,
        Kind::Invlpg => invlpg(regs, bus, op)?,
        Kind::Clflush => bus.flush_line(regs, op.address(regs)).map_err(|e| op.memory_fault(e))?,
        Kind::Wbinvd => {
            privileged(regs)?;
            bus.drain()?;
        }
        Kind::MovFromSeg => {
            let value = u64::from(segment::selector(regs, op.src));
            op.write(regs, bus, value)?;
        }
        Kind::MovToSeg => return mov_to_segment(regs, bus, op),
        Kind::PopSeg => super::stack::pop_segment(regs, bus, op)?,
        Kind::Undefined => return Err(Stall::Fault(Exception::InvalidOpcode)),
        Kind::TooLong => return Err(super::operand::GP0),
        Kind::Lar | Kind::Lsl | Kind::Verr | Kind::Verw => inspect(regs, bus, op)?,
        _ => control::execute(regs, bus, op)?,
    }
    regs.rip = op.next_rip(regs);
    Ok(Flow::Next)
}

fn cli(regs: &mut Registers) -> Access<()> {
    require(may_do_io(regs))?;
    regs.rflags &= !flags::IF;
    Ok(())
}

/// STI: interrupts wait for the end of the next instruction if IF was clear.
fn sti(regs: &mut Registers, op: &Op) -> Access<Flow> {
    require(may_do_io(regs))?;
    let shadow = !regs.interrupts_enabled();
    regs.rflags |= flags::IF;
    regs.rip = op.next_rip(regs);
    Ok(if shadow { Flow::Shadow { nmi_too: false } } else { Flow::Next })
}

/// The port of IN and OUT, allowed by IOPL alone (the TSS has no I/O bitmap).
fn port<B: Bus>(regs: &Registers, bus: &mut B, op: &Op) -> Access<u16> {
    require(may_do_io(regs))?;
    bus.drain()?;
    let immediate = matches!(op.form, Form::Imm | Form::RegImm);
    Ok(if immediate { op.imm as u16 } else { regs.gpr[gpr::RDX] as u16 })
}

fn port_in<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let port = port(regs, bus, op)?;
    let value = bus.port_in(port, op.size)?;
    write_gpr(regs, gpr::RAX, op.size, value.into());
    Ok(())
}

fn port_out<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let port = port(regs, bus, op)?;
    bus.port_out(port, op.size, read_reg(regs, op.src, op.size) as u32)
}

fn halt(regs: &mut Registers, op: &Op, flow: Flow) -> Access<Flow> {
    privileged(regs)?;
    regs.rip = op.next_rip(regs);
    Ok(flow)
}

/// MWAIT: #UD outside ring 0; only the extension "interrupts break even if masked" exists.
fn mwait(regs: &mut Registers, op: &Op) -> Access<Flow> {
    defined(regs.cpl() == 0)?;
    require(regs.gpr[gpr::RCX] >> 1 == 0)?;
    halt(regs, op, Flow::Mwait)
}

fn monitor<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    defined(regs.cpl() == 0)?;
    require(regs.gpr[gpr::RCX] as u32 == 0)?;
    let offset = if op.has(crate::op::flag::ADDR32) {
        read_reg(regs, gpr::RAX as u8, Size::B4)
    } else {
        regs.gpr[gpr::RAX]
    };
    bus.monitor(regs, offset.wrapping_add(op.segment_base(regs)))
}

fn interrupt(regs: &mut Registers, op: &Op, vector: u8) -> Flow {
    regs.rip = op.next_rip(regs);
    Flow::Interrupt(vector)
}

/// SYSCALL in 64-bit mode (SDM vol. 2B).
fn syscall(regs: &mut Registers, op: &Op) -> Access<Flow> {
    defined(msr::syscall_enabled(regs))?;
    regs.gpr[gpr::RCX] = op.next_rip(regs);
    regs.gpr[gpr::R11] = regs.rflags & !flags::RF;
    regs.rflags = regs.rflags & !regs.sys.fmask & !flags::RF | flags::FIXED;
    let selector = (regs.sys.star >> 32) as u16 & !3;
    regs.sel.cs = selector;
    regs.sel.ss = selector.wrapping_add(8);
    regs.rip = regs.sys.lstar;
    Ok(Flow::Ring)
}

/// SYSRET to 64-bit code (SDM vol. 2B).
fn sysret(regs: &mut Registers) -> Access<Flow> {
    defined(msr::syscall_enabled(regs))?;
    privileged(regs)?;
    let target = regs.gpr[gpr::RCX];
    require(canonical(target))?;
    let settable = flags::STATUS
        | flags::TF
        | flags::IF
        | flags::DF
        | flags::IOPL
        | flags::NT
        | flags::AC
        | flags::ID;
    regs.rflags = regs.gpr[gpr::R11] & settable | flags::FIXED;
    let selector = (regs.sys.star >> 48) as u16;
    regs.sel.cs = selector.wrapping_add(16) | 3;
    regs.sel.ss = selector.wrapping_add(8) | 3;
    regs.rip = target;
    Ok(Flow::Ring)
}

/// IRET in 64-bit mode (SDM vol. 2A): always pops five words. Descriptors are not read: the new
/// ring is the RPL of CS, and both selectors must agree on it; SS may be null except for ring 3.
fn iret<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    require(regs.rflags & flags::NT == 0)?;
    bus.drain()?;
    // The order in which Intel's cores read the frame shows in which of two faults is raised.
    let mut word = |slot| peek_value(regs, bus, op.size, slot * op.size as u64);
    let (image, cs, rip) = (word(2)?, word(1)? as u16, word(0)?);
    let (ring, cpl) = ((cs & 3) as u8, regs.cpl());
    require(cs & !3 != 0)?;
    if ring < cpl || !matches!(ring, 0 | 3) {
        return Err(Stall::Fault(Exception::GeneralProtection(cs & !3)));
    }
    let (ss, rsp) = (word(4)? as u16, word(3)?);
    if ss & !3 == 0 {
        require(ring != 3 && ss & 3 == cs & 3)?;
    } else if ss & 3 != cs & 3 {
        return Err(Stall::Fault(Exception::GeneralProtection(ss & !3)));
    }
    require(canonical(rip))?;
    let mut writable = writable_flags(regs) | flags::RF;
    if op.size == Size::B2 {
        writable &= 0xffff;
    }
    regs.rflags = regs.rflags & !writable | image & writable;
    regs.sel.cs = cs;
    regs.sel.ss = ss;
    regs.gpr[gpr::RSP] = rsp;
    regs.rip = rip;
    if ring != cpl {
        bus.charge(op.extra.into());
    }
    Ok(Flow::Iret)
}

/// EDX:EAX, both zero-extended.
fn set_edx_eax(regs: &mut Registers, value: u64) {
    regs.gpr[gpr::RAX] = value & 0xffff_ffff;
    regs.gpr[gpr::RDX] = value >> 32;
}

fn rdmsr<B: Bus>(regs: &mut Registers, bus: &mut B) -> Access<()> {
    privileged(regs)?;
    let value = msr::read(regs, bus, regs.gpr[gpr::RCX] as u32)?;
    set_edx_eax(regs, value);
    Ok(())
}

fn wrmsr<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    privileged(regs)?;
    let number = regs.gpr[gpr::RCX] as u32;
    let serialising = msr::serialises(number);
    if serialising {
        bus.drain()?;
    }
    let value = regs.gpr[gpr::RDX] << 32 | regs.gpr[gpr::RAX] & 0xffff_ffff;
    msr::write(regs, bus, number, value)?;
    if serialising {
        bus.charge(op.extra.into());
    }
    Ok(())
}

/// CR4 bits that govern instructions here.
const CR4_TSD: u64 = 1 << 2;
const CR4_PCE: u64 = 1 << 8;

fn rdtsc<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    require(regs.cpl() == 0 || regs.sys.cr4 & CR4_TSD == 0)?;
    let value = bus.tsc();
    set_edx_eax(regs, value);
    if op.kind == Kind::Rdtscp {
        regs.gpr[gpr::RCX] = regs.sys.tsc_aux;
    }
    Ok(())
}

fn rdpmc<B: Bus>(regs: &mut Registers, bus: &mut B) -> Access<()> {
    require(regs.cpl() == 0 || regs.sys.cr4 & CR4_PCE != 0)?;
    let value = bus.rdpmc(regs.gpr[gpr::RCX] as u32)?;
    set_edx_eax(regs, value);
    Ok(())
}

fn cpuid<B: Bus>(regs: &mut Registers, bus: &mut B) -> Access<()> {
    bus.drain()?;
    let (leaf, subleaf) = (regs.gpr[gpr::RAX] as u32, regs.gpr[gpr::RCX] as u32);
    let [eax, ebx, ecx, edx] = bus.cpuid(leaf, subleaf);
    for (number, value) in [(gpr::RAX, eax), (gpr::RBX, ebx), (gpr::RCX, ecx), (gpr::RDX, edx)] {
        regs.gpr[number] = value.into();
    }
    Ok(())
}

/// INVLPG: of a non-canonical address it does nothing.
fn invlpg<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    privileged(regs)?;
    bus.drain()?;
    bus.flush_tlb(Some(op.address(regs)));
    Ok(())
}

fn mov_to_segment<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<Flow> {
    let value = op.read_rm(regs, bus, Size::B2)?;
    segment::load(regs, bus, op.dst, value as u16)?;
    regs.rip = op.next_rip(regs);
    let stack = segment::is_stack(op.dst);
    Ok(if stack { Flow::Shadow { nmi_too: true } } else { Flow::Next })
}

/// LAR, LSL, VERR, VERW. Flags: ZF if the descriptor may be looked at and has a fitting type.
fn inspect<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let selector = op.read_rm(regs, bus, Size::B2)? as u16;
    let found = segment::inspect(regs, bus, selector)?;
    let value = found.and_then(|descriptor| match op.kind {
        Kind::Lar => segment::access_rights(descriptor),
        Kind::Lsl => segment::limit(descriptor),
        _ => segment::accessible(descriptor, op.kind == Kind::Verw).then_some(0),
    });
    regs.rflags = regs.rflags & !flags::ZF | if value.is_some() { flags::ZF } else { 0 };
    if let Some(value) = value
        && matches!(op.kind, Kind::Lar | Kind::Lsl)
    {
        write_reg(regs, op.dst, op.size, value);
    }
    Ok(())
}
