//! Which registers and flags an instruction reads and writes: for those that can be replayed, or
//! whose loops can be skipped.

use crate::core::regs::gpr;
use crate::exec::Size;
use crate::op::{Form, Kind, Op, flag};

/// A set of general-purpose registers: bit n is register n.
pub(crate) type RegisterSet = u16;

pub(crate) const fn bit(register: usize) -> RegisterSet {
    1 << register
}

const RAX: RegisterSet = bit(gpr::RAX);
const RCX: RegisterSet = bit(gpr::RCX);
const RDX: RegisterSet = bit(gpr::RDX);
const RSP: RegisterSet = bit(gpr::RSP);
const RBP: RegisterSet = bit(gpr::RBP);

/// What an instruction reads (at least) and writes (at most).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    /// Registers whose values go into its results.
    pub(crate) reads: RegisterSet,
    /// Registers that decide where in memory it reads or writes.
    pub(crate) address: RegisterSet,
    pub(crate) writes: RegisterSet,
    /// Its results, the new status flags among them, depend on the old ones.
    pub(crate) reads_flags: bool,
    /// It sets status flags.
    pub(crate) writes_flags: bool,
    /// It reads the time-stamp counter.
    pub(crate) reads_clock: bool,
    /// Where it goes on depends on what it reads.
    pub(crate) steers: bool,
}

/// The effects of `op`; `None` if it does more than to registers, flags and memory, or if it is
/// too rare to be worth a row.
pub(crate) fn effects(op: &Op) -> Option<Effects> {
    let memory = matches!(op.form, Form::Mem | Form::MemReg | Form::MemImm | Form::RegMem);
    let operands = Operands::of(op);
    let Operands { dst, src, partly } = operands;
    let address = if memory { address_registers(op) } else { 0 };
    let none = Effects { address, ..Effects::default() };
    let flags = Effects { writes_flags: true, ..none };
    Some(match op.kind {
        Kind::Mov | Kind::Movzx8 | Kind::Movzx16 | Kind::Movsx8 | Kind::Movsx16 | Kind::Movsx32 => {
            Effects { reads: src | partly, writes: dst, ..none }
        }
        Kind::Lea => Effects { reads: address | partly, address: 0, writes: dst, ..none },
        Kind::Cmov => Effects { reads: src | dst, writes: dst, reads_flags: true, ..none },
        Kind::Setcc => Effects { reads: dst, writes: dst, reads_flags: true, ..none },
        // Whatever the register held.
        Kind::Xor | Kind::Sub if operands.clears(op) => Effects { writes: dst, ..flags },
        Kind::Add | Kind::Or | Kind::And | Kind::Sub | Kind::Xor => {
            Effects { reads: src | dst, writes: dst, ..flags }
        }
        Kind::Cmp | Kind::Test => Effects { reads: src | dst, ..flags },
        Kind::Inc | Kind::Dec | Kind::Shl | Kind::Shr | Kind::Sar => {
            Effects { reads: src | dst, writes: dst, reads_flags: true, ..flags }
        }
        Kind::Neg => Effects { reads: dst, writes: dst, ..flags },
        Kind::Not => Effects { reads: dst, writes: dst, ..none },
        Kind::Shld | Kind::Shrd => {
            let count = if op.has(flag::COUNT_CL) { RCX } else { 0 };
            let reads = register(op.src) | dst | count;
            Effects { reads, writes: dst, reads_flags: true, ..flags }
        }
        Kind::Mul | Kind::ImulWide => {
            Effects { reads: RAX | RDX | dst | src, writes: RAX | RDX, ..flags }
        }
        Kind::Imul | Kind::Imul3 => Effects { reads: src | dst, writes: dst, ..flags },
        Kind::Div | Kind::Idiv => {
            Effects { reads: RAX | RDX | dst | src, writes: RAX | RDX, ..none }
        }
        Kind::Cwd => Effects { reads: RAX | RDX, writes: RDX, ..none },
        Kind::Cbw => Effects { reads: RAX, writes: RAX, ..none },
        Kind::Push | Kind::PushImm => {
            Effects { reads: dst, address: address | RSP, writes: RSP, ..none }
        }
        Kind::Pop if op.form == Form::Reg => {
            Effects { reads: partly, address: RSP, writes: dst | RSP, ..none }
        }
        Kind::Leave => Effects { address: RBP, writes: RSP | RBP, ..none },
        // A NOP reads nothing, whatever operands it has.
        Kind::Jmp | Kind::Nop | Kind::Pause | Kind::Cld | Kind::Cli => Effects::default(),
        Kind::Jcc => Effects { reads_flags: true, steers: true, ..none },
        Kind::Call | Kind::Ret => Effects { address: RSP, writes: RSP, steers: true, ..none },
        Kind::CallIndirect => {
            Effects { reads: dst, address: address | RSP, writes: RSP, steers: true, ..none }
        }
        Kind::JmpIndirect => Effects { reads: dst, steers: true, ..none },
        Kind::Rdtsc => Effects { writes: RAX | RDX, reads_clock: true, ..none },
        _ => return None,
    })
}

fn register(id: u8) -> RegisterSet {
    bit(usize::from(id & 15))
}

fn address_registers(op: &Op) -> RegisterSet {
    let of = |id: u8| if id < 16 { register(id) } else { 0 };
    of(op.base) | of(op.index)
}

/// The explicit register operands of an instruction.
struct Operands {
    dst: RegisterSet,
    src: RegisterSet,
    /// The destination, if a part of it keeps its value.
    partly: RegisterSet,
}

impl Operands {
    fn of(op: &Op) -> Self {
        let dst = match op.form {
            Form::Reg | Form::RegReg | Form::RegImm | Form::RegMem => register(op.dst),
            Form::None | Form::Mem | Form::Imm | Form::MemReg | Form::MemImm => 0,
        };
        let src = match op.form {
            Form::RegReg | Form::MemReg => register(op.src),
            _ => 0,
        };
        Operands { dst, src, partly: if op.size < Size::B4 { dst } else { 0 } }
    }

    fn clears(&self, op: &Op) -> bool {
        op.form == Form::RegReg && op.dst == op.src && self.partly == 0
    }
}
