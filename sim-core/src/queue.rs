//! HOT: the event queue: a total, reproducible order of what happens next.
//!
//! Events are ordered by (cycle, source, sequence within the source). The order is a function of
//! *what was scheduled*, never of the order in which the host happened to compute it: cores that
//! run ahead of each other for speed post the same events under the same keys.
//!
//! Near events lie in a timing wheel of one slot per cycle (Varghese and Lauck, SOSP 1987), found
//! by a bitmap; far ones, which are few, in a binary heap. `benches/` compares it with the heap
//! alone.

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
    #[inline]
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
/// Slots of the wheel: cycles ahead that it reaches. Most latencies of a machine are shorter.
const SLOTS: usize = 8192;
const WORDS: usize = SLOTS / 64;
/// End of a list.
const NONE: u32 = u32::MAX;

/// An entry in the wheel, and the next one of its slot (or of the free list).
#[derive(Clone, Copy, Debug)]
struct Linked<E> {
    entry: Entry<E>,
    next: u32,
}

/// The near future: a list per cycle, in no order. All entries lie within `SLOTS` cycles from the
/// last one taken, so that no two cycles share a slot. A cycle's entries are sorted when it comes.
#[derive(Clone, Debug)]
struct Wheel<E> {
    /// First entry of each slot.
    heads: Box<[u32; SLOTS]>,
    /// A bit for each slot that is not empty, and one for each word of these that is not zero.
    bits: [u64; WORDS],
    words: [u64; WORDS / 64],
    entries: Vec<Linked<E>>,
    free: u32,
    len: usize,
    /// Cycle of the last entry taken.
    base: Cycle,
    /// Entries of that cycle, the first one last.
    current: Vec<Entry<E>>,
}

impl<E: Copy> Wheel<E> {
    fn new() -> Self {
        Wheel {
            heads: Box::new([NONE; SLOTS]),
            bits: [0; WORDS],
            words: [0; WORDS / 64],
            entries: Vec::new(),
            free: NONE,
            len: 0,
            base: Cycle(0),
            current: Vec::new(),
        }
    }

    #[inline]
    fn reaches(&self, at: Cycle) -> bool {
        at.0.wrapping_sub(self.base.0) < SLOTS as u64
    }

    #[inline]
    fn insert(&mut self, entry: Entry<E>) {
        self.len += 1;
        if entry.at == self.base {
            let at = self.current.partition_point(|other| other.order > entry.order);
            return self.current.insert(at, entry);
        }
        let slot = entry.at.0 as usize % SLOTS;
        let linked = Linked { entry, next: self.heads[slot] };
        let index = self.free;
        if index == NONE {
            self.heads[slot] = self.entries.len() as u32;
            self.entries.push(linked);
        } else {
            self.free = self.entries[index as usize].next;
            self.entries[index as usize] = linked;
            self.heads[slot] = index;
        }
        self.bits[slot / 64] |= 1 << (slot % 64);
        self.words[slot / 4096] |= 1 << (slot / 64 % 64);
    }

    /// Cycle of the first entry; [`Cycle::NEVER`] if there is none.
    #[inline]
    fn first_at(&self) -> Cycle {
        if !self.current.is_empty() {
            return self.base;
        }
        match self.first_slot() {
            Some(slot) => self.base + (slot as u64).wrapping_sub(self.base.0) % SLOTS as u64,
            None => Cycle::NEVER,
        }
    }

