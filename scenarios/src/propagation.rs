//! What every CPU did over time: a fold of control records that stays small however long a run
//! is, exact near the origin of a lockup and coarser with the distance from it.

mod row;

use crate::timeline::{Activity, CpuRow, Propagation, Span, WaitEdge};
use row::Row;
use serde::{Deserialize, Serialize};
use sim_x86::trace::{Entry, Trace};

/// What one CPU is doing, as a set of conditions of which the strongest shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct CpuFold {
    since: u64,
    user: bool,
    halted: bool,
    nmi_depth: u32,
    spins: Vec<Spin>,
    awaits_acks: bool,
    row: Row,
}

/// A ticket that a CPU spins for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Spin {
    lock: u32,
    irqs_off: bool,
}

impl CpuFold {
    fn activity(&self) -> Activity {
        if self.nmi_depth > 0 {
            return Activity::Nmi;
        }
        if self.halted {
            return Activity::Idle;
        }
        if self.user {
            return Activity::User;
        }
        match self.spins.last() {
            Some(spin) if spin.irqs_off => Activity::SpinIrqsOff,
            Some(_) => Activity::SpinIrqsOn,
            None if self.awaits_acks => Activity::WaitIpiAck,
            None => Activity::Kernel,
        }
    }

    /// Changes a condition at `at`; what the CPU did until then becomes a span.
    fn change(&mut self, at: u64, what: impl FnOnce(&mut Self)) {
        let before = self.activity();
        what(self);
        if self.activity() != before {
            let from = std::mem::replace(&mut self.since, at);
            self.row.push(Span { from, until: at, activity: before });
        }
    }
}

/// Folds records into [`Propagation`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PropagationFold {
    cpus: Vec<CpuFold>,
    origin: Option<u64>,
    marks: Vec<(u64, u32, String)>,
}

impl PropagationFold {
    /// A fold over this many CPUs, which all start in the kernel.
    #[must_use]
    pub fn new(cpus: usize) -> Self {
        PropagationFold { cpus: vec![CpuFold::default(); cpus], origin: None, marks: Vec::new() }
    }

    fn cpu(&mut self, cpu: u32) -> Option<&mut CpuFold> {
        self.cpus.get_mut(usize::try_from(cpu).ok()?)
    }

    /// Takes a control record of `cpu`.
    pub fn control(&mut self, at: u64, cpu: u32, record: &Trace) {
        let Some(fold) = self.cpu(cpu) else { return };
        match *record {
            Trace::Enter { entry, .. } => fold.change(at, |fold| {
                fold.user = false;
                match entry {
                    Entry::Nmi => fold.nmi_depth += 1,
                    // Whoever takes an interrupt while it spins has them enabled.
                    Entry::Interrupt(_) if fold.nmi_depth == 0 => {
                        if let Some(spin) = fold.spins.last_mut() {
                            spin.irqs_off = false;
                        }
                    }
                    Entry::Interrupt(_) | Entry::Exception(_) | Entry::Syscall => {}
                }
            }),
            Trace::Leave { to_user, .. } => fold.change(at, |fold| {
                fold.nmi_depth = fold.nmi_depth.saturating_sub(1);
                fold.user = to_user;
            }),
            Trace::Halt => fold.change(at, |fold| fold.halted = true),
            Trace::Wake => fold.change(at, |fold| fold.halted = false),
            _ => {}
        }
    }

    /// `cpu` begins to spin for lock number `lock`.
    pub fn spin(&mut self, at: u64, cpu: u32, lock: u32, irqs_off: bool) {
        if let Some(fold) = self.cpu(cpu) {
            fold.change(at, |fold| fold.spins.push(Spin { lock, irqs_off }));
        }
    }

    /// `cpu` got lock number `lock`.
    pub fn served(&mut self, at: u64, cpu: u32, lock: u32) {
        if let Some(fold) = self.cpu(cpu)
            && let Some(index) = fold.spins.iter().rposition(|spin| spin.lock == lock)
        {
            fold.change(at, |fold| {
                fold.spins.remove(index);
            });
        }
    }

    /// `cpu` begins or ends waiting for acknowledgements of an IPI.
    pub fn await_acks(&mut self, at: u64, cpu: u32, waits: bool) {
        if let Some(fold) = self.cpu(cpu) {
            fold.change(at, |fold| fold.awaits_acks = waits);
        }
    }

    /// Tells whether the spin that `cpu` is in has interrupts disabled, now that it is known.
    pub fn settle(&mut self, cpu: u32, off: bool) {
        if let Some(spin) = self.cpu(cpu).and_then(|fold| fold.spins.last_mut()) {
            spin.irqs_off = off;
        }
    }

    /// The damage was done at `at`: from here on, detail falls with the distance from it.
    pub fn set_origin(&mut self, at: u64) {
        if self.origin.is_none() {
            self.origin = Some(at);
            for fold in &mut self.cpus {
                fold.row.set_origin(at);
            }
        }
    }

    /// Cycle at which the damage was done.
    #[must_use]
    pub fn origin(&self) -> Option<u64> {
        self.origin
    }

    /// Adds a mark.
    pub fn mark(&mut self, at: u64, cpu: u32, text: String) {
        self.marks.push((at, cpu, text));
    }

    /// The picture's data for a run that ended at `end`, with the waits that were left.
    #[must_use]
    pub fn finish(&self, clock_hz: u64, start: u64, end: u64, edges: Vec<WaitEdge>) -> Propagation {
        let row = |(cpu, fold): (usize, &CpuFold)| {
            let mut row = fold.row.clone();
            row.push(Span { from: fold.since, until: end, activity: fold.activity() });
            let mut spans = row.spans();
            spans.retain_mut(|span| {
                span.from = span.from.max(start);
                span.from < span.until
            });
            CpuRow { cpu: u32::try_from(cpu).unwrap_or(u32::MAX), spans }
        };
        Propagation {
            clock_hz,
            start,
            end,
            origin: self.origin,
            cpus: self.cpus.iter().enumerate().map(row).collect(),
            edges,
            marks: self.marks.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
