//! The inclusive L3 of one die, with the core-valid bits that serve as its snoop filter.

use crate::ids::LineAddr;
use crate::spec::MemorySpec;
use serde::{Deserialize, Serialize};
use sim_core::CowArray;

/// State of a line in a die's L3, as other dies see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DieState {
    /// Empty way.
    #[default]
    Invalid,
    /// Other dies may have it too.
    Shared,
    /// Only this die has it; memory is up to date.
    Exclusive,
    /// Only this die has it; memory is stale.
    Modified,
}

/// One line of an L3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct L3Entry {
    /// Which line.
    pub line: LineAddr,
    /// Its state.
    pub state: DieState,
    /// Cores of this die (bit = index within the die) that may hold a copy. Never too few; a bit
    /// may be stale, because clean lines leave private caches silently (as on Nehalem).
    pub sharers: u64,
    /// Core of this die that may hold it Exclusive or Modified, as index within the die plus 1.
    owner_plus_1: u8,
}

impl L3Entry {
    /// A fresh entry without copies in private caches.
    #[must_use]
    pub fn new(line: LineAddr, state: DieState) -> Self {
        L3Entry { line, state, sharers: 0, owner_plus_1: 0 }
    }

    /// The owning core's index within the die.
    #[must_use]
    pub fn owner(&self) -> Option<u8> {
        self.owner_plus_1.checked_sub(1)
    }

    /// Makes `core` (index within the die) the only sharer, with permission to write.
    pub fn set_owner(&mut self, core: u8) {
        self.owner_plus_1 = core + 1;
        self.sharers = 1 << core;
    }

    /// True for an empty way.
    fn is_empty(&self) -> bool {
        self.state == DieState::Invalid
    }

    /// Nobody may write any more.
    pub fn clear_owner(&mut self) {
        self.owner_plus_1 = 0;
    }
}

/// A line, and where its set begins in the L3 of any die: a division that is made once for all of
/// them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) line: LineAddr,
    first: usize,
}

/// Entries per copy-on-write chunk.
const CHUNK: usize = 64;

/// The L3 of one die. Sets are kept in recency order, most recent first, empty ways last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct L3 {
    sets: u64,
    ways: usize,
    entries: CowArray<L3Entry, CHUNK>,
}

impl L3 {
    /// An empty L3.
    #[must_use]
    pub fn new(spec: &MemorySpec) -> Self {
        let entries = CowArray::new((spec.l3_sets * spec.l3_ways) as usize);
        L3 { sets: u64::from(spec.l3_sets), ways: spec.l3_ways as usize, entries }
    }

    /// Makes clones cheap (see [`CowArray::freeze`]).
    pub fn freeze(&mut self) {
        self.entries.freeze();
    }

    /// Where `line` belongs.
    pub(super) fn slot(&self, line: LineAddr) -> Slot {
        Slot { line, first: (line.0 % self.sets) as usize * self.ways }
    }

    fn at(&self, index: usize) -> L3Entry {
        self.entries.chunk(index / CHUNK)[index % CHUNK]
    }

    fn put(&mut self, index: usize, entry: L3Entry) {
        self.entries.chunk_mut(index / CHUNK)[index % CHUNK] = entry;
    }

    /// The set that begins at `first`, if it lies in one chunk, as with all customary numbers of
    /// ways.
    fn set(&self, first: usize) -> Option<&[L3Entry]> {
        self.entries.chunk(first / CHUNK).get(first % CHUNK..first % CHUNK + self.ways)
    }

    fn set_mut(&mut self, first: usize) -> Option<&mut [L3Entry]> {
        let (at, ways) = (first % CHUNK, self.ways);
        (at + ways <= CHUNK).then(|| &mut self.entries.chunk_mut(first / CHUNK)[at..at + ways])
    }

    /// The way of a line in its set. HOT: mostly the line was asked for a moment ago, or the set is
    /// next to empty; what lies behind is best not touched.
    fn way(&self, Slot { line, first }: Slot) -> Option<usize> {
        let ends = |entry: &L3Entry| entry.line == line || entry.is_empty();
        let holds = |entry: &L3Entry| !entry.is_empty();
        match self.set(first) {
            Some(set) if set[0].line == line && holds(&set[0]) => Some(0),
            Some(set) => set.iter().position(ends).filter(|&way| holds(&set[way])),
            None => {
                let found = (0..self.ways).find(|&way| ends(&self.at(first + way)));
                found.filter(|&way| holds(&self.at(first + way)))
            }
        }
    }

