//! What one iteration of a loop does, and which lines it touches.

use super::Park;
use super::poll::Poll;
use crate::core::Unit;
use crate::core::bus::CoreBus;
use crate::core::regs::Registers;
use crate::exec::{Flow, execute};
use crate::ids::{LineAddr, PhysAddr};
use crate::op::Op;
use sim_core::Cycle;

/// More lines than these are not worth the search at every probe.
pub(super) const MOST_LINES: usize = 8;
/// Longer iterations than this are not surveyed.
pub(super) const MOST_INSTRUCTIONS: u64 = 32;

/// An instruction of a loop.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct Surveyed {
    pub(super) rip: u64,
    pub(in crate::core) op: Op,
    /// The line that it ends in.
    pub(in crate::core) line: LineAddr,
}

/// What one iteration of a loop does and which lines it touches.
#[derive(Clone, Debug, Default)]
pub(super) struct Survey {
    /// True while each instruction is to be looked at.
    pub(super) active: bool,
    /// The instructions looked at, in their order.
    pub(super) ops: Vec<Surveyed>,
    /// The lines that they lie in.
    pub(super) code: Vec<LineAddr>,
    /// The lines that they read.
    pub(super) data: Vec<LineAddr>,
    /// False if something was done whose lines are not known.
    pub(super) complete: bool,
    /// Set when the loop was parked: what has to be the same for it to be tried.
    pub(super) known: Option<Known>,
}

/// See [`Survey::known`].
#[derive(Clone, Debug)]
pub(super) struct Known {
    /// Line of the jump that closes the loop.
    pub(super) fetch_line: LineAddr,
    /// See [`CodeCache::edition`](crate::core::code::CodeCache::edition).
    pub(super) edition: u64,
    /// If all that an iteration depends on is one word in memory.
    pub(super) poll: Option<Poll>,
}

impl Survey {
    pub(super) fn start(&mut self) {
        (self.active, self.complete, self.known) = (true, true, None);
        self.ops.clear();
        self.code.clear();
        self.data.clear();
    }

    /// What is known of it, if its instructions are still what they were.
    pub(super) fn known(&self, edition: u64) -> Option<&Known> {
        self.known.as_ref().filter(|known| known.edition == edition)
    }

    /// What is known of the loop at `head`, if it is the one that was parked last, and its code is
    /// where it was then.
    pub(super) fn known_at(&self, head: u64, unit: &Unit, edition: u64) -> Option<&Known> {
        let begins = self.ops.first().is_some_and(|first| first.rip == head);
        let known = self.known(edition).filter(|_| begins && self.code_hits(unit))?;
        (known.fetch_line == unit.fetch_line).then_some(known)
    }

    /// True if fetching its instructions changes nothing in L1I.
    pub(super) fn code_hits(&self, unit: &Unit) -> bool {
        self.code.iter().all(|&line| unit.caches.is_recent_code(line))
    }

    /// The instruction at RIP, if it is `next` of the loop, reads the surveyed lines only, and
    /// changes nothing but `regs`: its cycles. If not, nothing has changed.
    pub(super) fn execute(
        &self,
        next: &Surveyed,
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
    ) -> Option<u32> {
        if regs.rip != next.rip {
            return None;
        }
        if let Some(addr) = next.op.loads_from(regs) {
            // Probes for other lines do not wake the core.
            let line = bus.recent_line(addr, next.op.size)?;
            if !self.data.contains(&line) {
                return None;
            }
        }
        bus.cost = 0;
        let flow = execute(regs, bus, &next.op).ok()?;
        matches!(flow, Flow::Next | Flow::Taken).then(|| bus.cost + next.op.cost())
    }

    /// Executes `ops`: their cycles.
    pub(super) fn execute_all(
        &self,
        ops: &[Surveyed],
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
    ) -> Option<u64> {
        let mut cycles = 0;
        for next in ops {
            cycles += u64::from(self.execute(next, regs, bus)?);
        }
        Some(cycles)
    }

    /// One iteration from the head, or two.
    pub(super) fn repeat(
        &self,
        regs: &mut Registers,
        bus: &mut CoreBus<'_>,
        limit: Cycle,
    ) -> Option<(u64, Park)> {
        let (head, instructions) = (regs.rip, self.ops.len() as u64);
        let mut since = bus.unit.clock;
        for executed in [0, instructions] {
            let before = *regs;
            let period = self.execute_all(&self.ops, regs, bus)?;
            if regs.rip != head || period == 0 {
                return None;
            }
            if *regs == before {
                let (stores, counted, polls) = (false, None, None);
                let park = Park { since, period, instructions, stores, counted, polls };
                return Some((executed, park));
            }
            since += period;
            if since > limit {
                return None;
            }
        }
        None
    }
}

pub(super) fn add_lines(lines: &mut Vec<LineAddr>, (first, bytes): (PhysAddr, u64)) {
    for line in [first.line(), PhysAddr(first.0 + bytes - 1).line()] {
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
}
