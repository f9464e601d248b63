//! The write history of completions: who completed, who consumed it, and what was lost.
//!
//! A completion is a counter `done` and a wait queue whose lock guards it. `complete()` adds to
//! `done` and `wait_for_completion()` subtracts, both inside the lock. A store to `done` by a CPU
//! that is *not* inside the lock is an initialisation; if `done` was not 0, it erases what had
//! been completed, and whoever waits sleeps in vain.

use crate::locks::Effect;
use crate::timeline::TicketWrite;
use serde::{Deserialize, Serialize};
use sim_x86::ids::PhysAddr;
use std::collections::BTreeMap;

/// A completion to watch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionWord {
    /// Its name, e.g. `mpt2sas_ioc[0].ctl_cmds.done`.
    pub name: String,
    /// Linear address of the structure.
    pub va: u64,
    /// Physical address of its counter `done` (32 bits).
    pub done: PhysAddr,
    /// Name of the lock of its wait queue.
    pub lock: String,
    /// Value of `done` when watching begins.
    pub initial: u32,
}

/// A write of `done`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneWrite {
    /// Cycle at which it became visible.
    pub at: u64,
    /// CPU that wrote.
    pub cpu: u32,
    /// Instruction that wrote.
    pub rip: u64,
    /// Value after it.
    pub value: u32,
}

/// How a wait for a completion went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WaitFault {
    /// It was completed, but an initialisation erased that: the waiter sleeps for nothing.
    Lost,
    /// Nothing completed it in time.
    TimedOut,
    /// The waiter went on because of a completion older than what it waits for.
    Stale,
}

/// A wait that went wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitAnomaly {
    /// How.
    pub kind: WaitFault,
    /// CPU of the waiter.
    pub cpu: u32,
    /// Cycle at which it went to sleep (or went on, if stale).
    pub from: u64,
    /// Cycle at which it woke; `None` if it still sleeps.
    pub until: Option<u64>,
    /// The completion that was lost or stale.
    pub completed: Option<DoneWrite>,
    /// The store that erased it.
    pub erased: Option<DoneWrite>,
}

/// Wait anomalies kept per completion.
const MAX_ANOMALIES: usize = 64;

/// What is known of one completion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletionState {
    word: CompletionWord,
    value: u32,
    /// Last increment that nobody has consumed.
    completed: Option<DoneWrite>,
    /// Last store by a CPU outside the lock.
    initialised: Option<DoneWrite>,
    /// A completion that was erased, with the store that erased it.
    erased: Option<(Option<DoneWrite>, DoneWrite)>,
    /// CPUs inside the lock (more than one if it is broken), and whether each has written `done`
    /// since it came in.
    inside: BTreeMap<u32, bool>,
    /// Last write of `done` from inside the lock, by CPU: it names the critical section.
    sections: BTreeMap<u32, u64>,
    /// Waiters asleep, by CPU, with the cycle at which they let go of the lock.
    asleep: BTreeMap<u32, u64>,
    anomalies: Vec<WaitAnomaly>,
    /// When a completion last reached its waiter: it slept when `done` went up, or took it.
    delivered: Option<u64>,
}

impl CompletionState {
    /// A completion that nobody has touched yet.
    #[must_use]
    pub fn new(word: CompletionWord) -> Self {
        CompletionState {
            value: word.initial,
            word,
            completed: None,
            initialised: None,
            erased: None,
            inside: BTreeMap::new(),
            sections: BTreeMap::new(),
            asleep: BTreeMap::new(),
            anomalies: Vec::new(),
            delivered: None,
        }
    }

    /// The words watched.
    #[must_use]
    pub fn word(&self) -> &CompletionWord {
        &self.word
    }

    /// Value of `done`.
    #[must_use]
    pub fn value(&self) -> u32 {
        self.value
    }

    /// Last initialisation.
    #[must_use]
    pub fn initialised(&self) -> Option<&DoneWrite> {
        self.initialised.as_ref()
    }