    /// The entry for `line`.
    #[must_use]
    pub fn get(&self, line: LineAddr) -> Option<L3Entry> {
        self.get_at(self.slot(line))
    }

    /// The entry for a line.
    pub(super) fn get_at(&self, slot: Slot) -> Option<L3Entry> {
        self.find(slot).map(|(_, entry)| entry)
    }

    /// The entry for a line, and the way that it is in.
    pub(super) fn find(&self, slot: Slot) -> Option<(usize, L3Entry)> {
        self.way(slot).map(|way| (way, self.at(slot.first + way)))
    }

    /// Puts `entry` in the place of the one in this way and makes it the most recent of its set.
    pub(super) fn renew(&mut self, slot: Slot, way: usize, entry: L3Entry) {
        if way != 0 {
            self.shift_down(slot.first, way);
        }
        self.put(slot.first, entry);
    }

    /// Changes the entry of a line, if there is one, and makes it the most recent of its set.
    pub(super) fn update(&mut self, slot: Slot, change: impl FnOnce(&mut L3Entry)) {
        let Some((way, mut entry)) = self.find(slot) else { return };
        let before = entry;
        change(&mut entry);
        if way != 0 || entry != before {
            self.renew(slot, way, entry);
        }
    }

    /// Moves ways `0..way` one place towards the least recent end.
    fn shift_down(&mut self, first: usize, way: usize) {
        if let Some(set) = self.set_mut(first) {
            return set.copy_within(..way, 1);
        }
        for w in (0..way).rev() {
            let entry = self.at(first + w);
            self.put(first + w + 1, entry);
        }
    }

    /// Drops a line.
    pub(super) fn remove(&mut self, slot: Slot) {
        let Some(way) = self.way(slot) else { return };
        let first = slot.first;
        if let Some(set) = self.set_mut(first) {
            set.copy_within(way + 1.., way);
            set[set.len() - 1] = L3Entry::default();
            return;
        }
        for w in way..self.ways - 1 {
            let entry = self.at(first + w + 1);
            self.put(first + w, entry);
        }
        self.put(first + self.ways - 1, L3Entry::default());
    }

    /// Inserts `entry`, which belongs into `slot`, as the most recent of its set: in the first
    /// empty way, or else evicting the least recent line for which `busy` is false.
    ///
    /// # Errors
    /// If every way of the set is busy; nothing has changed then.
    pub(super) fn insert(
        &mut self,
        slot: Slot,
        entry: L3Entry,
        busy: impl Fn(LineAddr) -> bool,
    ) -> Result<Option<L3Entry>, AllBusy> {
        let first = slot.first;
        let idle = |&way: &usize| !busy(self.at(first + way).line);
        let way = match self.first_empty(first) {
            Some(way) => way,
            None => (0..self.ways).rev().find(idle).ok_or(AllBusy)?,
        };
        let victim = self.at(first + way);
        self.shift_down(first, way);
        self.put(first, entry);
        Ok((!victim.is_empty()).then_some(victim))
    }

    /// The first empty way of the set that begins at `first`.
    fn first_empty(&self, first: usize) -> Option<usize> {
        match self.set(first) {
            Some(set) => set.iter().position(L3Entry::is_empty),
            None => (0..self.ways).find(|&way| self.at(first + way).is_empty()),
        }
    }

    /// True if inserting `line` would evict another.
    #[must_use]
    pub fn is_full_for(&self, line: LineAddr) -> bool {
        let slot = self.slot(line);
        self.way(slot).is_none() && self.first_empty(slot.first).is_none()
    }

    /// Every entry in use.
    pub fn entries(&self) -> impl Iterator<Item = L3Entry> + '_ {
        let all = self.entries.written().flat_map(|chunk| self.entries.chunk(chunk).iter());
        all.filter(|entry| !entry.is_empty()).copied()
    }
}

/// Every way of an L3 set has a transaction in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllBusy;
