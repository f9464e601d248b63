//! HOT: moves, conversions and conditional moves; the flag instructions that only copy bits.

use super::operand::{bits, mask, read_gpr, read_reg, sign_extend, write_gpr, write_reg};
use super::{Access, Bus, Size};
use crate::core::regs::{Registers, flags, gpr};
use crate::op::{Form, Op, flag};

/// Bit 3 of RFLAGS is always 0: room for SF ≠ OF while a condition is worked out.
const LESS: u64 = 1 << 3;

/// The flags of which one must be set, by bits 3:1 of the condition (SDM vol. 1 app. B).
const CONDITIONS: [u64; 8] = [
    flags::OF,
    flags::CF,
    flags::ZF,
    flags::CF | flags::ZF,
    flags::SF,
    flags::PF,
    LESS,
    LESS | flags::ZF,
];

/// True if a condition holds by these flags, [`LESS`] among them. Bit 0 negates.
#[inline(always)]
fn holds(cond: u8, flags: u64) -> bool {
    let any = flags & CONDITIONS[usize::from(cond >> 1 & 7)] != 0;
    any ^ (cond & 1 != 0)
}

/// True if the condition of Jcc, SETcc or CMOVcc holds.
#[inline(always)]
pub(crate) fn condition(cond: u8, rflags: u64) -> bool {
    let less = (rflags >> 7 ^ rflags >> 11) << 3 & LESS;
    holds(cond, rflags | less)
}

/// True if a condition compares: it asks for more than OF, SF or PF alone.
pub(crate) fn compares(cond: u8) -> bool {
    CONDITIONS[usize::from(cond >> 1 & 7)] & (flags::CF | flags::ZF | LESS) != 0
}

/// True if a condition that compares holds after CMP of the low bytes of `a` with those of `b`.
#[inline(always)]
pub(crate) fn holds_after_cmp(cond: u8, a: u64, b: u64, size: Size) -> bool {
    let unused = 64 - bits(size);
    let (a, b) = (a << unused, b << unused);
    let (equal, less) = (u64::from(a == b) << 6, u64::from((a as i64) < b as i64) << 3);
    holds(cond, u64::from(a < b) | equal | less)
}

/// MOV, MOVNTI.
#[inline(always)]
pub(super) fn mov<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let value = op.source(regs, bus)?;
    op.write(regs, bus, value)
}

/// MOVZX.
#[inline(always)]
pub(super) fn movzx<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op, from: Size) -> Access<()> {
    let value = op.read_rm(regs, bus, from)?;
    write_reg(regs, op.dst, op.size, value);
    Ok(())
}

/// MOVSX, MOVSXD.
#[inline(always)]
pub(super) fn movsx<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op, from: Size) -> Access<()> {
    let value = op.read_rm(regs, bus, from)?;
    write_reg(regs, op.dst, op.size, sign_extend(value, from));
    Ok(())
}

/// CMOVcc: loads in any case, and clears the upper half of a 32-bit destination in any case.
#[inline(always)]
pub(super) fn cmov<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let source = op.source(regs, bus)?;
    let old = read_reg(regs, op.dst, op.size);
    let value = if condition(op.cond, regs.rflags) { source } else { old };
    write_reg(regs, op.dst, op.size, value);
    Ok(())
}

/// SETcc.
#[inline(always)]
pub(super) fn setcc<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let value = u64::from(condition(op.cond, regs.rflags));
    op.write(regs, bus, value)
}

/// BSWAP; of a 16-bit register, undefined by the manual, it gives 0.
pub(super) fn bswap(regs: &mut Registers, op: &Op) {
    let value = read_reg(regs, op.dst, op.size);
    let swapped = match op.size {
        Size::B8 => value.swap_bytes(),
        Size::B4 => u64::from((value as u32).swap_bytes()),
        Size::B1 | Size::B2 => 0,
    };
    write_reg(regs, op.dst, op.size, swapped);
}

/// CBW, CWDE, CDQE: the accumulator from its lower half.
pub(super) fn widen_accumulator(regs: &mut Registers, op: &Op) {
    let half = match op.size {
        Size::B8 => Size::B4,
        Size::B4 => Size::B2,
        Size::B1 | Size::B2 => Size::B1,
    };
    let value = sign_extend(read_gpr(regs, gpr::RAX, half), half);
    write_gpr(regs, gpr::RAX, op.size, value);
}

/// CWD, CDQ, CQO: RDX filled with the accumulator's sign.
pub(super) fn sign_to_rdx(regs: &mut Registers, op: &Op) {
    let signed = sign_extend(read_gpr(regs, gpr::RAX, op.size), op.size) as i64;
    write_gpr(regs, gpr::RDX, op.size, (signed >> 63) as u64 & mask(op.size));
}

/// XLAT: AL = byte at RBX + AL.
pub(super) fn xlat<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let mut offset = regs.gpr[gpr::RBX].wrapping_add(regs.gpr[gpr::RAX] & 0xff);
    if op.has(flag::ADDR32) {
        offset &= 0xffff_ffff;
    }
    let value = bus.load(regs, offset.wrapping_add(op.segment_base(regs)), Size::B1)?;
    write_gpr(regs, gpr::RAX, Size::B1, value);
    Ok(())
}

/// Status flags that LAHF and SAHF move (all but OF).
const AH_FLAGS: u64 = flags::SF | flags::ZF | flags::AF | flags::PF | flags::CF;

/// LAHF.
pub(super) fn lahf(regs: &mut Registers) {
    let image = regs.rflags & AH_FLAGS | flags::FIXED;
    regs.gpr[gpr::RAX] = regs.gpr[gpr::RAX] & !0xff00 | image << 8;
}

/// SAHF.
pub(super) fn sahf(regs: &mut Registers) {
    regs.rflags = regs.rflags & !AH_FLAGS | regs.gpr[gpr::RAX] >> 8 & AH_FLAGS;
}

/// XCHG: with memory always locked, LOCK prefix or not.
pub(super) fn xchg<B: Bus>(regs: &mut Registers, bus: &mut B, op: &Op) -> Access<()> {
    let new = read_reg(regs, op.src, op.size);
    let old = if op.form == Form::RegReg {
        let old = read_reg(regs, op.dst, op.size);
        write_reg(regs, op.dst, op.size, new);
        old
    } else {
        let (addr, bytes) = (op.address(regs), op.size as u8);
        let old = bus.locked_read(regs, addr, bytes).map_err(|stall| op.memory_fault(stall))?;
        bus.locked_write(addr, bytes, u128::from(new));
        old as u64
    };
    write_reg(regs, op.src, op.size, old);
    Ok(())
}
