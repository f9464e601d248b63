//! The guest's tasks, read from its memory by the layouts in its debugging information.

use crate::backtrace::{Backtrace, unwind_task};
use crate::dwarf::DebugInfo;
use crate::guest_memory::GuestMemory;
use crate::symbols::SymbolTable;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// State of a task, in the two letters of crash's `ps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TaskState {
    /// Runnable or running (TASK_RUNNING, 0).
    RU,
    /// Interruptible sleep (1).
    IN,
    /// Uninterruptible sleep (2), killable or not.
    UN,
    /// Stopped or traced (4, 8).
    ST,
    /// Dead (16, 32, 64).
    ZO,
    /// Being woken (256).
    WA,
}

impl TaskState {
    /// From `task_struct.state` as 2.6.32 defines its bits.
    #[must_use]
    pub fn from_bits(state: u64) -> Self {
        match state {
            0 => TaskState::RU,
            s if s & 1 != 0 => TaskState::IN,
            s if s & 2 != 0 => TaskState::UN,
            s if s & (4 | 8) != 0 => TaskState::ST,
            s if s & 256 != 0 => TaskState::WA,
            _ => TaskState::ZO,
        }
    }
}

/// A task of the guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Address of its `task_struct`.
    pub address: u64,
    /// Process id; 0 for idle tasks.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// CPU it runs on or last ran on.
    pub cpu: u32,
    /// What it does.
    pub state: TaskState,
    /// True if it is on its CPU now.
    pub current: bool,
    /// Depth of its Big Kernel Lock nesting; -1 if it does not hold it.
    pub lock_depth: i32,
}

/// Number of tasks by state, as `ps` of crash counts them: idle tasks are runnable ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(non_snake_case, reason = "the states' names in crash and in the report")]
pub struct TaskCounts {
    /// Runnable.
    pub RU: u64,
    /// Uninterruptible.
    pub UN: u64,
    /// Interruptible.
    pub IN: u64,
    /// In any other state.
    pub other: u64,
}

/// All tasks of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tasks {
    /// Every task, by (pid, address).
    pub tasks: Vec<Task>,
}

/// More tasks than this are not read: the list of a damaged guest may be a circle without a head.
const MAX_TASKS: usize = 1 << 20;

/// Offsets of what is read of a `task_struct`.
struct Layout {
    state: u64,
    pid: u64,
    cpu: u64,
    comm: u64,
    lock_depth: u64,
    tasks: u64,
}

impl Layout {
    fn new(debug: &DebugInfo) -> Option<Self> {
        let offset = |member| debug.offset("task_struct", member);
        Some(Layout {
            state: offset("state")?,
            pid: offset("pid")?,
            cpu: offset("cpu")?,
            comm: offset("comm")?,
            lock_depth: offset("lock_depth")?,
            tasks: offset("tasks")?,
        })
    }
}

impl Tasks {
    /// Reads the tasks: `init_task`, the list through `task_struct.tasks`, and the idle task of
    /// each CPU. A guest without these (a bare-metal program) has none.
    #[must_use]
    pub fn read(memory: &dyn GuestMemory, symbols: &SymbolTable, debug: &DebugInfo) -> Self {
        let Some(layout) = Layout::new(debug) else { return Tasks::default() };
        let Some(init) = symbols.address("init_task") else { return Tasks::default() };
        let cpus = per_cpu(memory, symbols, debug);
        let running: BTreeSet<u64> = cpus.iter().map(|cpu| cpu.current).collect();
        let mut addresses: BTreeSet<u64> = cpus.iter().map(|cpu| cpu.idle).collect();
        addresses.insert(init);
        let mut link = memory.read_u64(init + layout.tasks);
        for _ in 0..MAX_TASKS {
            let Some(task) = link.map(|link| link.wrapping_sub(layout.tasks)) else { break };
            if task == init {
                break;
            }
            addresses.insert(task);
            link = memory.read_u64(task + layout.tasks);
        }
        let read = |address: u64| -> Option<Task> {
            Some(Task {
                address,
                pid: memory.read_u32(address.checked_add(layout.pid)?)?,
                comm: memory.read_text(address + layout.comm, 16)?,
                cpu: memory.read_u32(address + layout.cpu)?,
                state: TaskState::from_bits(memory.read_u64(address + layout.state)?),
                current: running.contains(&address),
                lock_depth: memory.read_u32(address + layout.lock_depth)?.cast_signed(),
            })
        };
        let mut tasks: Vec<Task> = addresses.into_iter().filter_map(read).collect();
        tasks.sort_by_key(|task| (task.pid, task.address));
        Tasks { tasks }
    }

    /// How many are in which state.
    #[must_use]
    pub fn counts(&self) -> TaskCounts {
        let mut counts = TaskCounts::default();
        for task in &self.tasks {
            match task.state {
                TaskState::RU => counts.RU += 1,
                TaskState::IN => counts.IN += 1,
                TaskState::UN => counts.UN += 1,
                TaskState::ST | TaskState::ZO | TaskState::WA => counts.other += 1,
            }
        }
        counts
    }

    /// The task on `cpu` now.
    #[must_use]
    pub fn on_cpu(&self, cpu: u32) -> Option<&Task> {
        self.tasks.iter().find(|task| task.current && task.cpu == cpu)
    }

    /// Number of runnable tasks that wait for each CPU, for the CPUs that have any.
    #[must_use]
    pub fn queued(&self) -> Vec<(u32, u64)> {
        let mut queued: std::collections::BTreeMap<u32, u64> = std::collections::BTreeMap::new();
        let waits = |task: &&Task| {
            matches!(task.state, TaskState::RU | TaskState::WA) && !task.current && task.pid != 0
        };
        for task in self.tasks.iter().filter(waits) {
            *queued.entry(task.cpu).or_default() += 1;
        }
        queued.into_iter().collect()
    }
}

/// What the per-CPU area says.
struct PerCpu {
    current: u64,
    idle: u64,
}

fn per_cpu(memory: &dyn GuestMemory, symbols: &SymbolTable, debug: &DebugInfo) -> Vec<PerCpu> {
    let area = || {
        let base = symbols.address("per_cpu_area")?;
        let size = debug.size_of(debug.type_named("percpu")?);
        let current = debug.offset("percpu", "current_task")?;
        let idle = debug.offset("percpu", "rq.idle")?;
        let count = debug.array(debug.variable("per_cpu_area")?.ty)?.1;
        let cpus = (0..count).map(|cpu| base + cpu * size);
        let read = |cpu: u64| {
            let current = memory.read_u64(cpu + current)?;
            Some(PerCpu { current, idle: memory.read_u64(cpu + idle)? })
        };
        Some(cpus.filter_map(read).filter(|cpu| cpu.idle != 0 && cpu.current != 0).collect())
    };
    area().unwrap_or_default()
}

/// Backtrace of a task that is not on a CPU: from what the context switch left on its stack.
#[must_use]
pub fn backtrace(
    memory: &dyn GuestMemory,
    symbols: &SymbolTable,
    debug: &DebugInfo,
    task: &Task,
) -> Option<Backtrace> {
    let sp = memory.read_u64(task.address + debug.offset("task_struct", "thread.sp")?)?;
    let bp = memory.read_u64(sp + debug.offset("inactive_task_frame", "bp")?)?;
    let return_at = debug.offset("inactive_task_frame", "ret_addr")?;
    let rip = memory.read_u64(sp + return_at)?;
    Some(unwind_task(memory, symbols, rip, sp + return_at + 8, bp))
}

#[cfg(test)]
mod tests;
