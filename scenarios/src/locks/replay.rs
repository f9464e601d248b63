//! Replays the visible writes of one lock word.

use super::{Anomaly, AnomalyKind, LockWord, next_of, owner_of};
use crate::bounded::{BoundedList, Bounds};
use crate::timeline::TicketWrite;
use serde::{Deserialize, Serialize};

/// One acquisition that has not been released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// CPU that drew it.
    pub cpu: u32,
    /// Its number.
    pub number: u16,
    /// Cycle at which it was drawn.
    pub taken: u64,
    /// Instruction that drew it.
    pub rip: u64,
    /// Cycle at which it was served: since then its CPU is inside.
    pub granted: Option<u64>,
    /// The word was overwritten since it was drawn.
    pub stale: bool,
    /// Reported as one that can never be served.
    pub hopeless: bool,
}

/// One visible write of a lock word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockWrite {
    /// Cycle at which it became visible.
    pub at: u64,
    /// CPU that wrote, or [`super::DEVICE`].
    pub cpu: u32,
    /// Instruction that wrote.
    pub rip: u64,
    /// Bytes of the word that it wrote: 2 for the owner half, 4 for all, other values otherwise.
    pub bytes: u8,
    /// A locked read-modify-write.
    pub locked: bool,
    /// The word before.
    pub before: u32,
    /// The word after.
    pub after: u32,
}

/// A kept write, with what it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Point {
    pub(super) write: LockWrite,
    pub(super) kind: TicketWrite,
    /// First anomaly that it caused, by index.
    pub(super) anomaly: Option<u32>,
}

/// A finished wait for a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Served {
    pub(super) cpu: u32,
    pub(super) number: u16,
    pub(super) from: u64,
    pub(super) until: u64,
}

/// Anomalies kept per lock; a broken lock can break again at each use.
const MAX_ANOMALIES: usize = 64;

/// What is known of one lock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LockState {
    pub(super) word: LockWord,
    pub(super) value: u32,
    pub(super) tickets: Vec<Ticket>,
    pub(super) points: BoundedList<Point>,
    pub(super) waits: BoundedList<Served>,
    pub(super) anomalies: Vec<Anomaly>,
    pub(super) acquisitions: u64,
}

/// What a write meant for the lock's users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effect {
    /// What it did.
    pub kind: TicketWrite,
    /// CPU that is inside now because of it.
    pub granted: Option<u32>,
    /// CPU that left because of it.
    pub released: Option<u32>,
    /// True if it broke the lock.
    pub broke: bool,
}

impl LockState {
    /// A lock that nobody has touched yet.
    #[must_use]
    pub fn new(word: LockWord, bounds: Bounds) -> Self {
        LockState {
            value: word.initial,
            word,
            tickets: Vec::new(),
            points: BoundedList::new(bounds),
            waits: BoundedList::new(bounds),
            anomalies: Vec::new(),
            acquisitions: 0,
        }
    }

    /// The word watched.
    #[must_use]
    pub fn word(&self) -> &LockWord {
        &self.word
    }

    /// The word's value.
    #[must_use]
    pub fn value(&self) -> u32 {
        self.value
    }

    /// Acquisitions not released yet, oldest first.
    #[must_use]
    pub fn tickets(&self) -> &[Ticket] {
        &self.tickets
    }

    /// What went wrong, oldest first.
    #[must_use]
    pub fn anomalies(&self) -> &[Anomaly] {
        &self.anomalies
    }

