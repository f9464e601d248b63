//! Cycles of an instruction by its class: the table of [`InstructionCosts`] applied.
//!
//! Loads are timed by the memory system. A store costs one cycle here, to put it into the store
//! buffer; so a move to memory costs 1, a read-modify-write its arithmetic and 1.

use super::kind::Kind;
use super::{Form, Op};
use crate::exec::Size;
use crate::spec::InstructionCosts;

/// Cycles to issue a store.
const STORE: u32 = 1;

/// `(cost, extra)` of a decoded instruction; see [`Op`].
pub(super) fn cost(op: &Op, costs: &InstructionCosts) -> (u16, u16) {
    let (cost, extra) = match op.kind {
        Kind::Jcc | Kind::Loop | Kind::Loope | Kind::Loopne | Kind::Jrcxz => {
            (costs.branch_not_taken, costs.branch_taken.saturating_sub(costs.branch_not_taken))
        }
        Kind::Movs | Kind::Cmps | Kind::Scas | Kind::Lods | Kind::Stos => {
            (costs.string_step, costs.rep_start)
        }
        Kind::Ins | Kind::Outs => (costs.port_io, costs.rep_start),
        Kind::Iret => (costs.iret, costs.iret_ring.saturating_sub(costs.iret)),
        Kind::Wrmsr => (costs.wrmsr_x2apic, costs.wrmsr.saturating_sub(costs.wrmsr_x2apic)),
        Kind::MovToCr if op.dst == 3 => (costs.mov_cr3, 0),
        _ => (integer(op, costs).unwrap_or_else(|| system(op.kind, costs)), 0),
    };
    (clamp(cost), clamp(extra))
}

fn clamp(cycles: u32) -> u16 {
    u16::try_from(cycles).unwrap_or(u16::MAX)
}

fn integer(op: &Op, costs: &InstructionCosts) -> Option<u32> {
    let writes_memory = matches!(op.form, Form::Mem | Form::MemReg | Form::MemImm);
    let store = if writes_memory { STORE } else { 0 };
    Some(match op.kind {
        // A load's time is the memory system's.
        Kind::Mov | Kind::Movzx8 | Kind::Movzx16 | Kind::Movsx8 | Kind::Movsx16 | Kind::Movsx32 => {
            match op.form {
                Form::RegMem => 0,
                Form::MemReg | Form::MemImm => STORE,
                _ => costs.alu,
            }
        }
        Kind::Pop => store,
        Kind::Push | Kind::PushImm | Kind::PushSeg => STORE,
        Kind::Cmp | Kind::Test | Kind::Bt => costs.alu,
        Kind::Cmov => costs.cmov_adc,
        Kind::Adc | Kind::Sbb => costs.cmov_adc + store,
        Kind::Imul | Kind::Imul3 => costs.imul,
        Kind::Mul | Kind::ImulWide => costs.mul_wide,
        Kind::Div | Kind::Idiv if op.size == Size::B8 => costs.div64,
        Kind::Div | Kind::Idiv => costs.div32,
        Kind::Bsf | Kind::Bsr | Kind::Popcnt => costs.bit_scan,
        Kind::Shld | Kind::Shrd | Kind::Rcl | Kind::Rcr => costs.double_shift + store,
        Kind::Jmp | Kind::Call | Kind::JmpIndirect | Kind::CallIndirect | Kind::Ret => {
            costs.branch_taken
        }
        Kind::Enter => costs.alu + STORE,
        Kind::Pushf => costs.pushf,
        Kind::Popf => costs.popf,
        Kind::Cld | Kind::Std => costs.cld,
        Kind::Cli => costs.cli,
        Kind::Sti => costs.sti,
        Kind::Pause => costs.pause,
        Kind::Mfence => costs.mfence,
        Kind::Lfence => costs.lfence,
        Kind::Sfence => costs.sfence,
        kind if is_simple(kind) => costs.alu + store,
        _ => return None,
    })
}

/// Instructions of the plain arithmetic class.
fn is_simple(kind: Kind) -> bool {
    use Kind::*;
    matches!(
        kind,
        Lea | Setcc
            | Bswap
            | Cbw
            | Cwd
            | Xchg
            | Xlat
            | Add
            | Or
            | And
            | Sub
            | Xor
            | Inc
            | Dec
            | Neg
            | Not
            | Rol
            | Ror
            | Shl
            | Shr
            | Sar
            | Bts
            | Btr
            | Btc
            | Leave
            | Cmpxchg
            | Xadd
            | Cmpxchg8b
            | Cmpxchg16b
            | Nop
            | Clc
            | Stc
            | Cmc
            | Lahf
            | Sahf
            | Hlt
            | MovFromSeg
    )
}

fn system(kind: Kind, costs: &InstructionCosts) -> u32 {
    match kind {
        Kind::Rdtsc | Kind::Rdtscp => costs.rdtsc,
        Kind::Rdpmc => costs.rdpmc,
        Kind::Cpuid => costs.cpuid,
        Kind::Rdmsr => costs.rdmsr,
        Kind::Syscall => costs.syscall,
        Kind::Sysret => costs.sysret,
        Kind::Retf => costs.iret,
        Kind::Swapgs => costs.swapgs,
        Kind::Invlpg => costs.invlpg,
        Kind::MovToSeg | Kind::PopSeg => costs.mov_seg,
        Kind::In | Kind::Out => costs.port_io,
        Kind::Clflush | Kind::Wbinvd => costs.cache_flush,
        // The core charges the entry through the IDT; a fault costs nothing of its own.
        Kind::Int
        | Kind::Int1
        | Kind::Int3
        | Kind::Undefined
        | Kind::TooLong
        | Kind::Unimplemented => 0,
        _ => costs.system,
    }
}
