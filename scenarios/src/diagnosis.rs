//! From evidence to a finding: what went wrong, why, and how it spread.
//!
//! The rules know ticket locks, completions, acknowledgement masks and the kernel's own messages;
//! they know no driver and no scenario. Names come from symbols.

mod cause;
mod messages;
mod spread;

pub use messages::{Message, MessageKind, read as messages};

use crate::completions::WaitAnomaly;
use crate::console::ConsoleLine;
use crate::locks::{DEVICE, LockReport};
use crate::names::Names;
use crate::report::cpu::FrameReport;
use crate::waits::Waits;
use cause::Cause;
use serde::{Deserialize, Serialize};
use sim_core::Hertz;

/// Kind of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Nothing went wrong.
    Ok,
    /// A CPU made no progress with interrupts disabled, and the NMI watchdog said so.
    HardLockup,
    /// A CPU made no progress with interrupts enabled, and the watchdog said so.
    SoftLockup,
    /// A task slept uninterruptibly for too long, and the kernel said so.
    HungTask,
    /// A lock word was broken.
    LockCorrupted,
    /// A completion was erased before its waiter saw it; the waiter slept in vain.
    LostCompletion,
    /// A wait ended without its completion, or because of an older one.
    CommandTimeout,
    /// CPUs wait for each other in a circle.
    Deadlock,
    /// The kernel took a fault it could not handle, or a CPU shut down.
    Fault,
    /// The machine does not implement an instruction that was executed.
    UnimplementedInstruction,
    /// The kernel panicked for another reason.
    Panic,
    /// The time limit came before the scenario was done.
    Deadline,
}

impl FindingKind {
    /// Its name in reports, kebab-case.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FindingKind::Ok => "ok",
            FindingKind::HardLockup => "hard-lockup",
            FindingKind::SoftLockup => "soft-lockup",
            FindingKind::HungTask => "hung-task",
            FindingKind::LockCorrupted => "lock-corrupted",
            FindingKind::LostCompletion => "lost-completion",
            FindingKind::CommandTimeout => "command-timeout",
            FindingKind::Deadlock => "deadlock",
            FindingKind::Fault => "fault",
            FindingKind::UnimplementedInstruction => "unimplemented-instruction",
            FindingKind::Panic => "panic",
            FindingKind::Deadline => "deadline",
        }
    }
}

impl std::fmt::Display for FindingKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// A stop condition of the scenario came true: in words.
    Condition(String),
    /// The time limit, with work left to do.
    Deadline,
    /// The guest wrote this code to the exit port.
    Exit(u32),
    /// No CPU will ever run again.
    AllHalted,
    /// A CPU shut down because a fault could not be delivered.
    TripleFault {
        /// Which.
        cpu: u32,
    },
    /// An instruction that the machine does not implement.
    Unimplemented {
        /// Which CPU.
        cpu: u32,
        /// Its address.
        rip: u64,
        /// Its bytes and disassembly.
        text: String,
    },
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Kind.
    pub kind: FindingKind,
    /// The CPU it is about.
    pub cpu: Option<u32>,
    /// What lies under it, if that is something else: a hard lockup may be a corrupted lock.
    pub cause: Option<FindingKind>,
    /// Name of the lock or completion it is about.
    pub object: Option<String>,
    /// Value of that lock at the end, if it has to do with the matter.
    pub lock_word: Option<u32>,
    /// In one paragraph.
    pub summary: String,
}

/// A step of the causal chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// When.
    pub at_cycle: u64,
    /// Which CPU did it.
    pub cpu: Option<u32>,
    /// Instruction that did it; 0 if it was none.
    pub rip: u64,
    /// That instruction as symbol and offset.
    pub symbol: String,
    /// What happened, in words.
    pub text: String,
    /// Functions that led there, innermost first; empty until [`crate::retrace::retrace`] has
    /// looked, and where there was no instruction.
    pub backtrace: Vec<FrameReport>,
}

impl Link {
    /// A step that `cpu` took at instruction `rip`.
    fn at(names: &Names<'_>, at_cycle: u64, cpu: u32, rip: u64, text: String) -> Self {
        let symbol = names.symbols.format(rip);
        let cpu = (cpu != DEVICE).then_some(cpu);
        Link { at_cycle, cpu, rip, symbol, text, backtrace: Vec::new() }
    }

    /// A step that was no instruction.
    fn without_code(at_cycle: u64, cpu: Option<u32>, function: String, text: String) -> Self {
        Link { at_cycle, cpu, rip: 0, symbol: function, text, backtrace: Vec::new() }
    }
}

/// A finding and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// What was found.
    pub finding: Finding,
    /// How it came about, in order of time.
    pub causal_chain: Vec<Link>,
}

/// A store to a completion's counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// When.
    pub at: u64,
    /// Which CPU.
    pub cpu: u32,
    /// Instruction.
    pub rip: u64,
    /// Function as the source has it.
    pub function: String,
}

/// A completion at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionReport {
    /// Its name.
    pub symbol: String,
    /// Name of its wait queue's lock.
    pub lock: String,
    /// Value of its counter.
    pub done: u32,
    /// Who initialised it last.
    pub initialised: Option<Site>,
    /// Function whose critical section each CPU was in last, where it is known.
    pub sections: Vec<(u32, String)>,
    /// Waits that went wrong.
    pub anomalies: Vec<WaitAnomaly>,
}

/// Longest time between the first and the last store of one initialisation. They are a few
/// instructions apart; an interrupt or a contended line may come between them.
const INITIALISATION_CYCLES: u64 = 1_000_000;

