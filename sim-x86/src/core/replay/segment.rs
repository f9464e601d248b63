//! A segment as data.

use crate::ids::{LineAddr, PhysAddr};
use crate::op::Op;

/// A register and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) register: u8,
    pub(super) value: u64,
}

/// Memory and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) addr: PhysAddr,
    pub(super) size: u8,
    pub(super) value: u64,
}

/// A load of a residual instruction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) addr: PhysAddr,
    pub(super) size: u8,
    /// The store of the segment that it sees, and how far its value is shifted; else it sees
    /// memory.
    pub(super) from: Option<(u16, u8)>,
}

/// A store, with its recorded value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    pub(super) addr: PhysAddr,
    pub(super) size: u8,
    pub(super) value: u64,
    /// When it may commit, in cycles since the start.
    pub(super) ready: u64,
    pub(super) rip: u64,
}

/// An instruction that is executed at each replay.
#[derive(Clone, Copy, Debug)]
pub(super) struct Residual {
    pub(super) op: Op,
    /// Cycles since the start.
    pub(super) at: u64,
    pub(super) rip: u64,
    /// The instruction after it: a branch must go where it went.
    pub(super) next: u64,
    /// The flags before it, if they are known and it uses them.
    pub(super) rflags: Option<u64>,
    /// What it charges besides its table cost: must be the same.
    pub(super) charged: u32,
    /// Range of [`Segment::given`]: registers to be set before it.
    pub(super) given: (u32, u32),
    /// Range of [`Segment::loads`].
    pub(super) loads: (u32, u32),
    /// Range of [`Segment::stores`].
    pub(super) stores: (u32, u32),
}

/// A run of instructions with everything that is known about it in advance.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    // What must be as it was.
    pub(super) paid: LineAddr,
    pub(super) restarting: bool,
    pub(super) cs: u16,
    pub(super) bases: (u64, u64),
    /// RFLAGS without the status flags.
    pub(super) system_flags: u64,
    /// The status flags, if they are read.
    pub(super) status: Option<u64>,
    pub(super) registers: Vec<Given>,
    pub(super) words: Vec<Word>,
    // What is to be done.
    pub(super) residual: Vec<Residual>,
    pub(super) loads: Vec<Load>,
    pub(super) given: Vec<Given>,
    /// In program order; the first [`Segment::committed`] leave the buffer within the segment.
    pub(super) stores: Vec<Stored>,
    pub(super) committed: usize,
    /// When the last of these leaves.
    pub(super) last_commit: Option<u64>,
    /// Lines that must be in L1D (true: writable), in the order in which they are last touched.
    pub(super) data: Vec<(LineAddr, bool)>,
    pub(super) first_line: LineAddr,
    /// Lines that must be in L1I, in the order in which they are last touched.
    pub(super) code: Vec<LineAddr>,
    // What is known of the result.
    pub(super) results: Vec<Given>,
    pub(super) rflags: Option<u64>,
    pub(super) rip: u64,
    pub(super) fetch_line: LineAddr,
    pub(super) paid_after: LineAddr,
    pub(super) instructions: u64,
    /// When its last instruction starts, and when that one ends, in cycles since the start.
    pub(super) last_start: u64,
    pub(super) cycles: u64,
    pub(super) time_reads: u64,
}
