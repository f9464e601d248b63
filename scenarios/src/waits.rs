//! Who waits for whom when a run ends, why, and since when.

mod acks;
mod graph;

pub use acks::{AckMask, AckState};
pub use graph::WaitGraph;

use crate::completions::CompletionState;
use crate::dwarf::DebugInfo;
use crate::guest_memory::GuestMemory;
use crate::locks::LockState;
use crate::tasks::{Task, TaskState, Tasks};
use crate::timeline::{WaitEdge, WaitKind};
use serde::{Deserialize, Serialize};

/// A sleeping task that waits for a completion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskWait {
    /// Process id.
    pub pid: u32,
    /// Name of the task.
    pub comm: String,
    /// CPU it sleeps on.
    pub cpu: u32,
    /// Name of the completion.
    pub object: String,
}

/// Runnable tasks that wait for a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueWait {
    /// Which CPU.
    pub cpu: u32,
    /// How many tasks.
    pub tasks: u64,
}

/// Everything that waits at the end of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Waits {
    /// CPUs that wait, longest first.
    pub edges: Vec<WaitEdge>,
    /// Tasks asleep for a completion.
    pub completions: Vec<TaskWait>,
    /// Tasks that wait for a CPU.
    pub run_queues: Vec<QueueWait>,
}

/// CPUs that wait for ticket locks and acknowledgements, longest first.
#[must_use]
pub fn cpu_waits(locks: &[LockState], masks: &[AckState]) -> Vec<WaitEdge> {
    let mut edges = Vec::new();
    for lock in locks {
        let holder = lock.holder().map(|ticket| ticket.cpu);
        edges.extend(lock.waiting().map(|ticket| WaitEdge {
            since: ticket.taken,
            waiter: ticket.cpu,
            culprit: holder.filter(|_| !ticket.hopeless),
            kind: WaitKind::TicketLock,
            object: lock.word().name.clone(),
        }));
    }
    for mask in masks {
        let Some((since, waiter)) = mask.raised() else { continue };
        edges.extend(mask.missing().into_iter().map(|cpu| WaitEdge {
            since,
            waiter,
            culprit: Some(cpu),
            kind: WaitKind::IpiAck,
            object: mask.mask().name.clone(),
        }));
    }
    edges.sort_by_key(|edge| (edge.since, edge.waiter, edge.culprit));
    edges
}

/// Entries of a wait queue that are followed at most.
const MAX_WAITERS: usize = 4096;

/// Tasks asleep on these completions, from their wait queues in memory.
#[must_use]
pub fn completion_waits(
    memory: &dyn GuestMemory,
    debug: &DebugInfo,
    completions: &[CompletionState],
    tasks: &Tasks,
) -> Vec<TaskWait> {
    let layout = || {
        let head = debug.offset("completion", "wait.task_list")?;
        let link = debug.offset("__wait_queue", "task_list")?;
        Some((head, link, debug.offset("__wait_queue", "private")?))
    };
    let Some((head, link, private)) = layout() else { return Vec::new() };
    let mut waits = Vec::new();
    for completion in completions {
        let list = completion.word().va + head;
        let mut next = memory.read_u64(list);
        for _ in 0..MAX_WAITERS {
            let Some(entry) = next.filter(|next| *next != list && *next != 0) else { break };
            let task = memory.read_u64(entry.wrapping_sub(link).wrapping_add(private));
            // A waiter that was woken, or spins for the lock, is still queued but no longer asleep.
            let asleep =
                |known: &&Task| Some(known.address) == task && known.state != TaskState::RU;
            if let Some(task) = tasks.tasks.iter().find(asleep) {
                waits.push(TaskWait {
                    pid: task.pid,
                    comm: task.comm.clone(),
                    cpu: task.cpu,
                    object: completion.word().name.clone(),
                });
            }
            next = memory.read_u64(entry);
        }
    }
    waits
}

#[cfg(test)]
mod tests;