    /// The first slot, in order of time, that is not empty.
    #[inline]
    fn first_slot(&self) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let from = self.base.0 as usize % SLOTS;
        let here = self.bits[from / 64] >> (from % 64);
        if here != 0 {
            return Some(from + here.trailing_zeros() as usize);
        }
        self.slot_in_later_word(from / 64)
    }

    fn slot_in_later_word(&self, word: usize) -> Option<usize> {
        // Each word of `words` once from behind the current one, and the current one's lower part
        // at last: slots before the base belong to the next turn of the wheel.
        let groups = WORDS / 64;
        for turn in 0..=groups {
            let group = (word / 64 + turn) % groups;
            let mut mask = self.words[group];
            if turn == 0 {
                mask &= u64::MAX.checked_shl(word as u32 % 64 + 1).unwrap_or(0);
            }
            if mask != 0 {
                let found = group * 64 + mask.trailing_zeros() as usize;
                return Some(found * 64 + self.bits[found].trailing_zeros() as usize);
            }
        }
        None
    }

    /// The wheel turns to `at` and gives its entry, if it has just one, which is the usual case.
    /// Nothing lies before it, and there are no current entries.
    #[inline]
    fn take_alone(&mut self, at: Cycle) -> Option<Entry<E>> {
        let slot = at.0 as usize % SLOTS;
        let index = self.heads[slot];
        let Linked { entry, next } = *self.entries.get(index as usize)?;
        if next != NONE {
            return None;
        }
        self.base = at;
        self.heads[slot] = NONE;
        self.entries[index as usize].next = self.free;
        self.free = index;
        self.len -= 1;
        self.clear(slot);
        Some(entry)
    }

    /// The slot is empty.
    #[inline]
    fn clear(&mut self, slot: usize) {
        self.bits[slot / 64] &= !(1 << (slot % 64));
        if self.bits[slot / 64] == 0 {
            self.words[slot / 4096] &= !(1 << (slot / 64 % 64));
        }
    }

    /// The wheel turns to `at`, whose entries become the current ones. Nothing lies before it.
    #[inline]
    fn turn_to(&mut self, at: Cycle) {
        self.base = at;
        let slot = at.0 as usize % SLOTS;
        let mut index = std::mem::replace(&mut self.heads[slot], NONE);
        if index == NONE {
            return;
        }
        while index != NONE {
            let Linked { entry, next } = self.entries[index as usize];
            self.current.push(entry);
            self.entries[index as usize].next = self.free;
            self.free = index;
            index = next;
        }
        if self.current.len() > 1 {
            self.current.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.order));
        }
        self.clear(slot);
    }

    /// Removes the entry with this key, if it lies in the wheel.
    fn remove(&mut self, at: Cycle, order: u64) -> bool {
        let found = if at == self.base {
            let found = self.current.iter().position(|entry| entry.order == order);
            found.map(|index| self.current.remove(index)).is_some()
        } else {
            self.unlink(at, order)
        };
        self.len -= usize::from(found);
        found
    }

    /// Takes the entry with this key out of its slot's list.
    fn unlink(&mut self, at: Cycle, order: u64) -> bool {
        let slot = at.0 as usize % SLOTS;
        let (mut before, mut index) = (NONE, self.heads[slot]);
        while let Some(&Linked { entry, next }) = self.entries.get(index as usize) {
            if entry.key() != (at, order) {
                (before, index) = (index, next);
                continue;
            }
            match self.entries.get_mut(before as usize) {
                Some(before) => before.next = next,
                None => self.heads[slot] = next,
            }
            self.entries[index as usize].next = self.free;
            self.free = index;
            if self.heads[slot] == NONE {
                self.clear(slot);
            }
            return true;
        }
        false
    }

    fn iter(&self) -> impl Iterator<Item = Entry<E>> + '_ {
        let slots = self.heads.iter().flat_map(|&head| {
            let entry = |index: u32| (index != NONE).then(|| self.entries[index as usize]);
            let list = std::iter::successors(entry(head), move |linked| entry(linked.next));
            list.map(|linked| linked.entry)
        });
        slots.chain(self.current.iter().copied())
    }
}

/// Pending events, earliest first; ties by source, then by the order within the source.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    near: Wheel<E>,
    far: BinaryHeap<Entry<E>>,
    /// When the first of them is due.
    far_at: Cycle,
    /// When the earliest event is due.
    horizon: Cycle,
    /// Events scheduled so far, per source.
    scheduled: Vec<u64>,
}

impl<E: Copy> EventQueue<E> {
    /// An empty queue for sources `0..sources`.
    #[must_use]
    pub fn new(sources: usize) -> Self {
        EventQueue {
            near: Wheel::new(),
            far: BinaryHeap::new(),
            far_at: Cycle::NEVER,
            horizon: Cycle::NEVER,
            scheduled: vec![0; sources],
        }
    }

    /// Schedules `event` at `at`. Events of one source at one cycle keep the order of these calls.
    ///
    /// # Panics
    /// If `source` is not below the number of sources given to [`EventQueue::new`].
    #[inline]
    pub fn schedule(&mut self, at: Cycle, source: Source, event: E) {
        let number = &mut self.scheduled[usize::from(source.0)];
        let order = u64::from(source.0) << SEQUENCE_BITS | *number;
        *number += 1;
        self.insert(Entry { at, order, event });
    }

    /// Takes back the last event that `source` has scheduled, at `at`, as if it never had.
    ///
    /// # Panics
    /// If that event is not pending.
    pub fn take_back(&mut self, at: Cycle, source: Source) {
        let number = &mut self.scheduled[usize::from(source.0)];
        *number -= 1;
        let order = u64::from(source.0) << SEQUENCE_BITS | *number;
        if !self.near.remove(at, order) {
            let before = self.far.len();
            self.far.retain(|entry| entry.key() != (at, order));
            assert!(self.far.len() < before, "the event is pending");
            self.look_far();
        }
        self.look_for_first();
    }

    /// Finds out when the earliest event is due.
    fn look_for_first(&mut self) {
        self.horizon = self.near.first_at().min(self.far_at);
    }

