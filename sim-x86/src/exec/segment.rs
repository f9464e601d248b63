//! Segment registers and descriptors, as far as 64-bit mode has them.
//!
//! CS, DS, ES and SS have base 0 and no limit; what remains is the selector, the bases of FS and
//! GS, the TSS, and the faults of a selector that names no descriptor. Descriptors are read from
//! the GDT; there is no LDT (LLDT takes a null selector only).

use super::operand::{canonical, require};
use super::{Access, Bus, Exception, Size, Stall};
use crate::core::regs::Registers;

/// Numbers of the segment registers in instructions.
mod number {
    pub(super) const ES: u8 = 0;
    pub(super) const CS: u8 = 1;
    pub(super) const SS: u8 = 2;
    pub(super) const DS: u8 = 3;
    pub(super) const FS: u8 = 4;
}

/// Bits of a descriptor (SDM vol. 3A §3.4.5).
mod descriptor {
    /// Type, writable (data) or readable (code).
    pub(super) const WRITABLE: u64 = 1 << 41;
    /// Type, conforming code.
    pub(super) const CONFORMING: u64 = 1 << 42;
    /// Type, code.
    pub(super) const CODE: u64 = 1 << 43;
    /// Code or data, not system.
    pub(super) const USER: u64 = 1 << 44;
    /// Present.
    pub(super) const PRESENT: u64 = 1 << 47;
}

fn gp(selector: u16) -> Stall {
    Stall::Fault(Exception::GeneralProtection(selector & !3))
}

/// True for SS, whose loading holds off interrupts for one instruction.
pub(super) fn is_stack(id: u8) -> bool {
    id == number::SS
}

/// The selector in a segment register.
pub(super) fn selector(regs: &Registers, id: u8) -> u16 {
    match id {
        number::ES => regs.sel.es,
        number::CS => regs.sel.cs,
        number::SS => regs.sel.ss,
        number::DS => regs.sel.ds,
        number::FS => regs.sel.fs,
        _ => regs.sel.gs,
    }
}

/// Reads a descriptor of the GDT.
pub(super) fn read<B: Bus>(regs: &Registers, bus: &mut B, selector: u16) -> Access<u64> {
    let table = regs.sys.gdtr;
    // Bit 2 asks for the LDT, which is always null.
    if selector & 4 != 0 || selector | 7 > table.limit {
        return Err(gp(selector));
    }
    bus.read_system(table.base.wrapping_add(u64::from(selector & !7)), Size::B8)
}

/// Base of a code, data or 32-bit system descriptor.
fn base(descriptor: u64) -> u64 {
    descriptor >> 16 & 0xff_ffff | descriptor >> 56 << 24
}

fn privilege(descriptor: u64) -> u16 {
    (descriptor >> 45 & 3) as u16
}

/// MOV to a segment register, POP FS, POP GS (SDM vol. 2B, MOV).
pub(super) fn load<B: Bus>(regs: &mut Registers, bus: &mut B, id: u8, selector: u16) -> Access<()> {
    if id == number::CS {
        return Err(Stall::Fault(Exception::InvalidOpcode));
    }
    let mut segment_base = 0;
    if selector & !3 != 0 {
        let found = read(regs, bus, selector)?;
        check(regs, id, selector, found)?;
        segment_base = base(found);
    } else if id == number::SS {
        // SS may be null in rings 0–2 of 64-bit mode only, and with that ring.
        require(regs.cpl() != 3 && selector == u16::from(regs.cpl()))?;
    }
    match id {
        number::ES => regs.sel.es = selector,
        number::SS => regs.sel.ss = selector,
        number::DS => regs.sel.ds = selector,
        number::FS => {
            regs.sel.fs = selector;
            regs.fs_base = segment_base;
        }
        _ => {
            regs.sel.gs = selector;
            regs.gs_base = segment_base;
        }
    }
    Ok(())
}

