//! HOT: the store buffer of one core, the only source of reordering on x86-TSO.
//!
//! Stores enter when they execute and leave, oldest first, into lines that the core owns. A load
//! sees the core's own buffered stores (forwarding); nobody else does.

use crate::ids::PhysAddr;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sim_core::Cycle;

/// A store that is not globally visible yet. It never crosses a line: the core splits it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BufferedStore {
    /// First byte.
    pub addr: PhysAddr,
    /// Low `size` bytes are stored.
    pub value: u64,
    /// Bytes: 1–8.
    pub size: u8,
    /// Earliest cycle at which it may commit.
    pub ready: Cycle,
    /// Instruction that stored it.
    pub rip: u64,
}

/// What a load finds in the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forward {
    /// Nothing that overlaps: read the cache.
    None,
    /// The youngest overlapping store covers the load: its value.
    Hit(u64),
    /// Partial overlap: the load waits until the buffer has drained.
    Blocked,
}

/// Most entries that a store buffer may have.
pub const MOST_STORES: u32 = 64;

const SLOTS: usize = MOST_STORES as usize;

/// A ring of stores: an index cut to its size needs no check. It starts again at its first slots
/// whenever it is empty, which is often, so that few of them are ever touched.
#[derive(Clone, Debug)]
struct Ring {
    slots: Box<[BufferedStore; SLOTS]>,
    first: usize,
    len: usize,
}

impl Ring {
    fn new() -> Self {
        Ring { slots: Box::new([BufferedStore::default(); SLOTS]), first: 0, len: 0 }
    }

    fn iter(&self) -> impl DoubleEndedIterator<Item = &BufferedStore> {
        (0..self.len).map(|n| &self.slots[(self.first + n) % SLOTS])
    }

    #[inline(always)]
    fn front(&self) -> Option<&BufferedStore> {
        (self.len > 0).then(|| &self.slots[self.first % SLOTS])
    }

    #[inline(always)]
    fn push(&mut self, store: BufferedStore) {
        self.slots[(self.first + self.len) % SLOTS] = store;
        self.len += 1;
    }

    #[inline(always)]
    fn drop_front(&mut self) {
        self.len -= 1;
        self.first = if self.len == 0 { 0 } else { (self.first + 1) % SLOTS };
    }
}

impl Serialize for Ring {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for Ring {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stores = Vec::<BufferedStore>::deserialize(deserializer)?;
        if stores.len() > SLOTS {
            return Err(D::Error::custom("too many buffered stores"));
        }
        let mut ring = Ring::new();
        stores.into_iter().for_each(|store| ring.push(store));
        Ok(ring)
    }
}

/// First-in first-out buffer of stores.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoreBuffer {
    stores: Ring,
    capacity: usize,
    /// Commit cycle of the last store that left: the next leaves at least one cycle later.
    last_commit: Cycle,
    /// When the oldest store may commit.
    due: Cycle,
    /// Where stores went since the buffer was last empty: a bit per aligned 8 bytes, modulo 64. A
    /// load whose bits are clear need not search. Derived: spare bits cost time only.
    #[serde(skip)]
    places: Places,
    /// What [`PrivateCaches::insertions`] was when the line of the oldest store was found to be
    /// away: until it changes, trying again does nothing. Derived: forgetting it costs time only.
    ///
    /// [`PrivateCaches::insertions`]: crate::mem::cache::PrivateCaches::insertions
    #[serde(skip)]
    stuck: Option<u64>,
}

/// See [`StoreBuffer::places`].
#[derive(Clone, Copy, Debug)]
struct Places(u64);

impl Default for Places {
    /// Nothing is known.
    fn default() -> Self {
        Places(u64::MAX)
    }
}

impl Places {
    /// The bits of `size` bytes at `addr`.
    #[inline(always)]
    fn of(addr: PhysAddr, size: u64) -> u64 {
        1 << (addr.0 >> 3 & 63) | 1 << ((addr.0 + size - 1) >> 3 & 63)
    }
}

impl PartialEq for StoreBuffer {
    fn eq(&self, other: &Self) -> bool {
        let state = |buffer: &Self| (buffer.capacity, buffer.last_commit, buffer.due);
        state(self) == state(other)
            && self.stores.len == other.stores.len
            && self.iter().eq(other.iter())
    }
}

impl StoreBuffer {
    /// An empty buffer of `capacity` entries, of which there are at most [`MOST_STORES`].
    #[must_use]
    pub fn new(capacity: u32) -> Self {
        StoreBuffer {
            stores: Ring::new(),
            capacity: capacity.min(MOST_STORES) as usize,
            last_commit: Cycle(0),
            due: Cycle::NEVER,
            places: Places(0),
            stuck: None,
        }
    }

