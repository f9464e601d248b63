//! Control and debug registers and descriptor-table registers. All but the stores to memory and
//! SMSW, STR, SLDT need ring 0; all that change something are serialising, except MOV to CR8.

use super::operand::{GP0, canonical, require, write_reg};
use super::system::privileged;
use super::{Access, Bus, Exception, Size, Stall, segment};
use crate::core::regs::{Registers, TableRegister};
use crate::op::{Kind, Op};

/// CR0 bits (SDM vol. 3A §2.5).
mod cr0 {
    pub(super) const PE: u64 = 1 << 0;
    pub(super) const TS: u64 = 1 << 3;
    pub(super) const ET: u64 = 1 << 4;
    pub(super) const NW: u64 = 1 << 29;
    pub(super) const CD: u64 = 1 << 30;
    pub(super) const PG: u64 = 1 << 31;
    /// PE, MP, EM, TS: what LMSW writes.
    pub(super) const LMSW: u64 = 15;
    /// PE MP EM TS ET NE WP AM NW CD PG.
    pub(super) const KNOWN: u64 = 0xe005_003f;
}

/// CR4 bits of a Westmere core: VME to SMXE, and PCIDE.
const CR4_KNOWN: u64 = 0x0002_67ff;
const CR4_PAE: u64 = 1 << 5;
const CR4_DE: u64 = 1 << 3;

/// DR6 and DR7: bits that always read as 1.
const DR6_FIXED: u64 = 0xffff_0ff0;
const DR7_FIXED: u64 = 0x400;

/// These instructions; all others are not implemented.
pub(super) fn execute<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    match op.kind {
        Kind::Sgdt => return store_table(regs, bus, op, regs.sys.gdtr),
        Kind::Sidt => return store_table(regs, bus, op, regs.sys.idtr),
        Kind::Str => return op.write(regs, bus, regs.sys.tr.into()),
        Kind::Sldt => return op.write(regs, bus, regs.sys.ldtr.into()),
        Kind::Smsw => return op.write(regs, bus, regs.sys.cr0),
        Kind::Unimplemented => return Err(Stall::Unimplemented),
        _ => privileged(regs)?,
    }
    match op.kind {
        Kind::Lgdt => {
            regs.sys.gdtr = load_table(regs, bus, op)?;
            Ok(())
        }
        Kind::Lidt => {
            regs.sys.idtr = load_table(regs, bus, op)?;
            Ok(())
        }
        Kind::Ltr => {
            bus.drain()?;
            let selector = op.read_rm(regs, bus, Size::B2)?;
            segment::load_task(regs, bus, selector as u16)
        }
        Kind::Lldt => {
            bus.drain()?;
            let selector = op.read_rm(regs, bus, Size::B2)?;
            segment::load_local_table(regs, selector as u16)
        }
        Kind::Lmsw => {
            bus.drain()?;
            let value = op.read_rm(regs, bus, Size::B2)? & cr0::LMSW;
            // LMSW can set PE but not clear it.
            let kept = regs.sys.cr0 & (!cr0::LMSW | cr0::PE);
            write_cr0(regs, kept | value)
        }
        Kind::Clts => {
            bus.drain()?;
            regs.sys.cr0 &= !cr0::TS;
            Ok(())
        }
        Kind::MovFromCr => mov_from_cr(regs, bus, op),
        Kind::MovToCr => mov_to_cr(regs, bus, op),
        Kind::MovFromDr => {
            let value = regs.sys.dr[debug_slot(regs, op.src)?];
            write_reg(regs, op.dst, Size::B8, value);
            Ok(())
        }
        Kind::MovToDr => mov_to_dr(regs, bus, op),
        _ => Err(Stall::Unimplemented),
    }
}

/// SGDT and SIDT: limit, then base.
fn store_table<B: Bus>(regs: &Registers, bus: &mut B, op: &Op, table: TableRegister) -> Access<()> {
    let addr = op.address(regs);
    let base_at = addr.wrapping_add(2);
    // Both parts must be possible before the first is stored.
    for (at, size) in [(addr, Size::B2), (base_at, Size::B8)] {
        bus.load_for_write(regs, at, size).map_err(|stall| op.memory_fault(stall))?;
    }
    bus.room(2)?;
    bus.store(regs, addr, Size::B2, table.limit.into())?;
    bus.store(regs, base_at, Size::B8, table.base)
}

/// The operand of LGDT and LIDT.
fn load_table<B: Bus>(regs: &Registers, bus: &mut B, op: &Op) -> Access<TableRegister> {
    bus.drain()?;
    let addr = op.address(regs);
    let fault = |stall| op.memory_fault(stall);
    let limit = bus.load(regs, addr, Size::B2).map_err(fault)? as u16;
    let base = bus.load(regs, addr.wrapping_add(2), Size::B8).map_err(fault)?;
    require(canonical(base))?;
    Ok(TableRegister { base, limit })
}

fn mov_from_cr<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let value = match op.src {
        0 => regs.sys.cr0,
        2 => regs.sys.cr2,
        3 => regs.sys.cr3,
        4 => regs.sys.cr4,
        8 => bus.cr8().into(),
        _ => return Err(Stall::Fault(Exception::InvalidOpcode)),
    };
    write_reg(regs, op.dst, Size::B8, value);
    Ok(())
}

fn mov_to_cr<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let value = regs.gpr[usize::from(op.src & 15)];
    if op.dst == 8 {
        require(value < 16)?;
        bus.set_cr8(value as u8);
        return Ok(());
    }
    bus.drain()?;
    match op.dst {
        0 => write_cr0(regs, value)?,
        2 => regs.sys.cr2 = value,
        3 => {
            regs.sys.cr3 = value;
            bus.flush_tlb(None);
        }
        4 => {
            // Long mode needs PAE.
            require(value & !CR4_KNOWN == 0 && value & CR4_PAE != 0)?;
            regs.sys.cr4 = value;
            bus.flush_tlb(None);
        }
        _ => return Err(Stall::Fault(Exception::InvalidOpcode)),
    }
    Ok(())
}

/// 64-bit mode cannot be left by clearing PG (SDM vol. 3A §2.5: #GP while CS is 64-bit).
fn write_cr0(regs: &mut Registers, value: u64) -> Access<()> {
    require(value >> 32 == 0)?;
    require(value & (cr0::PE | cr0::PG) == cr0::PE | cr0::PG)?;
    require(value & (cr0::NW | cr0::CD) != cr0::NW)?;
    regs.sys.cr0 = value & cr0::KNOWN | cr0::ET;
    Ok(())
}

/// Index of DR0–DR3, DR6, DR7 in the register file; DR4 and DR5 are aliases unless CR4.DE.
fn debug_slot(regs: &Registers, number: u8) -> Access<usize> {
    match number {
        0..=3 => Ok(usize::from(number)),
        4 | 5 if regs.sys.cr4 & CR4_DE != 0 => Err(Stall::Fault(Exception::InvalidOpcode)),
        4..=7 => Ok(usize::from(number | 2) - 2),
        _ => Err(Stall::Fault(Exception::InvalidOpcode)),
    }
}

fn mov_to_dr<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let value = regs.gpr[usize::from(op.src & 15)];
    let slot = debug_slot(regs, op.dst)?;
    bus.drain()?;
    regs.sys.dr[slot] = match slot {
        4 | 5 if value >> 32 != 0 => return Err(GP0),
        4 => value & 0xe00f | DR6_FIXED,
        5 => value & !0xd800 | DR7_FIXED,
        _ => value,
    };
    Ok(())
}
