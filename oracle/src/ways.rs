//! What a host executes differently from Intel's manual in ring 3: one of AMD's in many ways, one
//! under a hypervisor that gets INT1 wrong in one. Such cases say nothing about latchup's machine.

use iced_x86::{Code, FlowControl, Instruction, Mnemonic, OpKind};
use oracle_cases::{Case, End, GS_BASE, Outcome};

/// Ways of a host of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ways {
    /// Its processor is AMD's.
    pub amd: bool,
    /// INT1 ends with RIP before it, as if it were a fault, where it is a trap: a
    /// hypervisor that intercepts #DB and injects it anew can lose the length of the instruction.
    pub int1_stays: bool,
}

impl Ways {
    /// True if the host may execute `case` differently from latchup, which made `outcome` of it.
    #[must_use]
    pub fn differ(self, case: &Case, outcome: &Outcome) -> bool {
        self.amd && amd_differs(case, outcome) || self.int1_stays && ends_in_int1(case, outcome)
    }
}

/// True if the host's processor is AMD's.
#[must_use]
pub fn host_is_amd() -> bool {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let vendor = processors.lines().find(|line| line.starts_with("vendor_id"));
    vendor.is_some_and(|line| line.ends_with("AuthenticAMD"))
}

fn ends_in_int1(case: &Case, outcome: &Outcome) -> bool {
    matches!(outcome.end, End::Fault { vector: 1, .. })
        && case.instructions().any(|instruction| instruction.mnemonic() == Mnemonic::Int1)
}

/// True if AMD's processors may execute an instruction of `case` differently from latchup, which
/// made `outcome` of it.
fn amd_differs(case: &Case, outcome: &Outcome) -> bool {
    is_canonical_by_base(outcome)
        || case.instructions().any(|instruction| {
            let offset = (instruction.ip() - case.start) as usize;
            let bytes = &case.code[offset..offset + instruction.len()];
            shortens_rip(&instruction, bytes)
                || is_prefetch_of_a_register(&instruction)
                || is_pause_of_r8(&instruction, bytes)
                || faults_in_another_order(&instruction)
                || leaves_long_registers(&instruction)
                || is_prefixed_loop(&instruction)
                || is_short_movsxd(&instruction)
        })
}

/// Near branches with an operand-size prefix: AMD's processors obey it and cut RIP to 16 bits
/// (AMD64 manual vol. 3, Jcc, JMP, CALL and RET), Intel's ignore it in 64-bit mode.
fn shortens_rip(instruction: &Instruction, bytes: &[u8]) -> bool {
    let near = !matches!(instruction.flow_control(), FlowControl::Next | FlowControl::Exception)
        && !matches!(instruction.mnemonic(), Mnemonic::Retf | Mnemonic::Iretq | Mnemonic::Iretd);
    let prefixes = bytes.iter().take_while(|byte| {
        matches!(byte, 0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3)
    });
    near && prefixes.into_iter().any(|&byte| byte == 0x66)
}

/// 0F 0D with a register: a NOP on Intel's processors, invalid on AMD's.
fn is_prefetch_of_a_register(instruction: &Instruction) -> bool {
    matches!(
        instruction.code(),
        Code::Reservednop_rm16_r16_0F0D
            | Code::Reservednop_rm32_r32_0F0D
            | Code::Reservednop_rm64_r64_0F0D
    ) && instruction.op0_kind() == OpKind::Register
}

/// F3 90 with REX.B: PAUSE on Intel's processors, XCHG of R8 and RAX on AMD's.
fn is_pause_of_r8(instruction: &Instruction, bytes: &[u8]) -> bool {
    instruction.mnemonic() == Mnemonic::Pause
        && bytes.iter().rev().nth(1).is_some_and(|byte| byte & 0xf1 == 0x41)
}

/// Far returns and IRET: AMD's processors read and check what is on the stack in another order.
fn faults_in_another_order(instruction: &Instruction) -> bool {
    use Mnemonic as M;
    matches!(instruction.mnemonic(), M::Retf | M::Iret | M::Iretd | M::Iretq)
}

/// An address that is canonical only after the base of GS has been added: AMD's processors fault on
/// the offset.
fn is_canonical_by_base(outcome: &Outcome) -> bool {
    const UPPER_HALF: u64 = 0xffff_8000_0000_0000;
    let below = UPPER_HALF..UPPER_HALF + GS_BASE;
    matches!(outcome.end, End::Fault { vector: 14, address, .. } if below.contains(&address))
}

/// MOVSXD to 16 bits reads 16 bits on Intel's processors, 32 on AMD's.
fn is_short_movsxd(instruction: &Instruction) -> bool {
    instruction.code() == Code::Movsxd_r16_rm16
}

/// A repeated string instruction with 32-bit addresses: Intel's processors clear the upper halves
/// of RSI, RDI and RCX even if the first iteration faults or there is none, AMD's do not.
fn leaves_long_registers(instruction: &Instruction) -> bool {
    let repeated = instruction.has_rep_prefix() || instruction.has_repne_prefix();
    let short = (0..instruction.op_count()).any(|operand| {
        matches!(
            instruction.op_kind(operand),
            OpKind::MemorySegESI | OpKind::MemorySegEDI | OpKind::MemoryESEDI
        )
    });
    repeated && short
}

/// LOOPE and LOOPNE with F2 or F3: on AMD's processors the prefix decides which ZF ends the loop.
fn is_prefixed_loop(instruction: &Instruction) -> bool {
    matches!(instruction.mnemonic(), Mnemonic::Loope | Mnemonic::Loopne)
        && (instruction.has_rep_prefix() || instruction.has_repne_prefix())
}
