//! What happened over time, as data: folds over a machine's trace that pictures and reports share.

use serde::{Deserialize, Serialize};

/// The story of one ticket-lock word.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TicketHistory {
    /// Name of the lock, e.g. `mpt2sas_ioc[0].ctl_cmds.done.wait.lock`.
    pub symbol: String,
    /// Physical address of the word.
    pub address: u64,
    /// Changes of the word, oldest first.
    pub points: Vec<TicketPoint>,
    /// Who waited for which ticket.
    pub waits: Vec<TicketWait>,
    /// Changes that were dropped from the middle of `points` because there were too many.
    pub dropped: u64,
}

/// What a write did to a lock word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TicketWrite {
    /// Took a ticket (`lock xadd` on Next).
    Take,
    /// Took the lock by trylock (`lock cmpxchg`).
    TryTake,
    /// Served the next ticket (`incw` on Owner).
    Serve,
    /// Stored 0 over the whole word.
    Init,
    /// Anything else.
    Other,
}

/// One change of a lock word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TicketPoint {
    /// Cycle at which it became visible.
    pub at: u64,
    /// CPU that wrote.
    pub cpu: u32,
    /// Function that wrote, e.g. `init_completion`.
    pub function: String,
    /// What it did.
    pub write: TicketWrite,
    /// Next after the write.
    pub next: u16,
    /// Owner after the write.
    pub owner: u16,
    /// Set if this write broke the lock: in words.
    pub anomaly: Option<String>,
}

/// A CPU that waited for a ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TicketWait {
    /// Which CPU.
    pub cpu: u32,
    /// Which ticket.
    pub ticket: u16,
    /// Cycle at which it was drawn.
    pub from: u64,
    /// Cycle at which it was served; `None` if it never was.
    pub until: Option<u64>,
}

/// What a CPU is doing, for the lockup picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// Ring 3.
    User,
    /// Kernel code that makes progress.
    Kernel,
    /// Spinning for a lock with interrupts enabled.
    SpinIrqsOn,
    /// Spinning for a lock with interrupts disabled.
    SpinIrqsOff,
    /// Waiting for other CPUs to acknowledge an IPI.
    WaitIpiAck,
    /// Halted.
    Idle,
    /// In an NMI handler.
    Nmi,
}

/// One CPU's activities in order, without gaps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CpuRow {
    /// Which CPU.
    pub cpu: u32,
    /// Its activities.
    pub spans: Vec<Span>,
}

/// A stretch of one activity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// First cycle.
    pub from: u64,
    /// First cycle after it.
    pub until: u64,
    /// What.
    pub activity: Activity,
}

/// Why one CPU waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitKind {
    /// For a ticket lock.
    TicketLock,
    /// For the acknowledgement of an IPI.
    IpiAck,
    /// For a completion.
    Completion,
    /// For its turn on a run queue.
    RunQueue,
}

/// A CPU (or nobody) that another CPU waits for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WaitEdge {
    /// Cycle since which it waits.
    pub since: u64,
    /// Who waits.
    pub waiter: u32,
    /// For whom; `None` if nobody can ever end the wait.
    pub culprit: Option<u32>,
    /// Why.
    pub kind: WaitKind,
    /// Name of the lock or mask waited for.
    pub object: String,
}

/// How a lockup spread.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Propagation {
    /// Core clock, Hz.
    pub clock_hz: u64,
    /// First cycle shown (the scenario's epoch).
    pub start: u64,
    /// First cycle after the run.
    pub end: u64,
    /// Cycle at which the damage was done, if any: time is best shown relative to it.
    pub origin: Option<u64>,
    /// A row per CPU.
    pub cpus: Vec<CpuRow>,
    /// Who waits for whom at the end, oldest first.
    pub edges: Vec<WaitEdge>,
    /// Points worth a mark: (cycle, cpu, text), e.g. the panic.
    pub marks: Vec<(u64, u32, String)>,
}

/// Outcome of one run of a sweep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepRow {
    /// Value of the swept parameter, in cycles or plain units.
    pub value: u64,
    /// Kind of the finding, kebab-case: `ok`, `hard-lockup`, `lost-completion`, ….
    pub finding: String,
    /// CPU of the finding.
    pub cpu: Option<u32>,
    /// Lock word at the end, where the finding is about a lock.
    pub lock_word: Option<u32>,
}

/// Outcomes over one parameter.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SweepTable {
    /// Path of the parameter, e.g. `devices.ioc0.firmware_latency`.
    pub param: String,
    /// Core clock, Hz, if the parameter is a duration.
    pub clock_hz: Option<u64>,
    /// Rows by ascending value.
    pub rows: Vec<SweepRow>,
}