    /// Finds out when the first of the far events is due.
    fn look_far(&mut self) {
        self.far_at = self.far.peek().map_or(Cycle::NEVER, |entry| entry.at);
    }

    #[inline]
    fn insert(&mut self, entry: Entry<E>) {
        self.horizon = self.horizon.min(entry.at);
        if self.near.reaches(entry.at) {
            self.near.insert(entry);
        } else {
            self.far_at = self.far_at.min(entry.at);
            self.far.push(entry);
        }
    }

    /// When the earliest event is due.
    #[must_use]
    pub fn next_at(&self) -> Option<Cycle> {
        (!self.is_empty()).then_some(self.horizon)
    }

    /// When the earliest event is due; [`Cycle::NEVER`] if none is pending. HOT: one load.
    #[inline]
    #[must_use]
    pub fn horizon(&self) -> Cycle {
        self.horizon
    }

    /// Takes the earliest event. HOT: mostly it is near, and alone at its cycle.
    #[inline]
    pub fn pop(&mut self) -> Option<(Cycle, E)> {
        if self.horizon < self.far_at
            && self.near.current.is_empty()
            && let Some(entry) = self.near.take_alone(self.horizon)
        {
            self.look_for_first();
            return Some((entry.at, entry.event));
        }
        self.pop_rarer()
    }

    fn pop_rarer(&mut self) -> Option<(Cycle, E)> {
        let entry = self.take_first()?;
        self.look_for_first();
        Some((entry.at, entry.event))
    }

    #[inline]
    fn take_first(&mut self) -> Option<Entry<E>> {
        if self.is_empty() {
            return None;
        }
        if self.near.current.is_empty() {
            // An event from before the last one (a late one) leaves the wheel where it is.
            let at = self.horizon.max(self.near.base);
            let near_first = self.far.peek().is_none_or(|far| far.at > at);
            if near_first && let Some(entry) = self.near.take_alone(at) {
                return Some(entry);
            }
            self.near.turn_to(at);
        }
        let near_first = match (self.near.current.last(), self.far.peek()) {
            (near, None) => near.is_some(),
            (near, Some(far)) => near.is_some_and(|near| near.key() < far.key()),
        };
        if near_first {
            self.near.len -= 1;
            self.near.current.pop()
        } else {
            let entry = self.far.pop();
            self.look_far();
            entry
        }
    }

    /// Number of pending events.
    #[must_use]
    pub fn len(&self) -> usize {
        self.near.len + self.far.len()
    }

    /// True if nothing is pending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        let mut entries: Vec<Entry<E>> = self.near.iter().chain(self.far.iter().copied()).collect();
        entries.sort_unstable_by_key(Entry::key);
        entries
    }
}

impl<E: Copy + PartialEq> PartialEq for EventQueue<E> {
    /// Equal if the same events will be popped in the same order, however they lie in memory.
    fn eq(&self, other: &Self) -> bool {
        let same = |(a, b): (&Entry<E>, &Entry<E>)| a.key() == b.key() && a.event == b.event;
        self.scheduled == other.scheduled
            && self.len() == other.len()
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
        let mut queue = EventQueue { scheduled, ..EventQueue::new(0) };
        queue.near.base = entries.first().map_or(Cycle(0), |entry| entry.at);
        entries.into_iter().for_each(|entry| queue.insert(entry));
        Ok(queue)
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
        /// The wheel and the heap together pop as one sorted list would.
        #[test]
        fn it_pops_as_a_sorted_list(
            steps in prop::collection::vec((0u64..20_000, 0u16..3, 0usize..3, any::<bool>()), 1..400),
        ) {
            let mut queue = EventQueue::new(3);
            let mut list: Vec<(Cycle, u16, u64)> = Vec::new();
            let mut now = Cycle(0);
            for (number, &(ahead, source, pops, twice)) in steps.iter().enumerate() {
                let at = now + if ahead % 3 == 0 { ahead } else { ahead % 50 };
                if twice {
                    // Scheduled and taken back: as if it had never been.
                    let before = queue.clone();
                    queue.schedule(at, Source(source), u64::MAX);
                    queue.take_back(at, Source(source));
                    prop_assert_eq!(&queue, &before);
                    prop_assert_eq!(queue.next_at(), before.next_at());
                }
                queue.schedule(at, Source(source), number as u64);
                list.push((at, source, number as u64));
                list.sort_unstable();
                for _ in 0..pops {
                    prop_assert_eq!(queue.next_at(), list.first().map(|first| first.0));
                    let expected = (!list.is_empty()).then(|| list.remove(0));
                    prop_assert_eq!(queue.pop(), expected.map(|(at, _, number)| (at, number)));
                    now = expected.map_or(now, |(at, ..)| at);
                }
                prop_assert_eq!(queue.len(), list.len());
            }
        }

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
