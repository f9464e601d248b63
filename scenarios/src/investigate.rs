//! Puts a finished run together: its evidence, the diagnosis, and the data of its pictures.

use crate::backtrace::{Backtrace, SavedRegisters, StackKind, Stacks, unwind};
use crate::collect::Collector;
use crate::completions::CompletionState;
use crate::diagnosis::{self, CompletionReport, Diagnosis, Evidence, Site, StopReason, diagnose};
use crate::dwarf::DebugInfo;
use crate::guest_memory::GuestMemory;
use crate::locks::{LockReport, LockState};
use crate::names::Names;
use crate::report::cpu::{CpuReport, RegisterValues, TaskName};
use crate::symbols::SymbolTable;
use crate::tasks::Tasks;
use crate::timeline::{Propagation, TicketHistory, TicketWrite};
use crate::waits::{QueueWait, Waits, completion_waits, cpu_waits};
use sim_core::Hertz;
use sim_x86::core::regs::{Registers, flags};

/// A machine that has stopped, with what is known of its software.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// Its memory.
    pub memory: &'a dyn GuestMemory,
    /// Symbols of everything loaded.
    pub symbols: &'a SymbolTable,
    /// Debugging information of the guest image.
    pub debug: &'a DebugInfo,
    /// Special stacks.
    pub stacks: &'a Stacks,
    /// Registers of every CPU.
    pub registers: &'a [Registers],
    /// Core clock, Hz.
    pub clock_hz: u64,
    /// Cycle at which the scenario's time began (the end of booting).
    pub start: u64,
    /// Cycle at which the run ended.
    pub end: u64,
    /// Why it ended.
    pub stop: &'a StopReason,
}

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("end", &self.end).field("stop", &self.stop).finish()
    }
}

/// Everything that was found out about a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Investigation {
    /// The finding and its causal chain.
    pub diagnosis: Diagnosis,
    /// Every CPU.
    pub cpus: Vec<CpuReport>,
    /// Every lock that was ever used.
    pub locks: Vec<LockReport>,
    /// Every completion on which a wait went wrong.
    pub completions: Vec<CompletionReport>,
    /// Who waits for whom.
    pub waits: Waits,
    /// Every task.
    pub tasks: Tasks,
    /// Data of the lockup picture.
    pub propagation: Propagation,
    /// Data of the ticket picture, for the lock of the finding.
    pub tickets: Option<TicketHistory>,
}

/// Investigates a run of which `collector` saw everything.
#[must_use]
pub fn investigate(collector: &Collector, subject: &Subject<'_>) -> Investigation {
    let Subject { memory, symbols, debug, .. } = *subject;
    let names = Names { symbols, debug, memory };
    let tasks = Tasks::read(memory, symbols, debug);
    let cpus: Vec<CpuReport> = (0_u32..)
        .zip(subject.registers)
        .map(|(id, regs)| cpu_report(subject, &tasks, id, regs))
        .collect();
    let locks: Vec<LockReport> = collector
        .locks()
        .iter()
        .filter(|lock| lock.acquisitions() > 0 || !lock.anomalies().is_empty())
        .map(|lock| lock.report(&names))
        .collect();
    let completions: Vec<CompletionReport> =
        collector.completions().iter().map(|state| completion_report(state, &names)).collect();
    let queue = |(cpu, tasks)| QueueWait { cpu, tasks };
    let waits = Waits {
        edges: cpu_waits(collector.locks(), collector.masks()),
        completions: completion_waits(memory, debug, collector.completions(), &tasks),
        run_queues: tasks.queued().into_iter().map(queue).collect(),
    };
    let deaf: Vec<u32> =
        cpus.iter().filter(|cpu| !cpu.interrupts_enabled).map(|cpu| cpu.id).collect();
    let diagnosis = diagnose(&Evidence {
        stop: subject.stop,
        end: subject.end,
        clock: Hertz(subject.clock_hz),
        console: collector.console().lines(),
        locks: &locks,
        completions: &completions,
        waits: &waits,
        deaf: &deaf,
        names,
    });
    let story = story(collector.locks(), &completions, &diagnosis);
    let tickets = story.map(|lock| with_initialisers(lock.history(&names), &completions));
    let propagation = propagation(collector, subject, &cpus, &waits);
    let completions = completions.into_iter().filter(|c| !c.anomalies.is_empty()).collect();
    Investigation { diagnosis, cpus, locks, completions, waits, tasks, propagation, tickets }
}

