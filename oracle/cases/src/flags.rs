//! Which status flags an instruction leaves undefined: iced's table, made exact for shifts and
//! rotates, where it depends on the count (SDM vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD).

use crate::{Boundary, Case};
use iced_x86::{Instruction, Mnemonic, OpKind, Register, RflagsBits};

const CF: u64 = 1;
const AF: u64 = 1 << 4;
const OF: u64 = 1 << 11;

/// RFLAGS bits of an iced set, status flags only.
fn status(bits: u32) -> u64 {
    [
        (RflagsBits::OF, 11),
        (RflagsBits::SF, 7),
        (RflagsBits::ZF, 6),
        (RflagsBits::AF, 4),
        (RflagsBits::PF, 2),
        (RflagsBits::CF, 0),
    ]
    .iter()
    .filter(|(bit, _)| bits & bit != 0)
    .fold(0, |mask, (_, position)| mask | 1 << position)
}

/// Follows flags through a sequence.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    /// There was a branch: what comes after it may have been skipped.
    branched: bool,
}

impl Tracker {
    /// False if the instruction would make undefined flags visible in registers or memory.
    pub(crate) fn may_follow(&self, instruction: &Instruction, undefined: u64) -> bool {
        status(instruction.rflags_read()) & undefined == 0
    }

    /// The undefined flags after `instruction`.
    pub(crate) fn undefined_after(
        &mut self,
        case: &Case,
        instruction: &Instruction,
        before: Boundary,
    ) -> u64 {
        let first = case.boundaries.is_empty();
        self.branched |= instruction.flow_control() != iced_x86::FlowControl::Next;
        let Some(shift) = Shift::of(instruction) else {
            let own = status(instruction.rflags_undefined());
            let written = status(
                instruction.rflags_written()
                    | instruction.rflags_cleared()
                    | instruction.rflags_set(),
            );
            let certain =
                !self.branched && !instruction.has_rep_prefix() && !instruction.has_repne_prefix();
            return own | before.undefined & !if certain { written } else { 0 };
        };
        let count = match shift.count {
            Count::Known(count) => Some(count),
            Count::Cl if first => Some(case.gpr[1] as u32 & shift.mask),
            Count::Cl => None,
        };
        before.undefined | shift.undefined(count)
    }
}

enum Count {
    Known(u32),
    Cl,
}

struct Shift {
    mnemonic: Mnemonic,
    bits: u32,
    mask: u32,
    count: Count,
}

impl Shift {
    fn of(instruction: &Instruction) -> Option<Self> {
        use Mnemonic as M;
        let mnemonic = instruction.mnemonic();
        let last = match mnemonic {
            M::Shl | M::Sal | M::Shr | M::Sar | M::Rol | M::Ror | M::Rcl | M::Rcr => 1,
            M::Shld | M::Shrd => 2,
            _ => return None,
        };
        let bits = match instruction.op0_kind() {
            OpKind::Register => instruction.op0_register().size() as u32 * 8,
            _ => instruction.memory_size().size() as u32 * 8,
        };
        let mask = if bits == 64 { 63 } else { 31 };
        let count = if instruction.op_kind(last) == OpKind::Register {
            debug_assert_eq!(instruction.op_register(last), Register::CL);
            Count::Cl
        } else {
            Count::Known(instruction.immediate(last) as u32 & mask)
        };
        Some(Shift { mnemonic, bits, mask, count })
    }

    /// Undefined flags for a count; for any count if it is not known.
    fn undefined(&self, count: Option<u32>) -> u64 {
        use Mnemonic as M;
        let rotate = matches!(self.mnemonic, M::Rol | M::Ror | M::Rcl | M::Rcr);
        let half = if rotate { 0 } else { AF };
        let beyond = match self.mnemonic {
            M::Shl | M::Sal | M::Shr if self.bits < 32 => CF,
            _ => 0,
        };
        match count {
            Some(0) => 0,
            Some(1) => half,
            Some(count) if count < self.bits => half | OF,
            _ => half | OF | beyond,
        }
    }
}
