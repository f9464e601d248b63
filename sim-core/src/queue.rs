//! The event queue: a total, reproducible order of what happens next.
//!
//! Events are ordered by (cycle, source, sequence within the source). The order is a function of
//! *what was scheduled*, never of the order in which the host happened to compute it: cores that
//! run ahead of each other for speed post the same events under the same keys.

use crate::Cycle;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// Who scheduled an event: an index that the simulated machine hands out to its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source(pub u16);

/// Key and payload of one pending event.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Entry<E> {
    at: Cycle,
    /// Source in the upper 16 bits, its running number below.
    order: u64,
    event: E,
}

impl<E> Entry<E> {
    fn key(&self) -> (Cycle, u64) {
        (self.at, self.order)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}
impl<E> Eq for Entry<E> {}
impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<E> Ord for Entry<E> {
    /// Reversed: `BinaryHeap` pops its greatest entry, we want the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

const SEQUENCE_BITS: u32 = 48;

/// Pending events, earliest first; ties by source, then by the order within the source.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    heap: BinaryHeap<Entry<E>>,
    /// Events scheduled so far, per source.
    scheduled: Vec<u64>,
}

impl<E: Copy> EventQueue<E> {
    /// An empty queue for sources `0..sources`.
    #[must_use]
    pub fn new(sources: usize) -> Self {
        EventQueue { heap: BinaryHeap::new(), scheduled: vec![0; sources] }
    }

    /// Schedules `event` at `at`. Events of one source at one cycle keep the order of these calls.
    ///
    /// # Panics
    /// If `source` is not below the number of sources given to [`EventQueue::new`].
    pub fn schedule(&mut self, at: Cycle, source: Source, event: E) {
        let number = &mut self.scheduled[usize::from(source.0)];
        let order = u64::from(source.0) << SEQUENCE_BITS | *number;
        *number += 1;
        self.heap.push(Entry { at, order, event });
    }

    /// When the earliest event is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Cycle> {
        self.heap.peek().map(|entry| entry.at)
    }

    /// When the earliest event is due; [`Cycle::NEVER`] if none is pending. HOT.
    #[inline]
    #[must_use]
    pub fn horizon(&self) -> Cycle {
        self.heap.peek().map_or(Cycle::NEVER, |entry| entry.at)
    }

    /// Takes the earliest event.
    pub fn pop(&mut self) -> Option<(Cycle, E)> {
        self.heap.pop().map(|entry| (entry.at, entry.event))
    }

    /// Number of pending events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.heap.len()
    }

    /// True if nothing is pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// The pending events in the order in which they will be popped.
    #[must_use]
    pub fn pending(&self) -> Vec<(Cycle, Source, E)> {
        self.sorted()
            .iter()
            .map(|entry| (entry.at, Source((entry.order >> SEQUENCE_BITS) as u16), entry.event))
            .collect()
    }

    fn sorted(&self) -> Vec<Entry<E>> {
        let mut entries: Vec<Entry<E>> = self.heap.iter().copied().collect();
        entries.sort_unstable_by_key(Entry::key);
        entries
    }
}

impl<E: Copy + PartialEq> PartialEq for EventQueue<E> {
    /// Equal if the same events will be popped in the same order, however the heaps lie in memory.
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&Entry<E>, &Entry<E>)| a.key() == b.key() && a.event == b.event;
        self.scheduled == other.scheduled
            && self.heap.len() == other.heap.len()
            && self.sorted().iter().zip(&other.sorted()).all(same)
    }
}

impl<E: Copy + Serialize> Serialize for EventQueue<E> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.scheduled, self.sorted()).serialize(serializer)
    }
}

impl<'de, E: Copy + Deserialize<'de>> Deserialize<'de> for EventQueue<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (scheduled, entries) = <(Vec<u64>, Vec<Entry<E>>)>::deserialize(deserializer)?;
        Ok(EventQueue { heap: entries.into(), scheduled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_by_source_then_by_order_of_scheduling() {
        let mut queue = EventQueue::new(3);
        queue.schedule(Cycle(5), Source(2), 'd');
        queue.schedule(Cycle(5), Source(1), 'b');
        queue.schedule(Cycle(5), Source(1), 'c');
        queue.schedule(Cycle(4), Source(2), 'a');
        let popped: String = std::iter::from_fn(|| queue.pop().map(|(_, e)| e)).collect();
        assert_eq!(popped, "abcd");
    }

    proptest! {
        /// The order of popping depends on the keys alone, not on the interleaving of sources.
        #[test]
        fn interleaving_of_sources_does_not_matter(
            times in prop::collection::vec((0u64..50, 0u16..4), 1..60),
        ) {
            let mut mixed = EventQueue::new(4);
            let mut grouped = EventQueue::new(4);
            let mut numbered: Vec<(u64, u16, u32)> = Vec::new();
            let mut counts = [0u32; 4];
            for &(at, source) in &times {
                numbered.push((at, source, counts[usize::from(source)]));
                counts[usize::from(source)] += 1;
            }
            for &(at, source, n) in &numbered {
                mixed.schedule(Cycle(at), Source(source), n);
            }
            numbered.sort_by_key(|&(_, source, n)| (source, n));
            for &(at, source, n) in &numbered {
                grouped.schedule(Cycle(at), Source(source), n);
            }
            prop_assert_eq!(&mixed, &grouped);
            prop_assert_eq!(mixed.pending(), grouped.pending());
        }
    }
}
