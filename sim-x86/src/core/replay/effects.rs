//! What an instruction's results can depend on: the registers, and whether the flags.
//!
//! Everything here errs on the safe side: a register or a flag too many is only work, and an
//! instruction that is not listed ends a segment. Memory is not listed, since a recording knows
//! the very accesses.

use crate::core::regs::gpr;
use crate::exec::Size;
use crate::op::{Form, Kind, Op, flag, reg};

/// How an instruction uses the status flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// Not at all.
    Unused,
    /// Reads some.
    Read,
    /// Writes all six, whatever they were.
    Written,
    /// Reads some and writes some, or keeps some.
    Changed,
}

impl Status {
    pub(super) fn reads(self) -> bool {
        matches!(self, Status::Read | Status::Changed)
    }

    pub(super) fn writes(self) -> bool {
        matches!(self, Status::Written | Status::Changed)
    }
}

/// Registers as bits by their numbers.
pub(super) type Mask = u16;

/// What an instruction reads and writes besides memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Effects {
    /// Registers from which addresses are made.
    pub(super) address: Mask,
    /// Registers on which its results depend.
    pub(super) reads: Mask,
    /// Registers that it writes.
    pub(super) writes: Mask,
    /// The flags.
    pub(super) status: Status,
}

const RAX: Mask = 1 << gpr::RAX;
const RCX: Mask = 1 << gpr::RCX;
const RDX: Mask = 1 << gpr::RDX;
const RSP: Mask = 1 << gpr::RSP;
const RBP: Mask = 1 << gpr::RBP;
const RSI: Mask = 1 << gpr::RSI;
const RDI: Mask = 1 << gpr::RDI;

/// The bit of a register operand; none for what is not a general register.
fn bit(id: u8) -> Mask {
    if id < reg::RIP { 1 << (id & 15) } else { 0 }
}

/// Bits of the registers of a memory operand's address.
fn base_and_index(op: &Op) -> Mask {
    let of = |id: u8| if id < 16 { 1 << id } else { 0 };
    of(op.base) | of(op.index)
}

fn has_memory(form: Form) -> bool {
    matches!(form, Form::Mem | Form::RegMem | Form::MemReg | Form::MemImm)
}

fn first_is_register(form: Form) -> bool {
    matches!(form, Form::Reg | Form::RegReg | Form::RegImm | Form::RegMem)
}

fn second_is_register(form: Form) -> bool {
    matches!(form, Form::RegReg | Form::MemReg)
}

/// The registers among `written` of which a write of `size` leaves a part as it was.
fn kept(written: Mask, size: Size) -> Mask {
    if size >= Size::B4 { 0 } else { written }
}

/// The effects of `op`; `None` if it cannot be part of a segment.
pub(super) fn effects(op: &Op) -> Option<Effects> {
    if op.has(flag::LOCK) {
        return None;
    }
    moves(op).or_else(|| arithmetic(op)).or_else(|| implicit(op)).or_else(|| stack(op))
}

/// An instruction that writes its first operand (`modifies`: having read it) from its second.
fn two_operands(op: &Op, modifies: bool, status: Status) -> Effects {
    let dst = if first_is_register(op.form) { bit(op.dst) } else { 0 };
    let src = if second_is_register(op.form) { bit(op.src) } else { 0 };
    let reads = src | if modifies { dst } else { kept(dst, op.size) };
    let address = if has_memory(op.form) { base_and_index(op) } else { 0 };
    Effects { address, reads, writes: dst, status }
}

fn moves(op: &Op) -> Option<Effects> {
    let plain = two_operands(op, false, Status::Unused);
    Some(match op.kind {
        Kind::Mov | Kind::Movzx8 | Kind::Movzx16 | Kind::Movsx8 | Kind::Movsx16 | Kind::Movsx32 => {
            plain
        }
        Kind::Lea => Effects { address: 0, reads: plain.reads | plain.address, ..plain },
        Kind::Cmov => two_operands(op, true, Status::Read),
        Kind::Setcc => Effects { status: Status::Read, ..plain },
        Kind::Bswap => two_operands(op, true, Status::Unused),
        Kind::Xchg if op.form == Form::RegReg => {
            let both = plain.writes | bit(op.src);
            Effects { reads: both, writes: both, ..plain }
        }
        Kind::Nop | Kind::Pause | Kind::Lfence => {
            Effects { address: 0, reads: 0, writes: 0, ..plain }
        }
        _ => return None,
    })
}

