//! A CPU at the end of a run.

use crate::backtrace::{Frame, StackKind};
use serde::{Deserialize, Serialize};

/// General-purpose registers with RIP and RFLAGS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names of the registers say it")]
pub struct RegisterValues {
    pub rax: u64,
    pub rbx: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub rbp: u64,
    pub rsp: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
    pub rip: u64,
    pub rflags: u64,
}

impl RegisterValues {
    /// From registers in the order of their encoding.
    #[must_use]
    pub fn new(rip: u64, rflags: u64, gpr: &[u64; 16]) -> Self {
        let [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8, r9, r10, r11, r12, r13, r14, r15] = *gpr;
        RegisterValues {
            rax,
            rbx,
            rcx,
            rdx,
            rsi,
            rdi,
            rbp,
            rsp,
            r8,
            r9,
            r10,
            r11,
            r12,
            r13,
            r14,
            r15,
            rip,
            rflags,
        }
    }
}

/// The task on a CPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskName {
    /// Process id.
    pub pid: u32,
    /// Name.
    pub comm: String,
}

/// One function of a backtrace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameReport {
    /// Name of the function, empty if unknown.
    pub name: String,
    /// As the kernel prints it: name, offset, size, module.
    pub symbol: String,
    /// Address.
    pub rip: u64,
    /// The stack it lies on.
    pub stack: StackKind,
    /// True if it was stopped here, false if it called the function before it.
    pub interrupted: bool,
}

impl From<Frame> for FrameReport {
    fn from(frame: Frame) -> Self {
        FrameReport {
            name: frame.name().to_owned(),
            symbol: frame.symbol(),
            rip: frame.rip,
            stack: frame.stack,
            interrupted: frame.interrupted,
        }
    }
}

/// A CPU at the end of a run. If an NMI stopped it (as the crash shutdown does), `rip`,
/// `symbol`, `interrupts_enabled` and `registers` are those of what the NMI interrupted; the
/// backtrace begins in the handler.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuReport {
    /// Its number.
    pub id: u32,
    /// Its current instruction.
    pub rip: u64,
    /// The same as symbol and offset.
    pub symbol: String,
    /// RFLAGS.IF.
    pub interrupts_enabled: bool,
    /// True if it is in an NMI's handler.
    pub in_nmi: bool,
    /// Its task.
    pub task: Option<TaskName>,
    /// Its registers.
    pub registers: RegisterValues,
    /// Where it really is: differs from `symbol` in an NMI's handler.
    pub stopped_at: String,
    /// Functions, innermost first.
    pub backtrace: Vec<FrameReport>,
}
