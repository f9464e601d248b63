//! Which stack an address lies on.

use crate::symbols::SymbolTable;
use serde::{Deserialize, Serialize};

/// Kind of a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StackKind {
    /// Of a task (or of the boot code).
    #[default]
    Task,
    /// The per-CPU stack of device and timer interrupts.
    Irq,
    /// The per-CPU stack of NMIs.
    Nmi,
}

impl StackKind {
    /// How the kernel opens a run of frames on this stack.
    #[must_use]
    pub fn opening(self) -> Option<&'static str> {
        match self {
            StackKind::Task => None,
            StackKind::Irq => Some("<IRQ>"),
            StackKind::Nmi => Some("<NMI>"),
        }
    }

    /// How the kernel closes it.
    #[must_use]
    pub fn closing(self) -> Option<&'static str> {
        match self {
            StackKind::Task => None,
            StackKind::Irq => Some("<EOI>"),
            StackKind::Nmi => Some("<<EOE>>"),
        }
    }
}

/// One stack of one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StackRange {
    /// What it is for.
    pub kind: StackKind,
    /// Lowest address.
    pub start: u64,
    /// First address above it.
    pub end: u64,
}

/// All special stacks; what lies on none of them is a task's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stacks {
    ranges: Vec<StackRange>,
}

/// Bytes of a CPU's NMI stack (EXCEPTION_STKSZ of the guest).
const NMI_STACK_BYTES: u64 = 4096;
/// Bytes of a CPU's interrupt stack (IRQ_STACK_SIZE of the guest).
const IRQ_STACK_BYTES: u64 = 16384;

impl Stacks {
    /// The guest kernel's stacks: its arrays `nmi_stack` and `irq_stack`.
    #[must_use]
    pub fn of_guest(symbols: &SymbolTable) -> Self {
        let arrays = [
            ("nmi_stack", StackKind::Nmi, NMI_STACK_BYTES),
            ("irq_stack", StackKind::Irq, IRQ_STACK_BYTES),
        ];
        let mut ranges = Vec::new();
        for (name, kind, bytes) in arrays {
            let Some(symbol) = symbols.get(name) else { continue };
            for cpu in 0..symbol.size / bytes {
                let start = symbol.addr + cpu * bytes;
                ranges.push(StackRange { kind, start, end: start + bytes });
            }
        }
        Self::new(ranges)
    }

    /// These stacks.
    #[must_use]
    pub fn new(mut ranges: Vec<StackRange>) -> Self {
        ranges.sort_by_key(|range| range.start);
        Stacks { ranges }
    }

    /// The special stack that a stack pointer belongs to. The end counts as part of a stack,
    /// because an empty stack's pointer stands there.
    pub(super) fn range(&self, rsp: u64) -> Option<usize> {
        let below = self.ranges.partition_point(|range| range.start < rsp);
        let index = below.checked_sub(1)?;
        (rsp <= self.ranges[index].end).then_some(index)
    }

    /// Kind of the stack that a stack pointer belongs to.
    #[must_use]
    pub fn kind(&self, rsp: u64) -> StackKind {
        self.range(rsp).map_or(StackKind::Task, |index| self.ranges[index].kind)
    }
}