fn arithmetic(op: &Op) -> Option<Effects> {
    let written = two_operands(op, true, Status::Written);
    let changed = Effects { status: Status::Changed, ..written };
    let same = op.form == Form::RegReg && op.dst == op.src;
    Some(match op.kind {
        // The idiom for zero.
        Kind::Xor | Kind::Sub if same && op.size >= Size::B4 => Effects { reads: 0, ..written },
        Kind::Add | Kind::Or | Kind::And | Kind::Sub | Kind::Xor | Kind::Neg => written,
        Kind::Cmp | Kind::Test => Effects { writes: 0, ..written },
        Kind::Adc
        | Kind::Sbb
        | Kind::Inc
        | Kind::Dec
        | Kind::Not
        | Kind::Rol
        | Kind::Ror
        | Kind::Rcl
        | Kind::Rcr
        | Kind::Shl
        | Kind::Shr
        | Kind::Sar
        | Kind::Imul
        | Kind::Imul3
        | Kind::Bsf
        | Kind::Bsr
        | Kind::Popcnt => changed,
        Kind::Shld | Kind::Shrd => Effects { reads: changed.reads | RCX, ..changed },
        // A register offset would be part of the address.
        Kind::Bt | Kind::Bts | Kind::Btr | Kind::Btc if op.form != Form::MemReg => changed,
        _ => return None,
    })
}

/// Instructions with registers that are not named.
fn implicit(op: &Op) -> Option<Effects> {
    let none = Effects { address: 0, reads: 0, writes: 0, status: Status::Unused };
    let operand = two_operands(op, true, Status::Changed);
    let wide = RAX | RDX;
    Some(match op.kind {
        Kind::Mul | Kind::ImulWide | Kind::Div | Kind::Idiv => {
            let high = matches!(op.kind, Kind::Div | Kind::Idiv) || op.size < Size::B4;
            let reads = operand.reads | RAX | if high { RDX } else { 0 };
            Effects { reads, writes: wide, ..operand }
        }
        Kind::Cbw => Effects { reads: RAX, writes: RAX, ..none },
        Kind::Cwd => Effects { reads: RAX | kept(RDX, op.size), writes: RDX, ..none },
        Kind::Clc | Kind::Stc | Kind::Cmc | Kind::Cld | Kind::Std | Kind::Cli => {
            Effects { status: Status::Changed, ..none }
        }
        Kind::Movs | Kind::Stos => {
            let used = RCX | RSI | RDI;
            let status = Status::Read;
            Effects { address: RSI | RDI, reads: used | RAX, writes: used, status }
        }
        Kind::Rdtsc => Effects { writes: wide, ..none },
        _ => return None,
    })
}

fn stack(op: &Op) -> Option<Effects> {
    let operand = two_operands(op, false, Status::Unused);
    let address = operand.address | RSP;
    let push = Effects { address, reads: operand.reads | operand.writes, writes: RSP, ..operand };
    Some(match op.kind {
        Kind::Push | Kind::PushImm | Kind::Call | Kind::CallIndirect => push,
        Kind::Pushf => Effects { status: Status::Read, ..push },
        Kind::Popf => Effects { status: Status::Changed, ..push },
        Kind::Pop => {
            Effects { address, reads: operand.reads, writes: operand.writes | RSP, ..push }
        }
        Kind::Ret => Effects { address: RSP, reads: 0, ..push },
        Kind::Leave => Effects { address: RBP, reads: 0, writes: RSP | RBP, ..operand },
        Kind::Jmp => Effects { address: 0, reads: 0, writes: 0, ..operand },
        Kind::Jcc => Effects { address: 0, reads: 0, writes: 0, status: Status::Read },
        Kind::JmpIndirect => {
            Effects { reads: operand.reads | operand.writes, writes: 0, ..operand }
        }
        _ => return None,
    })
}