impl CompletionReport {
    /// The function that initialised the completion on `cpu` shortly before cycle `at`: the lock
    /// in it is zeroed by the same function, or by one that it calls.
    #[must_use]
    pub fn initialiser(&self, cpu: u32, at: u64) -> Option<&str> {
        let site = self.initialised.as_ref()?;
        let near = site.cpu == cpu && site.at <= at && at - site.at < INITIALISATION_CYCLES;
        near.then_some(site.function.as_str())
    }
}

/// All that a diagnosis rests on.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// Why the run ended.
    pub stop: &'a StopReason,
    /// When it ended.
    pub end: u64,
    /// Core clock.
    pub clock: Hertz,
    /// The kernel's messages.
    pub console: &'a [ConsoleLine],
    /// Locks.
    pub locks: &'a [LockReport],
    /// Completions.
    pub completions: &'a [CompletionReport],
    /// Who waits for whom.
    pub waits: &'a Waits,
    /// CPUs with interrupts disabled.
    pub deaf: &'a [u32],
    /// Names.
    pub names: Names<'a>,
}

/// Finds out what went wrong.
#[must_use]
pub fn diagnose(evidence: &Evidence<'_>) -> Diagnosis {
    let messages = messages::read(evidence.console);
    let oops = messages.iter().find(|message| message.kind == MessageKind::Oops);
    let cause = match oops {
        Some(oops) => cause::of_fault(evidence, oops),
        None => cause::find(evidence),
    };
    let verdict = verdict(evidence, &messages, cause.as_ref());
    let mut chain = Vec::new();
    if let Some(cause) = &cause {
        chain.extend(cause.links.iter().cloned());
        chain.extend(spread::links(evidence, cause.root));
    }
    let said = messages.iter();
    chain.extend(said.map(|m| Link::without_code(m.at, m.cpu, String::new(), m.text.clone())));
    if let StopReason::Unimplemented { cpu, rip, text } = evidence.stop {
        let text = format!("CPU {cpu} reached an instruction that is not implemented: {text}");
        chain.push(Link::at(&evidence.names, evidence.end, *cpu, *rip, text));
    }
    chain.sort_by_key(|link| link.at_cycle);
    Diagnosis { finding: verdict, causal_chain: chain }
}

/// The finding: what the kernel itself reported goes before what only the histories show.
fn verdict(evidence: &Evidence<'_>, messages: &[Message], cause: Option<&Cause>) -> Finding {
    let (kind, cpu, said) = headline(evidence, messages, cause);
    let under = cause.map(|cause| cause.kind).filter(|under| *under != kind);
    let mut summary = said;
    if let Some(cause) = cause.filter(|_| kind != FindingKind::Ok) {
        if !summary.is_empty() {
            summary.push_str(". ");
        }
        summary.push_str(&cause.summary);
    }
    let lock = cause.and_then(|cause| cause.lock.as_ref());
    let word = evidence.locks.iter().find(|known| Some(&known.symbol) == lock);
    // A completion that went astray has a sound lock, unless its history says otherwise: who holds
    // it at the end has nothing to do with the matter. Nor has what other CPUs have done to a lock
    // by the time at which a fault ends the run.
    let about = match kind {
        FindingKind::Fault => None,
        FindingKind::LostCompletion | FindingKind::CommandTimeout => {
            word.filter(|lock| !lock.anomalies.is_empty())
        }
        _ => word,
    };
    Finding {
        kind,
        cpu: cpu.or_else(|| cause.and_then(|cause| cause.cpu)),
        cause: under,
        object: cause.and_then(|cause| cause.object.clone()),
        lock_word: about.map(|lock| lock.word),
        summary,
    }
}

/// Kind, CPU and first sentence of the finding.
fn headline(
    evidence: &Evidence<'_>,
    messages: &[Message],
    cause: Option<&Cause>,
) -> (FindingKind, Option<u32>, String) {
    match evidence.stop {
        StopReason::Unimplemented { cpu, rip, text } => {
            let place = evidence.names.symbols.format(*rip);
            let said =
                format!("CPU {cpu} executed an unimplemented instruction at {place}: {text}");
            return (FindingKind::UnimplementedInstruction, Some(*cpu), said);
        }
        StopReason::TripleFault { cpu } => {
            let said = format!("CPU {cpu} shut down: a fault could not be delivered");
            return (FindingKind::Fault, Some(*cpu), said);
        }
        StopReason::Condition(_)
        | StopReason::Deadline
        | StopReason::Exit(_)
        | StopReason::AllHalted => {}
    }
    let worst = messages.iter().min_by_key(|message| message.kind);
    if let Some(message) = worst.filter(|message| message.kind.is_fatal()) {
        return (message.kind.finding(), message.cpu, message.text.clone());
    }
    if let Some(cause) = cause.filter(|cause| cause.is_permanent) {
        return (cause.kind, cause.cpu, String::new());
    }
    if let Some(message) = worst {
        return (message.kind.finding(), message.cpu, message.text.clone());
    }
    if let Some(cause) = cause {
        return (cause.kind, cause.cpu, String::new());
    }
    let (kind, said) = match evidence.stop {
        StopReason::Deadline => (FindingKind::Deadline, "the time limit was reached".to_owned()),
        StopReason::Exit(code) => (FindingKind::Ok, format!("the guest ended with status {code}")),
        StopReason::Condition(what) => (FindingKind::Ok, what.clone()),
        _ => (FindingKind::Ok, "nothing is left to do".to_owned()),
    };
    (kind, None, said)
}

#[cfg(test)]
mod tests;