    /// True if nothing has gone wrong with it.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.anomalies.is_empty()
    }

    /// Acquisitions so far.
    #[must_use]
    pub fn acquisitions(&self) -> u64 {
        self.acquisitions
    }

    /// True if `cpu` is inside.
    #[must_use]
    pub fn is_inside(&self, cpu: u32) -> bool {
        self.tickets.iter().any(|t| t.cpu == cpu && t.granted.is_some())
    }

    /// The acquisition that is inside: the rightful one if there are several.
    #[must_use]
    pub fn holder(&self) -> Option<&Ticket> {
        let inside = || self.tickets.iter().filter(|t| t.granted.is_some());
        inside().find(|t| !t.stale && t.number == owner_of(self.value)).or_else(|| inside().next())
    }

    /// Acquisitions that wait, in the order in which they were drawn.
    pub fn waiting(&self) -> impl Iterator<Item = &Ticket> {
        self.tickets.iter().filter(|t| t.granted.is_none())
    }

    /// True if Owner is past Next: whoever takes the lock next will never get it.
    #[must_use]
    pub fn is_past_next(&self) -> bool {
        past_next(self.value)
    }

    /// Takes note of a write.
    pub fn apply(&mut self, write: LockWrite) -> Effect {
        let kind = classify(&write);
        let first = self.anomalies.len();
        let mut effect = Effect { kind, granted: None, released: None, broke: false };
        match kind {
            TicketWrite::Take | TicketWrite::TryTake => self.take(&write),
            TicketWrite::Serve => effect.released = self.release(&write),
            TicketWrite::Init => self.overwrite(&write, AnomalyKind::ReinitialisedWhileHeld),
            TicketWrite::Other => self.overwrite(&write, AnomalyKind::OverwrittenWhileHeld),
        }
        self.value = write.after;
        effect.granted = self.grant(&write);
        self.check_order(&write);
        effect.broke = self.anomalies.len() > first;
        let anomaly = effect.broke.then(|| u32::try_from(first).unwrap_or(u32::MAX));
        self.points.push(Point { write, kind, anomaly });
        if effect.broke {
            self.points.mark();
            self.waits.mark();
        }
        effect
    }

    fn take(&mut self, write: &LockWrite) {
        self.acquisitions += 1;
        self.tickets.push(Ticket {
            cpu: write.cpu,
            number: next_of(write.before),
            taken: write.at,
            rip: write.rip,
            granted: None,
            stale: false,
            hopeless: false,
        });
    }

    fn release(&mut self, write: &LockWrite) -> Option<u32> {
        let obsolete = owner_of(write.after) != owner_of(write.before).wrapping_add(1);
        // Innermost first: a handler that nests releases before the code it interrupted.
        let held = self.tickets.iter().rposition(|t| t.cpu == write.cpu && t.granted.is_some());
        let Some(held) = held else {
            self.note(AnomalyKind::ReleasedByNonHolder, write, self.holder().copied());
            return None;
        };
        let ticket = self.tickets.remove(held);
        if obsolete {
            self.note(AnomalyKind::OverlappedRelease, write, Some(ticket));
        }
        Some(ticket.cpu)
    }

    fn overwrite(&mut self, write: &LockWrite, kind: AnomalyKind) {
        let victim = self.holder().or(self.tickets.first()).copied();
        for ticket in &mut self.tickets {
            ticket.stale = true;
        }
        if victim.is_some() && write.before != write.after {
            self.note(kind, write, victim);
        }
    }

    /// Lets in whoever waits for the ticket that is served now.
    fn grant(&mut self, write: &LockWrite) -> Option<u32> {
        let owner = owner_of(self.value);
        let served = self.tickets.iter().position(|t| t.granted.is_none() && t.number == owner)?;
        let other = self.tickets.iter().find(|t| t.granted.is_some()).copied();
        let ticket = &mut self.tickets[served];
        ticket.granted = Some(write.at);
        ticket.hopeless = false;
        let ticket = *ticket;
        if ticket.taken < write.at {
            let (cpu, number) = (ticket.cpu, ticket.number);
            self.waits.push(Served { cpu, number, from: ticket.taken, until: write.at });
        }
        if other.is_some() {
            self.note(AnomalyKind::MutualExclusionBroken, write, other);
        }
        Some(ticket.cpu)
    }

    /// Owner must not run ahead of Next, and every waiting ticket must be within reach.
    fn check_order(&mut self, write: &LockWrite) {
        if past_next(self.value) && !past_next(write.before) {
            self.note(AnomalyKind::OwnerPastNext, write, None);
        }
        let owner = owner_of(self.value);
        let waiting = self.waiting().count();
        let inside = self.tickets.len() - waiting;
        for index in 0..self.tickets.len() {
            let ticket = self.tickets[index];
            // Each holder and each other waiter moves Owner on by one at most before it would
            // have to draw a new ticket.
            let releases = (inside + waiting).saturating_sub(1);
            let needed = usize::from(ticket.number.wrapping_sub(owner));
            if ticket.granted.is_none() && !ticket.hopeless && needed > releases {
                self.tickets[index].hopeless = true;
                self.note(AnomalyKind::NeverServed, write, Some(self.tickets[index]));
            }
        }
    }

    fn note(&mut self, kind: AnomalyKind, write: &LockWrite, victim: Option<Ticket>) {
        if self.anomalies.len() < MAX_ANOMALIES {
            self.anomalies.push(Anomaly {
                kind,
                at: write.at,
                cpu: write.cpu,
                rip: write.rip,
                before: write.before,
                after: write.after,
                victim,
            });
        }
    }
}

/// True if Owner is ahead of Next, by less than half of the way round.
pub(super) fn past_next(word: u32) -> bool {
    (1..0x8000).contains(&owner_of(word).wrapping_sub(next_of(word)))
}

/// What a write does to a ticket lock, from its shape alone.
fn classify(write: &LockWrite) -> TicketWrite {
    let (before, after) = (write.before, write.after);
    let same_owner = owner_of(before) == owner_of(after);
    let one_more = next_of(after) == next_of(before).wrapping_add(1);
    if write.locked && write.bytes == 4 && same_owner && one_more {
        return TicketWrite::Take;
    }
    if write.bytes == 2 && next_of(before) == next_of(after) {
        return TicketWrite::Serve;
    }
    if !write.locked && write.bytes == 4 && after == 0 {
        return TicketWrite::Init;
    }
    TicketWrite::Other
}
