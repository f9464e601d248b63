//! What is told of a lock at the end of a run.

use super::replay::{Point, past_next};
use super::{Anomaly, AnomalyKind, LockState, Ticket, next_of, owner_of};
use crate::names::Names;
use crate::timeline::{TicketHistory, TicketPoint, TicketWait, TicketWrite};
use serde::{Deserialize, Serialize};

/// The CPU inside a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Which CPU.
    pub cpu: u32,
    /// Its ticket.
    pub ticket: u16,
    /// Cycle since which it is inside.
    pub since: u64,
    /// Function that took the lock.
    pub function: String,
}

/// A CPU waiting for a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiter {
    /// Which CPU.
    pub cpu: u32,
    /// Its ticket.
    pub ticket: u16,
    /// Cycle since which it waits.
    pub since: u64,
    /// Function that waits.
    pub function: String,
    /// True if Owner will not reach its ticket any more.
    pub never: bool,
}

/// A lock at the end of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockReport {
    /// Its name.
    pub symbol: String,
    /// Its linear address.
    pub address: u64,
    /// The whole word.
    pub word: u32,
    /// Next ticket.
    pub next: u16,
    /// Ticket served now.
    pub owner: u16,
    /// Who is inside.
    pub holder: Option<Holder>,
    /// Who waits, longest first.
    pub waiters: Vec<Waiter>,
    /// How often it was taken.
    pub acquisitions: u64,
    /// What went wrong, oldest first.
    pub anomalies: Vec<Anomaly>,
}

impl LockReport {
    /// True if Owner is past Next: whoever takes the lock next will never get it.
    #[must_use]
    pub fn is_past_next(&self) -> bool {
        past_next(self.word)
    }

    /// True if there is something to tell: the lock is held, waited for, or broken.
    #[must_use]
    pub fn is_remarkable(&self) -> bool {
        self.holder.is_some() || !self.waiters.is_empty() || !self.anomalies.is_empty()
    }
}

impl LockState {
    /// The lock at the end of a run.
    #[must_use]
    pub fn report(&self, names: &Names<'_>) -> LockReport {
        let waiter = |t: &Ticket| Waiter {
            cpu: t.cpu,
            ticket: t.number,
            since: t.taken,
            function: names.function(t.rip),
            never: t.hopeless,
        };
        let holder = |t: &Ticket| Holder {
            cpu: t.cpu,
            ticket: t.number,
            since: t.granted.unwrap_or(t.taken),
            function: names.function(t.rip),
        };
        LockReport {
            symbol: self.word.name.clone(),
            address: self.word.va,
            word: self.value,
            next: next_of(self.value),
            owner: owner_of(self.value),
            holder: self.holder().map(holder),
            waiters: self.waiting().map(waiter).collect(),
            acquisitions: self.acquisitions,
            anomalies: self.anomalies.clone(),
        }
    }

    /// The lock's story for a picture.
    #[must_use]
    pub fn history(&self, names: &Names<'_>) -> TicketHistory {
        let mut waits: Vec<TicketWait> = self
            .waits
            .iter()
            .map(|w| TicketWait {
                cpu: w.cpu,
                ticket: w.number,
                from: w.from,
                until: Some(w.until),
            })
            .chain(self.waiting().map(|t| TicketWait {
                cpu: t.cpu,
                ticket: t.number,
                from: t.taken,
                until: None,
            }))
            .collect();
        waits.sort_by_key(|wait| (wait.from, wait.cpu));
        TicketHistory {
            symbol: self.word.name.clone(),
            address: self.word.addr.0,
            points: self.points.iter().map(|point| self.point(names, point)).collect(),
            waits,
            dropped: self.points.dropped(),
        }
    }

    fn point(&self, names: &Names<'_>, point: &Point) -> TicketPoint {
        let write = &point.write;
        let anomaly = point.anomaly.and_then(|index| self.anomalies.get(index as usize));
        let kind = match point.kind {
            TicketWrite::Take if names.is_cmpxchg(write.rip) => TicketWrite::TryTake,
            kind => kind,
        };
        TicketPoint {
            at: write.at,
            cpu: write.cpu,
            function: names.function(write.rip),
            write: kind,
            next: next_of(write.after),
            owner: owner_of(write.after),
            anomaly: anomaly.map(describe),
        }
    }
}

/// An anomaly in words, for the picture of its lock.
fn describe(anomaly: &Anomaly) -> String {
    let what = anomaly.kind.words();
    match (&anomaly.victim, anomaly.kind) {
        (Some(victim), AnomalyKind::NeverServed) => {
            let owner = owner_of(anomaly.after);
            format!("ticket {} of CPU {}: Owner is {owner} already", victim.number, victim.cpu)
        }
        (Some(victim), _) if victim.granted.is_some() => {
            format!("{what}: CPU {} held it with ticket {}", victim.cpu, victim.number)
        }
        (Some(victim), _) => format!("{what}: CPU {} waited for it", victim.cpu),
        (None, _) => {
            format!("{what}: Next {}, Owner {}", next_of(anomaly.after), owner_of(anomaly.after))
        }
    }
}