/// Type, privilege and presence of a data segment's descriptor.
fn check(regs: &Registers, id: u8, selector: u16, found: u64) -> Access<()> {
    use descriptor::{CODE, CONFORMING, PRESENT, USER, WRITABLE};
    let (cpl, rpl, dpl) = (u16::from(regs.cpl()), selector & 3, privilege(found));
    let absent = found & PRESENT == 0;
    let fits = if id == number::SS {
        let writable_data = found & (USER | CODE | WRITABLE) == USER | WRITABLE;
        writable_data && rpl == cpl && dpl == cpl
    } else {
        let readable = found & USER != 0 && (found & CODE == 0 || found & WRITABLE != 0);
        let conforming = found & (CODE | CONFORMING) == CODE | CONFORMING;
        readable && (conforming || dpl >= cpl.max(rpl))
    };
    match (fits, absent) {
        (false, _) => Err(gp(selector)),
        (true, true) if id == number::SS => Err(Stall::Fault(Exception::StackFault(selector & !3))),
        (true, true) => Err(Stall::Fault(Exception::SegmentNotPresent(selector & !3))),
        (true, false) => Ok(()),
    }
}

/// LTR: takes the base of the TSS from its 16-byte descriptor. The busy bit is not written, as
/// there is no task switching that would look at it.
pub(super) fn load_task<B: Bus>(regs: &mut Registers, bus: &mut B, selector: u16) -> Access<()> {
    require(selector & !3 != 0)?;
    let low = read(regs, bus, selector)?;
    if selector & !7 | 15 > regs.sys.gdtr.limit || low >> 40 & 0x1f != 9 {
        return Err(gp(selector));
    }
    if low & descriptor::PRESENT == 0 {
        return Err(Stall::Fault(Exception::SegmentNotPresent(selector & !3)));
    }
    let addr = regs.sys.gdtr.base.wrapping_add(u64::from(selector & !7) + 8);
    let high = bus.read_system(addr, Size::B8)?;
    let tss = base(low) | high << 32;
    require(canonical(tss)).map_err(|_| gp(selector))?;
    regs.sys.tr = selector;
    regs.sys.tss_base = tss;
    Ok(())
}

/// LLDT: a null selector only, since there is no LDT.
pub(super) fn load_local_table(regs: &mut Registers, selector: u16) -> Access<()> {
    if selector & !3 != 0 {
        return Err(Stall::Unimplemented);
    }
    regs.sys.ldtr = selector;
    Ok(())
}

/// The descriptor as LAR, LSL, VERR and VERW see it: `None` if they may not.
pub(super) fn inspect<B: Bus>(regs: &Registers, bus: &mut B, selector: u16) -> Access<Option<u64>> {
    if selector & !3 == 0 || selector & 4 != 0 || selector | 7 > regs.sys.gdtr.limit {
        return Ok(None);
    }
    let found = read(regs, bus, selector)?;
    let conforming = descriptor::USER | descriptor::CODE | descriptor::CONFORMING;
    let level = u16::from(regs.cpl()).max(selector & 3);
    let allowed = found & conforming == conforming || privilege(found) >= level;
    Ok(allowed.then_some(found))
}

/// Access rights as LAR gives them; `None` for a type it refuses.
pub(super) fn access_rights(found: u64) -> Option<u64> {
    let system_type = found >> 40 & 15;
    let valid = found & descriptor::USER != 0 || matches!(system_type, 2 | 9 | 11 | 12);
    valid.then_some(found >> 32 & 0x00f0_ff00)
}

/// Limit in bytes as LSL gives it; `None` for a type it refuses.
pub(super) fn limit(found: u64) -> Option<u64> {
    let system_type = found >> 40 & 15;
    let valid = found & descriptor::USER != 0 || matches!(system_type, 2 | 9 | 11);
    let raw = found & 0xffff | found >> 32 & 0xf_0000;
    let granular = found >> 55 & 1 != 0;
    valid.then_some(if granular { raw << 12 | 0xfff } else { raw })
}

/// VERR (`write` false) and VERW.
pub(super) fn accessible(found: u64, write: bool) -> bool {
    let (user, code) = (found & descriptor::USER != 0, found & descriptor::CODE != 0);
    let flagged = found & descriptor::WRITABLE != 0;
    user && if write { !code && flagged } else { !code || flagged }
}