    /// CPUs that wrote `done` from inside the lock, each with the instruction that did it last.
    pub fn sections(&self) -> impl Iterator<Item = (u32, u64)> {
        self.sections.iter().map(|(cpu, rip)| (*cpu, *rip))
    }

    /// True if a waiter sleeps although what it waits for was completed and erased.
    #[must_use]
    pub fn is_hopeless(&self) -> bool {
        self.erased.is_some() && !self.asleep.is_empty()
    }

    /// When a completion last reached a waiter: a sleeping one, or one that took it.
    #[must_use]
    pub fn delivered(&self) -> Option<u64> {
        self.delivered
    }

    /// Waits that went wrong, oldest first; at last those that are hopeless and not over yet.
    #[must_use]
    pub fn anomalies(&self) -> Vec<WaitAnomaly> {
        let open = self.asleep.iter().filter_map(|(cpu, from)| {
            let (completed, erased) = self.erased?;
            let (cpu, from) = (*cpu, *from);
            let erased = Some(erased);
            Some(WaitAnomaly { kind: WaitFault::Lost, cpu, from, until: None, completed, erased })
        });
        self.anomalies.iter().cloned().chain(open).collect()
    }

    /// Takes note of a write of `done`. `requested` is the last request made to a device that
    /// was not answered yet.
    pub fn written(&mut self, write: DoneWrite, requested: Option<u64>) {
        let before = std::mem::replace(&mut self.value, write.value);
        let Some(touched) = self.inside.get_mut(&write.cpu) else {
            self.initialised = Some(write);
            self.delivered = None;
            if write.value == 0 && before > 0 {
                self.erased = Some((self.completed.take(), write));
            }
            return;
        };
        *touched = true;
        self.sections.insert(write.cpu, write.rip);
        if write.value > before {
            self.completed = Some(write);
            self.erased = None;
            if !self.asleep.is_empty() {
                self.delivered = Some(write.at);
            }
            return;
        }
        self.delivered = Some(write.at);
        let asleep = self.asleep.remove(&write.cpu);
        let consumed = self.completed.take();
        let older = matches!((consumed, requested), (Some(c), Some(r)) if c.at < r);
        if asleep.is_none() && older {
            self.report(WaitFault::Stale, write.cpu, write.at, Some(write.at), consumed);
        }
    }

    /// Takes note of a write of the wait queue's lock.
    pub fn lock_written(&mut self, effect: &Effect, at: u64) {
        if effect.kind == TicketWrite::Serve
            && let Some(cpu) = effect.released
        {
            self.left(cpu, at);
        }
        if let Some(cpu) = effect.granted {
            self.inside.insert(cpu, false);
        }
    }

    /// `cpu` leaves the critical section: if it did not touch `done`, it is a waiter going to
    /// sleep, or one that woke and found nothing.
    fn left(&mut self, cpu: u32, at: u64) {
        if self.inside.remove(&cpu).unwrap_or(true) {
            return;
        }
        match self.asleep.remove(&cpu) {
            None => {
                self.asleep.insert(cpu, at);
            }
            Some(from) => {
                let erased = self.erased.take();
                let kind = if erased.is_some() { WaitFault::Lost } else { WaitFault::TimedOut };
                self.report(kind, cpu, from, Some(at), erased.and_then(|(lost, _)| lost));
                if let Some(anomaly) = self.anomalies.last_mut() {
                    anomaly.erased = erased.map(|(_, store)| store);
                }
            }
        }
    }

    fn report(
        &mut self,
        kind: WaitFault,
        cpu: u32,
        from: u64,
        until: Option<u64>,
        completed: Option<DoneWrite>,
    ) {
        if self.anomalies.len() < MAX_ANOMALIES {
            let erased = None;
            self.anomalies.push(WaitAnomaly { kind, cpu, from, until, completed, erased });
        }
    }
}

#[cfg(test)]
mod tests;