    /// True if every store is globally visible.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stores.len == 0
    }

    /// Free entries.
    #[inline]
    #[must_use]
    pub fn room(&self) -> usize {
        self.capacity - self.stores.len
    }

    /// Entries in all.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The buffered stores, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &BufferedStore> {
        self.stores.iter()
    }

    /// Appends a store.
    pub fn push(&mut self, store: BufferedStore) {
        self.places.0 |= Places::of(store.addr, u64::from(store.size));
        self.push_word(store);
    }

    /// Appends a store within 8 aligned bytes. HOT.
    #[inline(always)]
    pub fn push_word(&mut self, store: BufferedStore) {
        debug_assert!(self.room() > 0, "the core asks for room first");
        self.places.0 |= 1 << (store.addr.0 >> 3 & 63);
        if self.stores.len == 0 {
            self.due = store.ready.max(self.last_commit + 1);
        }
        self.stores.push(store);
    }

    /// Oldest store and the cycle at which it may commit.
    #[inline]
    #[must_use]
    pub fn head(&self) -> Option<(BufferedStore, Cycle)> {
        self.stores.front().map(|store| (*store, self.due))
    }

    /// When the oldest store may commit; [`Cycle::NEVER`] if there is none. HOT.
    #[inline]
    #[must_use]
    pub fn due(&self) -> Cycle {
        self.due
    }

    #[inline]
    fn settle_due(&mut self) {
        let due = |store: &BufferedStore| store.ready.max(self.last_commit + 1);
        self.due = self.stores.front().map_or(Cycle::NEVER, due);
    }

    /// The oldest store waits for a line of which L1D has no copy either, there having been so many
    /// insertions.
    pub fn stick(&mut self, insertions: u64) {
        self.stuck = Some(insertions);
    }

    /// True if it still waits for that line, nothing having been inserted since.
    #[inline]
    #[must_use]
    pub fn is_stuck(&self, insertions: u64) -> bool {
        self.stuck == Some(insertions)
    }

    /// When a store left last.
    #[must_use]
    pub fn last_commit(&self) -> Cycle {
        self.last_commit
    }

    /// Removes the oldest store, which became visible at `at`.
    #[inline]
    pub fn retire_head(&mut self, at: Cycle) {
        self.stores.drop_front();
        self.stuck = None;
        self.last_commit = at;
        self.settle_due();
        if self.due == Cycle::NEVER {
            self.places.0 = 0;
        }
    }

    /// Stores that never stood in the buffer, which is empty, have left it, the last one at `at`.
    pub fn left_until(&mut self, at: Cycle) {
        debug_assert!(self.is_empty(), "they would have been the oldest");
        self.last_commit = at;
    }

    /// Moves everything `cycles` later: the buffer of a core whose loop was skipped for so long.
    pub fn shift(&mut self, cycles: u64) {
        for n in 0..self.stores.len {
            self.stores.slots[(self.stores.first + n) % SLOTS].ready += cycles;
        }
        self.last_commit += cycles;
        self.settle_due();
    }

    /// When `count` more stores will have left, if nothing but time is needed.
    #[must_use]
    pub fn left_by(&self, count: usize) -> Cycle {
        let step = |at: Cycle, store: &BufferedStore| store.ready.max(at + 1);
        self.stores.iter().take(count).fold(self.last_commit, step)
    }

    /// True if surely no buffered store overlaps the `size` bytes at `addr`.
    #[inline]
    #[must_use]
    pub fn is_clear(&self, addr: PhysAddr, size: u64) -> bool {
        self.places.0 & Places::of(addr, size) == 0
    }

    /// True if surely no buffered store overlaps the aligned 8 bytes in which `addr` lies. HOT.
    #[inline(always)]
    #[must_use]
    pub fn is_word_clear(&self, addr: PhysAddr) -> bool {
        self.places.0 >> (addr.0 >> 3 & 63) & 1 == 0
    }

    /// What a load of `size` bytes at `addr` sees.
    #[must_use]
    pub fn forward(&self, addr: PhysAddr, size: u64) -> Forward {
        if self.is_clear(addr, size) { Forward::None } else { self.search(addr, size) }
    }

    fn search(&self, addr: PhysAddr, size: u64) -> Forward {
        for store in self.stores.iter().rev() {
            let (first, last) = (store.addr.0, store.addr.0 + u64::from(store.size));
            if addr.0 >= last || addr.0 + size <= first {
                continue;
            }
            if addr.0 < first || addr.0 + size > last {
                return Forward::Blocked;
            }
            let value = store.value >> ((addr.0 - first) * 8);
            let mask = if size == 8 { u64::MAX } else { (1 << (size * 8)) - 1 };
            return Forward::Hit(value & mask);
        }
        Forward::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(addr: u64, size: u8, value: u64) -> BufferedStore {
        BufferedStore { addr: PhysAddr(addr), value, size, ready: Cycle(10), rip: 0 }
    }

    #[test]
    fn youngest_covering_store_is_forwarded() {
        let mut buffer = StoreBuffer::new(4);
        buffer.push(store(8, 8, 0x1111_2222_3333_4444));
        buffer.push(store(10, 2, 0xabcd));
        assert_eq!(buffer.forward(PhysAddr(10), 2), Forward::Hit(0xabcd));
        assert_eq!(buffer.forward(PhysAddr(12), 4), Forward::Hit(0x1111_2222));
        assert_eq!(buffer.forward(PhysAddr(8), 8), Forward::Blocked);
        assert_eq!(buffer.forward(PhysAddr(16), 8), Forward::None);
    }

    #[test]
    fn stores_leave_one_a_cycle_after_they_are_ready() {
        let mut buffer = StoreBuffer::new(4);
        buffer.push(store(0, 1, 1));
        buffer.push(store(1, 1, 2));
        assert_eq!(buffer.left_by(2), Cycle(11));
        let (_, at) = buffer.head().expect("two stores");
        assert_eq!(at, Cycle(10));
        buffer.retire_head(at);
        assert_eq!(buffer.head().expect("one store").1, Cycle(11));
    }
}