/// The lock whose tickets are worth a picture: that of the finding, else the busiest one.
fn story<'a>(
    locks: &'a [LockState],
    completions: &[CompletionReport],
    diagnosis: &Diagnosis,
) -> Option<&'a LockState> {
    let object = diagnosis.finding.object.as_deref();
    let guard = completions.iter().find(|c| Some(c.symbol.as_str()) == object);
    let wanted = guard.map(|completion| completion.lock.as_str()).or(object);
    let named = locks.iter().find(|lock| Some(lock.word().name.as_str()) == wanted);
    let busiest = || locks.iter().max_by_key(|lock| lock.acquisitions());
    named.or_else(busiest).filter(|lock| lock.acquisitions() > 0)
}

/// Names the function that initialised what a lock is part of, instead of the one it called.
fn with_initialisers(
    mut history: TicketHistory,
    completions: &[CompletionReport],
) -> TicketHistory {
    let guarded = completions.iter().find(|completion| completion.lock == history.symbol);
    for point in history.points.iter_mut().filter(|point| point.write == TicketWrite::Init) {
        if let Some(function) = guarded.and_then(|c| c.initialiser(point.cpu, point.at)) {
            point.function = function.to_owned();
        }
    }
    history
}

fn completion_report(state: &CompletionState, names: &Names<'_>) -> CompletionReport {
    let site = |write: &crate::completions::DoneWrite| Site {
        at: write.at,
        cpu: write.cpu,
        rip: write.rip,
        function: names.source_function(write.rip),
    };
    CompletionReport {
        symbol: state.word().name.clone(),
        lock: state.word().lock.clone(),
        done: state.value(),
        initialised: state.initialised().map(site),
        sections: state.sections().map(|(cpu, rip)| (cpu, names.function(rip))).collect(),
        anomalies: state.anomalies(),
    }
}

fn cpu_report(subject: &Subject<'_>, tasks: &Tasks, id: u32, regs: &Registers) -> CpuReport {
    let Subject { memory, symbols, stacks, .. } = *subject;
    let trace = unwind(memory, symbols, stacks, regs);
    let now = RegisterValues::new(regs.rip, regs.rflags, &regs.gpr);
    let hit = nmi_context(&trace);
    let shown = match hit {
        Some(saved) => RegisterValues::new(saved.rip, saved.rflags, &saved.gpr),
        None => now,
    };
    let task = tasks.on_cpu(id).map(|t| TaskName { pid: t.pid, comm: t.comm.clone() });
    CpuReport {
        id,
        rip: shown.rip,
        symbol: symbols.format(shown.rip),
        interrupts_enabled: shown.rflags & flags::IF != 0,
        in_nmi: hit.is_some(),
        task,
        registers: shown,
        stopped_at: symbols.format(regs.rip),
        backtrace: trace.frames.into_iter().map(Into::into).collect(),
    }
}

/// The registers of what an NMI interrupted, if the CPU is in an NMI's handler.
fn nmi_context(trace: &Backtrace) -> Option<&SavedRegisters> {
    trace.saved.iter().find(|saved| saved.stack == StackKind::Nmi)
}

fn propagation(
    collector: &Collector,
    subject: &Subject<'_>,
    cpus: &[CpuReport],
    waits: &Waits,
) -> Propagation {
    let mut fold = collector.propagation().clone();
    for cpu in cpus {
        fold.settle(cpu.id, !cpu.interrupts_enabled);
    }
    for message in diagnosis::messages(collector.console().lines()) {
        if let Some(cpu) = message.cpu {
            fold.mark(message.at, cpu, message.kind.words().to_owned());
        }
    }
    fold.finish(subject.clock_hz, subject.start, subject.end, waits.edges.clone())
}
